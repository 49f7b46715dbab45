//! Pauses that began in the future, because the clock was set back: they begin again.

use crate::backend::postgres::database::Database;
use crate::backend::postgres::error::Fault;
use crate::time::Timestamp;

/// Locks the tasks, takes them out of those that wait, and lets them wait for the new time. A task
/// that is leased meanwhile keeps its time.
const SHORTEN: &str = "WITH long AS MATERIALIZED (SELECT t.id, w.lane, w.standing, w.timed, w.due \
                       FROM gae_tasks.task t JOIN gae_tasks.waiting w ON w.lane = t.lane AND \
                       w.standing = least(greatest(coalesce(t.lost_leases, 0), 0), 3)::smallint \
                       AND w.timed = coalesce(t.timed, false) AND w.due = t.schedule_time AND \
                       w.task = t.id WHERE t.since IS NOT NULL AND t.since > $1 AND t.died IS NULL \
                       AND t.timed LIMIT $2 FOR UPDATE OF t SKIP LOCKED), moved AS (DELETE FROM \
                       gae_tasks.waiting w USING long l WHERE w.lane = l.lane AND w.standing = \
                       l.standing AND w.timed = l.timed AND w.due = l.due AND w.task = l.id \
                       RETURNING w.task, w.size, w.standing, w.named), told AS (UPDATE \
                       gae_tasks.task t SET schedule_time = least($1::numeric + \
                       greatest(t.schedule_time::numeric - t.since, 0), \
                       9223372036854775807)::bigint, since = $1 FROM moved m WHERE t.id = m.task \
                       RETURNING t.lane, t.schedule_time, t.id, m.size, m.standing, m.named) \
                       INSERT INTO gae_tasks.waiting (lane, due, task, size, standing, timed, \
                       named) SELECT lane, schedule_time, id, size, standing, true, named FROM \
                       told";

/// Shortens at most `limit` pauses, and returns how many.
pub(super) async fn shorten(
    database: &Database,
    now: Timestamp,
    limit: usize,
) -> Result<u64, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut connection = database.connection().await?;
    let query = database.query(SHORTEN).bind(now.as_micros()).bind(limit);
    let shortened = query.execute(&mut *connection).await?.rows_affected();
    connection.commit().await?;
    Ok(shortened)
}
