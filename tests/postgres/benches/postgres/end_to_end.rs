//! Many callers and a worker at the same time.

use std::time::Instant;

use gae_tasks::{BoxError, Client};
use gae_tasks_tests_postgres::raw::{self, Rate};

use crate::drain;
use crate::load::{self, CONCURRENCY, Left, QUEUE};
use crate::place::Place;
use crate::report::{Bar, Figure, in_turn};

const TASKS: usize = 20_000;
const CALLERS: usize = 50;

/// The tasks that are stored, and nearly all run, before the clock starts.
const FIRST: usize = 200;

/// Measures callers and a worker, beside the loops of bare SQL that store and that drain as many
/// tasks one after the other: their rate is 1 / (1 / stored + 1 / drained).
pub(crate) async fn measure(place: &Place, round: usize) -> Result<Vec<Figure>, BoxError> {
    let (ours, bare) = in_turn(round, ours(place), bare(place)).await?;
    let name = format!("end to end, {CALLERS} callers and a worker, {TASKS} tasks");
    Ok(vec![Figure::rates(name, Bar::AtLeast(0.4), ours, bare)])
}

/// Measures from the first of the callers until the worker has ended, with all outcomes recorded.
async fn ours(place: &Place) -> Result<Rate, BoxError> {
    let (url, left) = (place.empty_queue().await?, Left::of(FIRST + TASKS));
    let client = Client::builder().state(left.clone()).open(&url).await?;
    let worker = client.worker().queues([QUEUE]).concurrency(CONCURRENCY);
    let worker = worker.with_graceful_shutdown(left.none());
    let worker = tokio::spawn(worker.into_future());
    let working = async { Ok::<_, BoxError>(worker.await??) };
    let storing = async {
        load::store(&client, CALLERS, FIRST).await?;
        let began = Instant::now();
        load::store(&client, CALLERS, TASKS).await?;
        Ok::<_, BoxError>(began)
    };
    let (began, ()) = tokio::try_join!(storing, working)?;
    let time = began.elapsed();
    assert_eq!(client.stats().await?.open(), 0, "tasks were left");
    Ok(Rate { tasks: TASKS, time })
}

async fn bare(place: &Place) -> Result<Rate, BoxError> {
    let url = place.bare_tables().await?;
    let stored = raw::enqueue_coalesced(url, CALLERS, 2, TASKS).await?;
    let drained = drain::bare(place, TASKS).await?;
    Ok(Rate { tasks: TASKS, time: stored.time + drained.time })
}
