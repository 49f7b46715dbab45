use gae_tasks::deferred;

#[deferred("emails")]
async fn send_welcome() {}

fn main() {}
