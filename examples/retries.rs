//! How a failure decides what happens next: `cargo run --example retries`

use std::time::Duration;

use clap::Parser;
use gae_tasks::backend::{TaskFilter, TaskState};
use gae_tasks::{
    Client, PermanentTaskFailure, QueueConfig, RetryConfig, TaskContext, TaskFailure, deferred,
};

#[deferred(queue = "flaky")]
async fn works_the_third_time(#[context] cx: &TaskContext) -> anyhow::Result<()> {
    println!("attempt {}", cx.attempt());
    anyhow::ensure!(cx.attempt() == 3, "not yet");
    Ok(())
}

#[deferred(queue = "flaky")]
async fn asks_for_a_pause(#[context] cx: &TaskContext) -> Result<(), TaskFailure> {
    if cx.attempt() == 1 {
        return Err(TaskFailure::retry_after(Duration::from_millis(500)).because("rate limited"));
    }
    println!("went on after the pause");
    Ok(())
}

#[deferred(queue = "flaky")]
async fn never_works(order: String) -> Result<(), PermanentTaskFailure> {
    Err(PermanentTaskFailure::new(format!("order {order} does not exist")))
}

/// Runs three tasks that fail: one is retried, one asks for a pause, one becomes a dead letter.
#[derive(Debug, Parser)]
struct Arguments;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Arguments::parse();
    let tasks = Client::open("memory:").await?;
    tasks.install()?;
    let retry =
        RetryConfig::new().with_min_backoff(Duration::from_millis(50)).with_max_attempts(Some(5));
    tasks.put_queue("flaky", QueueConfig::new().with_retry(retry)).await?;

    works_the_third_time::defer().await?;
    asks_for_a_pause::defer().await?;
    never_works::defer("A-17").await?;
    tasks.worker().with_graceful_shutdown(tokio::time::sleep(Duration::from_secs(1))).await?;

    let dead = TaskFilter::new().state(TaskState::Dead);
    for letter in tasks.list(dead, None, 10).with_payloads().await? {
        println!(
            "dead letter: {} {} ({})",
            letter.spec.kind,
            letter.args_json()?,
            letter.errors.last().map_or("", |error| &error.message)
        );
    }
    Ok(())
}
