//! The result of deferring a task.

use super::id::TaskId;

/// The result of a defer: the task is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deferred {
    /// The id of the task. If the name was in use, the id of the task that has the name, or had it
    /// until it finished.
    pub id: TaskId,
    /// Whether this call created the task; `false` where the name was in use.
    pub created: bool,
}

impl Deferred {
    /// Creates the result for the task with this id, which the call `created` or found.
    pub const fn new(id: TaskId, created: bool) -> Self {
        Self { id, created }
    }
}
