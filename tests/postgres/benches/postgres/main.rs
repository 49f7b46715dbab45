//! What the Postgres backend reaches beside loops of bare SQL that do the same, on a throwaway
//! server or on another.
//!
//! ```text
//! cargo bench -p gae-tasks-tests-postgres --features backend --bench postgres \
//!     [-- ROWS [ROUNDS [URL]] [deep=TASKS] [minutes=30] [snapshot=MINUTES] [rate=2000]]
//! ```
//!
//! ROWS are names with commas between them, such as `enqueue,latency`, or `all`:
//!
//! | name | measures |
//! |---|---|
//! | `enqueue` | 1, 50 and 1,000 callers of `defer(..).await` |
//! | `defer_many` | one call with 100,000 tasks |
//! | `in_tx` | a business row and a task in one transaction |
//! | `complete_in` | tasks that end in their handlers' transactions, beside tasks that a worker settles |
//! | `drain` | a worker and 100,000 tasks that do nothing |
//! | `per_task` | the same with 20,000 and 1,000,000 tasks, beside 100,000 |
//! | `end_to_end` | 50 callers beside a worker |
//! | `latency` | from `defer` to the handler in another process |
//! | `leases` | a lease beside 5,000,000 waiting and as many future tasks, and in 5,000 queues; `deep=` sets the number |
//! | `steady` | `minutes=` of `rate=` tasks a second, a line a minute: dead tuples, sizes, latencies. A snapshot is held open for `snapshot=` of these minutes. Not part of `all` |
//!
//! Each round measures every row, the loop of bare SQL right before or right after; which of them
//! comes first changes from round to round. The table at the end has the medians of the rounds, and
//! the range of the ratios.
//!
//! The measurements are made in the schemas `gae_tasks_bench`, `gae_tasks_bench_deep` and
//! `gae_tasks_raw`, which are dropped before and after. They vacuum their tables and order
//! checkpoints, so the role needs the rights of `pg_checkpoint`. The row `leases` takes about 5 GB
//! on the server's disk.

mod drain;
mod end_to_end;
mod enqueue;
mod latency;
mod leases;
mod load;
mod place;
mod remote;
mod report;
mod settings;
mod steady;
mod transaction;

use gae_tasks::BoxError;

use crate::place::Place;
use crate::report::{Figure, Table};
use crate::settings::Settings;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // Cargo adds `--bench`.
    let arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let arguments: Vec<_> = arguments.collect();
    if let [verb, url] = &arguments[..]
        && verb == remote::VERB
    {
        return remote::work(url).await;
    }
    let settings = Settings::read(arguments)?;
    let place = Place::new(settings.url.clone()).await;
    let measured = measure(&place, &settings).await;
    place.remove().await?;
    measured
}

async fn measure(place: &Place, settings: &Settings) -> Result<(), BoxError> {
    if !settings.rows.is_empty() {
        let mut table = Table::default();
        let measured = measure_rounds(place, settings, &mut table).await;
        // What was measured before an error took its time.
        table.print();
        measured?;
    }
    if let Some(load) = &settings.steady {
        steady::measure(place, load).await?;
    }
    Ok(())
}

async fn measure_rounds(
    place: &Place,
    settings: &Settings,
    table: &mut Table,
) -> Result<(), BoxError> {
    for round in 1..=settings.rounds {
        println!("round {round}");
        for row in &settings.rows {
            for figure in measure_row(row, place, settings, round).await? {
                table.add(figure);
            }
        }
    }
    Ok(())
}

async fn measure_row(
    row: &str,
    place: &Place,
    settings: &Settings,
    round: usize,
) -> Result<Vec<Figure>, BoxError> {
    match row {
        "enqueue" => enqueue::callers(place, round).await,
        "defer_many" => enqueue::many(place, round).await,
        "in_tx" => transaction::in_tx(place, round).await,
        "complete_in" => transaction::complete_in(place, round).await,
        "drain" => drain::measure(place, round).await,
        "per_task" => drain::per_task(place).await,
        "end_to_end" => end_to_end::measure(place, round).await,
        "latency" => latency::measure(place, round).await,
        "leases" => leases::measure(place, round, settings.deep).await,
        unknown => Err(settings::no_row(unknown)),
    }
}
