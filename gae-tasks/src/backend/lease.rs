//! Leasing: what a backend is asked by workers that want tasks, and what it answers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::queue::{QueueName, RetryConfig};
use crate::task::{Route, TaskId, TaskSpec};
use crate::time::{Now, Timestamp};

/// Lease due tasks.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Lease {
    /// The moment it happens.
    pub now: Now,
    /// From these queues, which take turns.
    pub queues: Arc<BTreeSet<QueueName>>,
    /// What the worker can run.
    pub routes: Routes,
    /// How many tasks.
    pub room: Room,
    /// The queue that had the last turn: those after it, in the order in which the storage first got a task of them, are
    /// next.
    pub last_turn: Option<QueueName>,
    /// Queues of which at most so many tasks are leased, though there may be room for more.
    pub bounds: HashMap<QueueName, usize>,
    /// How long the leases last unless extended.
    pub duration: Duration,
}

impl Lease {
    /// A lease of tasks that the queues have due; the queue that the storage has known longest has the first turn.
    pub fn new(
        now: Now,
        queues: Arc<BTreeSet<QueueName>>,
        routes: Routes,
        room: Room,
        duration: Duration,
    ) -> Self {
        Self { now, queues, routes, room, last_turn: None, bounds: HashMap::new(), duration }
    }
}

/// How many tasks a lease brings, by what lost leases have made of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Room {
    /// At most so many tasks; fewer, but one at least, where their payloads have some mebibytes.
    pub total: usize,
    /// How many the worker starts at once; marked tasks are leased among these only, never ahead.
    pub starting: usize,
    /// How many of those may be suspects. One that is leased where a single one is asked for, and there is no other, is
    /// alone: no other suspect is leased by the workers of the client before it has ended.
    pub suspects: usize,
    /// Whether the workers of the client have other suspects already, so that none of these is alone.
    pub in_company: bool,
}

impl Room {
    /// Room for so many tasks, whatever their standing.
    pub const fn new(total: usize) -> Self {
        Self { total, starting: total, suspects: total, in_company: false }
    }

    /// How many tasks of `standing` may be leased where these are taken.
    pub(super) fn left(&self, standing: Standing, taken: &[LeasedTask]) -> usize {
        // An isolated task is the first of a lease, and then its only suspect.
        let has_isolated = taken.first().is_some_and(|task| task.standing == Standing::Isolated);
        let most = match standing {
            Standing::Clear => self.total,
            Standing::Marked => self.starting,
            Standing::Suspect if has_isolated => 0,
            Standing::Suspect => self.suspects.min(self.starting),
            Standing::Isolated if self.in_company => 0,
            Standing::Isolated => self.suspects.min(self.starting).min(1),
        };
        most.min(self.total).saturating_sub(taken.len())
    }

    /// Whether a task of `standing` is the only suspect of its client's workers as long as this lease of it lasts.
    pub(super) const fn isolates(&self, standing: Standing) -> bool {
        standing.is_suspect()
            && !self.in_company
            && (self.suspects == 1 || matches!(standing, Standing::Isolated))
    }
}

/// What the lost leases of a task make of it.
///
/// Workers lease ahead, so a task whose lease is lost may never have started; and those beside the one that killed the
/// worker are innocent. So a task is watched more closely with every loss, and a loss counts as an attempt only where
/// the task was the only suspect of its client's workers. A task that answers, so that an attempt ends with
/// [`Verdict::Retry`](super::Verdict::Retry), is clear again; a release changes nothing.
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
    /// The tasks: suspects, then marked ones, both by schedule time, then by id; then the others, of which each queue has
    /// its turns.
    pub tasks: Vec<LeasedTask>,
    /// How long until a further task of these queues and routes becomes due; `None`: none waits for its time. Where tasks
    /// are left that are due already, later ones of their queue and route may be left out. Zero if the payloads were enough
    /// for one lease, so that more may be due than fitted into it.
    pub next: Option<Duration>,
    /// Whether an isolated task is due that was not leased because there are other suspects.
    pub isolated: bool,
}

impl Leased {
    /// These tasks, where a further one becomes due after `next`; no isolated task is left.
    pub const fn new(tasks: Vec<LeasedTask>, next: Option<Duration>) -> Self {
        Self { tasks, next, isolated: false }
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

impl LeaseRef {
    /// The lease of the task `id` that has this token.
    pub const fn new(id: TaskId, token: LeaseToken) -> Self {
        Self { id, token }
    }
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
    /// When the first of them began.
    pub first_attempt: Option<Timestamp>,
    /// How its queue retries failed tasks, if the queue states that.
    pub retry: Option<Arc<RetryConfig>>,
    /// Whether it is a suspect that no other one may run beside: if this lease is lost, that was an attempt.
    pub alone: bool,
}

impl LeasedTask {
    /// The task of `lease` with its payload, due since `schedule_time`: its first attempt, and no lease of it was lost.
    pub const fn new(
        lease: LeaseRef,
        spec: TaskSpec,
        payload: Vec<u8>,
        schedule_time: Timestamp,
    ) -> Self {
        let (attempts, first_attempt, retry) = (0, None, None);
        let (standing, alone) = (Standing::Clear, false);
        Self {
            lease,
            spec,
            payload,
            schedule_time,
            attempts,
            standing,
            first_attempt,
            retry,
            alone,
        }
    }
}

/// Extend leases.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Extend {
    /// The moment it happens.
    pub now: Now,
    /// The leases.
    pub leases: Vec<LeaseRef>,
    /// How long they last from now on.
    pub duration: Duration,
}

impl Extend {
    /// Let these leases last for `duration` from `now` on.
    pub const fn new(now: Now, leases: Vec<LeaseRef>, duration: Duration) -> Self {
        Self { now, leases, duration }
    }
}
