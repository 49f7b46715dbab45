use gae_tasks::deferred;

struct Mailer;

impl Mailer {
    // No token of the function shows that it is in an `impl`, but the file does.
    #[deferred]
    async fn send(user: u64) {
        println!("{user}");
    }
}

fn main() {}
