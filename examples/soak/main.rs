//! Loads a queue for a long time and kills workers: is a task lost, does anything keep growing?
//!
//! ```text
//! cargo run --release --example soak -- \
//!     [--minutes 30] [--rate 200] [--workers 4] [--seed N] [--dir FOLDER]
//! ```
//!
//! Tasks are deferred at a steady rate: named, scheduled, retried and failing ones, plain
//! functions, large ones, and tasks that defer others. Workers are killed (SIGKILL) at random
//! moments and replaced. The first worker is spared, so that its memory shows whether a worker
//! grows. Workers write what they do into pipes, which survive them. The soak strikes each task off
//! when it has run, so that it remembers only open tasks. It ends with exit code 1 if a task was
//! lost or something grew. Ctrl-C ends it early, with a verdict on what was seen.

mod callers;
mod crew;
mod growth;
#[path = "../bench/latency.rs"]
#[allow(dead_code)] // The benchmark draws bars, which the soak does not.
mod latency;
mod ledger;
mod letters;
mod mix;
mod run;
mod sample;
mod tasks;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;

/// Loads a queue for long, kills workers, and reports whether a task is lost or anything grows.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long tasks are deferred, in minutes; fractions are allowed.
    #[arg(long, default_value = "30", value_parser = minutes)]
    minutes: Duration,
    /// The number of tasks deferred per second.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// The number of worker processes, one of which is spared.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=64))]
    workers: u32,
    /// The seed of the mix and the kills; random by default.
    #[arg(long)]
    seed: Option<u64>,
    /// Where the folder with the queue file is created; the temporary folder by default.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// How the soak starts its workers.
    #[arg(long, hide = true)]
    worker: Option<String>,
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text.parse().map_err(|_| "not a number of minutes".to_owned())?;
    Duration::try_from_secs_f64(minutes * 60.0).map_err(|error| error.to_string())
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    // Tasks die and are recovered on purpose here.
    let filter =
        "warn,gae_tasks::dispatch=off,gae_tasks::worker::settle=off,gae_tasks::worker::sweep=error";
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    if let Some(url) = &arguments.worker {
        tasks::work(url).await?;
        return Ok(ExitCode::SUCCESS);
    }
    run::run(&arguments).await
}
