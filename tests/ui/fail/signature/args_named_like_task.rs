use gae_tasks::deferred;

#[deferred(args = Welcome, task = Welcome)]
async fn send_welcome() {}

fn main() {}
