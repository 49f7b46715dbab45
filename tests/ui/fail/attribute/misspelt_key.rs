use gae_tasks::deferred;

#[deferred(qeue = "emails")]
async fn send_welcome() {}

fn main() {}
