#[gae_tasks::deferred(min_backoff = 30)]
async fn retry() {}

fn main() {}
