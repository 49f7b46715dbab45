//! Tasks on schedules: `cargo run --example cron`, or with `-- --live` until Ctrl-C

use std::time::Duration;

use clap::Parser;
use gae_tasks::backend::memory::Memory;
use gae_tasks::testing::ManualClock;
use gae_tasks::{Client, Missed, deferred};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Every worker of this program stores the schedule and ticks it: there is one task a tick.
#[deferred(
    queue = "reports",
    cron = "0 9 * * MON-FRI",
    timezone = "Europe/Paris",
    cron_args(office = "Paris")
)]
async fn send_report(office: String) {
    println!("the report of {office}");
}

#[deferred]
async fn clean_up(folder: String) {
    println!("{folder} are cleaned up");
}

/// Lets two days pass in a moment, and then a weekend without a worker.
#[derive(Debug, Parser)]
struct Arguments {
    /// Runs a worker with a task every minute, by the real clock, until Ctrl-C.
    #[arg(long)]
    live: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if Arguments::parse().live { live().await } else { days().await }
}

async fn live() -> anyhow::Result<()> {
    let tasks = Client::open("memory:").await?;
    tasks.schedule("every-minute", "* * * * *".parse()?, clean_up::defer("thumbnails")).await?;
    tasks.worker().with_graceful_shutdown(gae_tasks::signals()).await?;
    Ok(())
}

async fn days() -> anyhow::Result<()> {
    let clock = ManualClock::new(); // a Thursday, midnight
    let tasks = Client::builder().clock(clock.clone()).build(Memory::new())?;

    // Schedules may also be made at run time, here in App Engine's words.
    let call = clean_up::defer("thumbnails");
    let schedule = tasks.schedule("thumbnails", "every 6 hours synchronized".parse()?, call);
    schedule.missed(Missed::Skip).await?;

    // A worker does this by itself: it declares the schedules of attributes, and stores the tasks
    // of ticks.
    tasks.tick_schedules().await?;
    for schedule in tasks.schedules().await? {
        println!("{}: {}", schedule.name, schedule.cron);
    }
    for _ in 0..48 {
        clock.advance(HOUR);
        look(&tasks, &clock).await?;
    }

    // Of ticks that were missed, one task is made, or none if the schedule skips them.
    clock.advance(58 * HOUR);
    look(&tasks, &clock).await
}

/// Stores the tasks that are due, and runs them.
async fn look(tasks: &Client, clock: &ManualClock) -> anyhow::Result<()> {
    if tasks.tick_schedules().await? > 0 {
        print!("{}  ", clock.time());
        tasks.drain().await?;
    }
    Ok(())
}
