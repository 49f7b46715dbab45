use gae_tasks::deferred;

struct Mailer;

impl Mailer {
    #[deferred]
    async fn send(&self, user: u64) {
        println!("{user}");
    }
}

fn main() {}
