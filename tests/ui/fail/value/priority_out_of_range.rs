use gae_tasks::deferred;

#[deferred(priority = 101)]
async fn send_welcome() {}

#[deferred(priority = 1000)]
async fn send_reminder() {}

fn main() {}
