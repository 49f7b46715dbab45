//! A task that runs later: `cargo run --example scheduled`

use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use gae_tasks::{Client, deferred};

#[deferred]
async fn remind(what: String, #[state] begun: &Instant) {
    println!("{:>5.1?}  {what}", begun.elapsed());
}

/// Defers three tasks: to run at once, after one second, and at a moment two seconds ahead.
#[derive(Debug, Parser)]
struct Arguments;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Arguments::parse();
    let tasks = Client::builder().state(Instant::now()).open("memory:").await?;
    tasks.install()?;

    remind::defer("at once").await?;
    remind::defer("after one second").after(Duration::from_secs(1)).await?;
    remind::defer("at a moment two seconds ahead")
        .at(SystemTime::now() + Duration::from_secs(2))
        .await?;

    let three_seconds = tokio::time::sleep(Duration::from_secs(3));
    tasks.worker().with_graceful_shutdown(three_seconds).await?;
    Ok(())
}
