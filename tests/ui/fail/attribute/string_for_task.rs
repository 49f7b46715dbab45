use gae_tasks::deferred;

#[deferred(task = "SendWelcome")]
async fn send_welcome() {}

fn main() {}
