//! What is asked of a backend, and what it answers: plain data, so that a new field breaks no signature.
//!
//! Requests may gain fields in any release before 1.0: the traits are sealed, and only a direct call of a backend names
//! all of a request's fields.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::outcome::Outcome;
use crate::queue::{QueueConfig, QueueName, RetryConfig};
use crate::task::{Kind, Route, Shape, TaskId, TaskName};
use crate::time::{Now, Schedule, Timestamp};

/// A task to be stored.
#[derive(Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Made by the client: storing the same task again is a no-op while it is stored, or its name remembered.
    pub id: TaskId,
    /// What it is.
    pub kind: Kind,
    /// The shape of its payload.
    pub shape: Shape,
    /// Its encoded args.
    pub payload: Vec<u8>,
    /// The queue it goes to.
    pub queue: QueueName,
    /// Its name, which no other task of the queue may have.
    pub name: Option<TaskName>,
    /// When it may be dispatched first.
    pub schedule: Schedule,
    /// A cap on its attempts that stops alone.
    pub max_attempts: Option<u32>,
    /// Its own retry settings in place of the queue's.
    pub retry: Option<RetryConfig>,
    /// The time one attempt may take; `None` is the task type's.
    pub deadline: Option<Duration>,
    /// Opaque: trace context and what later versions add.
    pub attributes: Option<Vec<u8>>,
}

/// Store tasks.
#[derive(Debug, Clone)]
pub struct Enqueue {
    /// The moment it happens.
    pub now: Now,
    /// The tasks: all in one transaction, answered one by one.
    pub tasks: Vec<NewTask>,
}

/// A task as it is stored.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskRecord {
    /// Its id.
    pub id: TaskId,
    /// Its kind.
    pub kind: Kind,
    /// The shape of its payload.
    pub shape: Shape,
    /// Its encoded args.
    pub payload: Vec<u8>,
    /// The queue it is in.
    pub queue: QueueName,
    /// Its name.
    pub name: Option<TaskName>,
    /// Where it stands.
    pub state: TaskState,
    /// When it was stored.
    pub created: Timestamp,
    /// The earliest moment of its next attempt.
    pub schedule_time: Timestamp,
    /// When its first attempt that is known of began.
    pub first_attempt: Option<Timestamp>,
    /// Attempts that began and ended, in whatever way.
    pub attempts: u32,
    /// Leases lost since it was stored, replayed or answered with a retry: the first only marks the task, each further
    /// one was an attempt.
    pub lost_leases: u32,
    /// A cap on its attempts that stops alone.
    pub max_attempts: Option<u32>,
    /// Its own retry settings.
    pub retry: Option<RetryConfig>,
    /// The time one attempt may take.
    pub deadline: Option<Duration>,
    /// Opaque attributes.
    pub attributes: Option<Vec<u8>>,
    /// Its last errors, oldest first, at most [`MAX_ERRORS`].
    pub errors: Vec<TaskError>,
    /// When it became a dead letter.
    pub died: Option<Timestamp>,
}

/// Where a stored task stands; derived from its schedule time, lease and death.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// It waits for its schedule time, or for a worker if that has passed.
    Scheduled,
    /// A worker has it.
    Leased,
    /// It will not be attempted again.
    Dead,
}

/// How one attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskError {
    /// Which attempt.
    pub attempt: u32,
    /// When it ended.
    pub at: Timestamp,
    /// The error and its sources in one line, at most [`MAX_ERROR_BYTES`] long.
    pub message: String,
}

/// How far ahead the backends of this crate schedule tasks: 10 years, as App Engine's queues did.
pub(crate) const MAX_AHEAD: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// How many of its last errors stay on a task.
pub const MAX_ERRORS: usize = 10;

/// How many bytes of an error are kept.
pub const MAX_ERROR_BYTES: usize = 2048;

/// How many lost leases after the first, which only marks a task, make it a dead letter.
pub const MAX_LOST_ATTEMPTS: u32 = 5;

/// What backends themselves write into a task's errors and answers, the same in each.
pub(crate) mod error_text {
    pub(crate) const LEASE_LOST: &str =
        "the lease was lost: the worker was killed, or stopped answering, in this attempt";
    pub(crate) const RUNNING: &str = "is running already";
    pub(crate) const DEAD: &str = "is a dead letter: replay it";
    pub(crate) const NOT_DEAD: &str = "is no dead letter";
    pub(crate) const NOT_STORED: &str = "is not stored: it is over, or never was";
}

/// The error text that is kept of `message`: cut, at a character's end, to [`MAX_ERROR_BYTES`].
pub(crate) fn bounded(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MAX_ERROR_BYTES));
    message
}

/// Which tasks are meant; a field that is `None` leaves none out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskFilter {
    /// Those in this queue.
    pub queue: Option<QueueName>,
    /// Those of this kind.
    pub kind: Option<Kind>,
    /// Those in this state.
    pub state: Option<TaskState>,
}

impl TaskFilter {
    /// All tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of these the ones in `queue`.
    pub fn queue(mut self, queue: QueueName) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Of these the ones of `kind`.
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Of these the ones in `state`.
    pub fn state(mut self, state: TaskState) -> Self {
        self.state = Some(state);
        self
    }
}

/// Read stored tasks, page by page in the order of their ids (that is: the time they were deferred).
#[derive(Debug, Clone)]
pub struct List {
    /// Which tasks.
    pub filter: TaskFilter,
    /// Only those after this id: the last of the page before.
    pub after: Option<TaskId>,
    /// At most so many.
    pub limit: usize,
}

/// How many tasks stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Waiting, due or not.
    pub scheduled: u64,
    /// Of the waiting ones, those whose schedule time has passed.
    pub due: u64,
    /// With a worker.
    pub leased: u64,
    /// Dead letters.
    pub dead: u64,
    /// The soonest schedule time of all waiting tasks, whether it has passed or not.
    pub oldest_due: Option<Timestamp>,
}

impl Stats {
    /// Tasks that are not over: waiting or with a worker.
    pub fn open(&self) -> u64 {
        self.scheduled + self.leased
    }
}

/// One line of the stored routes: how many tasks of a route are stored, dead letters included, for telling what no
/// instance can run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteStats {
    /// The queue.
    pub queue: QueueName,
    /// The route.
    pub route: Route,
    /// Its tasks.
    pub stats: Stats,
}

/// A queue as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueRecord {
    /// Its name.
    pub name: QueueName,
    /// Its configuration.
    pub config: QueueConfig,
    /// Whether it is paused: its tasks wait.
    pub paused: bool,
}

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
    /// How many of those may be suspects: one, unless the worker has one already.
    pub suspects: usize,
    /// How long the leases last unless extended.
    pub duration: Duration,
}

/// What the lost leases of a task make of it.
///
/// Workers lease ahead, so a task whose lease is lost may never have started; and those beside the one that killed the
/// worker are innocent. So a task is watched more closely with every loss, and taken for what kills workers only when
/// it was alone under suspicion again and again. One that answers, so that an attempt ends with
/// [`Verdict::Retry`], is clear again; a release tells nothing and changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Standing {
    /// None was lost: it may be leased ahead of a free runner.
    Clear,
    /// One was lost: it is leased only to be started at once, so that a further loss is an attempt.
    Marked,
    /// More were lost: a worker has one suspect at a time, so that what kills its worker takes no other suspect along.
    Suspect,
}

impl Standing {
    /// All of them, the one leased first before the others.
    pub(crate) const ALL: [Self; 3] = [Self::Suspect, Self::Marked, Self::Clear];

    /// The standing of a task that has lost so many leases.
    pub const fn of(lost_leases: u32) -> Self {
        match lost_leases {
            0 => Self::Clear,
            1 => Self::Marked,
            _ => Self::Suspect,
        }
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
}

impl Lease {
    /// How many tasks of `standing` may be leased where `taken` are.
    pub(crate) fn room(&self, standing: Standing, taken: usize) -> usize {
        let most = match standing {
            Standing::Clear => self.limit,
            Standing::Marked => self.starting.min(self.limit),
            Standing::Suspect => self.suspects.min(self.starting).min(self.limit),
        };
        most.saturating_sub(taken)
    }
}

impl Leased {
    pub(crate) fn new(tasks: Vec<LeasedTask>, next: Option<Duration>) -> Self {
        Self { tasks, next }
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
        let (bits, _) = uuid::Uuid::new_v4().as_u64_pair();
        Self((bits >> 1).cast_signed())
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
    /// Its kind.
    pub kind: Kind,
    /// The shape of its payload.
    pub shape: Shape,
    /// Its encoded args.
    pub payload: Vec<u8>,
    /// The queue it is in.
    pub queue: QueueName,
    /// Its name.
    pub name: Option<TaskName>,
    /// Its schedule time.
    pub schedule_time: Timestamp,
    /// Attempts that began before this lease.
    pub attempts: u32,
    /// What the leases of it that were lost make of it.
    pub standing: Standing,
    /// The time one attempt may take; `None` is the task type's.
    pub deadline: Option<Duration>,
    /// Opaque attributes.
    pub attributes: Option<Vec<u8>>,
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
    /// How long the names of finished tasks stay blocked.
    pub tombstones: Duration,
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
}

impl Verdict {
    /// The error it is passed for, if any.
    pub(crate) fn error(&self) -> Option<&str> {
        match self {
            Self::Retry { error, .. } | Self::Permanent { error } => Some(error),
            Self::Done | Self::Release => None,
        }
    }

    /// The verdict on a task whose attempt ended with `outcome`, under its type's cap on attempts.
    pub(crate) fn of(outcome: &Outcome, max_attempts: Option<u32>) -> Self {
        match outcome {
            Outcome::Done => Self::Done,
            Outcome::Released => Self::Release,
            Outcome::Permanent(failure) => Self::Permanent { error: failure.to_string() },
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

/// Recover lost leases and forget what has been kept long enough.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// The moment it happens.
    pub now: Now,
    /// How long dead letters are kept.
    pub dead_letters: Duration,
    /// How long the names of finished tasks stay blocked; a dead letter that is forgotten leaves a tombstone too.
    pub tombstones: Duration,
    /// At most so many changes of each sort, so that a sweep stays short.
    pub limit: usize,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Lost leases: their tasks are due again.
    pub recovered: u64,
    /// Of these, tasks that lost too many leases and are dead letters now.
    pub died: u64,
    /// Dead letters and tombstones forgotten.
    pub forgotten: u64,
}

/// Act on one task by hand.
#[derive(Debug, Clone, Copy)]
pub struct Touch {
    /// The moment it happens.
    pub now: Now,
    /// The task.
    pub id: TaskId,
    /// How long the name of a deleted task stays blocked.
    pub tombstones: Duration,
}

/// Delete the tasks of a queue that are not dead.
#[derive(Debug, Clone, Copy)]
pub struct Purge {
    /// The moment it happens.
    pub now: Now,
    /// How long the names of the deleted tasks stay blocked.
    pub tombstones: Duration,
}

/// What a backend can promise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The backend's name, for errors and logs.
    pub backend: &'static str,
    /// Whether stored tasks survive the end of the process.
    pub durable: bool,
    /// Most bytes of one payload.
    pub max_payload: usize,
    /// How far ahead a task may be scheduled; `None` is unlimited.
    pub schedule_horizon: Option<Duration>,
    /// The shortest dispatch deadline.
    pub min_deadline: Duration,
    /// The longest dispatch deadline.
    pub max_deadline: Duration,
    /// Whether workers lease from it (a push backend calls handlers over HTTP instead).
    pub pull: bool,
}

impl std::iter::Sum for Stats {
    fn sum<I: Iterator<Item = Self>>(lines: I) -> Self {
        lines.fold(Self::default(), |sum, line| Self {
            scheduled: sum.scheduled + line.scheduled,
            due: sum.due + line.due,
            leased: sum.leased + line.leased,
            dead: sum.dead + line.dead,
            oldest_due: [sum.oldest_due, line.oldest_due].into_iter().flatten().min(),
        })
    }
}

/// Opaque bytes in a `Debug` text: their length only, as they may hold what nobody should see.
pub(crate) struct Hidden<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// `Debug` for a struct with a payload and attributes: every field, but of those two the length only.
macro_rules! debug_without_bytes {
    ($type:ident: $($before:ident)*, payload, $($after:ident)*, attributes $(, $last:ident)*) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Taken apart, so that a new field cannot be forgotten here.
                let Self { $($before,)* payload, $($after,)* attributes $(, $last)* } = self;
                f.debug_struct(stringify!($type))
                    $(.field(stringify!($before), $before))*
                    .field("payload", &Hidden(payload))
                    $(.field(stringify!($after), $after))*
                    .field("attributes", &attributes.as_deref().map(Hidden))
                    $(.field(stringify!($last), $last))*
                    .finish()
            }
        }
    };
}
debug_without_bytes!(NewTask: id kind shape, payload, queue name schedule max_attempts retry deadline, attributes);
debug_without_bytes!(TaskRecord: id kind shape, payload, queue name state created schedule_time first_attempt attempts
    lost_leases max_attempts retry deadline, attributes, errors, died);
debug_without_bytes!(LeasedTask: lease kind shape, payload, queue name schedule_time attempts standing deadline,
    attributes);

#[cfg(test)]
mod tests {
    use super::*;

    fn leased(payload: &[u8], attributes: Option<Vec<u8>>) -> LeasedTask {
        LeasedTask {
            lease: LeaseRef { id: TaskId::from_bytes([1; 16]), token: LeaseToken::from_bits(1) },
            kind: Kind::from_static("shop/send"),
            shape: Shape::from_bits(7),
            payload: payload.to_vec(),
            queue: QueueName::DEFAULT,
            name: None,
            schedule_time: Timestamp::from_micros(0),
            attempts: 0,
            standing: Standing::Clear,
            deadline: None,
            attributes,
        }
    }

    #[test]
    fn debug_tells_of_opaque_bytes_only_how_many() {
        let text = format!("{:?}", leased(&[201; 67], Some(vec![202; 3])));
        assert!(text.contains("payload: 67 bytes") && text.contains("attributes: Some(3 bytes)"), "{text}");
        assert!(text.contains("shop/send") && !text.contains("201") && !text.contains("202"), "{text}");
        let pretty = format!("{:#?}", Leased::new(vec![leased(&[201; 67], None)], None));
        assert!(pretty.contains("payload: 67 bytes") && !pretty.contains("201"), "{pretty}");
    }

    #[test]
    fn debug_of_new_and_stored_tasks_hides_bytes_too() {
        let new = NewTask {
            id: TaskId::from_bytes([1; 16]),
            kind: Kind::from_static("shop/send"),
            shape: Shape::from_bits(7),
            payload: vec![201; 67],
            queue: QueueName::DEFAULT,
            name: None,
            schedule: Schedule::Now,
            max_attempts: None,
            retry: None,
            deadline: None,
            attributes: Some(vec![202; 3]),
        };
        let memory = crate::backend::memory::Memory::new();
        let request = Enqueue { now: Now::At(Timestamp::from_micros(0)), tasks: vec![new.clone()] };
        let texts = [format!("{new:?}"), format!("{request:?}"), {
            pollster::block_on(crate::backend::Backend::enqueue(&memory, request)).expect("memory stores it");
            format!("{:?}", pollster::block_on(crate::backend::Backend::get(&memory, new.id)).expect("memory reads it"))
        }];
        for text in texts {
            assert!(text.contains("payload: 67 bytes") && text.contains("attributes: Some(3 bytes)"), "{text}");
            assert!(!text.contains("201") && !text.contains("202"), "{text}");
        }
    }
}
