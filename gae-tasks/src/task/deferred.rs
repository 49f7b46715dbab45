//! The answer to who defers.

use super::id::TaskId;

/// The answer to a defer: the task is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deferred {
    /// The id of the task; where the name was in use, that of the task that has it, or had it until
    /// it was over.
    pub id: TaskId,
    /// Whether this call created the task; `false` where the name was in use.
    pub created: bool,
}

impl Deferred {
    /// The task of this id, which the call `created` or found.
    pub const fn new(id: TaskId, created: bool) -> Self {
        Self { id, created }
    }
}
