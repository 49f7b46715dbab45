//! Settling and sweeping: what a backend is told of leased tasks, and what it answers.

use std::time::Duration;

use super::lease::LeaseRef;
use crate::outcome::Outcome;
use crate::queue::TypeBackoff;
use crate::task::TaskId;
use crate::time::{Now, Timestamp};

/// Record outcomes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settle {
    /// The moment it happens.
    pub now: Now,
    /// The outcomes: all in one transaction, answered one by one.
    pub settlements: Vec<Settlement>,
}

impl Settle {
    /// Record these outcomes at `now`.
    pub const fn new(now: Now, settlements: Vec<Settlement>) -> Self {
        Self { now, settlements }
    }
}

/// The outcome of one leased task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settlement {
    /// The lease under which it was run.
    pub lease: LeaseRef,
    /// When the attempt began; `None` if it never did.
    pub started: Option<Timestamp>,
    /// How it ended.
    pub verdict: Verdict,
    /// The backoff of the task's type, in place of the queue's.
    pub backoff: TypeBackoff,
}

impl Settlement {
    /// `verdict` on the task of `lease`, of which no attempt is known to have begun.
    pub const fn new(lease: LeaseRef, verdict: Verdict) -> Self {
        Self { lease, started: None, verdict, backoff: TypeBackoff::NONE }
    }
}

/// What becomes of a leased task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is over.
    Done,
    /// It failed: it is scheduled again, or dies if it has been tried enough.
    Retry {
        /// The error and its sources in one line.
        error: String,
        /// The pause the handler asked for, in place of the backoff.
        after: Option<Duration>,
        /// A cap on attempts from the task type, which stops alone.
        max_attempts: Option<u32>,
    },
    /// It failed for good: it dies.
    Permanent {
        /// The error and its sources in one line.
        error: String,
    },
    /// It never began, or must go on elsewhere: it goes back as it was and no attempt is counted.
    Release,
    /// Its payload cannot be read here: it goes back for a while and no attempt is counted.
    Unreadable {
        /// The error and its sources in one line.
        error: String,
    },
}

impl Verdict {
    /// Whether its handler has answered.
    pub(crate) const fn is_of_an_attempt(&self) -> bool {
        !matches!(self, Self::Release | Self::Unreadable { .. })
    }

    /// The error it is passed for, if any.
    pub(crate) fn error(&self) -> Option<&str> {
        match self {
            Self::Retry { error, .. } | Self::Permanent { error } | Self::Unreadable { error } => {
                Some(error)
            }
            Self::Done | Self::Release => None,
        }
    }

    /// The verdict on a task whose attempt ended with `outcome`, under its type's cap on attempts.
    pub(crate) fn of(outcome: &Outcome, max_attempts: Option<u32>) -> Self {
        match outcome {
            Outcome::Done => Self::Done,
            Outcome::Released => Self::Release,
            Outcome::Permanent(failure) => Self::Permanent { error: failure.to_string() },
            Outcome::Unreadable(failure) => Self::Unreadable { error: failure.to_string() },
            Outcome::Retry(failure) => Self::Retry {
                error: failure.to_string(),
                after: failure.retry_after(),
                max_attempts,
            },
        }
    }
}

/// What became of one settled task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// It is over and deleted.
    Done,
    /// It is tried again at this time.
    Scheduled(Timestamp),
    /// It is a dead letter now.
    Dead,
    /// The token did not match: nothing changed, another worker may have it.
    LeaseLost,
}

/// Recover lost leases and forget what has been kept long enough, as the queues' configurations say.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sweep {
    /// The moment it happens.
    pub now: Now,
    /// The leases that count as lost unless they have changed since: each was seen unchanged, in the answers of sweeps,
    /// for its own duration.
    pub lost: Vec<HeldLease>,
    /// At most so many changes of each sort, so that a sweep stays short; fewer, but one at least, where dead letters with
    /// large payloads are forgotten.
    pub limit: usize,
}

impl Sweep {
    /// Recover the leases `lost` at `now`, with at most `limit` changes of each sort.
    pub const fn new(now: Now, lost: Vec<HeldLease>, limit: usize) -> Self {
        Self { now, lost, limit }
    }
}

/// A lease as a sweep saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct HeldLease {
    /// The lease.
    pub lease: LeaseRef,
    /// When the lease ends unless it is extended, by the clock that gave or extended it.
    pub expires: Timestamp,
    /// For how long it was given or extended.
    pub duration: Duration,
}

impl HeldLease {
    /// The lease that ends at `expires`, `duration` after it was given or extended.
    pub const fn new(lease: LeaseRef, expires: Timestamp, duration: Duration) -> Self {
        Self { lease, expires, duration }
    }
}

/// What a sweep did; by default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Lost leases: their tasks are due again.
    pub recovered: u64,
    /// Of these, tasks that lost too many leases and are dead letters now.
    pub died: u64,
    /// Dead letters and tombstones forgotten.
    pub forgotten: u64,
    /// Pauses that begin anew because the clock was set back.
    pub shortened: u64,
    /// The dead letters that were forgotten, in no order: what a wrapper keeps for them beside the storage may go too.
    pub forgotten_tasks: Vec<ForgottenTask>,
    /// Whether more is left to be done than fitted into one sweep.
    pub more: bool,
    /// All leases left, read while the storage accepted writes. Empty where the storage's own clock decides which leases
    /// are lost.
    pub held: Vec<HeldLease>,
}

/// A dead letter that was forgotten, as far as a wrapper needs to know it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForgottenTask {
    /// Its id.
    pub id: TaskId,
    /// Its attributes: opaque bytes to backends.
    pub attributes: Option<Vec<u8>>,
}

impl ForgottenTask {
    /// The dead letter of this id, with these attributes.
    pub const fn new(id: TaskId, attributes: Option<Vec<u8>>) -> Self {
        Self { id, attributes }
    }
}
