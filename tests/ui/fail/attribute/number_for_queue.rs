use gae_tasks::deferred;

#[deferred(queue = 5)]
async fn send_welcome() {}

fn main() {}
