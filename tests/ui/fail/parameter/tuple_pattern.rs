use gae_tasks::deferred;

#[deferred]
async fn store((a, b): (u8, u8)) {
    println!("{a} {b}");
}

fn main() {}
