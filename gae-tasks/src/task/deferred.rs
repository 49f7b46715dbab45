//! The result of deferring a task.

use super::id::TaskId;

/// The result of a defer: the task is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deferred {
    /// The id of the task. If the name, or the key of a unique task, was in use and the call has
    /// stored no task: the id of the task that has it, or had it until it finished.
    pub id: TaskId,
    /// Whether this call created the task; `false` where the name or the key was in use, unless the
    /// task of this call has taken the place of the other one or stands behind it.
    pub created: bool,
    /// What happened if the name or the key was in use.
    pub conflict: Option<Conflict>,
}

/// What became of a call whose name, or whose key as a [unique](crate::Unique) task, was in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Conflict {
    /// The other task is as it was, and the call stored nothing.
    Kept,
    /// The other task runs, and what runs is never changed: the call stored nothing, although it
    /// was to replace the args or the time of a waiting task.
    Running,
    /// The waiting task is stored no more. The task of this call, which has an id of its own, has
    /// taken its place, and its time unless the call has rescheduled it.
    Replaced,
    /// The waiting task has got another time, and the args that it had.
    Rescheduled,
    /// The other task runs, and the task of this call is stored behind it.
    Behind,
}

impl Deferred {
    /// Creates the result for the task with this id, which the call `created` or found.
    pub const fn new(id: TaskId, created: bool) -> Self {
        let conflict = if created { None } else { Some(Conflict::Kept) };
        Self { id, created, conflict }
    }

    /// Whether a task may be due sooner than before this call.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) const fn wakes(&self) -> bool {
        self.created || matches!(self.conflict, Some(Conflict::Rescheduled))
    }

    /// Creates the result of a call that met the task of its key: `id` is that of the task which
    /// has the key now.
    pub const fn of_conflict(id: TaskId, conflict: Conflict) -> Self {
        let created = matches!(conflict, Conflict::Replaced | Conflict::Behind);
        Self { id, created, conflict: Some(conflict) }
    }
}
