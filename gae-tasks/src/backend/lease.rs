//! What a backend is asked by workers, and what it answers: leases, outcomes, sweeps.
//!
//! Requests may gain fields in any release before 1.0: the traits are sealed, and only a direct call of a backend names
//! all of a request's fields.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::outcome::Outcome;
use crate::queue::QueueName;
use crate::task::{Route, TaskId, TaskSpec};
use crate::time::{Now, Timestamp};

/// Lease due tasks.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The moment it happens.
    pub now: Now,
    /// From these queues.
    pub queues: Arc<BTreeSet<QueueName>>,
    /// What the worker can run.
    pub routes: Routes,
    /// At most so many tasks; fewer, but one at least, where their payloads have some mebibytes.
    pub limit: usize,
    /// How many the worker starts at once; marked tasks are leased among these only, never ahead.
    pub starting: usize,
    /// How many of those may be suspects. One that is leased where a single one is asked for, and there is no other, is
    /// alone: no other suspect is leased by the workers of the client before it has ended.
    pub suspects: usize,
    /// Whether the workers of the client have other suspects already, so that none of these is alone.
    pub in_company: bool,
    /// How long the leases last unless extended.
    pub duration: Duration,
}

/// What the lost leases of a task make of it.
///
/// Workers lease ahead, so a task whose lease is lost may never have started; and those beside the one that killed the
/// worker are innocent. So a task is watched more closely with every loss, and a loss counts as an attempt only where
/// the task was the only suspect of its client's workers. A task that answers, so that an attempt ends with [`Verdict::Retry`],
/// is clear again; a release changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Standing {
    /// No lease was lost: the task may be leased ahead of a free runner.
    Clear,
    /// One lease was lost: the task is leased only to be started at once.
    Marked,
    /// Two leases were lost: the workers of a client have few suspects at a time, one at first.
    Suspect,
    /// A lease was lost while the task was a suspect: it is leased only where there is no other suspect.
    Isolated,
}

impl Standing {
    /// All of them, the one leased first before the others.
    pub(crate) const ALL: [Self; 4] = [Self::Isolated, Self::Suspect, Self::Marked, Self::Clear];

    /// The standing of a task that has lost so many leases.
    pub const fn of(lost_leases: u32) -> Self {
        match lost_leases {
            0 => Self::Clear,
            1 => Self::Marked,
            2 => Self::Suspect,
            _ => Self::Isolated,
        }
    }

    /// Whether the task is taken for one that may kill its worker.
    pub const fn is_suspect(self) -> bool {
        matches!(self, Self::Suspect | Self::Isolated)
    }
}

/// Which routes a worker can run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Routes {
    /// Any: whoever leases decides later.
    Any,
    /// These only; tasks of others are not leased and cost nothing.
    Only(Arc<BTreeSet<Route>>),
}

impl Routes {
    /// Whether a task of `route` is among them.
    pub fn contains(&self, route: &Route) -> bool {
        match self {
            Self::Any => true,
            Self::Only(routes) => routes.contains(route),
        }
    }
}

/// Tasks that were leased.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Leased {
    /// The tasks: suspects, then marked ones, then the others; each by schedule time, then by id.
    pub tasks: Vec<LeasedTask>,
    /// How long until a further task of these queues and routes becomes due; `None`: none waits for its time. Zero if
    /// the payloads were enough for one lease, so that more may be due than fitted into it.
    pub next: Option<Duration>,
    /// Whether an isolated task is due that was not leased because there are other suspects.
    pub isolated: bool,
}

impl Lease {
    /// How many tasks of `standing` may be leased where these are taken.
    pub(crate) fn room(&self, standing: Standing, taken: &[LeasedTask]) -> usize {
        // An isolated task is the first of a lease, and then its only suspect.
        let has_isolated = taken.first().is_some_and(|task| task.standing == Standing::Isolated);
        let most = match standing {
            Standing::Clear => self.limit,
            Standing::Marked => self.starting,
            Standing::Suspect if has_isolated => 0,
            Standing::Suspect => self.suspects.min(self.starting),
            Standing::Isolated if self.in_company => 0,
            Standing::Isolated => self.suspects.min(self.starting).min(1),
        };
        most.min(self.limit).saturating_sub(taken.len())
    }

    /// Whether a task of `standing` is the only suspect of its client's workers as long as this lease of it lasts.
    pub(crate) const fn isolates(&self, standing: Standing) -> bool {
        standing.is_suspect() && !self.in_company && (self.suspects == 1 || matches!(standing, Standing::Isolated))
    }
}

impl Leased {
    pub(crate) fn new(tasks: Vec<LeasedTask>, next: Option<Duration>) -> Self {
        Self { tasks, next, isolated: false }
    }
}

/// How many bytes of payloads one lease brings: the task that reaches them is its last, so that one always fits.
pub(crate) const MAX_LEASED_BYTES: usize = 8 * 1024 * 1024;

/// What a lease has taken so far.
#[derive(Debug, Default)]
pub(crate) struct Haul {
    tasks: Vec<LeasedTask>,
    bytes: usize,
}

impl Haul {
    pub(crate) fn tasks(&self) -> &[LeasedTask] {
        &self.tasks
    }

    /// Whether its payloads are enough for one lease.
    pub(crate) const fn is_full(&self) -> bool {
        self.bytes >= MAX_LEASED_BYTES
    }

    pub(crate) fn add(&mut self, task: LeasedTask) {
        self.bytes = self.bytes.saturating_add(task.payload.len());
        self.tasks.push(task);
    }

    /// The answer, where the next of the tasks that are not due becomes so after `next`.
    pub(crate) fn leased(self, next: Option<Duration>) -> Leased {
        let next = if self.is_full() { Some(Duration::ZERO) } else { next };
        Leased::new(self.tasks, next)
    }
}

/// The exclusive right to run one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseRef {
    /// The task.
    pub id: TaskId,
    /// Must match when the lease is extended or settled.
    pub token: LeaseToken,
}

/// The value that tells one lease of a task from any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseToken(i64);

impl LeaseToken {
    /// A token unlike any other, never negative.
    pub(crate) fn generate() -> Self {
        Self((crate::random::bits() >> 1).cast_signed())
    }

    /// A token as it was stored.
    pub const fn from_bits(bits: i64) -> Self {
        Self(bits)
    }

    /// The token as it is stored.
    pub const fn to_bits(self) -> i64 {
        self.0
    }
}

/// A task with its lease.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct LeasedTask {
    /// The lease.
    pub lease: LeaseRef,
    /// Its fields, as it was deferred.
    pub spec: TaskSpec,
    /// Its encoded args.
    pub payload: Vec<u8>,
    /// Its schedule time.
    pub schedule_time: Timestamp,
    /// Attempts that began before this lease.
    pub attempts: u32,
    /// What the leases of it that were lost make of it.
    pub standing: Standing,
    /// Whether it is a suspect that no other one may run beside: if this lease is lost, that was an attempt.
    pub alone: bool,
}

/// Extend leases.
#[derive(Debug, Clone)]
pub struct Extend {
    /// The moment it happens.
    pub now: Now,
    /// The leases.
    pub leases: Vec<LeaseRef>,
    /// How long they last from now on.
    pub duration: Duration,
}

/// Record outcomes.
#[derive(Debug, Clone)]
pub struct Settle {
    /// The moment it happens.
    pub now: Now,
    /// The outcomes: all in one transaction, answered one by one.
    pub settlements: Vec<Settlement>,
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
}

impl Settlement {
    /// `verdict` on the task of `lease`.
    pub(crate) const fn new(lease: LeaseRef, verdict: Verdict) -> Self {
        Self { lease, started: None, verdict }
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
            Self::Retry { error, .. } | Self::Permanent { error } | Self::Unreadable { error } => Some(error),
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
            Outcome::Retry(failure) => {
                Self::Retry { error: failure.to_string(), after: failure.retry_after(), max_attempts }
            }
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

/// What a sweep did.
#[derive(Clone, Default, PartialEq, Eq)]
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
    /// The attributes of the dead letters that were forgotten, where they had any: what else was kept for them may go too.
    pub attributes: Vec<Vec<u8>>,
    /// Whether more is left to be done than fitted into one sweep.
    pub more: bool,
    /// All leases left, read while the storage accepted writes. Empty where the storage's own clock decides which leases
    /// are lost.
    pub held: Vec<HeldLease>,
}
