use gae_tasks::deferred;

#[deferred(deadline = "30")]
async fn send_welcome() {}

fn main() {}
