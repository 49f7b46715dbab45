//! Stored tasks and queues as a backend returns them, and the capabilities of a backend.

use std::sync::Arc;

use super::refusers::{ReaderId, Refusers};
use crate::attributes::{Attributes, Spilled, checksum};
use crate::payload::{CannotRead, Schema, SensitivePaths, UnreadableError, as_json};
use crate::queue::{QueueConfig, QueueName, RetryConfig};
use crate::task::{Route, TaskSpec};
use crate::time::Timestamp;

/// A stored task.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskRecord {
    /// The fields of the task, as it was deferred.
    pub spec: TaskSpec,
    /// The encoded args; `None` if the request did not ask for them, empty if they are in a payload
    /// store.
    pub payload: Option<Vec<u8>>,
    /// The schema of the payload, if it travels with the task and the request asked for payloads:
    /// so it is on push queues. A backend that workers lease from stores the schemas of all tasks
    /// apart: [`Backend::schemas`](super::Backend::schemas).
    pub schema: Option<Arc<[u8]>>,
    /// The paths of args that are never shown, if they are known. A backend knows those that travel
    /// with the task: so it is on push queues, if the request asked for payloads. A
    /// [`Client`](crate::Client) adds those that are stored and those of its own program.
    pub sensitive: Option<SensitivePaths>,
    /// The state of the task.
    pub state: TaskState,
    /// When the task was stored.
    pub created: Timestamp,
    /// The earliest time of the next attempt.
    pub schedule_time: Timestamp,
    /// When the first known attempt began.
    pub first_attempt: Option<Timestamp>,
    /// The number of attempts that began and ended, in whatever way.
    pub attempts: u32,
    /// The number of leases lost since the task was stored, replayed or answered with a retry.
    pub lost_leases: u32,
    /// The number of these losses that count as attempts: the task was the only suspect of its
    /// client's workers.
    pub lost_attempts: u32,
    /// How often readers have refused the value of the payload since an attempt ended otherwise, or
    /// the task was made due by hand. A refusal is no attempt.
    pub refusals: u32,
    /// The functions that refused it, in ascending order. They wait for the
    /// [schedule time](Self::schedule_time); any other function may run the task at once. At most 8
    /// are remembered; if more refuse, every function waits.
    pub refused_by: Vec<ReaderId>,
    /// The last errors, oldest first, at most [`MAX_ERRORS`].
    pub errors: Vec<TaskError>,
    /// When the task became a dead letter.
    pub died: Option<Timestamp>,
}

impl TaskRecord {
    /// Creates the record of a task that was stored at `created`, waits since then and has made no
    /// attempt.
    pub const fn new(spec: TaskSpec, payload: Option<Vec<u8>>, created: Timestamp) -> Self {
        Self {
            spec,
            payload,
            schema: None,
            sensitive: None,
            state: TaskState::Scheduled,
            created,
            schedule_time: created,
            first_attempt: None,
            attempts: 0,
            lost_leases: 0,
            lost_attempts: 0,
            refusals: 0,
            refused_by: Vec::new(),
            errors: Vec::new(),
            died: None,
        }
    }

    /// Returns the args as one JSON object, by the names of the parameters, in one line: whichever
    /// function the task is of, and whether this program has that function or not.
    ///
    /// Structs are objects, variants are tagged by their names as serde does by default, `None` is
    /// null. A map is an object if its keys are texts, numbers or the like, else an array of pairs.
    /// Bytes are a text of hexadecimal digits. A number that JSON does not have (NaN, an integer of
    /// more than 64 bits) is a text. What is [marked as
    /// sensitive](macro@crate::deferred#older-payloads) is the text `(sensitive)`: by this
    /// program, or by any that stored a task of the kind.
    ///
    /// The record must come from a [`Client`](crate::Client), with its payload.
    /// [`Client::describe`](crate::Client::describe) shows payloads in a payload store too.
    ///
    /// # Errors
    /// The payload was not read, its schema or what is sensitive in it is not known, it is not what
    /// its schema says, nests deeper than 128 levels, or would be far longer than its bytes.
    pub fn args_json(&self) -> Result<String, UnreadableError> {
        match &self.payload {
            None => Err(unshown("it was not read: ask `list` for it `.with_payloads()`")),
            Some(payload) if payload.is_empty() && self.spilled().is_some() => {
                Err(unshown("it is in a payload store: `Client::describe` loads it"))
            }
            Some(payload) => self.json_of(payload),
        }
    }

    /// The number under which a relay creates this task in another queue: 0 if the task has never
    /// failed. A task that has failed was perhaps there before, under numbers that stay blocked,
    /// and each of its errors leads to another number.
    pub(crate) fn first_number(&self) -> u32 {
        let Some(last) = self.errors.last() else { return 0 };
        let (at, attempt) = (last.at.as_micros().to_be_bytes(), last.attempt.to_be_bytes());
        let count = (self.errors.len() as u64).to_be_bytes();
        let seen = [&at[..], &attempt[..], &count[..], last.message.as_bytes()].concat();
        let [.., a, b, c] = checksum(&seen).to_be_bytes();
        // Below 2^31, so that the destination itself has numbers left for its replays.
        let life = u32::from_be_bytes([0, a, b, c]) >> 3;
        life.max(NUMBERS_OF_FIRST_LIFE / NUMBERS_OF_A_LIFE) * NUMBERS_OF_A_LIFE
    }

    /// Whether the task is not over, and a task with this number is what a relay has made, or will
    /// make, of it.
    #[cfg(feature = "push")]
    pub(crate) fn goes_on_as(&self, number: u32) -> bool {
        let is_of_life = match self.first_number() {
            0 => number < NUMBERS_OF_FIRST_LIFE,
            first => (first..first.saturating_add(NUMBERS_OF_A_LIFE)).contains(&number),
        };
        self.died.is_none() && is_of_life
    }

    /// Where the payload is, if it is in a payload store.
    pub(crate) fn spilled(&self) -> Option<Spilled> {
        Attributes::spilled_in(self.spec.attributes.as_deref())
    }

    /// Shows the payload of this task, which may have been loaded from a payload store.
    pub(crate) fn json_of(&self, payload: &[u8]) -> Result<String, UnreadableError> {
        let Some(sensitive) = &self.sensitive else {
            return Err(unshown("what is sensitive in it is not known: read the task by a client"));
        };
        if self.spec.shape.is_newer() {
            return Err(unshown(CannotRead::Newer));
        }
        let Some(schema) = &self.schema else {
            return Err(unshown(CannotRead::NotStored));
        };
        let schema = Schema::from_bytes(schema).map_err(unshown)?;
        if schema.shape() != self.spec.shape {
            return Err(unshown(CannotRead::OfAnotherShape));
        }
        as_json(&schema, payload, sensitive)
    }
}

/// How many copies a task can have that a relay has created for the first time.
const NUMBERS_OF_FIRST_LIFE: u32 = 1 << 20;

/// How many copies a task can have after each time that a relay has created it again.
const NUMBERS_OF_A_LIFE: u32 = 1 << 10;

/// Why a payload cannot be shown.
pub(crate) fn unshown(why: impl std::fmt::Display) -> UnreadableError {
    UnreadableError::of_payload(format!("cannot be shown: {why}"))
}

/// The state of a stored task, derived from its schedule time, lease and death.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// The task waits for its schedule time, or for a worker if that time has passed.
    Scheduled,
    /// A worker has the task.
    Leased,
    /// The task is not attempted again.
    Dead,
}

/// How one attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskError {
    /// The number of the attempt.
    pub attempt: u32,
    /// When the attempt ended.
    pub at: Timestamp,
    /// The error and its sources in one line, at most [`MAX_ERROR_BYTES`] long.
    pub message: String,
}

impl TaskError {
    /// Creates the error of an attempt, counted from 1, that ended `at`. The message is cut to
    /// [`MAX_ERROR_BYTES`].
    pub fn new(attempt: u32, at: Timestamp, message: impl Into<String>) -> Self {
        Self { attempt, at, message: bounded(message.into()) }
    }
}

/// How many of its last errors a task keeps.
pub const MAX_ERRORS: usize = 10;

/// How many bytes of an error are kept.
pub const MAX_ERROR_BYTES: usize = 2048;

/// Texts that backends themselves write into a task's errors and answers, the same in each backend.
pub(crate) mod error_text {
    pub(crate) const LEASE_LOST: &str =
        "the lease was lost: the worker was killed, or stopped answering, in this attempt";
    pub(crate) const RUNNING: &str = "is running already";
    pub(crate) const DEAD: &str = "is a dead letter: replay it";
    pub(crate) const NOT_DEAD: &str = "is not a dead letter";
    #[cfg(any(feature = "push", feature = "cloud-tasks"))]
    pub(crate) const UNREADABLE: &str = "is a dead letter whose body could not be read, so it is \
                                         not replayed: its payload is that body, unchanged; defer \
                                         the task again, and delete the letter";
    pub(crate) const NOT_STORED: &str = "is not stored: it is over, or never was";

    /// The error of a task that was cancelled while a worker had it, and how that ended.
    pub(crate) fn cancelled(error: Option<&str>) -> String {
        const CANCELLED: &str = "the task was cancelled while a worker had it";
        match error {
            Some(error) => format!("{CANCELLED}: {error}"),
            None => CANCELLED.to_owned(),
        }
    }
}

/// Cuts `message` to [`MAX_ERROR_BYTES`], at the end of a character.
pub(crate) fn bounded(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MAX_ERROR_BYTES));
    message
}

/// The number of tasks in each state; by default zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Waiting tasks, due or not.
    pub scheduled: u64,
    /// Waiting tasks that are due: they wait only for a worker.
    pub due: u64,
    /// Tasks that a worker has.
    pub leased: u64,
    /// Dead letters.
    pub dead: u64,
    /// The earliest schedule time of all waiting tasks, whether it has passed or not.
    pub oldest_due: Option<Timestamp>,
}

impl Stats {
    /// Returns the number of tasks that are not over: waiting or with a worker.
    pub fn open(&self) -> u64 {
        self.scheduled + self.leased
    }
}

/// The stored tasks of one queue and route, dead letters included. Shows which tasks no instance
/// can run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteStats {
    /// The queue.
    pub queue: QueueName,
    /// The route.
    pub route: Route,
    /// Whether this program cannot run the tasks: a newer version of this crate stored them or
    /// configured their queue, and the program must be updated; or the configuration of their queue
    /// is damaged, and [`put_queue`](crate::Client::put_queue) must write it again.
    pub is_newer: bool,
    /// The number of tasks in each state.
    pub stats: Stats,
    /// Those of the waiting tasks that readers refused, by these readers.
    pub(crate) refused: Vec<(Refusers, Stats)>,
}

impl RouteStats {
    /// Creates the line of the tasks of `route` in `queue`, all of which this program can read.
    pub const fn new(queue: QueueName, route: Route, stats: Stats) -> Self {
        Self { queue, route, is_newer: false, stats, refused: Vec::new() }
    }

    /// Adds the numbers of one sort of these tasks: those that these readers refused, or none
    /// did.
    pub(crate) fn add(&mut self, refusers: Refusers, stats: Stats) {
        self.stats = [self.stats, stats].into_iter().sum();
        if stats.scheduled > 0 && !refusers.is_empty() {
            let Stats { scheduled, due, oldest_due, .. } = stats;
            let waiting = Stats { scheduled, due, oldest_due, ..Stats::default() };
            let known = self.refused.iter().position(|(of, _)| *of >= refusers);
            let place = known.unwrap_or(self.refused.len());
            match self.refused.get_mut(place).filter(|(of, _)| *of == refusers) {
                Some((_, of)) => *of = [*of, waiting].into_iter().sum(),
                None => self.refused.insert(place, (refusers, waiting)),
            }
        }
    }

    /// Returns the number of waiting tasks whose values a function could not read, as
    /// [`TaskRecord::refused_by`] shows for each.
    pub fn refused(&self) -> u64 {
        self.refused.iter().map(|(_, stats)| stats.scheduled).sum()
    }

    /// Returns the waiting tasks whose values this reader leaves for their pauses.
    pub(crate) fn refused_by(&self, reader: ReaderId) -> Stats {
        self.refused.iter().filter(|(of, _)| of.pauses(reader)).map(|(_, stats)| *stats).sum()
    }
}

/// A stored queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueRecord {
    /// The name of the queue.
    pub name: QueueName,
    /// The configuration; `None` if this program cannot read it, because a newer version of this
    /// crate stored it or because it is damaged. Tasks of such a queue are not run here.
    ///
    /// A configuration read from Cloud Tasks may have a dead letter retention of zero, as Google
    /// keeps no dead letters. Do not copy such a configuration to another backend, which would then
    /// delete tasks.
    pub config: Option<QueueConfig>,
    /// Whether the queue is paused: its tasks wait.
    pub paused: bool,
    /// Where the dead letters of the queue are.
    pub(crate) letters: Letters,
}

/// Where the dead letters of a queue are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(not(feature = "cloud-tasks"), allow(dead_code))]
pub(crate) enum Letters {
    /// Where the backend keeps them, if it keeps any.
    #[default]
    Kept,
    /// Nowhere: the queue for them is missing.
    Missing,
    /// The queue is itself for the dead letters of another.
    Queue,
}

impl QueueRecord {
    /// Creates the record of a queue that is not paused; `config` is `None` if it cannot be read.
    pub const fn new(name: QueueName, config: Option<QueueConfig>) -> Self {
        Self { name, config, paused: false, letters: Letters::Kept }
    }

    /// Whether a task of this queue that reaches a limit is gone without a dead letter: the retries
    /// have limits, and the dead letter retention is zero.
    ///
    /// This is so for queues of Cloud Tasks, unless [`put_queue`](crate::Client::put_queue) has
    /// written them: it makes the queues unlimited, and the limits travel with the tasks. Such a
    /// [configuration](Self::config) is of no use to another backend.
    pub fn forgets_tasks(&self) -> bool {
        let is_limited = |retry: &RetryConfig| {
            retry.max_attempts().is_some() || retry.max_retry_duration().is_some()
        };
        let forgets = |config: &QueueConfig| {
            config.dead_letter_retention().is_zero() && is_limited(config.retry())
        };
        self.config.as_ref().is_some_and(forgets)
    }
}

/// The result of checking whether a backend can keep the dead letters of some queues; by default
/// there are no problems.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetterCheck {
    /// Why dead letters cannot be kept, each with a remedy.
    pub problems: Vec<String>,
    /// Why dead letters may be lost later.
    pub warnings: Vec<String>,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_life_of_a_task_has_numbers_of_its_own() {
        use crate::task::{Kind, Shape, TaskId};
        let (id, kind) = (TaskId::from_bytes([7; 16]), Kind::from_static("shop/send"));
        let spec = TaskSpec::new(id, kind, Shape::from_bits(1), QueueName::DEFAULT);
        let record = TaskRecord::new(spec, None, Timestamp::from_micros(0));
        assert_eq!(record.first_number(), 0);
        let after = |micros| {
            let error = TaskError::new(1, Timestamp::from_micros(micros), "it failed");
            TaskRecord { errors: vec![error], ..record.clone() }.first_number()
        };
        let numbers: std::collections::BTreeSet<_> = (0..1_000).map(after).collect();
        assert!(numbers.len() > 990, "{}", numbers.len());
        assert!(numbers.iter().all(|first| (1 << 20..=(1 << 31) - 1024).contains(first)));
        assert_eq!(after(7), after(7));
    }

    #[test]
    fn lives_that_end_at_the_same_moment_have_different_numbers() {
        use crate::task::{Kind, Shape, TaskId};
        let (id, kind) = (TaskId::from_bytes([7; 16]), Kind::from_static("shop/send"));
        let spec = TaskSpec::new(id, kind, Shape::from_bits(1), QueueName::DEFAULT);
        let record = TaskRecord::new(spec, None, Timestamp::from_micros(0));
        let error = |attempt, message| TaskError::new(attempt, Timestamp::from_micros(7), message);
        let after = |errors| TaskRecord { errors, ..record.clone() }.first_number();
        let first = after(vec![error(1, "a")]);
        assert_ne!(first, after(vec![error(1, "a"), error(1, "a")]), "one error more");
        assert_ne!(first, after(vec![error(2, "a")]), "another number of attempts");
        assert_ne!(first, after(vec![error(1, "b")]), "another error");
    }

    #[test]
    fn a_queue_with_limits_that_keeps_no_dead_letters_forgets_tasks() {
        let unlimited = RetryConfig::new().with_max_attempts(None);
        let limited = [
            RetryConfig::new(),
            unlimited.clone().with_max_retry_duration(Some(Duration::from_secs(60))),
        ];
        let queue = |config| QueueRecord::new(QueueName::DEFAULT, config);
        let keeps = |retry: &RetryConfig| QueueConfig::new().with_retry(retry.clone());
        let forgets = |retry: &RetryConfig| keeps(retry).with_dead_letter_retention(Duration::ZERO);
        for retry in &limited {
            assert!(queue(Some(forgets(retry))).forgets_tasks(), "{retry:?}");
            assert!(!queue(Some(keeps(retry))).forgets_tasks(), "{retry:?}");
        }
        assert!(!queue(Some(forgets(&unlimited))).forgets_tasks());
        assert!(!queue(None).forgets_tasks(), "an unreadable configuration");
    }
}
