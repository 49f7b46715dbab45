//! A stored task without its payload, and the changes when an attempt ends.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::catalogue::Catalogue;
use super::error::Fault;
use super::unreadable::{self, Columns};
use super::{name, row, waiting};
use crate::backend::lifecycle::{Change, Facts, Rules, Wait, tombstone};
use crate::backend::record::bounded;
use crate::backend::{MAX_ERRORS, Settled, Standing};
use crate::task::{TaskId, TaskName, UniqueKey};
use crate::time::Timestamp;

/// Deletes the errors of a task.
pub(super) const REMOVE_ERRORS: &str = "DELETE FROM gae_tasks_error WHERE task = ?1";

/// A stored task without its payload.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) id: TaskId,
    pub(super) lane: i64,
    /// The facts. Where the task waits is stored in other tables, so `wait` is for a worker unless
    /// [`waited`](Self::waited) has set it.
    pub(super) facts: Facts,
    /// The number of errors ever recorded; only the last ones are still stored.
    errors: i64,
    name: Option<TaskName>,
    unique: Option<UniqueKey>,
    retry: Option<Vec<u8>>,
    /// Whether the whole row could be read; unreadable columns have the values of a new task.
    is_whole: bool,
}

/// Whether a task is stored, dead letters included.
pub(super) fn is_stored(connection: &Connection, id: TaskId) -> Result<bool, Fault> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM gae_tasks_task WHERE id = ?1")?;
    Ok(statement.exists(params![id.as_bytes()])?)
}

/// Returns the lane of a task; `None` if the task is not stored, or its lane cannot be read.
pub(super) fn lane_of(connection: &Connection, id: TaskId) -> Result<Option<i64>, Fault> {
    const LANE: &str = "SELECT lane FROM gae_tasks_task WHERE id = ?1";
    let mut statement = connection.prepare_cached(LANE)?;
    let lane = statement.query_row(params![id.as_bytes()], |row| Ok(row.get(0).ok())).optional()?;
    Ok(lane.flatten())
}

impl Task {
    pub(super) fn load(
        connection: &Connection,
        catalogue: &Catalogue,
        id: TaskId,
    ) -> Result<Option<Self>, Fault> {
        const LOAD: &str = "SELECT lane, schedule_time, attempts, lost_leases, errors, died, \
                            first_attempt, max_attempts, name, retry, created, lost_attempts, \
                            refusals FROM gae_tasks_task WHERE id = ?1";
        let mut statement = connection.prepare_cached(LOAD)?;
        let loaded = statement
            .query_row(params![id.as_bytes()], |row| Ok(Self::of(catalogue, id, row)))
            .optional()?;
        if loaded.as_ref().is_some_and(|task| !task.is_whole) {
            unreadable::part_of_task(
                connection,
                id,
                "a part of the task cannot be read, the value of a new task is used",
            );
        }
        Ok(loaded)
    }

    fn of(catalogue: &Catalogue, id: TaskId, row: &Row<'_>) -> Self {
        let columns = Columns::of(row);
        let lane = columns.get(0).unwrap_or_default();
        let time =
            |column| columns.get::<Option<i64>>(column).flatten().map(Timestamp::from_micros);
        let text = columns.get::<Option<String>>(8).flatten();
        let is_named = text.is_some();
        let unique = text.as_deref().and_then(UniqueKey::of_task);
        let name = text.and_then(|text| TaskName::new(text).ok());
        let (refusers, forced) = catalogue.exceptions(lane);
        let facts = Facts {
            created: time(10).unwrap_or_default(),
            wait: Wait::Worker(time(1).unwrap_or_default()),
            attempts: columns.get(2).unwrap_or_default(),
            first_attempt: time(6),
            lost_leases: columns.get(3).unwrap_or_default(),
            lost_attempts: columns.get(11).unwrap_or_default(),
            refusals: columns.get(12).unwrap_or_default(),
            refusers,
            forced,
            max_attempts: columns.get(7).flatten(),
            died: time(5),
        };
        Self {
            id,
            lane,
            facts,
            errors: columns.get(4).unwrap_or_default(),
            retry: columns.get(9).flatten(),
            is_whole: columns.is_whole() && is_named == (name.is_some() || unique.is_some()),
            name,
            unique,
        }
    }

    /// Sets how the task waited before it was leased.
    pub(super) const fn waited(&mut self, is_timed: bool, since: Option<Timestamp>) {
        self.facts.wait = Wait::of(is_timed, since, self.facts.wait.due());
    }

    /// Returns the limits on attempts; `None` if a newer version of this crate stored the task or
    /// its queue, or the configuration of the queue is damaged.
    pub(super) fn rules(&self, connection: &Connection, catalogue: &Catalogue) -> Option<Rules> {
        let queue = catalogue.config(self.lane).filter(|_| catalogue.is_readable(self.lane))?;
        Some(
            Rules::of(&queue, row::retry(connection, self.id, self.retry.as_deref()))
                .jittered(self.id),
        )
    }

    /// Returns the attributes; `None` if they cannot be read.
    pub(super) fn attributes(&self, connection: &Connection) -> Result<Option<Vec<u8>>, Fault> {
        const ATTRIBUTES: &str = "SELECT attributes FROM gae_tasks_task WHERE id = ?1";
        let mut statement = connection.prepare_cached(ATTRIBUTES)?;
        let read =
            statement.query_row(params![self.id.as_bytes()], |row| Ok(row.get(0).ok().flatten()));
        Ok(read.optional()?.flatten())
    }

    /// Applies a change to a leased task, whose lease the caller [ends](super::held::Held::end).
    pub(super) fn apply(
        mut self,
        connection: &Connection,
        catalogue: &mut Catalogue,
        change: Change<'_>,
        now: Timestamp,
    ) -> Result<Settled, Fault> {
        match change {
            Change::Over => return self.remove(connection, catalogue, now).map(|_| Settled::Done),
            Change::Back => self.put(connection)?,
            Change::To { facts, error } => {
                self.facts = facts;
                error.map_or(Ok(()), |error| self.keep_error(connection, &error, now))?;
                self.save(connection, catalogue)?;
            }
        }
        Ok(self.facts.died.map_or(Settled::Scheduled(self.facts.wait.due()), |_| Settled::Dead))
    }

    fn keep_error(
        &mut self,
        connection: &Connection,
        message: &str,
        at: Timestamp,
    ) -> Result<(), Fault> {
        const KEEP: &str = "INSERT OR REPLACE INTO gae_tasks_error (task, n, attempt, at, message) \
                            VALUES (?1, ?2, ?3, ?4, ?5)";
        self.errors += 1;
        connection.prepare_cached(KEEP)?.execute(params![
            self.id.as_bytes(),
            self.errors,
            self.facts.attempts,
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

    /// Stores the facts; the task waits, or is a dead letter, accordingly. Returns its lane, which
    /// may be another one than before.
    pub(super) fn save(
        &mut self,
        connection: &Connection,
        catalogue: &mut Catalogue,
    ) -> Result<i64, Fault> {
        const SAVE: &str = "UPDATE gae_tasks_task SET schedule_time = ?2, attempts = ?3, \
                            lost_leases = ?4, errors = ?5, died = ?6, first_attempt = ?7, \
                            lost_attempts = ?8, refusals = ?9, lane = ?10 WHERE id = ?1";
        self.lane = catalogue.lane_for(connection, self.lane, &self.facts)?;
        let Facts {
            wait, attempts, first_attempt, lost_leases, lost_attempts, refusals, died, ..
        } = self.facts;
        connection.prepare_cached(SAVE)?.execute(params![
            self.id.as_bytes(),
            wait.due().as_micros(),
            attempts,
            lost_leases,
            self.errors,
            died.map(Timestamp::as_micros),
            first_attempt.map(Timestamp::as_micros),
            lost_attempts,
            refusals,
            self.lane,
        ])?;
        if died.is_none() {
            self.put(connection)?;
        }
        Ok(self.lane)
    }

    /// Makes the task wait.
    fn put(&self, connection: &Connection) -> Result<(), Fault> {
        waiting::put(connection, self.id, self.lane, self.facts.standing(), self.facts.wait)
    }

    /// Deletes the task in any state; its name is blocked from `now` on for as long as its queue
    /// says. If the task waited, returns its lane and standing, which the caller must
    /// [refresh](super::ready::refresh). If the task is leased, the caller must
    /// [end](super::held::Held::end_of) its lease.
    pub(super) fn remove(
        self,
        connection: &Connection,
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Result<Option<(i64, Standing)>, Fault> {
        let (lane, standing) = (self.lane, self.facts.standing());
        let id = params![self.id.as_bytes()];
        connection.prepare_cached("DELETE FROM gae_tasks_task WHERE id = ?1")?.execute(id)?;
        let waited = waiting::take(connection, self.id, lane, standing, self.facts.wait.due())?;
        if self.errors > 0 {
            connection.prepare_cached(REMOVE_ERRORS)?.execute(id)?;
        }
        let until = tombstone(catalogue.config(self.lane).as_ref(), now);
        match (&self.name, self.unique, catalogue.lane(lane)) {
            (Some(name), _, Some(lane)) => {
                name::bury(connection, &lane.queue, name.as_str(), self.id, until)?
            }
            (None, Some(key), Some(lane)) => {
                name::free(connection, &lane.queue, key, self.id, until)?
            }
            (None, None, _) if self.is_whole => {}
            _ => name::bury_of(connection, self.id, until)?,
        }
        Ok(waited.then_some((lane, standing)))
    }
}
