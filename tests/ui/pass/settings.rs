use std::time::Duration;

use gae_tasks::{Client, TaskContext, deferred};

#[deferred(deadline = "1h 30m 10ms", max_attempts = 2, min_backoff = "1s", max_backoff = "5m")]
async fn work(#[context] cx: &TaskContext) -> Result<(), String> {
    assert_eq!(cx.deadline(), Duration::from_millis(90 * 60 * 1000 + 10));
    Err("again".to_owned())
}

#[deferred(priority = -100)]
async fn last() {}

#[deferred(priority = 100)]
async fn first() {}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = Client::open("memory:").await.unwrap();
    let outcome = tasks.perform(work::defer()).await.unwrap();
    assert_eq!(outcome.failure().unwrap().to_string(), "again");
    for (call, priority) in [(last::defer(), -100), (first::defer(), 100), (work::defer(), 0)] {
        let id = call.on(&tasks).await.unwrap().id;
        assert_eq!(tasks.get(id).await.unwrap().unwrap().spec.priority, priority);
    }
}
