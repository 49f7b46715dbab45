//! Reads stored tasks as records.

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::database::Database;
use super::error::Fault;
use super::lane::{LANE_COLUMNS, Lane};
use super::task::{self, TASK_COLUMNS, Task};
use super::unreadable;
use crate::backend::TaskRecord;
use crate::version::{self, Unread};

/// The columns of [`read`], of the tables `t` and `l`. A payload may have pages of its own, which
/// are not read where `$payload` is null.
macro_rules! record_columns {
    ($payload:literal) => {
        concat!(
            $crate::backend::postgres::task::task_columns!(),
            ", ",
            $crate::backend::postgres::lane::lane_columns!(),
            ", EXISTS (SELECT FROM gae_tasks.lease h WHERE h.task = t.id), ",
            $payload
        )
    };
}
pub(super) use record_columns;

/// Reads a task from the [`record_columns`].
///
/// # Errors
/// [`Fault::Unreadable`] if the task cannot be read, which is no reason to read no other.
pub(super) fn read(database: &Database, row: &PgRow) -> Result<TaskRecord, Fault> {
    let task = Task::read(row, 0)?;
    let Some(lane) = Lane::read(row, TASK_COLUMNS) else {
        return Err(Fault::Unreadable(format!("the task {}", task.id)));
    };
    let is_leased = row.try_get(TASK_COLUMNS + LANE_COLUMNS)?;
    let payload = row.try_get(TASK_COLUMNS + LANE_COLUMNS + 1)?;
    report(database, row, &task);
    Ok(task.facts_in(&lane).record(task.spec(&lane), payload, is_leased, task.errors))
}

/// Reads tasks; those that cannot be read are skipped.
pub(super) fn read_all<'a>(
    database: &'a Database,
    rows: &'a [PgRow],
) -> impl Iterator<Item = TaskRecord> + 'a {
    let of_row = |row| match read(database, row) {
        Ok(record) => Some(record),
        Err(_) => {
            match row.try_get(0) {
                Ok(id) => unreadable::task(database, task::id(id)),
                Err(_) => unreadable::row(database, "task", "without an id"),
            }
            None
        }
    };
    rows.iter().filter_map(of_row)
}

/// Reports the parts of a task that cannot be read.
fn report(database: &Database, row: &PgRow, task: &Task) {
    let is_stored =
        |column: usize| !row.try_get_raw(column).is_ok_and(|value| sqlx::ValueRef::is_null(&value));
    let is_damaged = |bytes: &Vec<u8>| {
        version::decode::<crate::queue::RetryConfig>(bytes) == Err(Unread::Damaged)
    };
    let parts = [
        (
            task.name.is_none() && task.unique.is_none() && is_stored(14),
            "the name of the task cannot be read, it is treated as unnamed",
        ),
        (
            task.retry.as_ref().is_some_and(is_damaged),
            "the task's own retry settings cannot be read, it has its queue's",
        ),
        (
            task.errors.is_empty() && is_stored(17),
            "the errors of the task cannot be read, it is shown without any",
        ),
    ];
    for (_, what) in parts.into_iter().filter(|(is_unread, _)| *is_unread) {
        unreadable::part_of_task(database, task.id, what);
    }
}
