#[gae_tasks::deferred(min_backof = "1s")]
async fn first() {}

#[gae_tasks::deferred(backoff = "1s")]
async fn second() {}

#[gae_tasks::deferred(retry_delay = "1s")]
async fn third() {}

#[gae_tasks::deferred(max_retry_delay = "1s")]
async fn fourth() {}

fn main() {}
