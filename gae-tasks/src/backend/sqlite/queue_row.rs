//! Rows of queues: their names, configurations and pauses.

use rusqlite::{Connection, Row};

use super::error::Fault;
use super::unreadable::{self, Columns};
use crate::backend::QueueRecord;
use crate::queue::{QueueConfig, QueueName};
use crate::version::{self, Unread};

/// Returns the queue whose name, configuration and pause are in `row`.
pub(super) fn queue_record(connection: &Connection, row: &Row<'_>) -> Option<QueueRecord> {
    let (name, config, paused) = queue(connection, row)?;
    Some(QueueRecord { paused, ..QueueRecord::new(name, config.ok()) })
}

/// Reads a queue from `row`; a row without a readable name is skipped.
pub(super) fn queue(
    connection: &Connection,
    row: &Row<'_>,
) -> Option<(QueueName, Result<QueueConfig, Unread>, bool)> {
    let Some(name) = row.get(0).ok().and_then(|name: String| QueueName::new(name).ok()) else {
        unreadable::row(connection, "gae_tasks_queue", "without a name");
        return None;
    };
    let columns = Columns::of(row);
    let (bytes, paused): (Option<Vec<u8>>, Option<bool>) = (columns.get(1), columns.get(2));
    let config = bytes.map_or(Err(Unread::Damaged), |bytes| version::decode(&bytes));
    if let Err(unread) = config {
        unreadable::queue(connection, name.as_str(), unread);
    }
    // If the pause of a queue cannot be read, its tasks wait.
    Some((name, config, paused.unwrap_or(true)))
}

/// Returns a configuration in its stored form.
pub(super) fn encoded<T: serde::Serialize>(config: &T) -> Result<Vec<u8>, Fault> {
    version::encode(config).ok_or_else(|| Fault::unreadable("a configuration"))
}
