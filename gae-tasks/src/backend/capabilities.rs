//! What a backend can promise, as data.

use std::time::Duration;

use super::home::Home;
use crate::queue::Rate;

/// How far ahead the backends of this crate schedule tasks: 10 years, like the queues of App
/// Engine.
const MAX_AHEAD: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What a backend can promise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The backend's name, for errors and logs.
    pub backend: &'static str,
    /// Whether stored tasks survive the end of the process.
    pub durable: bool,
    /// The most bytes of one payload; of payload, schema and sensitive paths together if
    /// [schemas travel](Self::schemas_travel).
    pub max_payload: usize,
    /// Whether each task carries its schema and its sensitive paths, which then count in
    /// `max_payload`. Otherwise they are stored once for many tasks.
    pub schemas_travel: bool,
    /// How far ahead a task may be scheduled; `None` is unlimited.
    pub schedule_horizon: Option<Duration>,
    /// The shortest dispatch deadline.
    pub min_deadline: Duration,
    /// The longest dispatch deadline.
    pub max_deadline: Duration,
    /// Whether workers lease from the backend (a push backend calls handlers over HTTP instead).
    pub pull: bool,
    /// Whether a task can choose the service that runs it: [`Defer::target`](crate::Defer::target).
    pub targets: bool,
    /// Whether a task's requests can have their own headers:
    /// [`Defer::header`](crate::Defer::header).
    pub headers: bool,
    /// Whether a task can have its own backoff: `min_backoff` and `max_backoff` of the attribute
    /// and of [`Defer::retry`](crate::Defer::retry). If not, the backoff of its queue applies.
    pub backoff: bool,
    /// Whether a task can have a priority: `priority` of the attribute and
    /// [`Defer::priority`](crate::Defer::priority).
    pub priorities: bool,
    /// Whether a task can be unique in every way of [`Defer::unique`](crate::Defer::unique). If
    /// not, names do what they can.
    pub unique: bool,
    /// Whether the storage keeps dead letters.
    pub dead_letters: bool,
    /// Whether a queue configures how long dead letters and the names of finished tasks are kept:
    /// [`QueueConfig::with_dead_letter_retention`](crate::QueueConfig::with_dead_letter_retention).
    pub retention: bool,
    /// Which limits its queues can have.
    pub queue_limits: QueueLimits,
    /// Whether schedules are stored, which workers tick: the key `cron` of the attribute, and
    /// `Client::schedule` (feature `cron`).
    pub schedules: bool,
    /// Where the tasks are, if a transaction of an application can be there too:
    /// [`Defer::in_tx`](crate::Defer::in_tx).
    pub home: Option<Home>,
}

impl Capabilities {
    /// Creates the capabilities of a backend in the program's own process: workers lease from it;
    /// payloads have up to 1 MiB, deadlines a millisecond to a day; tasks are scheduled up to 10
    /// years ahead and do not survive the process; dead letters are kept for as long as their queue
    /// says.
    pub const fn new(backend: &'static str) -> Self {
        Self {
            backend,
            durable: false,
            max_payload: 1024 * 1024,
            schemas_travel: false,
            schedule_horizon: Some(MAX_AHEAD),
            min_deadline: Duration::from_millis(1),
            max_deadline: Duration::from_secs(24 * 60 * 60),
            pull: true,
            targets: false,
            headers: false,
            backoff: true,
            priorities: true,
            unique: true,
            dead_letters: true,
            retention: true,
            queue_limits: QueueLimits::ALL,
            schedules: true,
            home: None,
        }
    }
}

/// Which limits the queues of a backend can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueLimits {
    /// The highest
    /// [`max_dispatches_per_second`](crate::QueueConfig::with_max_dispatches_per_second).
    pub max_dispatches_per_second: u32,
    /// The highest
    /// [`max_concurrent_dispatches`](crate::QueueConfig::with_max_concurrent_dispatches).
    pub max_concurrent_dispatches: u32,
    /// Whether a queue can have a
    /// [`max_burst_size`](crate::QueueConfig::with_max_burst_size). If not, the backend chooses it.
    pub burst_size: bool,
    /// The dispatches a second of a queue that has no such limit of its own; `None` is unlimited.
    pub own_dispatches_per_second: Option<u32>,
    /// The concurrent dispatches of a queue that has no such limit of its own; `None` is unlimited.
    pub own_concurrent_dispatches: Option<u32>,
}

impl QueueLimits {
    /// Every limit, as high as it is stored; none where a queue has none.
    pub(crate) const ALL: Self = Self {
        max_dispatches_per_second: Rate::MAX_PER_SECOND,
        max_concurrent_dispatches: u32::MAX,
        burst_size: true,
        own_dispatches_per_second: None,
        own_concurrent_dispatches: None,
    };
}
