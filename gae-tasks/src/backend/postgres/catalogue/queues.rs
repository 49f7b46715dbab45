//! The queues that a process knows, as of a count of changes.

use std::collections::HashMap;

use sqlx::{PgConnection, Row};

use crate::backend::postgres::database::Database;
use crate::backend::postgres::error::Fault;
use crate::queue::{QueueConfig, QueueName, RateLimits};
use crate::version::{self, Unread};

/// The queues as they were read last.
#[derive(Debug, Default)]
pub(super) struct Queues {
    queues: HashMap<QueueName, Queue>,
    /// The count of changes at the time; `None` before the first, and while it is not certain that
    /// the queues are still stored.
    changes: Option<i64>,
}

#[derive(Debug)]
struct Queue {
    config: Result<QueueConfig, Unread>,
    paused: bool,
}

impl Queues {
    /// Reads all queues.
    pub(super) async fn read(
        database: &Database,
        connection: &mut PgConnection,
    ) -> Result<Self, Fault> {
        // One statement, so that the count is that of these queues.
        const READ: &str = "SELECT v.queue_changes, q.name, q.config, q.paused FROM \
                            gae_tasks.version v LEFT JOIN gae_tasks.queue q ON true";
        let rows = database.query(READ).fetch_all(connection).await?;
        let mut read = Self::default();
        for row in &rows {
            read.changes = Some(row.try_get(0)?);
            let name = row.try_get::<Option<String>, _>(1)?;
            if let Some(name) = name.and_then(|name| QueueName::new(name).ok()) {
                let config = version::decode(row.try_get(2)?);
                read.queues.insert(name, Queue { config, paused: row.try_get(3)? });
            }
        }
        Ok(read)
    }

    /// Whether these are the queues after this many changes.
    pub(super) fn is_of(&self, changes: i64) -> bool {
        self.changes == Some(changes)
    }

    /// Has the queues read again before anybody relies on their rows.
    pub(super) fn doubt(&mut self) {
        self.changes = None;
    }

    /// Whether the queue has a row.
    pub(super) fn has(&self, queue: &QueueName) -> bool {
        self.changes.is_some() && self.queues.contains_key(queue)
    }

    pub(super) fn config(&self, queue: &QueueName) -> Result<QueueConfig, Unread> {
        self.queues.get(queue).map_or(Ok(QueueConfig::new()), |queue| queue.config.clone())
    }

    /// Returns the limits of a queue; `None` if none applies, or if nobody can read them here: the
    /// queue [waits](Self::waits) then.
    pub(super) fn limits(&self, queue: &QueueName) -> Option<RateLimits> {
        let config = self.queues.get(queue)?.config.as_ref().ok()?;
        Some(config.limits()).filter(RateLimits::limits)
    }

    /// Whether tasks of the queue wait: its configuration cannot be read, or it is paused and they
    /// were not `forced` to be due.
    pub(super) fn waits(&self, queue: &QueueName, forced: bool) -> bool {
        let waits = |queue: &Queue| queue.config.is_err() || queue.paused && !forced;
        self.queues.get(queue).is_some_and(waits)
    }
}
