//! Tests of code that defers: `cargo test --example testing`

use clap::Parser;
use gae_tasks::{Client, deferred};

#[deferred(queue = "emails")]
async fn send_welcome(user_id: u64) -> Result<(), String> {
    if user_id == 0 { Err("there is no user 0".to_owned()) } else { Ok(()) }
}

/// The code under test. Of queues it knows only `defer`.
async fn sign_up(user_id: u64) -> Result<(), gae_tasks::Error> {
    send_welcome::defer(user_id).await?;
    Ok(())
}

/// Defers a task and drains the queue, as a test does.
#[derive(Debug, Parser)]
struct Arguments;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Arguments::parse();
    let tasks = Client::open("memory:").await?;
    tasks.scope(sign_up(42)).await?;
    println!("{} task deferred, {} run", tasks.stats().await?.open(), tasks.drain().await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gae_tasks::testing::{ManualClock, assert_deferred, assert_not_deferred};

    use super::*;

    #[tokio::test]
    async fn signing_up_defers_a_welcome() -> Result<(), gae_tasks::Error> {
        let tasks = Client::open("memory:").await?;
        tasks.scope(sign_up(42)).await?;
        assert_deferred!(tasks, send_welcome, |args| args.user_id == 42);
        assert_not_deferred!(tasks, send_welcome, |args| args.user_id == 43);
        assert_eq!(tasks.drain().await?, 1); // runs what is stored
        Ok(())
    }

    #[tokio::test]
    async fn one_task_is_performed_without_a_queue() {
        let tasks = Client::open("memory:").await.unwrap();
        let outcome = tasks.perform(send_welcome::defer(0)).await.unwrap();
        assert_eq!(outcome.failure().unwrap().to_string(), "there is no user 0");
    }

    #[tokio::test]
    async fn time_is_moved_by_hand() {
        let clock = ManualClock::new();
        let tasks = Client::builder().clock(clock.clone()).open("memory:").await.unwrap();
        send_welcome::defer(1).after(Duration::from_secs(3600)).on(&tasks).await.unwrap();
        assert_eq!(tasks.drain().await.unwrap(), 0);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(tasks.drain().await.unwrap(), 1);
    }
}
