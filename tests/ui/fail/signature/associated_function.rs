use gae_tasks::deferred;

struct Mailer;

impl Mailer {
    #[deferred]
    async fn new(user: u64) -> Result<Self, String> {
        println!("{user}");
        Ok(Self)
    }

    #[deferred]
    fn send(user: u64) {
        Self::log(user);
    }

    fn log(user: u64) {
        println!("{user}");
    }
}

fn main() {
    drop(Mailer::new(1));
    Mailer::send(1);
}
