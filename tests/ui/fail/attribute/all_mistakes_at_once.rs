use gae_tasks::deferred;

#[deferred(qeue = "emails", max_attempts = 0, deadline = "soon", name = "a//b")]
async fn send_welcome(user: &str, (a, b): (u8, u8)) {
    println!("{user} {a} {b}");
}

fn main() {}
