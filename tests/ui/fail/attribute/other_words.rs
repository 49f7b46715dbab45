use gae_tasks::deferred;

#[deferred(timeout = "30s")]
async fn one() {}

#[deferred(retries = 5)]
async fn two() {}

#[deferred(max_retries = 5)]
async fn three() {}

fn main() {}
