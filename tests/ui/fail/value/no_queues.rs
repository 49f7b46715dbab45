use gae_tasks::deferred;

#[deferred(queues = [])]
async fn send_welcome() {}

fn main() {}
