//! Deleting a queue: its tasks slice by slice, if the request includes them, and then its row, if
//! nothing is left.

use std::sync::Arc;

use sqlx::Row;

use super::error::Fault;
use super::patience::again;
use super::purge::Doomed;
use super::shared::Shared;
use super::writers::{Table, wait_for_writers};
use super::{buckets, queue};
use crate::backend::{DeleteQueue, Purged};
use crate::error::Error;
use crate::queue::{QueueConfig, QueueName};
use crate::version::{self, Unread};

pub(super) async fn delete_queue(
    shared: Arc<Shared>,
    request: DeleteQueue,
) -> Result<Result<Purged, Error>, Fault> {
    let DeleteQueue { now, queue, with_tasks } = request;
    let database = &shared.database;
    if let Err(error) = again(database, || may_go(&shared, &queue)).await? {
        return Ok(Err(error));
    }
    let doomed = again(database, || Doomed::find(&shared, &queue, now, true)).await?;
    if !with_tasks && doomed.found != [0; 2] {
        return Ok(Err(in_use(&queue, doomed.found)));
    }
    let deleted = doomed.delete(&shared).await?;
    if doomed.left > 0 {
        return Ok(Ok(Purged::new(deleted, doomed.left)));
    }
    Ok(match again(database, || remove(&shared, &queue)).await? {
        Ok([0, 0]) => Ok(Purged::new(deleted, 0)),
        // Tasks were stored meanwhile.
        Ok(found) if with_tasks => Ok(Purged::new(deleted, found.iter().sum())),
        Ok(found) => Err(in_use(&queue, found)),
        Err(error) => Err(error),
    })
}

fn in_use(queue: &QueueName, [tasks, dead_letters]: [u64; 2]) -> Error {
    Error::QueueInUse { queue: queue.to_string(), tasks, dead_letters }
}

/// Refuses to delete a queue that a newer version of this crate configured, before anything is
/// deleted.
async fn may_go(shared: &Shared, queue: &QueueName) -> Result<Result<(), Error>, Fault> {
    const CONFIG: &str = "SELECT config FROM gae_tasks.queue WHERE name = $1";
    let mut connection = shared.database.connection().await?;
    let query = shared.database.query(CONFIG).bind(queue.as_str());
    let row = query.fetch_optional(&mut *connection).await?;
    let config: Option<Vec<u8>> = row.map(|row| row.try_get(0)).transpose()?;
    Ok(config.map_or(Ok(()), |config| readable(queue, &config)))
}

fn readable(queue: &QueueName, config: &[u8]) -> Result<(), Error> {
    match version::decode::<QueueConfig>(config) {
        Err(Unread::Newer) => Err(Error::NewerQueue { queue: queue.to_string() }),
        Err(Unread::Damaged) | Ok(_) => Ok(()),
    }
}

/// Deletes the row of a queue that holds nothing; otherwise returns how many tasks and dead letters
/// the queue holds. The lanes stay, because other programs know them by their numbers.
async fn remove(shared: &Shared, queue: &QueueName) -> Result<Result<[u64; 2], Error>, Fault> {
    const REMOVE: &str = "DELETE FROM gae_tasks.queue WHERE name = $1";
    let database = &shared.database;
    let mut work = database.begin().await?;
    let Some((config, paused)) = queue::lock(shared, &mut work, queue).await? else {
        return Ok(Ok([0; 2]));
    };
    if let Err(error) = readable(queue, &config) {
        return Ok(Err(error));
    }
    let found = held(shared, &mut work, queue).await?;
    if found != [0; 2] {
        return Ok(Ok(found));
    }
    database.query(REMOVE).bind(queue.as_str()).execute(&mut *work).await?;
    work.commit().await?;
    // What was being stored could not be seen yet.
    wait_for_writers(shared, Table::Task).await?;
    let mut work = database.begin().await?;
    let found = held(shared, &mut work, queue).await?;
    if found != [0; 2] {
        queue::make(shared, &mut work, queue, &config, paused).await?;
    } else {
        buckets::delete(database, &mut work, queue).await?;
    }
    work.commit().await?;
    Ok(Ok(found))
}

/// Returns how many tasks and dead letters a queue holds, after waiting rows without a task were
/// deleted: a queue that is made anew must not find them.
async fn held(
    shared: &Shared,
    connection: &mut sqlx::PgConnection,
    queue: &QueueName,
) -> Result<[u64; 2], Fault> {
    const ORPHANS: &str = "DELETE FROM gae_tasks.waiting w WHERE lane = ANY(ARRAY(SELECT id FROM \
                           gae_tasks.lane WHERE queue = $1)) AND NOT EXISTS (SELECT FROM \
                           gae_tasks.task t WHERE t.id = w.task)";
    const HELD: &str = "WITH n AS MATERIALIZED (SELECT array_agg(id) AS lanes FROM gae_tasks.lane \
                        WHERE queue = $1) SELECT (SELECT count(*) FROM gae_tasks.waiting WHERE \
                        lane = ANY(n.lanes)) + (SELECT count(*) FROM gae_tasks.lease e CROSS JOIN \
                        LATERAL (SELECT lane FROM gae_tasks.task WHERE id = e.task AND died IS \
                        NULL OFFSET 0) t WHERE t.lane = ANY(n.lanes)), (SELECT count(*) FROM \
                        gae_tasks.task WHERE lane = ANY(n.lanes) AND died IS NOT NULL) FROM n";
    let database = &shared.database;
    database.query(ORPHANS).bind(queue.as_str()).execute(&mut *connection).await?;
    let query = database.query(HELD).bind(queue.as_str());
    let row = query.fetch_one(connection).await?;
    let count = |column: usize| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    Ok([count(0)?, count(1)?])
}
