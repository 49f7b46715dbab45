use gae_tasks::deferred;

#[deferred(queues = "emails")]
async fn send_welcome() {}

fn main() {}
