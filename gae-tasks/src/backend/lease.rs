//! Leasing: the requests of workers that want tasks, and the answers.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::refusers::ReaderId;
use crate::queue::{QueueName, RetryConfig};
use crate::task::{Route, TaskId, TaskSpec};
use crate::time::{Now, Timestamp};

/// A request to lease due tasks.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Lease {
    /// The time of the request.
    pub now: Now,
    /// The queues to lease from, which take turns.
    pub queues: Arc<BTreeSet<QueueName>>,
    /// The routes that the worker can run.
    pub routes: Routes,
    /// How many tasks to lease.
    pub room: Room,
    /// The queue that had the last turn: the queues after it, in the order in which the storage
    /// first received a task of each, are next.
    pub last_turn: Option<QueueName>,
    /// The most tasks to lease from single queues, even if there is room for more.
    pub bounds: HashMap<QueueName, usize>,
    /// How long the leases last unless extended.
    pub duration: Duration,
    /// How long before its schedule time a task counts as due: zero for workers, more for a relay,
    /// whose tasks wait for their time elsewhere.
    pub ahead: Duration,
}

impl Lease {
    /// Creates a request for due tasks of `queues`; the queue that the storage has known longest
    /// has the first turn.
    pub fn new(
        now: Now,
        queues: Arc<BTreeSet<QueueName>>,
        routes: Routes,
        room: Room,
        duration: Duration,
    ) -> Self {
        let (last_turn, bounds, ahead) = (None, HashMap::new(), Duration::ZERO);
        Self { now, queues, routes, room, last_turn, bounds, duration, ahead }
    }
}

/// How many tasks a lease returns, by their standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Room {
    /// The most tasks in total. Large payloads (some mebibytes together) make the lease return
    /// fewer, but at least one.
    pub total: usize,
    /// How many tasks the worker starts at once; marked tasks are leased only among these, never
    /// ahead.
    pub starting: usize,
    /// How many of the tasks started at once may be suspects. If a single suspect is requested and
    /// there is no other, the leased suspect is alone: the workers of the client lease no other
    /// suspect before it has ended.
    pub suspects: usize,
    /// Whether the workers of the client already have other suspects, so that no leased suspect is
    /// alone.
    pub in_company: bool,
    /// Whether the lessee runs the tasks, so that one of them may kill it. If not, the standing of
    /// a task does not matter, and no lost lease counts as an attempt.
    pub is_watched: bool,
    /// Whether the limits of queues apply. Not to a relay: whoever runs its tasks has limits of its
    /// own.
    pub obeys_limits: bool,
    /// How many runners are free now: from queues with limits no more tasks are leased than there
    /// are free runners, because their leases mean that the tasks start.
    pub startable: usize,
    /// Whether the room is for tasks of queues with limits only.
    pub is_reserved: bool,
}

impl Room {
    /// Creates room for `total` tasks of any standing.
    pub const fn new(total: usize) -> Self {
        Self {
            total,
            starting: total,
            suspects: total,
            in_company: false,
            is_watched: true,
            obeys_limits: true,
            startable: total,
            is_reserved: false,
        }
    }

    /// Creates room for `total` tasks that are not run by whoever leases them.
    pub const fn unwatched(total: usize) -> Self {
        Self { is_watched: false, obeys_limits: false, ..Self::new(total) }
    }

    /// Returns how many tasks of `standing` may still be leased after `taken`.
    pub(super) fn left(&self, standing: Standing, taken: &[LeasedTask]) -> usize {
        // An isolated task is the first of its lease, and then the only suspect in it.
        let has_isolated = taken.first().is_some_and(|task| task.standing == Standing::Isolated);
        let most = match standing {
            _ if !self.is_watched => self.total,
            Standing::Clear => self.total,
            Standing::Marked => self.starting,
            Standing::Suspect if has_isolated => 0,
            Standing::Suspect => self.suspects.min(self.starting),
            Standing::Isolated if self.in_company => 0,
            Standing::Isolated => self.suspects.min(self.starting).min(1),
        };
        most.min(self.total).saturating_sub(taken.len())
    }

    /// Whether a task of `standing` is the only suspect of its client's workers while it is leased
    /// under this request.
    pub(super) const fn isolates(&self, standing: Standing) -> bool {
        standing.is_suspect()
            && self.is_watched
            && !self.in_company
            && (self.suspects == 1 || matches!(standing, Standing::Isolated))
    }
}

/// How closely a task is watched because of its lost leases.
///
/// Workers lease ahead, so a task whose lease is lost may never have started, and the tasks leased
/// beside the one that killed the worker are innocent. A task is therefore watched more closely
/// with every loss, and a loss counts as an attempt only if the task was the only suspect of its
/// client's workers. A task that answers, so that an attempt ends with
/// [`Verdict::Retry`](super::Verdict::Retry), is clear again; a release changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Standing {
    /// No lease was lost: the task may be leased ahead of a free runner.
    Clear,
    /// One lease was lost: the task is leased only to be started at once.
    Marked,
    /// Two leases were lost: the workers of a client have few suspects at a time, at first only
    /// one.
    Suspect,
    /// A lease was lost while the task was a suspect: the task is leased only while there is no
    /// other suspect.
    Isolated,
}

impl Standing {
    /// All standings, in the order in which tasks are leased.
    pub(crate) const ALL: [Self; 4] = [Self::Isolated, Self::Suspect, Self::Marked, Self::Clear];

    /// Returns the standing of a task that has lost this many leases.
    pub const fn of(lost_leases: u32) -> Self {
        match lost_leases {
            0 => Self::Clear,
            1 => Self::Marked,
            2 => Self::Suspect,
            _ => Self::Isolated,
        }
    }

    /// Whether the task is suspected of killing its worker.
    pub const fn is_suspect(self) -> bool {
        matches!(self, Self::Suspect | Self::Isolated)
    }
}

/// The routes that a worker can run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Routes {
    /// Any route: the caller decides later.
    Any,
    /// Only these routes; tasks of other routes are not leased and cost nothing.
    Only(Arc<BTreeSet<Route>>),
    /// The routes that the worker can read, by the schemas that are stored with the tasks. The
    /// worker is asked about each stored route once; tasks of routes that it cannot read are not
    /// leased and cost nothing. Another `Arc` is another worker, which is asked anew.
    Read(Arc<dyn ReadsRoutes>),
}

impl Routes {
    /// Returns the function that reads tasks of `route`, whose payloads have this schema; `None` if
    /// the worker does not run them. Where routes are listed, this is any function of the route's
    /// shape.
    pub fn reader(&self, route: &Route, schema: Option<&[u8]>) -> Option<ReaderId> {
        let listed = ReaderId::of_shape(route.shape());
        match self {
            Self::Any => Some(listed),
            Self::Only(routes) => routes.contains(route).then_some(listed),
            Self::Read(worker) => worker.reader(route, schema),
        }
    }
}

/// A worker that decides by schema which tasks it can read.
///
/// The backend calls it on the thread that polls the lease, while nobody waits for the storage. An
/// answer is kept for as long as the value lives: a worker whose answers change passes another
/// `Arc`.
pub trait ReadsRoutes: fmt::Debug + Send + Sync {
    /// Returns this program's function that reads tasks of `route`, whose payloads have this
    /// schema; `None` if there is no such function. The schema is `None` if none is stored.
    fn reader(&self, route: &Route, schema: Option<&[u8]>) -> Option<ReaderId>;
}

/// The answer to a lease request.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Leased {
    /// The leased tasks: suspects, then marked tasks, both by schedule time and priority, then by
    /// id; then clear tasks, by the turns of their queues. Among tasks of one standing, and in the
    /// turn of a queue, those come first that only other readers refused, as they had their turn
    /// before, and those that were made due by hand.
    pub tasks: Vec<LeasedTask>,
    /// How long until a further task of these queues and routes becomes due, or the limits of a
    /// queue that had tasks due let it give one; `None` if nothing waits for a time. A queue that
    /// waits for the end of a lease has no time: the backend wakes its workers.
    ///
    /// While due tasks are left in a queue and route, later ones of the same
    /// queue and route may not be counted. Zero if more tasks may be due: the payloads filled the
    /// lease, or the backend answers before it looks for more.
    pub next: Option<Duration>,
    /// Whether a due isolated task was not leased because there are other suspects.
    pub isolated: bool,
    /// Whether due tasks of queues with limits were left only because no more runners were free.
    pub held_back: bool,
}

impl Leased {
    /// Creates an answer with these tasks; a further task becomes due after `next`, no isolated
    /// task is left, and none waits for a runner.
    pub const fn new(tasks: Vec<LeasedTask>, next: Option<Duration>) -> Self {
        Self { tasks, next, isolated: false, held_back: false }
    }
}

/// The exclusive right to run one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseRef {
    /// The task.
    pub id: TaskId,
    /// The token, which must match when the lease is extended or settled.
    pub token: LeaseToken,
}

impl LeaseRef {
    /// Creates a reference to the lease of the task `id` with this token.
    pub const fn new(id: TaskId, token: LeaseToken) -> Self {
        Self { id, token }
    }
}

/// A value that distinguishes one lease of a task from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseToken(i64);

impl LeaseToken {
    /// Generates a random token, never negative.
    pub(crate) fn generate() -> Self {
        Self((crate::random::bits() >> 1).cast_signed())
    }

    /// Restores a token from its stored form.
    pub const fn from_bits(bits: i64) -> Self {
        Self(bits)
    }

    /// Returns the token in its stored form.
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
    /// The fields of the task, as it was deferred.
    pub spec: TaskSpec,
    /// The encoded args.
    pub payload: Vec<u8>,
    /// The schedule time of the task.
    pub schedule_time: Timestamp,
    /// The number of attempts that began before this lease.
    pub attempts: u32,
    /// The standing that follows from the task's lost leases.
    pub standing: Standing,
    /// The number of leases that the task had lost before.
    pub lost_leases: u32,
    /// When the first attempt began.
    pub first_attempt: Option<Timestamp>,
    /// How the queue retries failed tasks, if its configuration says.
    pub retry: Option<Arc<RetryConfig>>,
    /// Whether the task is a suspect that no other suspect may run beside: if this lease is lost,
    /// the loss counts as an attempt.
    pub alone: bool,
    /// Whether the queue had limits when the task was leased: the task starts at once, before those
    /// that were leased ahead.
    pub at_once: bool,
    /// Whether the lease took a token of the queue's bucket.
    pub paid: bool,
    /// Whether the task was made due by hand, and no attempt was answered since.
    pub forced: bool,
}

impl LeasedTask {
    /// Creates the leased task of `lease`, due since `schedule_time`, with no attempts and no lost
    /// leases.
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
            lost_leases: 0,
            first_attempt,
            retry,
            alone,
            at_once: false,
            paid: false,
            forced: false,
        }
    }
}

/// A request to extend leases.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Extend {
    /// The time of the request.
    pub now: Now,
    /// The leases.
    pub leases: Vec<LeaseRef>,
    /// How long the leases last from `now` on.
    pub duration: Duration,
}

impl Extend {
    /// Creates a request to extend `leases` to `duration` from `now` on.
    pub const fn new(now: Now, leases: Vec<LeaseRef>, duration: Duration) -> Self {
        Self { now, leases, duration }
    }
}
