use gae_tasks::deferred;

#[deferred(tenant = "shop")]
async fn nightly() {}

fn main() {}
