//! Names in use: names of stored tasks, and tombstones of tasks that are over. Keys of unique tasks
//! are among them, in a form that no name has.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::Fault;
use super::row::task_id;
use super::unreadable;
use crate::backend::lifecycle::{self, Holder};
use crate::queue::QueueName;
use crate::task::{Deferred, TaskId, TaskName, UniqueKey};
use crate::time::Timestamp;

pub(super) const HOLDER: &str =
    "SELECT task, until FROM gae_tasks_name WHERE queue = ?1 AND name = ?2";

pub(super) const HOLD: &str =
    "INSERT OR REPLACE INTO gae_tasks_name (queue, name, task, until) VALUES (?1, ?2, ?3, ?4)";

/// Reserves `name` for the task `id`, or returns the answer for its caller if the name is in use.
pub(super) fn take(
    connection: &Connection,
    queue: &QueueName,
    name: &TaskName,
    id: TaskId,
    now: Timestamp,
) -> Result<Option<Deferred>, Fault> {
    if let Some(answer) = lifecycle::refuse_name(holder(connection, queue, name)?, id, now) {
        return Ok(Some(answer));
    }
    hold(connection, queue.as_str(), name.as_str(), id, None)?;
    Ok(None)
}

/// Returns the holder of `name`.
pub(super) fn holder(
    connection: &Connection,
    queue: &QueueName,
    name: &TaskName,
) -> Result<Option<Holder>, Fault> {
    holder_of(connection, queue.as_str(), name.as_str())
}

/// Returns the holder of a name, or of a key in its form among names.
pub(super) fn holder_of(
    connection: &Connection,
    queue: &str,
    name: &str,
) -> Result<Option<Holder>, Fault> {
    let holder = connection
        .prepare_cached(HOLDER)?
        .query_row(params![queue, name], |row| {
            Ok(task_id(row, 0).ok().zip(row.get::<_, Option<i64>>(1).ok()))
        })
        .optional()?;
    if holder == Some(None) {
        unreadable::row(connection, "gae_tasks_name", format_args!("{queue} {name}"));
    }
    Ok(holder.flatten().map(|(of, until)| match until {
        None => Holder::Task(of),
        Some(until) => Holder::Tombstone { of, until: Timestamp::from_micros(until) },
    }))
}

/// Blocks the name of a task that is over until `until`.
pub(super) fn bury(
    connection: &Connection,
    queue: &QueueName,
    name: &str,
    id: TaskId,
    until: Timestamp,
) -> Result<(), Fault> {
    hold(connection, queue.as_str(), name, id, Some(until.as_micros()))
}

/// Frees a key, unless another task has it.
pub(super) const FREE: &str =
    "DELETE FROM gae_tasks_name WHERE queue = ?1 AND name = ?2 AND task = ?3";

/// Keeps a key blocked until a time, unless another task has it.
pub(super) const KEEP: &str =
    "UPDATE gae_tasks_name SET until = ?4 WHERE queue = ?1 AND name = ?2 AND task = ?3";

/// Frees the key of a task that is over, or blocks it until `until` if it outlives the task. What
/// another task has by now stays.
pub(super) fn free(
    connection: &Connection,
    queue: &QueueName,
    key: UniqueKey,
    id: TaskId,
    until: Timestamp,
) -> Result<(), Fault> {
    let (queue, text) = (queue.as_str(), key.in_names());
    if key.outlives() {
        let values = params![queue, text, id.as_bytes(), until.as_micros()];
        connection.prepare_cached(KEEP)?.execute(values)?;
    } else {
        connection.prepare_cached(FREE)?.execute(params![queue, text, id.as_bytes()])?;
    }
    Ok(())
}

/// Blocks the name of a task that is over until `until`; for a task whose name cannot be read from
/// its row.
pub(super) fn bury_of(connection: &Connection, id: TaskId, until: Timestamp) -> Result<(), Fault> {
    connection
        .prepare_cached("UPDATE gae_tasks_name SET until = ?2 WHERE task = ?1 AND until IS NULL")?
        .execute(params![id.as_bytes(), until.as_micros()])?;
    Ok(())
}

/// Writes the holder of a name, or of a key in its form among names.
pub(super) fn hold(
    connection: &Connection,
    queue: &str,
    name: &str,
    id: TaskId,
    until: Option<i64>,
) -> Result<(), Fault> {
    connection.prepare_cached(HOLD)?.execute(params![queue, name, id.as_bytes(), until])?;
    Ok(())
}
