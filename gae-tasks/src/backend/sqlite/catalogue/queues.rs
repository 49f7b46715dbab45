//! The queues in memory: created, configured, paused and removed here, by this process.

use rusqlite::{Connection, params};

use super::{Catalogue, PUT_QUEUE, Queue, queue_changes};
use crate::backend::sqlite::error::Fault;
use crate::backend::sqlite::queue_row::encoded;
use crate::queue::{QueueConfig, QueueName, RetryConfig};
use crate::version::Unread;

impl Catalogue {
    /// Creates a queue if it is missing.
    pub(in crate::backend::sqlite) fn ensure_queue(
        &mut self,
        connection: &Connection,
        name: &QueueName,
    ) -> Result<(), Fault> {
        if self.queues.contains_key(name) {
            return Ok(());
        }
        self.write_queue(connection, name, QueueConfig::new(), false)
    }

    /// Changes the configuration of a queue, creating the queue if it is missing.
    ///
    /// # Errors
    /// Besides faults, the inner error: why the stored configuration cannot be read. A damaged one
    /// is replaced if `mends`.
    pub(in crate::backend::sqlite) fn configure(
        &mut self,
        connection: &Connection,
        name: &QueueName,
        mends: bool,
        change: impl FnOnce(QueueConfig) -> QueueConfig,
    ) -> Result<Result<(), Unread>, Fault> {
        let queue = self.queues.get(name);
        let stored = match queue.map(|queue| &queue.config) {
            None => QueueConfig::new(),
            Some(Ok(config)) => config.clone(),
            Some(Err(Unread::Damaged)) if mends => QueueConfig::new(),
            Some(Err(unread)) => return Ok(Err(*unread)),
        };
        let paused = queue.is_some_and(|queue| queue.paused);
        self.write_queue(connection, name, change(stored), paused).map(Ok)
    }

    /// Pauses or resumes a queue; returns whether the queue exists.
    pub(in crate::backend::sqlite) fn pause(
        &mut self,
        connection: &Connection,
        name: &QueueName,
        paused: bool,
    ) -> Result<bool, Fault> {
        let Some(queue) = self.queues.get_mut(name) else { return Ok(false) };
        // Only the pause is changed: a configuration that cannot be read, e.g. of a newer version,
        // is kept.
        connection
            .prepare_cached("UPDATE gae_tasks_queue SET paused = ?2 WHERE name = ?1")?
            .execute(params![name.as_str(), paused])?;
        queue.paused = paused;
        self.changed(connection)?;
        Ok(true)
    }

    /// Whether a queue bounds how many of its tasks run at a time.
    pub(in crate::backend::sqlite) fn is_bounded(&self, name: &QueueName) -> bool {
        let limits = self.queues.get(name).and_then(Queue::limits);
        limits.is_some_and(|limits| limits.concurrent().is_some())
    }

    /// Returns why the configuration of a queue cannot be read, if it cannot.
    pub(in crate::backend::sqlite) fn unread(&self, name: &QueueName) -> Option<Unread> {
        self.queues.get(name)?.config.as_ref().err().copied()
    }

    /// Removes a queue. Its lanes stay, because other processes know them by their numbers.
    pub(in crate::backend::sqlite) fn remove_queue(
        &mut self,
        connection: &Connection,
        name: &QueueName,
    ) -> Result<(), Fault> {
        connection
            .prepare_cached("DELETE FROM gae_tasks_queue WHERE name = ?1")?
            .execute(params![name.as_str()])?;
        self.queues.remove(name);
        self.recent = None;
        self.changed(connection)
    }

    fn write_queue(
        &mut self,
        connection: &Connection,
        name: &QueueName,
        config: QueueConfig,
        paused: bool,
    ) -> Result<(), Fault> {
        connection.prepare_cached(PUT_QUEUE)?.execute(params![
            name.as_str(),
            encoded(&config)?,
            paused
        ])?;
        self.queues.insert(name.clone(), Queue { config: Ok(config), paused });
        self.changed(connection)
    }

    /// Records that this program has changed a queue.
    fn changed(&mut self, connection: &Connection) -> Result<(), Fault> {
        self.queue_changes = Some(queue_changes(connection)?);
        self.runnable.clear();
        Ok(())
    }

    /// Returns the configuration of a lane's queue; `None` if this program cannot read it.
    pub(in crate::backend::sqlite) fn config(&self, lane: i64) -> Option<QueueConfig> {
        match self.queues.get(&self.lane(lane)?.queue) {
            Some(queue) => queue.config.clone().ok(),
            None => Some(QueueConfig::new()),
        }
    }

    /// Returns how a queue retries failed tasks, if its configuration says and this program can
    /// read it.
    pub(in crate::backend::sqlite) fn retry_of(&self, queue: &QueueName) -> Option<RetryConfig> {
        self.queues.get(queue)?.config.as_ref().ok()?.own_retry().cloned()
    }
}
