//! Acting on tasks and queues by hand.

use rusqlite::{Connection, params};

use super::call::Request;
use super::connection::Durability;
use super::error::Fault;
use super::task::Task;
use super::waiting;
use super::writer::{Store, moment};
use crate::backend::record::error_text;
use crate::backend::{Purge, Touch};
use crate::error::Error;
use crate::queue::{QueueConfig, QueueName};
use crate::task::TaskId;
use crate::time::Timestamp;

pub(super) struct Delete(pub(super) Touch);

impl Request for Delete {
    type Answer = bool;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, store: &mut Store) -> Result<bool, Fault> {
        let Some(task) = Task::load(&store.connection, self.0.id)? else { return Ok(false) };
        task.remove(&store.connection, &store.catalogue, moment(self.0.now).plus(self.0.tombstones))?;
        Ok(true)
    }
}

pub(super) struct RunNow(pub(super) Touch);

impl Request for RunNow {
    type Answer = Result<(), Error>;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, store: &mut Store) -> Result<Self::Answer, Fault> {
        let connection = &store.connection;
        let Some(task) = Task::load(connection, self.0.id)? else { return refused(self.0.id, error_text::NOT_STORED) };
        if task.died.is_some() {
            return refused(task.id, error_text::DEAD);
        }
        if !waiting::take(connection, task.id, task.lane, task.standing(), task.schedule_time)? {
            return refused(task.id, error_text::RUNNING);
        }
        let due = task.schedule_time.min(moment(self.0.now));
        task.wait(connection, due).map(Ok)
    }

    fn wakes(answer: &Self::Answer) -> bool {
        answer.is_ok()
    }
}

pub(super) struct Replay(pub(super) Touch);

impl Request for Replay {
    type Answer = Result<(), Error>;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, store: &mut Store) -> Result<Self::Answer, Fault> {
        let connection = &store.connection;
        let Some(mut task) = Task::load(connection, self.0.id)? else {
            return refused(self.0.id, error_text::NOT_STORED);
        };
        if task.died.is_none() {
            return refused(task.id, error_text::NOT_DEAD);
        }
        (task.died, task.attempts, task.lost_leases, task.first_attempt) = (None, 0, 0, None);
        task.wait(connection, moment(self.0.now)).map(Ok)
    }

    fn wakes(answer: &Self::Answer) -> bool {
        answer.is_ok()
    }
}

fn refused(id: TaskId, problem: &'static str) -> Result<Result<(), Error>, Fault> {
    Ok(Err(Error::NoSuchTask { id, problem }))
}

pub(super) struct PutQueue(pub(super) QueueName, pub(super) QueueConfig);

impl Request for PutQueue {
    type Answer = ();
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, store: &mut Store) -> Result<(), Fault> {
        store.catalogue.configure(&store.connection, &self.0, self.1.clone())
    }
}

pub(super) struct SetPaused(pub(super) QueueName, pub(super) bool);

impl Request for SetPaused {
    /// Whether the queue goes on.
    type Answer = bool;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, store: &mut Store) -> Result<bool, Fault> {
        store.catalogue.pause(&store.connection, &self.0, self.1)?;
        Ok(!self.1)
    }

    fn wakes(goes_on: &bool) -> bool {
        *goes_on
    }
}

pub(super) struct PurgeQueue(pub(super) QueueName, pub(super) Purge);

impl Request for PurgeQueue {
    type Answer = u64;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, store: &mut Store) -> Result<u64, Fault> {
        let until = moment(self.1.now).plus(self.1.tombstones);
        let lanes = store.catalogue.lanes().filter(|lane| lane.queue == self.0);
        lanes.map(|lane| purge_lane(&store.connection, lane.id, &self.0, until)).sum()
    }
}

/// The tasks of a lane that are not dead.
macro_rules! open_tasks {
    () => {
        "SELECT task FROM gae_tasks_waiting WHERE lane = ?1 UNION ALL SELECT e.task FROM gae_tasks_lease e \
         CROSS JOIN gae_tasks_task t ON t.id = e.task WHERE t.lane = ?1"
    };
}

pub(super) const NAMES: &str = concat!(
    "UPDATE gae_tasks_name SET until = ?2 WHERE queue = ?3 AND until IS NULL AND task IN (",
    open_tasks!(),
    ")"
);
pub(super) const ERRORS: &str = concat!("DELETE FROM gae_tasks_error WHERE task IN (", open_tasks!(), ")");
pub(super) const TASKS: &str = concat!("DELETE FROM gae_tasks_task WHERE id IN (", open_tasks!(), ")");

/// Deletes the tasks of a lane, set by set: a queue may have a million of them.
fn purge_lane(connection: &Connection, lane: i64, queue: &QueueName, until: Timestamp) -> Result<u64, Fault> {
    const LEASES: &str = "DELETE FROM gae_tasks_lease WHERE NOT EXISTS (SELECT 1 FROM gae_tasks_task WHERE id = task)";
    const WAITING: &str = "DELETE FROM gae_tasks_waiting WHERE lane = ?1";
    connection.prepare_cached(NAMES)?.execute(params![lane, until.as_micros(), queue.as_str()])?;
    connection.prepare_cached(ERRORS)?.execute(params![lane])?;
    let deleted = connection.prepare_cached(TASKS)?.execute(params![lane])?;
    connection.prepare_cached(LEASES)?.execute([])?;
    connection.prepare_cached(WAITING)?.execute(params![lane])?;
    Ok(deleted as u64)
}
