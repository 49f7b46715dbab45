//! Values that cannot be read: they are skipped and reported once, so that no row ever blocks
//! another.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use rusqlite::types::FromSql;
use rusqlite::{Connection, Row};

use super::error::Fault;
use crate::log;
use crate::task::TaskId;
use crate::version::Unread;

/// The columns of a row, some of which may be unreadable.
pub(super) struct Columns<'a> {
    row: &'a Row<'a>,
    is_whole: Cell<bool>,
}

impl<'a> Columns<'a> {
    pub(super) const fn of(row: &'a Row<'a>) -> Self {
        Self { row, is_whole: Cell::new(true) }
    }

    /// Returns the value of a column; `None` if it cannot be read.
    pub(super) fn get<T: FromSql>(&self, column: usize) -> Option<T> {
        let value = self.row.get(column).ok();
        self.is_whole.set(self.is_whole.get() && value.is_some());
        value
    }

    /// Whether all requested columns could be read.
    pub(super) const fn is_whole(&self) -> bool {
        self.is_whole.get()
    }
}

/// Reports a queue whose configuration cannot be read.
pub(super) fn queue(connection: &Connection, queue: &str, unread: Unread) {
    if is_news(connection, "queue", queue) {
        let file = connection.path();
        log::say(|| match unread {
            Unread::Newer => tracing::error!(
                queue,
                file,
                "a newer version of gae-tasks configured the queue, so its tasks are not run here: \
                 update this program"
            ),
            Unread::Damaged => tracing::error!(
                queue,
                file,
                "the configuration of the queue cannot be read, so its tasks are not run: \
                 `put_queue` it again"
            ),
        });
    }
}

/// Reports a task that a rule of the database protects from changes.
pub(super) fn refused(connection: &Connection, id: TaskId, refusal: &Fault) {
    if is_news(connection, "refused", id) {
        let (file, error) = (connection.path(), refusal.rule());
        log::say(|| {
            tracing::error!(
                %id, file, error,
                "a rule of the database forbids changing the task: drop the rule, or repair the \
                 task"
            );
        });
    }
}

/// Reports a row without a readable queue name, or other identification.
pub(super) fn row(connection: &Connection, table: &'static str, row: impl Display) {
    if is_news(connection, table, &row) {
        let file = connection.path();
        log::say(|| {
            tracing::error!(
                table, %row, file,
                "a row cannot be read and is skipped: delete or repair the row"
            );
        });
    }
}

/// Reports a row of leases that cannot be read.
pub(super) fn lease(connection: &Connection, row: i64) {
    let file = connection.path();
    log::say(|| {
        tracing::error!(
            row,
            file,
            "a row of leases cannot be read and is deleted: its tasks run again"
        );
    });
}

/// Reports a task of which a part cannot be read; `what` names the part and the value used instead.
pub(super) fn part_of_task(connection: &Connection, id: TaskId, what: &'static str) {
    if is_news(connection, what, id) {
        let file = connection.path();
        log::say(|| tracing::error!(%id, file, "{what}: delete the task if that is wrong"));
    }
}

/// Reports a task that cannot be read at all.
pub(super) fn task(connection: &Connection, id: TaskId) {
    if is_news(connection, "task", id) {
        let file = connection.path();
        log::say(|| {
            tracing::error!(
                %id, file,
                "the task cannot be read and is skipped: delete the task, or update gae-tasks here"
            );
        });
    }
}

/// Whether this has not been reported before: every look at the file meets the same value again.
fn is_news(connection: &Connection, what: &'static str, whose: impl Display) -> bool {
    /// The number of remembered reports; beyond it, some are repeated.
    const MOST: usize = 10_000;
    static REPORTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if reported.len() >= MOST {
        reported.clear();
    }
    reported.insert(format!("{} {what} {whose}", connection.path().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::tests::broken;

    #[test]
    fn a_log_that_panics_does_not_end_the_thread_that_tells_of_a_row() {
        let connection = Connection::open_in_memory().unwrap();
        let id = TaskId::from_bytes([255; 16]);
        broken(|| {
            queue(&connection, "a log that panics", Unread::Newer);
            row(&connection, "a table", "a log that panics");
            part_of_task(&connection, id, "a log that panics");
            task(&connection, id);
            refused(&connection, id, &Fault::Repeated);
        });
    }
}
