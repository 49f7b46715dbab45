use gae_tasks::deferred;

#[deferred(max_attempts = 0)]
async fn send_welcome() {}

fn main() {}
