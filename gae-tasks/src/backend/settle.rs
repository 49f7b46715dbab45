//! Settling and sweeping: the requests about leased tasks, and the answers.

use std::time::Duration;

use super::lease::LeaseRef;
use super::refusers::ReaderId;
use crate::queue::TypeBackoff;
use crate::task::TaskId;
use crate::time::{Now, Timestamp};

/// A request to record outcomes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settle {
    /// The time of the request.
    pub now: Now,
    /// The outcomes: recorded in one transaction, answered one by one.
    pub settlements: Vec<Settlement>,
}

impl Settle {
    /// Creates a request to record `settlements` at `now`.
    pub const fn new(now: Now, settlements: Vec<Settlement>) -> Self {
        Self { now, settlements }
    }
}

/// The outcome of one leased task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settlement {
    /// The lease under which the task ran.
    pub lease: LeaseRef,
    /// When the attempt began; `None` if no attempt began.
    pub started: Option<Timestamp>,
    /// How the attempt ended.
    pub verdict: Verdict,
    /// The backoff of the task's type, in place of the queue's.
    pub backoff: TypeBackoff,
    /// If the handler has completed the task in a transaction of its own: the verdict if the task
    /// is still stored, because that transaction was rolled back. If the task is not stored, it is
    /// done, whatever the verdict says.
    pub rolled_back: Option<Verdict>,
    /// Whether a payload in a payload store outlives the task here, because the task goes on in
    /// another storage.
    pub keeps_payload: bool,
}

impl Settlement {
    /// Creates a settlement with `verdict` for the task of `lease`, without a known start of the
    /// attempt.
    pub const fn new(lease: LeaseRef, verdict: Verdict) -> Self {
        let (started, backoff, rolled_back) = (None, TypeBackoff::NONE, None);
        Self { lease, started, verdict, backoff, rolled_back, keeps_payload: false }
    }

    /// Adds whether the attempt has completed its task in a transaction, under its type's cap on
    /// attempts. A handler that reports success after a rollback has failed.
    pub(crate) fn of_attempt(mut self, is_completed: bool, max_attempts: Option<u32>) -> Self {
        self.rolled_back = is_completed.then(|| match &self.verdict {
            Verdict::Done => {
                Verdict::Retry { error: ROLLED_BACK.to_owned(), after: None, max_attempts }
            }
            verdict => verdict.clone(),
        });
        self
    }
}

/// The error of an attempt that reports success after its transaction was rolled back.
pub(crate) const ROLLED_BACK: &str = "the handler returned success, but the transaction in which \
                                      it completed the task (`complete_in`) was rolled back";

/// What the worker asks for after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The task is over.
    Done,
    /// The attempt failed: the task is scheduled again, or dies if it has been tried enough.
    Retry {
        /// The error and its sources in one line.
        error: String,
        /// The pause that the handler asked for, in place of the backoff.
        after: Option<Duration>,
        /// The task type's cap on attempts, which ends the task whatever its queue allows.
        max_attempts: Option<u32>,
    },
    /// The task failed for good and dies.
    Permanent {
        /// The error and its sources in one line.
        error: String,
    },
    /// No attempt began and none can ever begin where the task is to run: it dies, and no attempt
    /// is counted.
    Undeliverable {
        /// The error and its sources in one line.
        error: String,
    },
    /// The attempt never began, or must continue elsewhere: the task waits as before and no attempt
    /// is counted.
    Release,
    /// The value of the payload cannot be read here: no attempt is counted, and the task goes back.
    /// The readers that have refused it pause: a minute after the first refusal, twice as long
    /// after each further one by any of them, at most an hour. Any other reader may lease the task
    /// at once.
    Unreadable {
        /// The error and its sources in one line.
        error: String,
        /// The function that could not read the value.
        reader: ReaderId,
    },
}

impl Verdict {
    /// Whether the verdict is the answer of a handler.
    pub(crate) const fn is_of_an_attempt(&self) -> bool {
        !matches!(self, Self::Undeliverable { .. } | Self::Release | Self::Unreadable { .. })
    }

    /// Returns the error, if the verdict has one.
    pub(crate) fn error(&self) -> Option<&str> {
        match self {
            Self::Retry { error, .. }
            | Self::Permanent { error }
            | Self::Undeliverable { error }
            | Self::Unreadable { error, .. } => Some(error),
            Self::Done | Self::Release => None,
        }
    }
}

/// The result of settling one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// The task is over and deleted.
    Done,
    /// The task is attempted again at this time.
    Scheduled(Timestamp),
    /// The task is a dead letter now.
    Dead,
    /// The token did not match: nothing changed, and another worker may have the task.
    LeaseLost,
    /// A transaction of the application has locked the task: nothing changed, and the lease is
    /// still held. The outcome can be recorded once the transaction has ended.
    Locked,
}

/// A request to recover lost leases and to delete dead letters and tombstones whose retention has
/// passed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sweep {
    /// The time of the request.
    pub now: Now,
    /// The leases that are lost unless they have changed since: each was seen unchanged in the
    /// answers of sweeps for its own duration.
    pub lost: Vec<HeldLease>,
    /// The most changes of each sort, which keeps a sweep short. Dead letters with large payloads
    /// lower the number, but at least one is deleted.
    pub limit: usize,
}

impl Sweep {
    /// Creates a request to recover the leases `lost` at `now`, with at most `limit` changes of
    /// each sort.
    pub const fn new(now: Now, lost: Vec<HeldLease>, limit: usize) -> Self {
        Self { now, lost, limit }
    }
}

/// A lease as a sweep returns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct HeldLease {
    /// The lease.
    pub lease: LeaseRef,
    /// When the lease ends unless extended, by the clock of the process that gave or extended it.
    pub expires: Timestamp,
    /// The duration for which the lease was given or extended.
    pub duration: Duration,
}

impl HeldLease {
    /// Creates a lease that ends at `expires`, `duration` after it was given or extended.
    pub const fn new(lease: LeaseRef, expires: Timestamp, duration: Duration) -> Self {
        Self { lease, expires, duration }
    }
}

/// The result of a sweep; by default nothing was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// The number of recovered leases, whose tasks are due again.
    pub recovered: u64,
    /// The number of these tasks that lost too many leases and are dead letters now.
    pub died: u64,
    /// The number of deleted dead letters and tombstones.
    pub forgotten: u64,
    /// The number of pauses that began anew because the clock was set back.
    pub shortened: u64,
    /// The deleted dead letters, in no order. A wrapper can delete what it keeps for them outside
    /// the storage.
    pub forgotten_tasks: Vec<ForgottenTask>,
    /// Whether more work is left than fitted into one sweep.
    pub more: bool,
    /// How long the storage would like to rest before the next sweep, where sweeps cost much.
    pub rest: Duration,
    /// All remaining leases, read while the storage accepted writes. Empty if the storage's own
    /// clock decides which leases are lost.
    pub held: Vec<HeldLease>,
}

/// A deleted dead letter, with the fields that a wrapper needs.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForgottenTask {
    /// The id of the task.
    pub id: TaskId,
    /// The attributes of the task: opaque bytes to backends.
    pub attributes: Option<Vec<u8>>,
}

impl ForgottenTask {
    /// Creates a deleted dead letter with this id and these attributes.
    pub const fn new(id: TaskId, attributes: Option<Vec<u8>>) -> Self {
        Self { id, attributes }
    }
}
