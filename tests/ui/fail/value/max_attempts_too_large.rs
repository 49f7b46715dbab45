use gae_tasks::deferred;

#[deferred(max_attempts = 5000000000)]
async fn send_welcome() {}

fn main() {}
