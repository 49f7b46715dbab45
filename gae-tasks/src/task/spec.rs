//! The fields of a task that do not change after the task is deferred.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::id::TaskId;
use super::kind::{Kind, Route, Shape};
use super::name::TaskName;
use super::unique::UniqueKey;
use crate::queue::{QueueName, RetryConfig};
use crate::version;

/// A task without its payload: the fields that do not change after the task is deferred.
///
/// New tasks, leased tasks, records of stored tasks and dead letters all contain a `TaskSpec`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskSpec {
    /// Made by the client that deferred the task. Storing a task again is a no-op while its id is
    /// stored or its name is remembered.
    pub id: TaskId,
    /// The kind of the task.
    pub kind: Kind,
    /// The shape of its payload.
    pub shape: Shape,
    /// The queue of the task.
    pub queue: QueueName,
    /// The name of the task; no other task of the queue may have the same name.
    pub name: Option<TaskName>,
    /// The key of a unique task, which then has no name: see
    /// [`Defer::unique`](crate::Defer::unique).
    pub unique: Option<UniqueKey>,
    /// A cap on the task's attempts; reaching the cap is enough to end the task.
    pub max_attempts: Option<u32>,
    /// The task's own retry settings, in place of the queue's.
    pub retry: Option<RetryConfig>,
    /// The time one attempt may take; `None` means the task type's deadline.
    pub deadline: Option<Duration>,
    /// How much sooner than others of its queue the task is run, -100 to 100: see
    /// [`Defer::priority`](crate::Defer::priority).
    pub priority: i8,
    /// Opaque bytes: trace context and what later versions add.
    pub attributes: Option<Vec<u8>>,
}

impl TaskSpec {
    /// Creates an unnamed task that leaves all settings to its queue and its type.
    pub const fn new(id: TaskId, kind: Kind, shape: Shape, queue: QueueName) -> Self {
        Self {
            id,
            kind,
            shape,
            queue,
            name: None,
            unique: None,
            max_attempts: None,
            retry: None,
            deadline: None,
            priority: 0,
            attributes: None,
        }
    }

    /// The route that an instance must be able to run.
    pub fn route(&self) -> Route {
        Route::new(self.kind.clone(), self.shape)
    }

    /// The name of the task, or its key in the form in which a task has it.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn known_as(&self) -> Option<Cow<'_, str>> {
        match (&self.name, self.unique) {
            (Some(name), _) => Some(Cow::Borrowed(name.as_str())),
            (None, key) => key.map(|key| Cow::Owned(key.in_task())),
        }
    }

    /// Whether the task has a name or a key, which other tasks may have in turn.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) const fn is_known_by_more(&self) -> bool {
        self.name.is_some() || self.unique.is_some()
    }

    /// The version of this crate's stored formats that a program must know to run the task.
    pub(crate) fn version(&self) -> u8 {
        let own_retry = if self.retry.is_some() { version::KNOWN } else { 0 };
        version::of(self.attributes.as_deref()).max(own_retry)
    }
}

/// Shows only the length of the attributes: they may contain confidential values.
impl fmt::Debug for TaskSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Destructured, so that a new field cannot be forgotten here.
        let Self {
            id,
            kind,
            shape,
            queue,
            name,
            unique,
            max_attempts,
            retry,
            deadline,
            priority,
            attributes,
        } = self;
        f.debug_struct("TaskSpec")
            .field("id", id)
            .field("kind", kind)
            .field("shape", shape)
            .field("queue", queue)
            .field("name", name)
            .field("unique", unique)
            .field("max_attempts", max_attempts)
            .field("retry", retry)
            .field("deadline", deadline)
            .field("priority", priority)
            .field("attributes", &attributes.as_deref().map(Redacted))
            .finish()
    }
}

/// Shows only the length of opaque bytes in a `Debug` text: the bytes may be confidential.
pub(crate) struct Redacted<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}
