use gae_tasks::deferred;

#[deferred(queue = "emails", queue = "mails")]
async fn send_welcome() {}

fn main() {}
