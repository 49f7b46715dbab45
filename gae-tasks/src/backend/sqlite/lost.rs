//! Lost leases: what becomes of tasks whose worker is gone.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::error::Fault;
use super::lane::Catalogue;
use super::row::task_id;
use super::task::Task;
use super::waiting::Wait;
use crate::backend::record::error_text;
use crate::backend::{HeldLease, LeaseRef, LeaseToken};
use crate::queue::Attempts;
use crate::task::TaskId;
use crate::time::Timestamp;

pub(super) const LEASED: &str = "SELECT task FROM gae_tasks_lease WHERE session = ?1 AND typeof(task) = 'blob' AND length(task) = 16 ORDER BY task LIMIT ?2";

pub(super) const HELD: &str =
    "SELECT task, token, expires, duration FROM gae_tasks_lease WHERE typeof(task) = 'blob' AND length(task) = 16";

/// Takes the lease off a task. If the task was its worker's only suspect, that was an attempt; else the task may never
/// have started, or another one may be to blame. Answers whether the task is dead now.
pub(super) fn recover(
    connection: &Connection,
    catalogue: &Catalogue,
    id: TaskId,
    now: Timestamp,
) -> Result<bool, Fault> {
    const TAKE: &str = "DELETE FROM gae_tasks_lease WHERE task = ?1 RETURNING alone";
    let taken =
        connection.prepare_cached(TAKE)?.query_row(params![id.as_bytes()], |row| Ok(row.get(0).ok())).optional()?;
    let Some(mut task) = Task::load(connection, id)? else { return Ok(false) };
    task.lost_leases = task.lost_leases.saturating_add(1);
    let due = task.schedule_time.min(now);
    if taken.flatten() != Some(true) {
        task.wait(connection, Wait::Worker(due))?;
        return Ok(false);
    }
    task.lost_attempts = task.lost_attempts.saturating_add(1);
    task.count_attempt(now);
    task.keep_error(connection, error_text::LEASE_LOST, now)?;
    let dead = is_over(connection, catalogue, &task, now);
    if dead {
        task.schedule_time = due;
        task.die(connection, now)?;
    } else {
        task.wait(connection, Wait::Worker(due))?;
    }
    Ok(dead)
}

/// Whether a task whose worker is gone again has been tried enough. If a newer version of this crate stored it, or its
/// queue, that is left to a program that can read all of it.
fn is_over(connection: &Connection, catalogue: &Catalogue, task: &Task, now: Timestamp) -> bool {
    let Some(config) = catalogue.config(task.lane).filter(|_| catalogue.is_readable(task.lane)) else { return false };
    let attempts = Attempts::new(task.attempts, task.first_attempt.unwrap_or(now), task.max_attempts);
    task.retry(connection, &config).is_exhausted(attempts, now) || task.lost_attempts >= config.max_lost_attempts()
}

/// Every lease.
pub(super) fn held(connection: &Connection) -> Result<Vec<HeldLease>, Fault> {
    let mut statement = connection.prepare_cached(HELD)?;
    let mut rows = statement.query([])?;
    let mut held = Vec::new();
    while let Some(row) = rows.next()? {
        let lease = LeaseRef { id: task_id(row, 0)?, token: LeaseToken::from_bits(row.get(1).unwrap_or_default()) };
        let expires = Timestamp::from_micros(row.get(2).unwrap_or_default());
        held.push(HeldLease::new(lease, expires, duration(row.get(3).unwrap_or_default())));
    }
    Ok(held)
}

/// Whether a lease is as it was seen.
pub(super) fn is_unchanged(connection: &Connection, lease: &HeldLease) -> Result<bool, Fault> {
    const SAME: &str = "SELECT 1 FROM gae_tasks_lease WHERE task = ?1 AND token = ?2 AND expires = ?3";
    let HeldLease { lease: LeaseRef { id, token }, expires, .. } = lease;
    Ok(connection.prepare_cached(SAME)?.exists(params![id.as_bytes(), token.to_bits(), expires.as_micros()])?)
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

fn duration(micros: i64) -> Duration {
    Duration::from_micros(micros.max(0).unsigned_abs())
}
