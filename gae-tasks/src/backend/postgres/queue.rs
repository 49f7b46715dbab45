//! Queues: their configurations and pauses.

use std::sync::Arc;

use sqlx::Row;

use super::buckets::{self, Level};
use super::error::Fault;
use super::shared::Shared;
use super::unreadable;
use super::work::Work;
use super::writers::{Table, wait_for_writers};
use crate::backend::QueueRecord;
use crate::error::Error;
use crate::queue::{QueueConfig, QueueName, RateLimits};
use crate::retention::Retention;
use crate::time::Now;
use crate::version::{self, Unread};

pub(super) async fn put(
    shared: Arc<Shared>,
    queue: QueueName,
    config: QueueConfig,
) -> Result<Result<(), Error>, Fault> {
    change(&shared, &queue, |stored| stored.merged(config.clone())).await
}

pub(super) async fn replace(
    shared: Arc<Shared>,
    queue: QueueName,
    config: QueueConfig,
) -> Result<Result<(), Error>, Fault> {
    change(&shared, &queue, |stored| stored.replaced(config.clone())).await
}

/// Changes the configuration of a queue by hand: a damaged one is replaced.
async fn change(
    shared: &Shared,
    queue: &QueueName,
    change: impl Fn(QueueConfig) -> QueueConfig,
) -> Result<Result<(), Error>, Fault> {
    let Ok(limits) = configure(shared, queue, true, change).await? else {
        return Ok(Err(Error::NewerQueue { queue: queue.to_string() }));
    };
    // Also if the queue was bounded before: an earlier call may have failed after its commit.
    if limits.concurrent().is_some() {
        count_late(shared, queue).await?;
    }
    // The queue may give more now, and tasks of one whose configuration was damaged can run again.
    shared.wake();
    Ok(Ok(()))
}

pub(super) async fn raise_retention(
    shared: Arc<Shared>,
    queue: QueueName,
    stated: Retention,
) -> Result<(), Fault> {
    // A queue whose configuration cannot be read keeps it.
    _ = configure(&shared, &queue, false, |stored| stored.raised(stated)).await?;
    Ok(())
}

pub(super) async fn all(shared: Arc<Shared>) -> Result<Vec<QueueRecord>, Fault> {
    const ALL: &str = "SELECT name, config, paused FROM gae_tasks.queue ORDER BY name";
    let database = &shared.database;
    let mut connection = database.connection().await?;
    let rows = database.query(ALL).fetch_all(&mut *connection).await?;
    let mut queues = Vec::new();
    for row in &rows {
        let name: String = row.try_get(0)?;
        let config = version::decode(row.try_get(1)?);
        if let Err(unread) = &config {
            unreadable::queue(database, &name, *unread);
        }
        match QueueName::new(name) {
            Ok(name) => queues.push(QueueRecord {
                paused: row.try_get(2)?,
                ..QueueRecord::new(name, config.ok())
            }),
            Err(_) => unreadable::row(database, "queue", "without a readable name"),
        }
    }
    Ok(queues)
}

pub(super) async fn set_paused(
    shared: Arc<Shared>,
    queue: QueueName,
    paused: bool,
) -> Result<Result<(), Error>, Fault> {
    // A configuration that cannot be read, such as one of a newer version, is kept.
    const PAUSE: &str = "UPDATE gae_tasks.queue SET paused = $2 WHERE name = $1";
    let mut work = shared.database.connection().await?;
    let query = shared.database.query(PAUSE).bind(queue.as_str()).bind(paused);
    if query.execute(&mut *work).await?.rows_affected() == 0 {
        return Ok(Err(Error::NoSuchQueue { queue: queue.to_string() }));
    }
    work.commit().await?;
    if !paused {
        shared.wake();
    }
    Ok(Ok(()))
}

/// Locks the row of a queue, and reads its configuration and pause; `None` if it has no row.
pub(super) async fn lock(
    shared: &Shared,
    work: &mut Work,
    queue: &QueueName,
) -> Result<Option<(Vec<u8>, bool)>, Fault> {
    const LOCK: &str = "SELECT config, paused FROM gae_tasks.queue WHERE name = $1 FOR UPDATE";
    let query = shared.database.query(LOCK).bind(queue.as_str());
    let row = query.fetch_optional(&mut **work).await?;
    Ok(row.map(|row| Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get(1)?))).transpose()?)
}

/// Makes a queue unless it has a row. Returns whether it had none.
pub(super) async fn make(
    shared: &Shared,
    work: &mut Work,
    queue: &QueueName,
    config: &[u8],
    paused: bool,
) -> Result<bool, Fault> {
    const MAKE: &str = "INSERT INTO gae_tasks.queue (name, config, paused) VALUES ($1, $2, $3) ON \
                        CONFLICT (name) DO NOTHING";
    let query = shared.database.query(MAKE).bind(queue.as_str()).bind(config);
    Ok(query.bind(paused).execute(&mut **work).await?.rows_affected() > 0)
}

/// Puts limits on a queue: if it had none, it gets its bucket; if what runs is bounded from now on,
/// its leases count.
async fn limit(
    shared: &Shared,
    work: &mut Work,
    queue: &QueueName,
    [before, limits]: [RateLimits; 2],
) -> Result<(), Fault> {
    let database = &shared.database;
    if limits.limits() && !before.limits() {
        buckets::make(database, work, Now::Storage, &[queue], Level::Full).await?;
    }
    if limits.concurrent().is_some() && before.concurrent().is_none() {
        buckets::count_leases(database, work, queue).await?;
    }
    Ok(())
}

/// Has the leases count that were being given when a queue got its bound: they could not be seen
/// yet. Those that a relay has got since count too.
async fn count_late(shared: &Shared, queue: &QueueName) -> Result<(), Fault> {
    wait_for_writers(shared, Table::Lease).await?;
    let mut work = shared.database.begin().await?;
    buckets::count_leases(&shared.database, &mut work, queue).await?;
    work.commit().await
}

/// Changes the configuration of a queue, and makes the queue if it is missing. Returns the limits
/// that the queue has now.
///
/// # Errors
/// Besides faults, the inner error: why the stored configuration cannot be read. A damaged one is
/// replaced if `mends`.
async fn configure(
    shared: &Shared,
    queue: &QueueName,
    mends: bool,
    change: impl Fn(QueueConfig) -> QueueConfig,
) -> Result<Result<RateLimits, Unread>, Fault> {
    const CONFIGURE: &str = "UPDATE gae_tasks.queue SET config = $2 WHERE name = $1";
    let mut work = shared.database.begin().await?;
    loop {
        let stored = lock(shared, &mut work, queue).await?;
        let config = match stored.as_ref().map(|(config, _)| version::decode(config)) {
            None => QueueConfig::new(),
            Some(Ok(config)) => config,
            Some(Err(Unread::Damaged)) if mends => QueueConfig::new(),
            Some(Err(unread)) => return Ok(Err(unread)),
        };
        let before = config.limits();
        let config = change(config);
        let limits = config.limits();
        let config = version::encode(&config)
            .ok_or_else(|| Fault::Unreadable("a configuration".to_owned()))?;
        match stored {
            // Every program reads the queues again after a change.
            Some((stored, _)) if stored == config => {}
            Some(_) => {
                let query = shared.database.query(CONFIGURE).bind(queue.as_str());
                query.bind(config).execute(&mut *work).await?;
            }
            // Another program may have made the queue meanwhile.
            None if !make(shared, &mut work, queue, &config, false).await? => continue,
            None => {}
        }
        limit(shared, &mut work, queue, [before, limits]).await?;
        work.commit().await?;
        return Ok(Ok(limits));
    }
}
