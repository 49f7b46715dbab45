use gae_tasks::deferred;

#[deferred(queue)]
async fn send_welcome() {}

fn main() {}
