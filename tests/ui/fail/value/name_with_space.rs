use gae_tasks::deferred;

#[deferred(name = "send welcome")]
async fn send_welcome() {}

fn main() {}
