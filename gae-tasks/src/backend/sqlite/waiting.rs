//! The order in which tasks are leased: the table between a stored task and its next attempt.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::Fault;
use super::ready;
use crate::backend::Standing;
use crate::backend::lifecycle::Wait;
use crate::task::TaskId;
use crate::time::Timestamp;

pub(super) const TAKE: &str = "DELETE FROM gae_tasks_waiting WHERE lane = ?1 AND standing = ?2 AND \
                               timed IN (0, 1) AND due = ?3 AND task = ?4";

pub(super) const TAKE_UP_TO: &str = "DELETE FROM gae_tasks_waiting WHERE lane = ?1 AND standing = \
                                     ?2 AND timed = ?3 AND (due, task) <= (?4, ?5)";

/// An SQL condition: the task `t` of the query waits.
macro_rules! waits {
    () => {
        "EXISTS (SELECT 1 FROM gae_tasks_waiting w WHERE w.lane = t.lane AND w.standing IN (0, 1, \
         2, 3) AND w.timed IN (0, 1) AND w.due = t.schedule_time AND w.task = t.id)"
    };
}
pub(super) use waits;

pub(super) const PUT: &str = "INSERT OR REPLACE INTO gae_tasks_waiting (lane, standing, timed, \
                              due, task, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// Makes a task wait.
pub(super) fn put(
    connection: &Connection,
    id: TaskId,
    lane: i64,
    standing: Standing,
    wait: Wait,
) -> Result<(), Fault> {
    connection.prepare_cached(PUT)?.execute(params![
        lane,
        standing as i64,
        wait.is_timed(),
        wait.due().as_micros(),
        id.as_bytes(),
        wait.since().map(Timestamp::as_micros),
    ])?;
    ready::add(connection, lane, standing as i64, ready::due(wait))
}

pub(super) const HOW: &str = "SELECT timed, since FROM gae_tasks_waiting WHERE lane = ?1 AND \
                              standing = ?2 AND timed IN (0, 1) AND due = ?3 AND task = ?4";

/// Returns how a task waits; `None` if it does not wait in its place of the order.
pub(super) fn how(
    connection: &Connection,
    id: TaskId,
    lane: i64,
    standing: Standing,
    due: Timestamp,
) -> Result<Option<Wait>, Fault> {
    let place = params![lane, standing as i64, due.as_micros(), id.as_bytes()];
    let how = connection.prepare_cached(HOW)?.query_row(place, |row| {
        // As in a lease, a beginning of a pause that cannot be read is none.
        let since: Option<i64> = row.get(1).unwrap_or_default();
        Ok(Wait::of(row.get(0)?, since.map(Timestamp::from_micros), due))
    });
    Ok(how.optional()?)
}

/// Takes a task out of the order; returns whether it was waiting. If so, the caller must
/// [refresh](ready::refresh) its lane.
pub(super) fn take(
    connection: &Connection,
    id: TaskId,
    lane: i64,
    standing: Standing,
    due: Timestamp,
) -> Result<bool, Fault> {
    Ok(connection.prepare_cached(TAKE)?.execute(params![
        lane,
        standing as i64,
        due.as_micros(),
        id.as_bytes()
    ])? > 0)
}

/// Takes the first tasks of a lane, up to and including this one, out of the order. The caller must
/// [refresh](ready::refresh) the lane.
pub(super) fn take_up_to(
    connection: &Connection,
    lane: i64,
    standing: Standing,
    timed: bool,
    (due, id): (i64, TaskId),
) -> Result<(), Fault> {
    connection.prepare_cached(TAKE_UP_TO)?.execute(params![
        lane,
        standing as i64,
        timed,
        due,
        id.as_bytes()
    ])?;
    Ok(())
}
