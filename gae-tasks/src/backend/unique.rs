//! Decides what becomes of a task whose key another task has: a pure function of the holder of the
//! key, what the call says, and the time. Backends store the change.
//!
//! A key is held by the task that was stored under it last. So a task that runs has given its key
//! to the one behind it, and whatever becomes of the first frees nothing.

use super::lifecycle::{Facts, Wait};
use crate::task::{Conflict, Deferred, OnConflict, Reschedule, TaskId};
use crate::time::{Schedule, Timestamp};

/// What has a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Nothing, or a task that is stored no more.
    Nobody,
    /// A task that waits.
    Waiting {
        id: TaskId,
        facts: Facts,
        /// Whether this program can read the task. What a newer version stored is left alone.
        is_readable: bool,
    },
    /// A task that runs.
    Running { id: TaskId },
    /// A dead letter.
    Dead { id: TaskId },
    /// The memory of a task that is over, until this time.
    Finished { id: TaskId, until: Timestamp },
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The task is stored, and has the key; behind a task that runs, or in nobody's way.
    Store { behind: bool },
    /// Nothing is stored.
    Leave(TaskId, Conflict),
    /// The waiting task is deleted without a trace, and the task is stored, and has the key. It
    /// waits like this, and was stored first at this time.
    Replace { of: TaskId, wait: Wait, created: Timestamp },
    /// The waiting task has these facts.
    Reschedule(TaskId, Facts),
}

/// How a task that is to be stored waits, and since when: where it takes the place of another one,
/// since that was stored.
pub(crate) type Place = (Wait, Timestamp);

impl Claim {
    /// What becomes of a call that asks for no key.
    pub(crate) const UNASKED: Self = Self::Store { behind: false };

    /// Returns the place of the call's task, which has this schedule, if the task is stored.
    pub(crate) fn place(self, schedule: Schedule, now: Timestamp) -> Option<Place> {
        match self {
            Self::Store { .. } => Some((Wait::scheduled(schedule, now), now)),
            Self::Replace { wait, created, .. } => Some((wait, created)),
            Self::Leave(..) | Self::Reschedule(..) => None,
        }
    }

    /// Returns the answer for the caller, whose task is `own`.
    pub(crate) fn answer(self, own: TaskId) -> Deferred {
        match self {
            Self::Store { behind: false } => Deferred::new(own, true),
            Self::Store { behind: true } => Deferred::of_conflict(own, Conflict::Behind),
            // The memory of this same task means that the first answer was lost.
            Self::Leave(id, _) if id == own => Deferred::new(own, true),
            Self::Leave(id, conflict) => Deferred::of_conflict(id, conflict),
            Self::Replace { .. } => Deferred::of_conflict(own, Conflict::Replaced),
            Self::Reschedule(id, _) => Deferred::of_conflict(id, Conflict::Rescheduled),
        }
    }
}

/// Decides what becomes of a call whose key has this holder.
pub(crate) fn claim(
    holder: Holder,
    rules: OnConflict,
    schedule: Schedule,
    now: Timestamp,
) -> Claim {
    let store = Claim::Store { behind: false };
    match holder {
        Holder::Nobody => store,
        Holder::Dead { id } if rules.over_dead => Claim::Leave(id, Conflict::Kept),
        Holder::Finished { id, until } if rules.over_finished && until > now => {
            Claim::Leave(id, Conflict::Kept)
        }
        Holder::Dead { .. } | Holder::Finished { .. } => store,
        Holder::Running { .. } if !rules.over_running => Claim::Store { behind: true },
        Holder::Running { id } => {
            let changes = rules.replaces_args || rules.reschedules != Reschedule::No;
            Claim::Leave(id, if changes { Conflict::Running } else { Conflict::Kept })
        }
        Holder::Waiting { id, is_readable: false, .. } => Claim::Leave(id, Conflict::Kept),
        Holder::Waiting { id, facts, .. } => change(id, facts, rules, schedule, now),
    }
}

/// Changes a task that waits.
fn change(
    id: TaskId,
    facts: Facts,
    rules: OnConflict,
    schedule: Schedule,
    now: Timestamp,
) -> Claim {
    let wait = rescheduled(facts, rules.reschedules, schedule, now);
    match (rules.replaces_args, wait) {
        (true, wait) => {
            let wait = wait.unwrap_or(facts.wait);
            Claim::Replace { of: id, wait: unpaused(wait), created: facts.created }
        }
        (false, Some(wait)) => Claim::Reschedule(id, Facts { wait, ..facts }),
        (false, None) => Claim::Leave(id, Conflict::Kept),
    }
}

/// Returns how the task waits from now on; `None` if it waits as before. A task that was made due
/// by hand stays due, and a pause after a failure, or after a reader refused, is never shortened.
fn rescheduled(
    facts: Facts,
    reschedules: Reschedule,
    schedule: Schedule,
    now: Timestamp,
) -> Option<Wait> {
    let wait = match reschedules {
        Reschedule::No => return None,
        Reschedule::ToCall => Wait::scheduled(schedule, now),
        Reschedule::Within(longest) => {
            let latest = facts.created.plus(longest).max(now);
            match Wait::scheduled(schedule, now) {
                Wait::Until(until) => Wait::Until(until.min(latest)),
                wait => wait,
            }
        }
    };
    let is_paused = matches!(facts.wait, Wait::Pause { until, .. } if until > wait.due());
    let is_same = wait.due() == facts.wait.due();
    (!facts.forced && !is_paused && !is_same).then_some(wait)
}

/// A pause belongs to the attempts of one task; another one waits as long.
const fn unpaused(wait: Wait) -> Wait {
    match wait {
        Wait::Pause { until, .. } => Wait::Until(until),
        wait => wait,
    }
}

#[cfg(test)]
mod tests;
