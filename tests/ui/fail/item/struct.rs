use gae_tasks::deferred;

#[deferred]
struct SendWelcome {
    user: u64,
}

fn main() {
    println!("{}", SendWelcome { user: 5 }.user);
}
