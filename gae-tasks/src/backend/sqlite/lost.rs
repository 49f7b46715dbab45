//! Lost leases: what becomes of tasks whose worker is gone.

use rusqlite::{Connection, ToSql, params};

use super::error::Fault;
use super::lane::Catalogue;
use super::row::task_id;
use super::task::Task;
use crate::backend::record::error_text;
use crate::backend::{MAX_LOST_ATTEMPTS, Standing};
use crate::queue::Attempts;
use crate::task::TaskId;
use crate::time::Timestamp;

pub(super) const EXPIRED: &str = "SELECT task FROM gae_tasks_lease WHERE expires <= ?1 AND typeof(task) = 'blob' AND length(task) = 16 ORDER BY task LIMIT ?2";

pub(super) const LEASED: &str = "SELECT task FROM gae_tasks_lease WHERE session = ?1 AND typeof(task) = 'blob' AND length(task) = 16 ORDER BY task LIMIT ?2";

/// Takes the lease off a task. The first time the task is only marked: it may never have started. From then on leased
/// means started, and the loss was an attempt. Answers whether the task is dead now.
pub(super) fn recover(
    connection: &Connection,
    catalogue: &Catalogue,
    id: TaskId,
    now: Timestamp,
) -> Result<bool, Fault> {
    connection.prepare_cached("DELETE FROM gae_tasks_lease WHERE task = ?1")?.execute(params![id.as_bytes()])?;
    let Some(mut task) = Task::load(connection, id)? else { return Ok(false) };
    let started = task.standing() != Standing::Clear;
    task.lost_leases = task.lost_leases.saturating_add(1);
    let due = task.schedule_time.min(now);
    if !started {
        task.wait(connection, due)?;
        return Ok(false);
    }
    task.count_attempt(now);
    task.keep_error(connection, error_text::LEASE_LOST, now)?;
    let attempts = Attempts::new(task.attempts, task.first_attempt.unwrap_or(now), task.max_attempts);
    let dead = task.retry(connection, catalogue).is_exhausted(attempts, now) || task.lost_leases > MAX_LOST_ATTEMPTS;
    if dead {
        task.schedule_time = due;
        task.die(connection, now)?;
    } else {
        task.wait(connection, due)?;
    }
    Ok(dead)
}

/// Up to `limit` tasks whose lease has expired.
pub(super) fn expired(connection: &Connection, now: Timestamp, limit: usize) -> Result<Vec<TaskId>, Fault> {
    ids(connection, EXPIRED, &now.as_micros(), limit)
}

/// Up to `limit` tasks leased by a session.
pub(super) fn of_session(connection: &Connection, session: i64, limit: usize) -> Result<Vec<TaskId>, Fault> {
    ids(connection, LEASED, &session, limit)
}

/// The tasks that `query` finds by `key`, at most `limit`; it leaves out what is no id.
pub(super) fn ids(connection: &Connection, query: &str, key: &dyn ToSql, limit: usize) -> Result<Vec<TaskId>, Fault> {
    let mut statement = connection.prepare_cached(query)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let ids = statement.query_map(params![key, limit], |row| task_id(row, 0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}
