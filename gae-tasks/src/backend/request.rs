//! What any backend is asked: plain data, so that a new field breaks no signature.
//!
//! Requests may gain fields in any release before 1.0: the traits are sealed, and only a direct call of a backend names
//! all of a request's fields.

use std::time::Duration;

use super::record::TaskState;
#[cfg(any(feature = "cloud-tasks", all(feature = "push", feature = "testing")))]
use crate::envelope::Envelope;
use crate::queue::{QueueName, RetryConfig};
use crate::task::{Kind, Shape, TaskId, TaskName};
use crate::time::{Now, Schedule, Timestamp};
use crate::version;

/// A task to be stored.
#[derive(Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Made by the client: storing the same task again is a no-op while it is stored, or its name remembered.
    pub id: TaskId,
    /// What it is.
    pub kind: Kind,
    /// The shape of its payload.
    pub shape: Shape,
    /// Its encoded args.
    pub payload: Vec<u8>,
    /// The queue it goes to.
    pub queue: QueueName,
    /// Its name, which no other task of the queue may have.
    pub name: Option<TaskName>,
    /// When it may be dispatched first.
    pub schedule: Schedule,
    /// A cap on its attempts that stops alone.
    pub max_attempts: Option<u32>,
    /// Its own retry settings in place of the queue's.
    pub retry: Option<RetryConfig>,
    /// The time one attempt may take; `None` is the task type's.
    pub deadline: Option<Duration>,
    /// Opaque: trace context and what later versions add.
    pub attributes: Option<Vec<u8>>,
}

#[cfg(any(feature = "cloud-tasks", all(feature = "push", feature = "testing")))]
impl NewTask {
    /// The task on its way through a push queue, deferred `now`.
    pub(crate) fn envelope(self, now: Timestamp) -> Envelope {
        Envelope {
            id: self.id,
            kind: self.kind,
            shape: self.shape,
            queue: self.queue,
            named: self.name.is_some(),
            first_due: self.schedule.resolve(now).max(now),
            max_attempts: self.max_attempts,
            retry: self.retry,
            deadline: self.deadline,
            attributes: self.attributes,
            payload: self.payload,
        }
    }
}

impl NewTask {
    /// The version of this crate's stored formats that a program must know to run the task.
    pub(crate) fn version(&self) -> u8 {
        let own_retry = if self.retry.is_some() { version::KNOWN } else { 0 };
        version::of(self.attributes.as_deref()).max(own_retry)
    }
}

/// Store tasks.
#[derive(Debug, Clone)]
pub struct Enqueue {
    /// The moment it happens.
    pub now: Now,
    /// The tasks: all in one transaction, answered one by one.
    pub tasks: Vec<NewTask>,
}

/// Which tasks are meant; a field that is `None` leaves none out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskFilter {
    /// Those in this queue.
    pub queue: Option<QueueName>,
    /// Those of this kind.
    pub kind: Option<Kind>,
    /// Those in this state.
    pub state: Option<TaskState>,
}

impl TaskFilter {
    /// All tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of these the ones in `queue`.
    pub fn queue(mut self, queue: QueueName) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Of these the ones of `kind`.
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Of these the ones in `state`.
    pub fn state(mut self, state: TaskState) -> Self {
        self.state = Some(state);
        self
    }
}

/// Read stored tasks, page by page in the order of their ids (that is: the time they were deferred).
#[derive(Debug, Clone)]
pub struct List {
    /// Which tasks.
    pub filter: TaskFilter,
    /// Only those after this id: the last of the page before.
    pub after: Option<TaskId>,
    /// At most so many.
    pub limit: usize,
}

/// Act on one task by hand.
#[derive(Debug, Clone, Copy)]
pub struct Touch {
    /// The moment it happens.
    pub now: Now,
    /// The task.
    pub id: TaskId,
}

/// Store a task as a dead letter: it ended where dead letters are not kept.
#[derive(Debug, Clone)]
pub struct Bury {
    /// The moment it became one.
    pub now: Now,
    /// The task, as it was deferred.
    pub task: NewTask,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the first of them began, as far as is known.
    pub first_attempt: Option<Timestamp>,
    /// Why it is not attempted again: the last error and its sources in one line.
    pub error: String,
}

/// What a purge did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// How many tasks it deleted.
    pub deleted: u64,
    /// How many it left, because a newer version of this crate stored them or configured their queue, or because the
    /// configuration of their queue is damaged.
    pub left: u64,
}

impl Purged {
    /// A purge that deleted and left so many tasks.
    pub const fn new(deleted: u64, left: u64) -> Self {
        Self { deleted, left }
    }
}
