//! How long a task takes from its caller to an idle worker.

use std::time::Duration;

use gae_tasks::{BoxError, Client};
use gae_tasks_tests_postgres::raw::{self, Times};

use crate::place::Place;
use crate::remote::{self, Remote};
use crate::report::{Bar, Figure, in_turn};

/// The tasks of a round.
const TASKS: usize = 1_000;

/// The tasks before them, while the worker starts and connections prepare their statements.
const FIRST: usize = 20;

/// The pause before each task, in which the worker becomes idle again.
const PAUSE: Duration = Duration::from_millis(5);

/// Measures from the call of `defer` to the first line of the handler, in another process, beside
/// bare SQL from an insert with a notification until the claim is answered.
pub(crate) async fn measure(place: &Place, round: usize) -> Result<Vec<Figure>, BoxError> {
    let (ours, bare) = in_turn(round, ours(place), bare(place)).await?;
    let name = |part: &str| format!("latency of an idle worker in another process, {part}");
    Ok(vec![
        Figure::times(name("p50"), Bar::AtMost(1.4), ours.p50(), bare.p50()),
        Figure::times(name("p99"), Bar::AtMost(2.0), ours.p99(), bare.p99()),
    ])
}

async fn ours(place: &Place) -> Result<Times, BoxError> {
    let url = place.empty_queue().await?;
    let client = Client::open(&url).await?;
    let mut worker = Remote::start(&url)?;
    let mut times = Vec::new();
    for number in 0..FIRST + TASKS {
        tokio::time::sleep(PAUSE).await;
        remote::call().on(&client).await?;
        let latency = worker.latency().await?;
        if number >= FIRST {
            times.push(latency);
        }
    }
    worker.stop()?;
    Ok(Times::new(times))
}

async fn bare(place: &Place) -> Result<Times, BoxError> {
    let url = place.bare_tables().await?;
    Ok(raw::latency(url, TASKS).await?)
}
