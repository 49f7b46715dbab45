//! What follows when leases end that counted because of the limits of their queues: unused tokens
//! are given back, and workers hear of places that are free.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Row;
use tokio::time::sleep;

use super::buckets;
use super::counted::EndedLeases;
use super::error::Fault;
use super::limit::within;
use super::shared::Shared;
use crate::backend::gate::given_back;
use crate::queue::{QueueName, RateLimits};
use crate::time::Now;

/// The least time between two looks for tasks that wait for free places.
const INTERVAL: Duration = Duration::from_millis(5);

/// Looks take at most this part of the time: beside an old snapshot each reads past all that has
/// gone before the first task that waits.
const SHARE: u32 = 4;

/// How long a look may take: workers look for tasks at intervals too.
const PATIENCE: Duration = Duration::from_secs(5);

/// Gives the tokens of leases without an attempt back, and wakes the workers that wait for what is
/// free now. Called once the end of the leases is committed: if this process dies before, a few
/// tokens are lost, and the tasks are found at the workers' next look.
pub(super) async fn leases_ended(shared: &Arc<Shared>, ended: EndedLeases, now: Now) {
    if ended.is_empty() {
        return;
    }
    let returned = give_back(shared, &ended, now).await.unwrap_or_else(|fault| {
        shared.database.heed(&fault);
        false
    });
    if returned {
        shared.wake();
    }
    // A queue that this process does not know with its limits may have got them since.
    let has_places = |queue: &&QueueName| {
        shared.catalogue.limits(queue).is_none_or(|limits| limits.concurrent().is_some())
    };
    let vacant: Vec<_> = ended.queues().filter(has_places).cloned().collect();
    if vacant.is_empty() {
        return;
    }
    shared.wake_here();
    if shared.vacant.add(vacant) {
        tokio::spawn(tell(Arc::clone(shared)));
    }
}

/// Gives tokens back to queues that still have a rate. Returns whether there were any.
async fn give_back(shared: &Shared, ended: &EndedLeases, now: Now) -> Result<bool, Fault> {
    let given: Vec<(&QueueName, usize, RateLimits)> = ended
        .tokens()
        .filter_map(|(queue, tokens)| Some((queue, tokens, shared.catalogue.limits(queue)?)))
        .collect();
    if given.is_empty() {
        return Ok(false);
    }
    let database = &shared.database;
    let mut work = database.begin().await?;
    let queues: Vec<_> = given.iter().map(|(queue, ..)| *queue).collect();
    buckets::wait_for(database, &mut work, &queues).await?;
    let asked: Vec<_> = queues.iter().map(|queue| (*queue, 0)).collect();
    let states = buckets::read(database, &mut work, now, &asked).await?;
    let mut returned = Vec::new();
    for ((queue, tokens, limits), state) in given.iter().zip(&states) {
        let bucket = given_back(*limits, state.bucket, *tokens, state.now);
        returned.extend(bucket.map(|bucket| (*queue, bucket)));
    }
    buckets::store(database, &mut work, &returned).await?;
    work.commit().await?;
    Ok(!returned.is_empty())
}

/// Notifies other processes while places become free for which tasks wait.
async fn tell(shared: Arc<Shared>) {
    loop {
        let queues = shared.vacant.take();
        if queues.is_empty() {
            return;
        }
        let begun = Instant::now();
        match within(PATIENCE, waits(&shared, &queues)).await {
            Ok(true) => shared.news.tell(),
            Ok(false) => {}
            Err(fault) => shared.database.heed(&fault),
        }
        sleep(INTERVAL.max(begun.elapsed().saturating_mul(SHARE - 1))).await;
    }
}

/// Whether a task waits in one of these queues.
async fn waits(shared: &Shared, queues: &BTreeSet<QueueName>) -> Result<bool, Fault> {
    const WAITS: &str = "SELECT EXISTS (SELECT FROM gae_tasks.lane l CROSS JOIN LATERAL (SELECT \
                         FROM gae_tasks.waiting w WHERE w.lane = l.id LIMIT 1) w WHERE l.queue = \
                         ANY($1))";
    let names: Vec<_> = queues.iter().map(QueueName::as_str).collect();
    let mut connection = shared.database.connection().await?;
    let query = shared.database.query(WAITS).bind(names);
    let waits = query.fetch_one(&mut *connection).await?.try_get(0)?;
    connection.commit().await?;
    Ok(waits)
}
