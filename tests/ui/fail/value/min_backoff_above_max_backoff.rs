#[gae_tasks::deferred(min_backoff = "2m", max_backoff = "30s")]
async fn retry() {}

fn main() {}
