use gae_tasks::deferred;

#[deferred(queue = "emails", queues = ["a", "b"])]
async fn send_welcome() {}

fn main() {}
