//! The rows of queues with limits: their token buckets. Whoever leases from such a queue has locked
//! its row, so that nobody counts beside it; what runs there are the leases that name the queue.

use std::collections::HashSet;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::database::{Database, at, moment};
use super::error::Fault;
use crate::queue::{Bucket, QueueName};
use crate::time::{Now, Timestamp};

/// What is stored of a queue with limits, at a moment: that of all queues that are read together.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) now: Timestamp,
    /// `None` if the row is missing.
    pub(super) bucket: Option<Bucket>,
    /// How many leases there are, of those that were asked for.
    pub(super) live: usize,
}

/// Reads the states of queues, in their order; of each, at most so many leases are counted.
///
/// If the rows are locked, the time is later than that of whoever had them before.
pub(super) async fn read(
    database: &Database,
    connection: &mut PgConnection,
    now: Now,
    queues: &[(&QueueName, u32)],
) -> Result<Vec<State>, Fault> {
    const READ: &str = concat!(
        "WITH moment AS MATERIALIZED (SELECT ",
        moment!(),
        " AS now) SELECT m.now, b.millionths, b.at, (SELECT count(*) FROM (SELECT FROM \
         gae_tasks.lease l WHERE l.queue = n.queue LIMIT n.most) c) FROM moment m CROSS JOIN \
         unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS n(queue, most, no) LEFT JOIN \
         LATERAL (SELECT b.millionths, b.at FROM gae_tasks.bucket b WHERE b.queue = n.queue \
         OFFSET 0) b ON true ORDER BY n.no"
    );
    let query = database
        .prepared(READ)
        .bind(at(now))
        .bind(queues.iter().map(|(queue, _)| queue.as_str()).collect::<Vec<_>>())
        .bind(queues.iter().map(|(_, most)| i64::from(*most)).collect::<Vec<_>>());
    let state = |row: &PgRow| {
        let (millionths, at): (Option<i64>, Option<i64>) = (row.try_get(1)?, row.try_get(2)?);
        Ok(State {
            now: Timestamp::from_micros(row.try_get(0)?),
            bucket: millionths.zip(at).map(bucket),
            live: usize::try_from(row.try_get::<i64, _>(3)?).unwrap_or_default(),
        })
    };
    query.fetch_all(connection).await?.iter().map(state).collect()
}

/// Locks those rows of these queues that nobody else has locked, in sorted order, until the
/// transaction ends. Returns their queues.
pub(super) async fn lock(
    database: &Database,
    connection: &mut PgConnection,
    queues: &[&QueueName],
) -> Result<HashSet<String>, Fault> {
    const LOCK: &str = "SELECT b.queue FROM gae_tasks.bucket b WHERE b.queue = ANY($1) ORDER BY \
                        b.queue FOR UPDATE SKIP LOCKED";
    let rows = database.prepared(LOCK).bind(names(queues)).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Locks the rows of these queues, and waits for those who have locked them, but not for long: the
/// setting is joined, so it is made before.
pub(super) async fn wait_for(
    database: &Database,
    connection: &mut PgConnection,
    queues: &[&QueueName],
) -> Result<(), Fault> {
    const WAIT: &str = "WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '200ms', \
                        true)) SELECT b.queue FROM patience CROSS JOIN gae_tasks.bucket b WHERE \
                        b.queue = ANY($1) ORDER BY b.queue FOR UPDATE OF b";
    database.prepared(WAIT).bind(names(queues)).fetch_all(connection).await?;
    Ok(())
}

fn names<'q>(queues: &[&'q QueueName]) -> Vec<&'q str> {
    queues.iter().map(|queue| queue.as_str()).collect()
}

/// What is in a bucket that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// That of a new queue, whatever its limits are when the first task is leased.
    Full,
    /// That of a queue whose row was lost: nobody knows what was dispatched before.
    Empty,
}

/// Makes the rows of queues that have none.
pub(super) async fn make(
    database: &Database,
    connection: &mut PgConnection,
    now: Now,
    queues: &[&QueueName],
    level: Level,
) -> Result<(), Fault> {
    const MAKE: &str = concat!(
        "INSERT INTO gae_tasks.bucket (queue, millionths, at) SELECT n.queue, $3::bigint, ",
        moment!(),
        " FROM unnest($2::text[]) AS n(queue) ORDER BY n.queue ON CONFLICT (queue) DO NOTHING"
    );
    // A bucket that was never looked at has no time: whatever clock comes is after it.
    let (now, millionths) = match level {
        Level::Full => (Now::At(Timestamp::from_micros(i64::MIN)), i64::MAX),
        Level::Empty => (now, 0),
    };
    let query = database.query(MAKE).bind(at(now)).bind(names(queues)).bind(millionths);
    query.execute(connection).await?;
    Ok(())
}

/// Deletes the row of a queue that has no limits any more, unless somebody is at work with it.
pub(super) async fn delete(
    database: &Database,
    connection: &mut PgConnection,
    queue: &QueueName,
) -> Result<(), Fault> {
    const DELETE: &str = "DELETE FROM gae_tasks.bucket b WHERE b.queue = ANY(ARRAY(SELECT o.queue \
                          FROM gae_tasks.bucket o WHERE o.queue = $1 AND NOT EXISTS (SELECT FROM \
                          gae_tasks.queue q WHERE q.name = $1) FOR UPDATE OF o SKIP LOCKED))";
    database.query(DELETE).bind(queue.as_str()).execute(connection).await?;
    Ok(())
}

/// Has the leases of a queue count that were given before it had limits. They took no token.
pub(super) async fn count_leases(
    database: &Database,
    connection: &mut PgConnection,
    queue: &QueueName,
) -> Result<(), Fault> {
    const COUNT: &str = "WITH n AS MATERIALIZED (SELECT array_agg(id) AS lanes FROM gae_tasks.lane \
                         WHERE queue = $1), e AS MATERIALIZED (SELECT e.task FROM n CROSS JOIN \
                         gae_tasks.lease e CROSS JOIN LATERAL (SELECT t.lane FROM gae_tasks.task t \
                         WHERE t.id = e.task OFFSET 0) t WHERE e.queue IS NULL AND t.lane = \
                         ANY(n.lanes) ORDER BY e.task FOR UPDATE OF e) UPDATE gae_tasks.lease l \
                         SET queue = $1 FROM e WHERE l.task = e.task";
    database.query(COUNT).bind(queue.as_str()).execute(connection).await?;
    Ok(())
}

/// Stores buckets whose rows are locked.
pub(super) async fn store(
    database: &Database,
    connection: &mut PgConnection,
    buckets: &[(&QueueName, Bucket)],
) -> Result<(), Fault> {
    const STORE: &str = "UPDATE gae_tasks.bucket b SET millionths = n.millionths, at = n.at FROM \
                         unnest($1::text[], $2::bigint[], $3::bigint[]) AS n(queue, millionths, \
                         at) WHERE b.queue = n.queue";
    let parts = || buckets.iter().map(|(_, bucket)| bucket.parts());
    let query = database
        .prepared(STORE)
        .bind(buckets.iter().map(|(queue, _)| queue.as_str()).collect::<Vec<_>>())
        .bind(parts().map(|(millionths, _)| stored(millionths)).collect::<Vec<_>>())
        .bind(parts().map(|(_, at)| at.as_micros()).collect::<Vec<_>>());
    query.execute(connection).await?;
    Ok(())
}

/// Reads a bucket; what nobody could have stored is as near to it as can be.
fn bucket((millionths, at): (i64, i64)) -> Bucket {
    Bucket::stored(millionths.max(0).unsigned_abs(), Timestamp::from_micros(at))
}

fn stored(millionths: u64) -> i64 {
    i64::try_from(millionths).unwrap_or(i64::MAX)
}
