//! Mixed load for a long time, with worker processes that are killed: is a task lost, does anything grow without bound?
//!
//! ```text
//! cargo run --release --example soak -- [--minutes 30] [--rate 200] [--workers 4] [--seed N] [--dir FOLDER]
//! ```
//!
//! Tasks are deferred at a steady rate: named, scheduled, retried, failing, plain functions, large ones, ones that defer
//! others. Workers are killed (SIGKILL) at random moments and replaced; the first one is spared, so that its memory tells
//! whether a worker grows. Workers write what they do into pipes, which survive them; the soak strikes each task off when
//! it has run, so that it remembers only what is under way. It ends with exit code 1 if a task was lost or something
//! grew. Ctrl-C ends it early, with a verdict on what was seen.

mod callers;
mod crew;
mod growth;
#[path = "../bench/latency.rs"]
#[allow(dead_code)] // The benchmark draws bars, too.
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
    /// How long tasks are deferred; fractions are fine.
    #[arg(long, default_value = "30", value_parser = minutes)]
    minutes: Duration,
    /// Tasks deferred in a second.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Worker processes, one of which is spared.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=64))]
    workers: u32,
    /// What the mix and the kills are drawn from; a random one by default.
    #[arg(long)]
    seed: Option<u64>,
    /// Where the queue file is made, in a folder of its own; the temporary folder by default.
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
    // That tasks die and are recovered is what this is about.
    let filter = "warn,gae_tasks::dispatch=off,gae_tasks::worker::settle=off,gae_tasks::worker::sweep=error";
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    if let Some(url) = &arguments.worker {
        tasks::work(url).await?;
        return Ok(ExitCode::SUCCESS);
    }
    run::run(&arguments).await
}
