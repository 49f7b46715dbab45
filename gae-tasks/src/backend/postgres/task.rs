//! Rows of tasks: what is stored of a task, and how its columns are read.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::catalogue::Catalogue;
use super::error::Fault;
use super::lane::Lane;
use crate::backend::lifecycle::{Facts, Rules, Wait};
use crate::backend::record::bounded;
use crate::backend::refusers::Refusers;
use crate::backend::{MAX_ERRORS, TaskError};
use crate::task::{TaskId, TaskName, TaskSpec, UniqueKey};
use crate::time::Timestamp;
use crate::version;

/// The columns of [`Task::read`], of the table `t`; all but the payload.
macro_rules! task_columns {
    () => {
        "t.id, t.lane, t.created, t.schedule_time, t.since, t.attempts, t.lost_leases, \
         t.lost_attempts, t.refusals, t.died, t.first_attempt, t.max_attempts, t.deadline, \
         t.timed, t.name, t.retry, t.attributes, t.errors"
    };
}
pub(super) use task_columns;

/// How many columns [`task_columns`] has.
pub(super) const TASK_COLUMNS: usize = 18;

/// A stored task without its payload.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) id: TaskId,
    pub(super) lane: i64,
    /// The facts, but for those that the [lane](Self::lane) has: the refusers, and whether made
    /// due by hand.
    pub(super) facts: Facts,
    pub(super) deadline: Option<Duration>,
    pub(super) name: Option<TaskName>,
    pub(super) unique: Option<UniqueKey>,
    pub(super) retry: Option<Vec<u8>>,
    pub(super) attributes: Option<Vec<u8>>,
    pub(super) errors: Vec<TaskError>,
}

impl Task {
    /// Reads a task from the [`task_columns`], which begin at `first`.
    pub(super) fn read(row: &PgRow, first: usize) -> Result<Self, sqlx::Error> {
        let number = |column| {
            let number = row.try_get::<Option<i64>, _>(first + column)?;
            Ok::<_, sqlx::Error>(number.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
        };
        let time = |column| {
            let micros = row.try_get::<Option<i64>, _>(first + column)?;
            Ok::<_, sqlx::Error>(micros.map(Timestamp::from_micros))
        };
        let is_timed = row.try_get::<Option<bool>, _>(first + 13)?.unwrap_or_default();
        let facts = Facts {
            created: time(2)?.unwrap_or_default(),
            wait: Wait::of(is_timed, time(4)?, time(3)?.unwrap_or_default()),
            attempts: number(5)?.unwrap_or_default(),
            first_attempt: time(10)?,
            lost_leases: number(6)?.unwrap_or_default(),
            lost_attempts: number(7)?.unwrap_or_default(),
            refusals: number(8)?.unwrap_or_default(),
            refusers: Refusers::NONE,
            forced: false,
            max_attempts: number(11)?,
            died: time(9)?,
        };
        let name = row.try_get::<Option<String>, _>(first + 14)?;
        let errors = row.try_get::<Option<&[u8]>, _>(first + 17)?;
        Ok(Self {
            id: id(row.try_get(first)?),
            lane: row.try_get(first + 1)?,
            facts,
            deadline: row.try_get::<Option<i64>, _>(first + 12)?.map(deadline),
            unique: name.as_deref().and_then(UniqueKey::of_task),
            name: name.and_then(|name| TaskName::new(name).ok()),
            retry: row.try_get(first + 15)?,
            attributes: row.try_get(first + 16)?,
            errors: errors.map(read_errors).unwrap_or_default(),
        })
    }

    /// Returns the facts, with those that the lane has.
    pub(super) fn facts_in(&self, lane: &Lane) -> Facts {
        Facts { refusers: lane.key.refusers, forced: lane.key.forced, ..self.facts }
    }

    /// Returns the fields of the task as it was deferred.
    pub(super) fn spec(&self, lane: &Lane) -> TaskSpec {
        let route = &lane.key.route;
        TaskSpec {
            name: self.name.clone(),
            unique: self.unique,
            max_attempts: self.facts.max_attempts,
            retry: self.retry.as_deref().and_then(|retry| version::decode(retry).ok()),
            deadline: self.deadline,
            priority: lane.key.priority,
            attributes: self.attributes.clone(),
            ..TaskSpec::new(self.id, route.kind().clone(), route.shape(), lane.key.queue.clone())
        }
    }

    /// Returns the limits on attempts; `None` if a newer version of this crate stored the task or
    /// its queue, or the configuration of the queue is damaged.
    pub(super) fn rules(&self, catalogue: &Catalogue) -> Option<Rules> {
        let lane = catalogue.lane(self.lane).filter(|lane| !lane.key.is_newer())?;
        let queue = catalogue.config(&lane.key.queue).ok()?;
        Some(Rules::of(&queue, self.spec(&lane).retry).jittered(self.id))
    }

    /// Adds an error to those that are kept.
    pub(super) fn keep_error(&mut self, message: &str, at: Timestamp) {
        self.errors.push(TaskError::new(self.facts.attempts, at, message));
        self.errors.drain(..self.errors.len().saturating_sub(MAX_ERRORS));
    }
}

/// The stored form of an error.
#[derive(Serialize, Deserialize)]
struct Kept {
    attempt: u32,
    at: i64,
    message: String,
}

/// Returns errors in their stored form; `None` if there are none.
pub(super) fn write_errors(errors: &[TaskError]) -> Result<Option<Vec<u8>>, Fault> {
    if errors.is_empty() {
        return Ok(None);
    }
    let kept = |error: &TaskError| Kept {
        attempt: error.attempt,
        at: error.at.as_micros(),
        message: bounded(error.message.clone()),
    };
    let kept: Vec<_> = errors.iter().map(kept).collect();
    version::encode(&kept).map(Some).ok_or_else(|| Fault::Unreadable("errors".to_owned()))
}

/// Reads errors; none if they are damaged.
fn read_errors(bytes: &[u8]) -> Vec<TaskError> {
    let kept: Vec<Kept> = version::decode(bytes).unwrap_or_default();
    let error =
        |kept: Kept| TaskError::new(kept.attempt, Timestamp::from_micros(kept.at), kept.message);
    kept.into_iter().map(error).collect()
}

/// Returns an id in its stored form.
pub(super) const fn uuid(id: TaskId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

/// Reads an id.
pub(super) const fn id(uuid: Uuid) -> TaskId {
    TaskId::from_bytes(*uuid.as_bytes())
}

/// Returns a deadline in its stored form.
pub(super) fn nanos(deadline: Duration) -> i64 {
    i64::try_from(deadline.as_nanos()).unwrap_or(i64::MAX)
}

fn deadline(nanos: i64) -> Duration {
    Duration::from_nanos(nanos.max(0).unsigned_abs())
}

/// Returns a number that is zero for nearly all tasks in its stored form.
pub(super) fn unless_zero(number: u32) -> Option<i64> {
    (number > 0).then_some(i64::from(number))
}
