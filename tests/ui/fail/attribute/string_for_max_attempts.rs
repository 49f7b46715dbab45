use gae_tasks::deferred;

#[deferred(max_attempts = "5")]
async fn send_welcome() {}

fn main() {}
