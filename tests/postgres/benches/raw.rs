//! The loops of bare SQL by themselves, on a throwaway server or on another.
//!
//! ```text
//! cargo bench -p gae-tasks-tests-postgres --bench raw [-- ROUNDS [URL]]
//! ```

use gae_tasks_tests_postgres::Cluster;
use gae_tasks_tests_postgres::raw::{self, Means};

/// Tasks of a loop.
const TASKS: usize = 100_000;

#[tokio::main]
async fn main() -> Result<(), sqlx::Error> {
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let rounds = arguments.next().map_or(3, |rounds| rounds.parse().expect("a number of rounds"));
    match arguments.next() {
        Some(url) => measure(&url, rounds).await,
        None => measure(&Cluster::own().await.database().await.url(), rounds).await,
    }
}

async fn measure(url: &str, rounds: usize) -> Result<(), sqlx::Error> {
    for round in 1..=rounds {
        println!("round {round}");
        for callers in [1, 50, 1_000] {
            raw::create(url).await?;
            let tasks = if callers == 1 { TASKS / 50 } else { TASKS };
            let rate = raw::enqueue_coalesced(url, callers, 2, tasks).await?;
            println!("  enqueue, {callers} callers over 2 connections: {rate}");
        }
        for (name, means) in [("unnest", Means::Unnest), ("copy", Means::Copy)] {
            raw::create(url).await?;
            let rate = raw::insert_many(url, means, 1_000, TASKS).await?;
            println!("  {name}, chunks of 1000: {rate}");
        }
        for batch in [100, 500] {
            raw::create(url).await?;
            raw::fill(url, TASKS).await?;
            let rate = raw::drain(url, 2, batch).await?;
            assert_eq!(rate.tasks, TASKS, "tasks were left");
            println!("  drain, batches of {batch} over 2 connections: {rate}");
        }
        raw::create(url).await?;
        println!("  latency of an idle worker: {}", raw::latency(url, 1_000).await?);
        println!("  transaction with one insert: {}", raw::transactions(url, 1_000).await?);
    }
    raw::remove(url).await
}
