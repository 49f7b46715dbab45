//! Measures how fast the queue is on your machine.
//!
//! ```text
//! cargo run --release --example bench -- \
//!     [--url sqlite:/path/to/a/new/file.db] [--tasks 100000] [--callers 50]
//! cargo run --release --example bench --features postgres -- \
//!     --url 'postgres://USER:PASSWORD@HOST/DATABASE?schema=bench'
//! ```
//!
//! Rates and latencies depend on the disk, so name a file on the disk that matters to you, or a
//! schema in the server that does. A file that the benchmark creates is removed at the end; a file
//! or a schema that holds tasks is refused. A schema stays: `DROP SCHEMA bench CASCADE` removes it.

mod latency;
mod load;
mod place;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use gae_tasks::Client;

use crate::latency::PERCENTILES;
use crate::load::Meter;
use crate::place::Place;

/// Measures rates and latencies of a queue.
#[derive(Debug, Parser)]
struct Arguments {
    /// The queue: `memory:`, `sqlite:FILE` or, with the feature `postgres`, `postgres://..`,
    /// without tasks; a new file in the temporary folder by default.
    #[arg(long)]
    url: Option<String>,
    /// The number of tasks in each measurement of a rate.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    tasks: u64,
    /// The number of callers that defer at the same time.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    callers: u64,
    /// The number of attempts that the worker runs at the same time.
    #[arg(long, default_value_t = 50)]
    concurrency: usize,
    /// The number of tasks that are deferred one by one to an idle worker.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    idle: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let place = Place::choose(arguments.url.as_deref())?;
    let meter = Meter::default();
    let tasks = Client::builder().state(meter.clone()).open(place.url()).await?;
    place::refuse_tasks(&tasks, &place.name()).await?;
    println!("{}: {} tasks, {} callers", place.name(), arguments.tasks, arguments.callers);
    measure(&arguments, &tasks, &meter).await?;
    drop(tasks);
    place.tidy()
}

async fn measure(arguments: &Arguments, tasks: &Client, meter: &Meter) -> Result<()> {
    let Arguments { tasks: count, callers, concurrency, idle, .. } = *arguments;
    let at_rest = load::one_by_one(tasks, meter, concurrency, idle).await?;
    let at_rest =
        [("defer to its answer, idle", at_rest), ("defer to the handler, idle", meter.take())];

    println!("\n{:<34} {:>10}", "", "tasks/s");
    let (answers, took) = load::enqueue(tasks, count, callers).await?;
    rate("enqueue", count, took);
    rate("drain", count, load::drain(tasks, meter, concurrency, count).await?);
    meter.take(); // These tasks waited for the worker to start.
    let (answers_beside, took) =
        load::end_to_end(tasks, meter, concurrency, count, callers).await?;
    rate("end to end", count, took);

    println!(
        "\n{:<34} {}",
        "latency in ms",
        PERCENTILES.map(|(name, _)| format!("{name:>9}")).concat()
    );
    let loaded = [
        ("defer to its answer, no worker", answers),
        ("defer to its answer, end to end", answers_beside),
        ("defer to the handler, end to end", meter.take()),
    ];
    for (what, latency) in at_rest.iter().chain(&loaded) {
        println!(
            "{what:<34} {}",
            latency.percentiles().map(|value| format!("{value:>9.3}")).concat()
        );
    }
    let [_, (what, idle)] = &at_rest;
    let [(under_load, answers), ..] = &loaded;
    for (what, latency) in [(what, idle), (under_load, answers)] {
        println!("\n{what}:\n{}", latency.bars());
    }
    Ok(())
}

fn rate(what: &str, tasks: u64, took: Duration) {
    println!("{what:<34} {:>10.0}", tasks as f64 / took.as_secs_f64());
}
