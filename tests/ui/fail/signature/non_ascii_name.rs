use gae_tasks::deferred;

#[deferred]
async fn grüße() {}

fn main() {}
