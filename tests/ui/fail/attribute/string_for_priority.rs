use gae_tasks::deferred;

#[deferred(priority = "high")]
async fn send_welcome() {}

#[deferred(priority = 1.5)]
async fn send_reminder() {}

fn main() {}
