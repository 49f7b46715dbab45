use gae_tasks::deferred;

#[deferred(queue = "emails")]
pub enum Mail {
    Welcome,
}

fn main() {}
