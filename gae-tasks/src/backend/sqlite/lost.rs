//! Lost leases: what becomes of tasks whose worker is gone.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::Fault;
use super::lane::Catalogue;
use super::row::task_id;
use super::task::Task;
use super::unreadable;
use crate::backend::lifecycle;
use crate::backend::{HeldLease, LeaseRef, LeaseToken, Settled};
use crate::task::TaskId;
use crate::time::Timestamp;

pub(super) const LEASED: &str = "SELECT task FROM gae_tasks_lease WHERE session = ?1 AND typeof(task) = 'blob' AND length(task) = 16 ORDER BY task LIMIT ?2";

pub(super) const HELD: &str =
    "SELECT task, token, expires, duration FROM gae_tasks_lease WHERE typeof(task) = 'blob' AND length(task) = 16";

/// How a leased task waited before: whether it is timed, and since when it pauses.
pub(super) type Waited = (bool, Option<Timestamp>);

/// Takes the lease off a task whose worker is gone. Returns whether the task is dead now.
pub(super) fn recover(
    connection: &Connection,
    catalogue: &Catalogue,
    id: TaskId,
    now: Timestamp,
) -> Result<bool, Fault> {
    const TAKE: &str = "DELETE FROM gae_tasks_lease WHERE task = ?1 RETURNING timed, since, alone";
    let taken = connection
        .prepare_cached(TAKE)?
        .query_row(params![id.as_bytes()], |row| Ok((how(row), row.get(2).unwrap_or_default())));
    let ((is_timed, since), was_alone): (Waited, bool) = taken.optional()?.unwrap_or_default();
    let Some(mut task) = Task::load(connection, id)? else { return Ok(false) };
    task.waited(is_timed, since);
    let rules = task.rules(connection, catalogue);
    let change = lifecycle::lose(task.facts, was_alone, rules.as_ref(), now);
    Ok(task.apply(connection, catalogue, change, now)? == Settled::Dead)
}

/// How a leased task waited before; `None` if it is not leased.
pub(super) fn waited(connection: &Connection, id: TaskId) -> Result<Option<Waited>, Fault> {
    const WAITED: &str = "SELECT timed, since FROM gae_tasks_lease WHERE task = ?1";
    Ok(connection.prepare_cached(WAITED)?.query_row(params![id.as_bytes()], |row| Ok(how(row))).optional()?)
}

fn how(row: &Row<'_>) -> Waited {
    let since: Option<i64> = row.get(1).unwrap_or_default();
    (row.get(0).unwrap_or_default(), since.map(Timestamp::from_micros))
}

/// Every lease that can be read.
pub(super) fn held(connection: &Connection) -> Result<Vec<HeldLease>, Fault> {
    let mut statement = connection.prepare_cached(HELD)?;
    let mut rows = statement.query([])?;
    let mut held = Vec::new();
    while let Some(row) = rows.next()? {
        match held_lease(row) {
            Ok(lease) => held.push(lease),
            Err(_) => unreadable::row(connection, "gae_tasks_lease", format_args!("of task {}", task_id(row, 0)?)),
        }
    }
    Ok(held)
}

fn held_lease(row: &Row<'_>) -> rusqlite::Result<HeldLease> {
    let lease = LeaseRef::new(task_id(row, 0)?, LeaseToken::from_bits(row.get(1)?));
    let duration = Duration::from_micros(row.get::<_, i64>(3)?.max(0).unsigned_abs());
    Ok(HeldLease::new(lease, Timestamp::from_micros(row.get(2)?), duration))
}

/// Whether the lease is as it was seen.
pub(super) fn is_unchanged(connection: &Connection, lease: &HeldLease) -> Result<bool, Fault> {
    const SAME: &str = "SELECT 1 FROM gae_tasks_lease WHERE task = ?1 AND token = ?2 AND expires = ?3";
    let HeldLease { lease: LeaseRef { id, token }, expires, .. } = lease;
    Ok(connection.prepare_cached(SAME)?.exists(params![id.as_bytes(), token.to_bits(), expires.as_micros()])?)
}

/// Up to `limit` tasks leased by a session. Rows without a valid id are left out.
pub(super) fn of_session(connection: &Connection, session: i64, limit: usize) -> Result<Vec<TaskId>, Fault> {
    let mut statement = connection.prepare_cached(LEASED)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let ids = statement.query_map(params![session, limit], |row| task_id(row, 0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}
