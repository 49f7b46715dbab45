use gae_tasks::deferred;

#[deferred(deadline = "0s")]
async fn send_welcome() {}

fn main() {}
