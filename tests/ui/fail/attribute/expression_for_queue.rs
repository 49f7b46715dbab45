use gae_tasks::deferred;

#[deferred(queue = "emails".trim())]
async fn send_welcome() {}

fn main() {}
