//! The requests of every backend: plain data, so that a new field breaks no signature.

use std::sync::Arc;

use super::record::TaskState;
use crate::payload::{SensitivePaths, bytes_beside};
use crate::queue::{QueueConfig, QueueName};
use crate::task::{Kind, OnConflict, TaskId, TaskSpec};
use crate::time::{Now, Schedule, Timestamp};

/// A task to be stored.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewTask {
    /// The fields of the task.
    pub spec: TaskSpec,
    /// The encoded args.
    pub payload: Vec<u8>,
    /// The schema of the args, of which the shape is the fingerprint: opaque bytes to backends,
    /// stored once for all tasks of the shape. Empty if it is not known.
    pub schema: Arc<[u8]>,
    /// The paths of args that are never shown, such as `card.number`. They are stored once for all
    /// tasks of the kind, older ones included, and added to those of other programs.
    pub sensitive: SensitivePaths,
    /// When the task may be dispatched first.
    pub schedule: Schedule,
    /// What happens if a task has the key of this one: [`TaskSpec::unique`].
    pub on_conflict: OnConflict,
}

impl NewTask {
    /// Creates a task that may be dispatched at once.
    pub fn new(spec: TaskSpec, payload: Vec<u8>, schema: impl Into<Arc<[u8]>>) -> Self {
        let (schema, sensitive) = (schema.into(), SensitivePaths::default());
        let (schedule, on_conflict) = (Schedule::Now, OnConflict::KEEP);
        Self { spec, payload, schema, sensitive, schedule, on_conflict }
    }

    /// Returns this task, changed by `change`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The bytes that travel beside the payload in every task of a backend without a place for
    /// schemas.
    pub(crate) fn bytes_beside(&self) -> usize {
        bytes_beside(&self.schema, &self.sensitive)
    }
}

/// A request to store tasks.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Enqueue {
    /// The time of the request.
    pub now: Now,
    /// The tasks: stored in one transaction, answered one by one.
    pub tasks: Vec<NewTask>,
    /// Whether these very tasks may have been stored before, by a call whose answer was lost. For
    /// backends that do not know a named task by its id: a name whose holder cannot be seen any
    /// more then counts as the task's own.
    pub repeated: bool,
}

impl Enqueue {
    /// Creates a request to store `tasks` at `now`, for the first time.
    pub const fn new(now: Now, tasks: Vec<NewTask>) -> Self {
        Self { now, tasks, repeated: false }
    }
}

/// A selection of tasks; a field that is `None` excludes none.
///
/// ```
/// # fn main() -> Result<(), gae_tasks::Error> {
/// use gae_tasks::{Kind, QueueName, Task, TaskFilter, TaskState, deferred};
///
/// #[deferred(queue = "payments")]
/// async fn charge(order: u64) {}
///
/// let dead = TaskFilter::new().state(TaskState::Dead);
/// let of_a_queue = dead.clone().queue(QueueName::new("payments")?);
/// let of_a_task = dead.kind(Kind::new(charge::KIND)?); // `KIND` is of the trait `Task`
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskFilter {
    /// Selects the tasks in this queue.
    pub queue: Option<QueueName>,
    /// Selects the tasks of this kind.
    pub kind: Option<Kind>,
    /// Selects the tasks in this state.
    pub state: Option<TaskState>,
}

impl TaskFilter {
    /// Selects all tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Restricts the selection to tasks in `queue`.
    pub fn queue(mut self, queue: QueueName) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Restricts the selection to tasks of `kind`.
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Restricts the selection to tasks in `state`.
    pub fn state(mut self, state: TaskState) -> Self {
        self.state = Some(state);
        self
    }
}

/// A request to read stored tasks page by page, in the order of their ids (the order in which they
/// were deferred) or in reverse.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct List {
    /// Selects the tasks.
    pub filter: TaskFilter,
    /// Returns only tasks after this id in the order: the last id of the previous page.
    pub after: Option<TaskId>,
    /// The maximum number of tasks.
    pub limit: usize,
    /// Whether the order is reversed: the largest id first.
    pub newest_first: bool,
    /// Whether the payloads are read too.
    pub with_payloads: bool,
}

impl List {
    /// Creates a request for the first page of the tasks that `filter` selects: at most `limit`,
    /// the oldest first, without payloads.
    pub const fn new(filter: TaskFilter, limit: usize) -> Self {
        Self { filter, after: None, limit, newest_first: false, with_payloads: false }
    }

    /// Requests the page after this task, the last one of the previous page; `None` requests the
    /// first page.
    pub fn after(mut self, task: impl Into<Option<TaskId>>) -> Self {
        self.after = task.into();
        self
    }

    /// Reverses the order: the task that was deferred last comes first.
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

/// A request to act on one task by hand.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TaskRequest {
    /// The time of the request.
    pub now: Now,
    /// The task.
    pub id: TaskId,
}

impl TaskRequest {
    /// Creates a request to act on the task `id` at `now`.
    pub const fn new(now: Now, id: TaskId) -> Self {
        Self { now, id }
    }
}

/// A request to store a task as a dead letter that ended where dead letters are not kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Bury {
    /// When the task became a dead letter.
    pub now: Now,
    /// The task, as it was deferred.
    pub task: NewTask,
    /// The number of attempts made.
    pub attempts: u32,
    /// When the first attempt began, if known.
    pub first_attempt: Option<Timestamp>,
    /// Why the task is not attempted again: the last error and its sources in one line.
    pub error: String,
    /// The number of the copy of the task; 0 is the task as it was deferred.
    pub number: u32,
}

impl Bury {
    /// Creates a request to store `task` as a dead letter that died of `error` at `now`, after
    /// `attempts` attempts.
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

/// A request to store a copy of a task that a queue has delivered. A queue that calls handlers does
/// not accept a time for the next attempt in the handler's answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CopyTask {
    /// The time of the request.
    pub now: Now,
    /// The task, which has no name, with its next schedule time. A payload in a payload store stays
    /// there.
    pub task: NewTask,
    /// Distinguishes the copies of one task; at least 1, because the task itself has the number 0.
    pub number: u32,
    /// The number of attempts made before.
    pub attempts: u32,
    /// When the first attempt began, if known.
    pub first_attempt: Option<Timestamp>,
    /// When the task was last replayed, if it was a dead letter.
    pub replayed: Option<Timestamp>,
}

impl CopyTask {
    /// Creates a request to store copy `number` of `task` at `now`, with no earlier attempts.
    pub const fn new(now: Now, task: NewTask, number: u32) -> Self {
        Self { now, task, number, attempts: 0, first_attempt: None, replayed: None }
    }
}

/// A request to give a queue exactly these retries and limits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplaceQueue {
    /// The queue.
    pub queue: QueueName,
    /// The configuration. Retries and limits that are not set are removed; other fields that are
    /// not set keep their stored values.
    pub config: QueueConfig,
    /// Whether the queue is known to be stored like this. Then nothing is written: a backend whose
    /// tasks carry the retries of their queue only takes note of them, for this process.
    pub is_stored: bool,
}

impl ReplaceQueue {
    /// Creates a request to write the configuration of `queue`.
    pub const fn new(queue: QueueName, config: QueueConfig) -> Self {
        Self { queue, config, is_stored: false }
    }

    /// Takes note of a configuration that is stored already.
    pub const fn stored(mut self) -> Self {
        self.is_stored = true;
        self
    }
}

/// A request to delete a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteQueue {
    /// The time of the request.
    pub now: Now,
    /// The queue.
    pub queue: QueueName,
    /// Whether the queue's tasks and dead letters are deleted too; if not, deleting a queue that
    /// holds any is refused.
    pub with_tasks: bool,
}

impl DeleteQueue {
    /// Creates a request to delete `queue` at `now` if it is empty.
    pub const fn new(now: Now, queue: QueueName) -> Self {
        Self { now, queue, with_tasks: false }
    }

    /// Deletes the queue's tasks and dead letters too.
    pub const fn with_tasks(mut self) -> Self {
        self.with_tasks = true;
        self
    }
}

/// The result of a purge or of the deletion of a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// The number of deleted tasks; of a deleted queue, dead letters included.
    pub deleted: u64,
    /// The number of tasks left, because a newer version of this crate stored them or configured
    /// their queue, or because the configuration of their queue is damaged. If a queue was to be
    /// deleted, also tasks that cannot be read and tasks that were stored meanwhile.
    pub left: u64,
}

impl Purged {
    /// Creates the result of a purge that deleted and left this many tasks.
    pub const fn new(deleted: u64, left: u64) -> Self {
        Self { deleted, left }
    }
}
