#[gae_tasks::deferred(min_backoff = "0s")]
async fn first() {}

#[gae_tasks::deferred(max_backoff = "0s")]
async fn second() {}

fn main() {}
