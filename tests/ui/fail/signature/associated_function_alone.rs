use gae_tasks::deferred;

struct Mailer;

impl Mailer {
    // Nothing in it shows where it stands.
    #[deferred]
    async fn send(user: u64) {
        println!("{user}");
    }
}

fn main() {}
