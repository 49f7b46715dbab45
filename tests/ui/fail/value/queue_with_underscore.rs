use gae_tasks::deferred;

#[deferred(queue = "welcome_emails")]
async fn send_welcome() {}

fn main() {}
