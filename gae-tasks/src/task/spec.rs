//! The fields of a task that stay the same from its deferring to its end.

use std::fmt;
use std::time::Duration;

use super::id::TaskId;
use super::kind::{Kind, Route, Shape};
use super::name::TaskName;
use crate::queue::{QueueName, RetryConfig};
use crate::version;

/// What was deferred, beside its payload: the fields of a task that stay the same from its
/// deferring to its end.
///
/// New tasks, leased ones, records of stored ones and dead letters all carry it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskSpec {
    /// Made by the client that deferred the task: storing the same task again is a no-op while it
    /// is stored, or its name remembered.
    pub id: TaskId,
    /// What it is.
    pub kind: Kind,
    /// The shape of its payload.
    pub shape: Shape,
    /// The queue it is in.
    pub queue: QueueName,
    /// Its name, which no other task of the queue may have.
    pub name: Option<TaskName>,
    /// A cap on its attempts that stops alone.
    pub max_attempts: Option<u32>,
    /// Its own retry settings in place of the queue's.
    pub retry: Option<RetryConfig>,
    /// The time one attempt may take; `None` is the task type's.
    pub deadline: Option<Duration>,
    /// Opaque: trace context and what later versions add.
    pub attributes: Option<Vec<u8>>,
}

impl TaskSpec {
    /// An unnamed task that leaves all settings to its queue and its type.
    pub const fn new(id: TaskId, kind: Kind, shape: Shape, queue: QueueName) -> Self {
        let (name, max_attempts, retry, deadline, attributes) = (None, None, None, None, None);
        Self { id, kind, shape, queue, name, max_attempts, retry, deadline, attributes }
    }

    /// What an instance must be able to run.
    pub fn route(&self) -> Route {
        Route::new(self.kind.clone(), self.shape)
    }

    /// The version of this crate's stored formats that a program must know to run the task.
    pub(crate) fn version(&self) -> u8 {
        let own_retry = if self.retry.is_some() { version::KNOWN } else { 0 };
        version::of(self.attributes.as_deref()).max(own_retry)
    }
}

/// Of the attributes it shows the length only: they may hold what nobody should see.
impl fmt::Debug for TaskSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Taken apart, so that a new field cannot be forgotten here.
        let Self { id, kind, shape, queue, name, max_attempts, retry, deadline, attributes } = self;
        f.debug_struct("TaskSpec")
            .field("id", id)
            .field("kind", kind)
            .field("shape", shape)
            .field("queue", queue)
            .field("name", name)
            .field("max_attempts", max_attempts)
            .field("retry", retry)
            .field("deadline", deadline)
            .field("attributes", &attributes.as_deref().map(Redacted))
            .finish()
    }
}

/// Opaque bytes in a `Debug` text: their length only, as they may hold what nobody should see.
pub(crate) struct Redacted<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}
