//! Actions on tasks and queues by hand.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::call::Request;
use super::catalogue::Catalogue;
use super::connection::Durability;
use super::database::{Database, moment};
use super::error::Fault;
use super::held::{self, Held};
use super::limits;
use super::ready;
use super::row::task_id;
use super::task::Task;
use super::waiting;
use crate::backend::lifecycle::{self, Facts};
use crate::backend::record::error_text;
use crate::backend::{Purged, TaskRequest};
use crate::error::Error;
use crate::queue::{QueueConfig, QueueName};
use crate::retention::Retention;
use crate::task::TaskId;
use crate::time::Now;

pub(super) struct Delete(pub(super) TaskRequest);

impl Request for Delete {
    type Output = bool;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, database: &mut Database) -> Result<bool, Fault> {
        let Database { connection, catalogue, has_opened, .. } = database;
        let Some(task) = Task::load(connection, catalogue, self.0.id)? else { return Ok(false) };
        let (id, is_dead) = (task.id, task.facts.died.is_some());
        match task.remove(connection, catalogue, moment(self.0.now))? {
            Some((lane, standing)) => ready::refresh(connection, lane, standing)?,
            None if is_dead => {}
            None => {
                let mut held = Held::new(connection);
                held.end_of(id)?;
                *has_opened |= held.write()?;
            }
        }
        Ok(true)
    }
}

pub(super) struct RunNow(pub(super) TaskRequest);

impl Request for RunNow {
    type Output = Result<(), Error>;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, database: &mut Database) -> Result<Self::Output, Fault> {
        let Database { connection, catalogue, .. } = database;
        let Some(task) = Task::load(connection, catalogue, self.0.id)? else {
            return refused(self.0.id, error_text::NOT_STORED);
        };
        // A dead letter does not wait either; for it, the lifecycle ignores `is_leased`.
        let is_leased = !waiting::take(
            connection,
            task.id,
            task.lane,
            task.facts.standing(),
            task.facts.wait.due(),
        )?;
        let run_now = |facts| lifecycle::run_now(facts, is_leased, moment(self.0.now));
        change(connection, catalogue, task, run_now)
    }

    fn wakes(answer: &Self::Output) -> bool {
        answer.is_ok()
    }
}

pub(super) struct Replay(pub(super) TaskRequest);

impl Request for Replay {
    type Output = Result<(), Error>;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, database: &mut Database) -> Result<Self::Output, Fault> {
        let Database { connection, catalogue, .. } = database;
        let Some(task) = Task::load(connection, catalogue, self.0.id)? else {
            return refused(self.0.id, error_text::NOT_STORED);
        };
        change(connection, catalogue, task, |facts| lifecycle::replay(facts, moment(self.0.now)))
    }

    fn wakes(answer: &Self::Output) -> bool {
        answer.is_ok()
    }
}

/// Replaces the facts of a waiting task, unless the change is refused.
fn change(
    connection: &Connection,
    catalogue: &mut Catalogue,
    mut task: Task,
    change: impl FnOnce(Facts) -> Result<Facts, &'static str>,
) -> Result<Result<(), Error>, Fault> {
    match change(task.facts) {
        Ok(facts) => {
            let (before, standing) = (task.lane, task.facts.standing());
            task.facts = facts;
            if task.save(connection, catalogue)? != before {
                // The lane that the task has left may have no other.
                ready::refresh(connection, before, standing)?;
            }
            Ok(Ok(()))
        }
        Err(problem) => refused(task.id, problem),
    }
}

fn refused(id: TaskId, problem: &'static str) -> Result<Result<(), Error>, Fault> {
    Ok(Err(Error::NoSuchTask { id, problem }))
}

pub(super) struct PutQueue(pub(super) QueueName, pub(super) QueueConfig);

impl Request for PutQueue {
    type Output = Result<(), Error>;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, database: &mut Database) -> Result<Self::Output, Fault> {
        let Self(queue, config) = self;
        configure(database, queue, |stored| stored.merged(config.clone()))
    }

    fn wakes(answer: &Self::Output) -> bool {
        // Tasks of a queue whose configuration was damaged can run again, and limits may be higher.
        answer.is_ok()
    }
}

pub(super) struct ReplaceConfig(pub(super) QueueName, pub(super) QueueConfig);

impl Request for ReplaceConfig {
    type Output = Result<(), Error>;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, database: &mut Database) -> Result<Self::Output, Fault> {
        let Self(queue, config) = self;
        configure(database, queue, |stored| stored.replaced(config.clone()))
    }

    fn wakes(answer: &Self::Output) -> bool {
        // Tasks that a limit has held back may be due.
        answer.is_ok()
    }
}

/// Changes the configuration of a queue by hand: a damaged one is replaced.
fn configure(
    database: &mut Database,
    queue: &QueueName,
    change: impl FnOnce(QueueConfig) -> QueueConfig,
) -> Result<Result<(), Error>, Fault> {
    let Database { connection, catalogue, .. } = database;
    let done = catalogue.configure(connection, queue, true, change)?;
    if done.is_ok() && catalogue.is_bounded(queue) {
        limits::count_earlier(connection, catalogue, queue)?;
    }
    Ok(done.map_err(|_| Error::NewerQueue { queue: queue.to_string() }))
}

pub(super) struct RaiseRetention(pub(super) QueueName, pub(super) Retention);

impl Request for RaiseRetention {
    type Output = ();
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, database: &mut Database) -> Result<(), Fault> {
        let Self(queue, stated) = self;
        // A queue whose configuration cannot be read keeps it.
        _ = database
            .catalogue
            .configure(&database.connection, queue, false, |stored| stored.raised(*stated))?;
        Ok(())
    }
}

pub(super) struct SetPaused(pub(super) QueueName, pub(super) bool);

impl Request for SetPaused {
    /// Whether the queue is resumed.
    type Output = Result<bool, Error>;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, database: &mut Database) -> Result<Self::Output, Fault> {
        let Self(queue, paused) = self;
        let is_there = database.catalogue.pause(&database.connection, queue, *paused)?;
        Ok(if is_there {
            Ok(!*paused)
        } else {
            Err(Error::NoSuchQueue { queue: queue.to_string() })
        })
    }

    fn wakes(answer: &Self::Output) -> bool {
        matches!(answer, Ok(true))
    }
}

/// Returns the tasks of a queue that are not dead, as a purge finds them when it begins.
pub(super) fn open_tasks(connection: &Connection, queue: &QueueName) -> Result<Vec<TaskId>, Fault> {
    let mut waiting = connection.prepare_cached(WAITING)?;
    let ids = waiting.query_map(params![queue.as_str()], |row| Ok(task_id(row, 0).ok()))?;
    let mut ids: Vec<_> = ids.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    ids.extend(leased_tasks(connection, queue)?);
    Ok(ids)
}

/// Returns the leased tasks of a queue.
fn leased_tasks(connection: &Connection, queue: &QueueName) -> Result<Vec<TaskId>, Fault> {
    let mut is_of_queue = connection.prepare_cached(IS_OF_QUEUE)?;
    let mut ids = Vec::new();
    for (held, _) in held::leases(connection)? {
        if is_of_queue.exists(params![held.lease.id.as_bytes(), queue.as_str()])? {
            ids.push(held.lease.id);
        }
    }
    Ok(ids)
}

pub(super) const WAITING: &str = "SELECT w.task FROM gae_tasks_lane l CROSS JOIN gae_tasks_waiting \
                                  w ON w.lane = l.id WHERE l.queue = ?1";

pub(super) const IS_OF_QUEUE: &str = "SELECT 1 FROM gae_tasks_task t CROSS JOIN gae_tasks_lane l \
                                      ON l.id = t.lane WHERE t.id = ?1 AND l.queue = ?2";

/// The limits of one slice of a purge.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    /// The time before the commit; others wait for both.
    pub(super) time: Duration,
    /// The number of tasks: the commit writes the pages of all of them.
    pub(super) tasks: usize,
}

/// Limits that make others wait at most 50 ms.
pub(super) const SLICE: Most = Most { time: Duration::from_millis(20), tasks: 2_000 };

/// Deletes some of the tasks that a purge has found, so that others have their turn before the next
/// slice.
pub(super) struct PurgeSlice {
    pub(super) now: Now,
    pub(super) ids: Arc<[TaskId]>,
    /// Whether tasks that have become dead letters are deleted too.
    pub(super) with_dead: bool,
    /// How many of the tasks the earlier slices have handled.
    pub(super) done: usize,
    pub(super) most: Most,
}

/// The progress of a slice.
pub(super) struct Sliced {
    pub(super) done: usize,
    pub(super) purged: Purged,
}

impl Request for PurgeSlice {
    type Output = Sliced;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, database: &mut Database) -> Result<Sliced, Fault> {
        let Database { connection, catalogue, has_opened, .. } = database;
        let (now, begun) = (moment(self.now), Instant::now());
        let mut slice = Sliced { done: self.done, purged: Purged::new(0, 0) };
        let (mut lanes, mut held) = (BTreeSet::new(), Held::new(connection));
        for id in self.ids.iter().skip(self.done).take(self.most.tasks) {
            // At least one task per slice, however slow the disk is.
            if slice.done > self.done && begun.elapsed() > self.most.time {
                break;
            }
            slice.done += 1;
            let is_meant = |task: &Task| self.with_dead || task.facts.died.is_none();
            let Some(task) = Task::load(connection, catalogue, *id)?.filter(is_meant) else {
                continue;
            };
            if catalogue.is_readable(task.lane) {
                let waited = task.remove(connection, catalogue, now)?;
                if waited.is_none() {
                    held.end_of(*id)?;
                }
                lanes.extend(waited);
                slice.purged.deleted += 1;
            } else {
                slice.purged.left += 1;
            }
        }
        *has_opened |= held.write()?;
        lanes
            .into_iter()
            .try_for_each(|(lane, standing)| ready::refresh(connection, lane, standing))?;
        Ok(slice)
    }
}
