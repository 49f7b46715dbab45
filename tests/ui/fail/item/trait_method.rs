use gae_tasks::deferred;

pub trait Mailer {
    #[deferred]
    fn send(user: u64);
}

fn main() {}
