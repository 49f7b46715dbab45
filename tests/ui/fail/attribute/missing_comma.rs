use gae_tasks::deferred;

#[deferred(queue = "emails" deadline = "30s")]
async fn send_welcome() {}

fn main() {}
