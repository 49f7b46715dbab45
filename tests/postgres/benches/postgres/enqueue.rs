//! Storing tasks: of many callers at once, and many of one caller.

use std::time::Instant;

use gae_tasks::{BoxError, Client};
use gae_tasks_tests_postgres::raw::{self, Means, Rate};

use crate::load;
use crate::place::Place;
use crate::report::{Bar, Figure, in_turn};

/// The tasks of a loop.
const TASKS: usize = 100_000;

/// The tasks that are stored before the clock starts: connections prepare their statements.
const FIRST: usize = 200;

/// The connections of the loop of bare SQL.
const CONNECTIONS: usize = 2;

/// Measures concurrent callers of `defer(..).await`.
pub(crate) async fn callers(place: &Place, round: usize) -> Result<Vec<Figure>, BoxError> {
    let mut figures = Vec::new();
    for (callers, bar) in [(1, Bar::None), (50, Bar::AtLeast(0.6)), (1_000, Bar::None)] {
        // One caller waits for the disk each time.
        let tasks = if callers == 1 { TASKS / 50 } else { TASKS };
        let ours = of_callers(place, callers, tasks);
        let (ours, bare) = in_turn(round, ours, of_callers_bare(place, callers, tasks)).await?;
        figures.push(Figure::rates(format!("enqueue, {callers} callers"), bar, ours, bare));
    }
    Ok(figures)
}

/// Measures one call of `defer_many`, beside statements of 1,000 rows.
pub(crate) async fn many(place: &Place, round: usize) -> Result<Vec<Figure>, BoxError> {
    let (ours, bare) = in_turn(round, of_one_call(place), of_chunks(place)).await?;
    Ok(vec![Figure::rates(format!("defer_many of {TASKS}"), Bar::AtLeast(0.7), ours, bare)])
}

async fn of_callers(place: &Place, callers: usize, tasks: usize) -> Result<Rate, BoxError> {
    let client = open(place).await?;
    load::store(&client, callers, FIRST).await?;
    load::store(&client, callers, tasks).await
}

async fn of_callers_bare(place: &Place, callers: usize, tasks: usize) -> Result<Rate, BoxError> {
    let url = place.bare_tables().await?;
    Ok(raw::enqueue_coalesced(url, callers, CONNECTIONS, tasks).await?)
}

async fn of_one_call(place: &Place) -> Result<Rate, BoxError> {
    let client = open(place).await?;
    client.defer_many((0..FIRST).map(|_| load::call())).await?;
    let began = Instant::now();
    client.defer_many((0..TASKS).map(|_| load::call())).await?;
    Ok(Rate { tasks: TASKS, time: began.elapsed() })
}

async fn of_chunks(place: &Place) -> Result<Rate, BoxError> {
    let url = place.bare_tables().await?;
    Ok(raw::insert_many(url, Means::Unnest, 1_000, TASKS).await?)
}

async fn open(place: &Place) -> Result<Client, BoxError> {
    Ok(Client::open(&place.empty_queue().await?).await?)
}
