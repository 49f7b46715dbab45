//! What any backend is asked: plain data, so that a new field breaks no signature.

use super::record::TaskState;
use crate::queue::QueueName;
use crate::task::{Kind, TaskId, TaskSpec};
use crate::time::{Now, Schedule, Timestamp};

/// A task to be stored.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewTask {
    /// Its fields.
    pub spec: TaskSpec,
    /// Its encoded args.
    pub payload: Vec<u8>,
    /// When it may be dispatched first.
    pub schedule: Schedule,
}

impl NewTask {
    /// A task that may be dispatched at once.
    pub const fn new(spec: TaskSpec, payload: Vec<u8>) -> Self {
        Self { spec, payload, schedule: Schedule::Now }
    }

    /// This task, changed by `change`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// Store tasks.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Enqueue {
    /// The moment it happens.
    pub now: Now,
    /// The tasks: all in one transaction, answered one by one.
    pub tasks: Vec<NewTask>,
}

impl Enqueue {
    /// Store these tasks at `now`.
    pub const fn new(now: Now, tasks: Vec<NewTask>) -> Self {
        Self { now, tasks }
    }
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

/// Read stored tasks, page by page in the order of their ids (that is: the time they were deferred), or the other way
/// round.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct List {
    /// Which tasks.
    pub filter: TaskFilter,
    /// Only those that come after this id in the order: the last of the page before.
    pub after: Option<TaskId>,
    /// At most so many.
    pub limit: usize,
    /// Whether the largest id comes first.
    pub newest_first: bool,
    /// Whether the payloads are read too.
    pub with_payloads: bool,
}

impl List {
    /// The first page of the tasks that `filter` means, with at most `limit` of them, the oldest first, without payloads.
    pub const fn new(filter: TaskFilter, limit: usize) -> Self {
        Self { filter, after: None, limit, newest_first: false, with_payloads: false }
    }

    /// The page after this task, the last one of the page before; `None` is the first page.
    pub fn after(mut self, task: impl Into<Option<TaskId>>) -> Self {
        self.after = task.into();
        self
    }

    /// The task that was deferred last comes first.
    pub const fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    /// Reads the payloads too.
    pub const fn with_payloads(mut self) -> Self {
        self.with_payloads = true;
        self
    }
}

/// Act on one task by hand.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TaskRequest {
    /// The moment it happens.
    pub now: Now,
    /// The task.
    pub id: TaskId,
}

impl TaskRequest {
    /// Act on the task `id` at `now`.
    pub const fn new(now: Now, id: TaskId) -> Self {
        Self { now, id }
    }
}

/// Store a task as a dead letter: it ended where dead letters are not kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
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
    /// Which copy of the task it was; 0 is the task as it was deferred.
    pub number: u32,
}

impl Bury {
    /// Store `task` as a dead letter that died at `now` of `error`, after so many attempts.
    pub const fn new(
        now: Now,
        task: NewTask,
        attempts: u32,
        first_attempt: Option<Timestamp>,
        error: String,
    ) -> Self {
        Self { now, task, attempts, first_attempt, error, number: 0 }
    }
}

/// Store a copy of a task that a queue has delivered: a queue that calls handlers takes the time of the next attempt from
/// no answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CopyTask {
    /// The moment it happens.
    pub now: Now,
    /// The task, which has no name, with its next schedule time. A payload that is in a payload store stays there.
    pub task: NewTask,
    /// Distinguishes the copies of one task; at least 1, as the task itself has the number 0.
    pub number: u32,
    /// How many attempts were made before.
    pub attempts: u32,
    /// When the first of them began, as far as is known.
    pub first_attempt: Option<Timestamp>,
    /// When the task was last replayed, if it was a dead letter.
    pub replayed: Option<Timestamp>,
}

impl CopyTask {
    /// Store the copy with this number of `task` at `now`; no attempt counts as made before.
    pub const fn new(now: Now, task: NewTask, number: u32) -> Self {
        Self { now, task, number, attempts: 0, first_attempt: None, replayed: None }
    }
}

/// Delete a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteQueue {
    /// The moment it happens.
    pub now: Now,
    /// The queue.
    pub queue: QueueName,
    /// Whether its tasks and dead letters are deleted too; if not, a queue that holds any is refused.
    pub with_tasks: bool,
}

impl DeleteQueue {
    /// Delete `queue` at `now`, if it is empty.
    pub const fn new(now: Now, queue: QueueName) -> Self {
        Self { now, queue, with_tasks: false }
    }

    /// Deletes its tasks and dead letters too.
    pub const fn with_tasks(mut self) -> Self {
        self.with_tasks = true;
        self
    }
}

/// What a purge, or the deletion of a queue, did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// How many tasks it deleted; of a deleted queue, dead letters included.
    pub deleted: u64,
    /// How many it left, because a newer version of this crate stored them or configured their queue, or because the
    /// configuration of their queue is damaged. Where a queue was to be deleted, also those that cannot be read and those
    /// that were stored meanwhile.
    pub left: u64,
}

impl Purged {
    /// A purge that deleted and left so many tasks.
    pub const fn new(deleted: u64, left: u64) -> Self {
        Self { deleted, left }
    }
}
