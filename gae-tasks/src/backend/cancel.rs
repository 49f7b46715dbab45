//! The answer to the cancellation of a task.

/// What became of a task by its [cancellation](crate::Client::cancel).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cancelled {
    /// The task waited, and is deleted.
    Removed,
    /// A worker has the task: the request is stored. The attempt that runs is the last one, and a
    /// task that is not done by it becomes a dead letter.
    Requested,
    /// There is nothing to cancel: the task is over or was never stored, or it is a dead letter,
    /// which stays.
    Gone,
}
