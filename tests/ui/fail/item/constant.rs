use gae_tasks::deferred;

#[deferred]
pub const QUEUE: &str = "emails";

fn main() {}
