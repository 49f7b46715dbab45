use gae_tasks::deferred;

#[deferred(args(First, Second))]
async fn send_welcome() {}

fn main() {}
