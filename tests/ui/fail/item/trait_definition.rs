use gae_tasks::deferred;

#[deferred]
pub trait Mailer {
    fn send();
}

fn main() {}
