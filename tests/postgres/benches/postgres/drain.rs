//! A worker that drains a queue.

use std::time::{Duration, Instant};

use gae_tasks::{BoxError, Client};
use gae_tasks_tests_postgres::raw::{self, Rate};

use crate::load::{self, CONCURRENCY, Left, QUEUE};
use crate::place::{Place, SCHEMA};
use crate::report::{Bar, Figure, in_turn};

/// The tasks of the drain that others are compared with.
const TASKS: usize = 100_000;

/// Measures a drain beside claims and deletes of 500 rows over two connections.
pub(crate) async fn measure(place: &Place, round: usize) -> Result<Vec<Figure>, BoxError> {
    let (ours, bare) = in_turn(round, drain(place, TASKS), bare(place, TASKS)).await?;
    Ok(vec![Figure::rates(format!("drain of {TASKS}"), Bar::AtLeast(0.5), ours, bare)])
}

/// Measures the time of a task in a shorter and in a longer drain.
pub(crate) async fn per_task(place: &Place) -> Result<Vec<Figure>, BoxError> {
    let usual = each(drain(place, TASKS).await?);
    let mut figures = Vec::new();
    for tasks in [20_000, 1_000_000] {
        let name = format!("a task in a drain of {tasks}, beside one of {TASKS}");
        let ours = each(drain(place, tasks).await?);
        figures.push(Figure::times(name, Bar::AtMost(1.2), ours, usual));
    }
    Ok(figures)
}

/// Claims and deletes tasks by bare SQL.
pub(crate) async fn bare(place: &Place, tasks: usize) -> Result<Rate, BoxError> {
    let url = place.bare_tables().await?;
    raw::fill(url, tasks).await?;
    let rate = raw::drain(url, 2, 500).await?;
    assert_eq!(rate.tasks, tasks, "tasks were left");
    Ok(rate)
}

/// Measures from the start of the worker until it has ended, with all outcomes recorded.
async fn drain(place: &Place, tasks: usize) -> Result<Rate, BoxError> {
    let (url, left) = (place.empty_queue().await?, Left::of(tasks));
    let client = Client::builder().state(left.clone()).open(&url).await?;
    load::fill(&client, tasks, |_| load::call()).await?;
    place.rest(SCHEMA).await?;
    let worker = client.worker().queues([QUEUE]).concurrency(CONCURRENCY);
    let began = Instant::now();
    worker.with_graceful_shutdown(left.none()).await?;
    let time = began.elapsed();
    assert_eq!(client.stats().await?.open(), 0, "tasks were left");
    Ok(Rate { tasks, time })
}

fn each(rate: Rate) -> Duration {
    Duration::from_secs_f64(1.0 / rate.per_second())
}
