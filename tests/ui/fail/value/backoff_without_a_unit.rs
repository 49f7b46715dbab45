#[gae_tasks::deferred(min_backoff = "30", max_backoff = "soon")]
async fn retry() {}

fn main() {}
