use gae_tasks::deferred;

#[deferred(queues = ["emails", "emails"])]
async fn send_welcome() {}

fn main() {}
