//! A stored task without its payload: what happens to it when an attempt ends.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::Fault;
use super::lane::Catalogue;
use super::unreadable::{self, Columns};
use super::waiting::{self, Wait};
use super::{name, row};
use crate::backend::record::bounded;
use crate::backend::{MAX_ERRORS, Standing};
use crate::queue::{QueueConfig, RetryConfig};
use crate::task::{TaskId, TaskName};
use crate::time::Timestamp;

/// How long a name is blocked if its queue cannot be read.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The facts of a stored task that decide what becomes of it.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) id: TaskId,
    pub(super) lane: i64,
    pub(super) created: Timestamp,
    pub(super) schedule_time: Timestamp,
    pub(super) attempts: u32,
    pub(super) lost_leases: u32,
    pub(super) lost_attempts: u32,
    /// How many errors were ever kept; only the last of them still are.
    errors: i64,
    pub(super) died: Option<Timestamp>,
    pub(super) first_attempt: Option<Timestamp>,
    pub(super) max_attempts: Option<u32>,
    name: Option<TaskName>,
    retry: Option<Vec<u8>>,
    /// Whether all of its row could be read; if not, it has what a new task has in the place.
    is_whole: bool,
}

impl Task {
    pub(super) fn load(connection: &Connection, id: TaskId) -> Result<Option<Self>, Fault> {
        const LOAD: &str = "SELECT lane, schedule_time, attempts, lost_leases, errors, died, first_attempt, \
                            max_attempts, name, retry, created, lost_attempts FROM gae_tasks_task WHERE id = ?1";
        let mut statement = connection.prepare_cached(LOAD)?;
        let loaded = statement.query_row(params![id.as_bytes()], |row| Ok(Self::of(id, row))).optional()?;
        if loaded.as_ref().is_some_and(|task| !task.is_whole) {
            unreadable::part_of_task(connection, id, "a part of the task cannot be read, it is as that of a new one");
        }
        Ok(loaded)
    }

    fn of(id: TaskId, row: &Row<'_>) -> Self {
        let columns = Columns::of(row);
        let time = |column| columns.get::<Option<i64>>(column).flatten().map(Timestamp::from_micros);
        let text = columns.get::<Option<String>>(8).flatten();
        let is_named = text.is_some();
        let name = text.and_then(|text| TaskName::new(text).ok());
        Self {
            id,
            lane: columns.get(0).unwrap_or_default(),
            created: time(10).unwrap_or_default(),
            schedule_time: time(1).unwrap_or_default(),
            attempts: columns.get(2).unwrap_or_default(),
            lost_leases: columns.get(3).unwrap_or_default(),
            lost_attempts: columns.get(11).unwrap_or_default(),
            errors: columns.get(4).unwrap_or_default(),
            died: time(5),
            first_attempt: time(6),
            max_attempts: columns.get(7).flatten(),
            retry: columns.get(9).flatten(),
            is_whole: columns.is_whole() && is_named == name.is_some(),
            name,
        }
    }

    pub(super) const fn standing(&self) -> Standing {
        Standing::of(self.lost_leases)
    }

    /// Its own retry settings, or its queue's.
    pub(super) fn retry(&self, connection: &Connection, queue: &QueueConfig) -> RetryConfig {
        row::retry(connection, self.id, self.retry.as_deref()).unwrap_or_else(|| queue.retry().clone())
    }

    /// Its attributes; none, if they cannot be read.
    pub(super) fn attributes(&self, connection: &Connection) -> Result<Option<Vec<u8>>, Fault> {
        const ATTRIBUTES: &str = "SELECT attributes FROM gae_tasks_task WHERE id = ?1";
        let mut statement = connection.prepare_cached(ATTRIBUTES)?;
        let read = statement.query_row(params![self.id.as_bytes()], |row| Ok(row.get(0).ok().flatten()));
        Ok(read.optional()?.flatten())
    }

    pub(super) fn count_attempt(&mut self, started: Timestamp) {
        self.attempts = self.attempts.saturating_add(1);
        self.first_attempt.get_or_insert(started);
    }

    pub(super) fn keep_error(&mut self, connection: &Connection, message: &str, at: Timestamp) -> Result<(), Fault> {
        const KEEP: &str =
            "INSERT OR REPLACE INTO gae_tasks_error (task, n, attempt, at, message) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.errors += 1;
        connection.prepare_cached(KEEP)?.execute(params![
            self.id.as_bytes(),
            self.errors,
            self.attempts,
            at.as_micros(),
            bounded(message.to_owned())
        ])?;
        let over = self.errors - i64::try_from(MAX_ERRORS).unwrap_or(i64::MAX);
        if over > 0 {
            connection
                .prepare_cached("DELETE FROM gae_tasks_error WHERE task = ?1 AND n <= ?2")?
                .execute(params![self.id.as_bytes(), over])?;
        }
        Ok(())
    }

    /// Forgets the leases it has lost: a task that answers does not kill its worker.
    pub(super) fn clear(&mut self) {
        (self.lost_leases, self.lost_attempts) = (0, 0);
    }

    /// Makes it a dead letter.
    pub(super) fn die(mut self, connection: &Connection, now: Timestamp) -> Result<(), Fault> {
        self.died = Some(now);
        self.save(connection)
    }

    /// Lets it wait, with its changed facts.
    pub(super) fn wait(mut self, connection: &Connection, wait: Wait) -> Result<(), Fault> {
        self.schedule_time = wait.due();
        self.save(connection)?;
        waiting::put(connection, self.id, self.lane, self.standing(), wait)
    }

    /// Lets it wait as it did before, with no facts changed.
    pub(super) fn give_back(&self, connection: &Connection, wait: Wait) -> Result<(), Fault> {
        waiting::put(connection, self.id, self.lane, self.standing(), wait)
    }

    fn save(&self, connection: &Connection) -> Result<(), Fault> {
        const SAVE: &str = "UPDATE gae_tasks_task SET schedule_time = ?2, attempts = ?3, lost_leases = ?4, \
                            errors = ?5, died = ?6, first_attempt = ?7, lost_attempts = ?8 WHERE id = ?1";
        connection.prepare_cached(SAVE)?.execute(params![
            self.id.as_bytes(),
            self.schedule_time.as_micros(),
            self.attempts,
            self.lost_leases,
            self.errors,
            self.died.map(Timestamp::as_micros),
            self.first_attempt.map(Timestamp::as_micros),
            self.lost_attempts,
        ])?;
        Ok(())
    }

    /// Deletes it, wherever it stands; its name is blocked from `now` on for as long as its queue says.
    pub(super) fn remove(self, connection: &Connection, catalogue: &Catalogue, now: Timestamp) -> Result<(), Fault> {
        let id = params![self.id.as_bytes()];
        connection.prepare_cached("DELETE FROM gae_tasks_task WHERE id = ?1")?.execute(id)?;
        connection.prepare_cached("DELETE FROM gae_tasks_lease WHERE task = ?1")?.execute(id)?;
        waiting::take(connection, self.id, self.lane, self.standing(), self.schedule_time)?;
        if self.errors > 0 {
            connection.prepare_cached("DELETE FROM gae_tasks_error WHERE task = ?1")?.execute(id)?;
        }
        // Where the queue's own words cannot be read, the name is blocked for longer than most would have said.
        let config = catalogue.config(self.lane);
        let until = now.plus(config.map_or(LONGEST, |config| config.tombstone_retention()));
        match (&self.name, catalogue.lane(self.lane)) {
            (Some(name), Some(lane)) => name::bury(connection, &lane.queue, name.as_str(), self.id, until),
            (None, _) if self.is_whole => Ok(()),
            _ => name::bury_of(connection, self.id, until),
        }
    }
}
