use gae_tasks::deferred;

#[deferred(cron = "0 4 * * *")]
async fn nightly() {}

fn main() {}
