//! Values that cannot be read: they are skipped and reported once, so that no row ever blocks
//! another.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use super::database::Database;
use super::error::Fault;
use crate::log;
use crate::queue::QueueName;
use crate::task::TaskId;
use crate::version::Unread;

/// Reports a task that cannot be read at all.
pub(super) fn task(database: &Database, id: TaskId) {
    if is_news(database, "task", id) {
        let place = database.place();
        log::say(|| {
            tracing::error!(
                %id, place,
                "the task cannot be read and is skipped: delete the task, or update gae-tasks here"
            );
        });
    }
}

/// Reports a task of which a part cannot be read; `what` names the part and the value used instead.
pub(super) fn part_of_task(database: &Database, id: TaskId, what: &'static str) {
    if is_news(database, what, id) {
        let place = database.place();
        log::say(|| tracing::error!(%id, place, "{what}: delete the task if that is wrong"));
    }
}

/// Reports a queue whose configuration cannot be read.
pub(super) fn queue(database: &Database, queue: &str, unread: Unread) {
    if is_news(database, "queue", queue) {
        let place = database.place();
        log::say(|| match unread {
            Unread::Newer => tracing::error!(
                queue,
                place,
                "a newer version of gae-tasks configured the queue, so its tasks are not run here: \
                 update this program"
            ),
            Unread::Damaged => tracing::error!(
                queue,
                place,
                "the configuration of the queue cannot be read, so its tasks are not run: \
                 `put_queue` it again"
            ),
        });
    }
}

/// Reports a row that cannot be read.
pub(super) fn row(database: &Database, table: &'static str, row: impl Display) {
    if is_news(database, table, &row) {
        let place = database.place();
        log::say(|| {
            tracing::error!(
                table, %row, place,
                "a row cannot be read and is skipped: delete or repair the row"
            );
        });
    }
}

/// Reports a queue with limits that had lost its row of tokens.
pub(super) fn bucket(database: &Database, queue: &QueueName) {
    if is_news(database, "bucket", queue) {
        let place = database.place();
        log::say(|| {
            tracing::warn!(
                %queue, place,
                "the queue has limits and had no row in `bucket`: it was made again, without tokens"
            );
        });
    }
}

/// Reports a task that a rule of the database protects from changes.
pub(super) fn refused(database: &Database, id: TaskId, refusal: &Fault) {
    if is_news(database, "refused", id) {
        let (place, code) = (database.place(), refusal.code());
        log::say(|| {
            tracing::error!(
                %id, place, code,
                "a rule of the database forbids changing the task: drop the rule, or repair the \
                 task"
            );
        });
    }
}

/// Whether this has not been reported before: every look at the table meets the same value again.
fn is_news(database: &Database, what: &'static str, whose: impl Display) -> bool {
    /// The number of remembered reports; beyond it, some are repeated.
    const MOST: usize = 10_000;
    static REPORTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if reported.len() >= MOST {
        reported.clear();
    }
    let (place, schema) = (database.place(), database.schema());
    reported.insert(format!("{place} {schema} {what} {whose}"))
}
