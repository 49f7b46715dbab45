//! What can go wrong between a caller and the queue. What a handler does wrong is a
//! [`Failure`](crate::Failure).

use std::time::Duration;

use crate::outcome::BoxError;
use crate::payload::UnreadableError;
use crate::task::{Deferred, TaskId};
use crate::time::readable;

/// What went wrong, with which task or queue, and what to do about it.
///
/// `Display` never repeats the source: print the chain (`anyhow`'s `{:#}`, `eyre`) to see both.
/// Payloads are in no message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL names no backend, or not in the way that backend wants it.
    #[error(
        "the queue URL `{url}` {problem}; use `memory:` (tests), `sqlite:FILE` (embedded) or \
             `cloudtasks://PROJECT/LOCATION?..`"
    )]
    #[non_exhaustive]
    Url {
        /// The URL, without its password.
        url: String,
        /// What is wrong with it.
        problem: String,
    },

    /// A queue name is not of the form `[A-Za-z0-9-]{1,100}`.
    #[error("`{value}` is not a valid queue name: use 1 to 100 letters, digits or hyphens")]
    #[non_exhaustive]
    QueueName {
        /// What was given.
        value: String,
    },

    /// A task was to be spread over no queues.
    #[error("`{kind}` is spread over no queues: name at least one in `.spread([..])`")]
    #[non_exhaustive]
    NoQueue {
        /// The kind that was deferred.
        kind: String,
    },

    /// A task name is not of the form `[A-Za-z0-9_-]{1,500}`.
    #[error(
        "`{value}` is not a valid task name: use 1 to 500 letters, digits, hyphens or underscores"
    )]
    #[non_exhaustive]
    TaskName {
        /// What was given.
        value: String,
    },

    /// A kind is not made of segments of `[A-Za-z0-9._-]` joined by `/`.
    #[error(
        "`{value}` is not a valid task kind: use segments of letters, digits, `.`, `_` and `-`, joined by `/`"
    )]
    #[non_exhaustive]
    Kind {
        /// What was given.
        value: String,
    },

    /// A task id is no UUID.
    #[error("`{value}` is not a valid task id: ids are UUIDs, as `Deferred::id` prints them")]
    #[non_exhaustive]
    TaskId {
        /// What was given.
        value: String,
    },

    /// A text names no moment, or a moment has no value of another crate's type.
    #[error("the time `{value}` {problem}")]
    #[non_exhaustive]
    Timestamp {
        /// The text, or that of the moment.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// A task was deferred where no client is known.
    #[error(
        "no client to defer `{kind}` with: call `client.install()` at start-up, wrap this code in `client.scope(..)`, \
         or name one with `.on(&client)`"
    )]
    #[non_exhaustive]
    NoClient {
        /// The kind that was deferred.
        kind: String,
    },

    /// A default client was installed in this process before.
    #[error(
        "a default client is already installed in this process: install one only, and use `client.scope(..)`, \
         `client.enter()` or `.on(&client)` for others"
    )]
    AlreadyInstalled,

    /// The encoded args are larger than the backend stores, or with a payload store larger than its
    /// bound.
    #[error(
        "the payload of `{kind}` has {size} bytes, the limit is {limit}: give the client a payload store \
         (`.payload_store(..)`) or, if it has one, a higher bound (`.max_payload(..)`); or store the data elsewhere and \
         defer a reference to it"
    )]
    #[non_exhaustive]
    PayloadTooLarge {
        /// The kind that was deferred.
        kind: String,
        /// Bytes of the payload.
        size: usize,
        /// Bytes the backend accepts.
        limit: usize,
    },

    /// The payload store failed.
    #[error("the payload store `{store}` {problem}")]
    #[non_exhaustive]
    PayloadStore {
        /// The store.
        store: String,
        /// What happened, to which task, and what to do.
        problem: String,
        /// The store's own error.
        source: BoxError,
    },

    /// The URL names no payload store.
    #[error(
        "the payload store URL `{url}` {problem}; use `file:///FOLDER`, `gs://BUCKET/PREFIX` (feature `gcs`) or \
         `memory:` (tests)"
    )]
    #[non_exhaustive]
    PayloadStoreUrl {
        /// The URL.
        url: String,
        /// What is wrong with it.
        problem: String,
    },

    /// The encoded args could not be read back, so no worker could run the task.
    #[error("the arguments of `{kind}` cannot be stored")]
    #[non_exhaustive]
    Unreadable {
        /// The kind that was deferred.
        kind: String,
        /// Which parameter, and why.
        source: UnreadableError,
    },

    /// The schedule time is further ahead than the backend keeps tasks.
    #[error(
        "`{kind}` is scheduled {} ahead, `{backend}` accepts at most {}: defer it nearer to its time",
        readable(*.ahead),
        readable(*.horizon)
    )]
    #[non_exhaustive]
    BeyondHorizon {
        /// The kind that was deferred.
        kind: String,
        /// How far ahead it was scheduled.
        ahead: Duration,
        /// How far ahead the backend goes.
        horizon: Duration,
        /// The backend.
        backend: &'static str,
    },

    /// The dispatch deadline is outside what the backend accepts.
    #[error(
        "the dispatch deadline of `{kind}` is {}, `{backend}` accepts {} to {}",
        readable(*.deadline),
        readable(*.least),
        readable(*.most)
    )]
    #[non_exhaustive]
    DeadlineOutOfRange {
        /// The kind that was deferred.
        kind: String,
        /// The deadline that was asked for.
        deadline: Duration,
        /// The shortest one accepted.
        least: Duration,
        /// The longest one accepted.
        most: Duration,
        /// The backend.
        backend: &'static str,
    },

    /// A task was deferred with an option that its backend lacks.
    #[error(
        "`{kind}` is deferred with `{option}`, which the `{backend}` backend does not have: leave it out, or defer to a \
         backend that calls handlers over HTTP"
    )]
    #[non_exhaustive]
    UnsupportedOption {
        /// The kind that was deferred.
        kind: String,
        /// The method of [`Defer`](crate::Defer) that was called.
        option: &'static str,
        /// The backend.
        backend: &'static str,
    },

    /// A task has a backoff of its own, and its backend has one for all tasks of a queue.
    #[error(
        "`{kind}` has a backoff of its own ({stated}), and the `{backend}` backend retries all tasks of a queue alike: \
         leave it out, and set the queue's with `put_queue`"
    )]
    #[non_exhaustive]
    UnsupportedBackoff {
        /// The kind that was deferred.
        kind: String,
        /// What states the backoff: keys of the attribute, or the method of
        /// [`Defer`](crate::Defer).
        stated: &'static str,
        /// The backend.
        backend: &'static str,
    },

    /// An option of a deferred task has a value that it cannot have.
    #[error("`{option}` of `{kind}` {problem}")]
    #[non_exhaustive]
    InvalidOption {
        /// The kind that was deferred.
        kind: String,
        /// The method of [`Defer`](crate::Defer) that was called.
        option: &'static str,
        /// What is wrong, and what it may be.
        problem: String,
    },

    /// A task that had to be new ([`must_be_new`](crate::Defer::must_be_new)) has a name in use.
    #[error(
        "a task named `{name}` is, or recently was, in queue `{queue}`: choose another name, or drop `must_be_new`"
    )]
    #[non_exhaustive]
    NameTaken {
        /// The name.
        name: String,
        /// The queue.
        queue: String,
    },

    /// No task of this id is stored, or not in a state in which this can be done.
    #[error("task {id} {problem}")]
    #[non_exhaustive]
    NoSuchTask {
        /// The id.
        id: TaskId,
        /// Why it cannot be done.
        problem: &'static str,
    },

    /// A queue was to be configured with a setting that it cannot have.
    #[error("the configuration of queue `{queue}` {problem}")]
    #[non_exhaustive]
    QueueConfig {
        /// The queue.
        queue: String,
        /// Which setting, and what it may be.
        problem: String,
    },

    /// A queue that was to be paused or resumed is not there.
    #[error(
        "queue `{queue}` does not exist, so it is neither paused nor resumed: check its name, or create it with \
         `put_queue` first"
    )]
    #[non_exhaustive]
    NoSuchQueue {
        /// The queue.
        queue: String,
    },

    /// A newer version of this crate configured the queue, in a way that this version cannot read.
    #[error(
        "queue `{queue}` was configured by a newer version of gae-tasks, so its configuration stays as it is: update \
         gae-tasks in this program"
    )]
    #[non_exhaustive]
    NewerQueue {
        /// The queue.
        queue: String,
    },

    /// A queue that was to be deleted holds tasks or dead letters.
    #[error(
        "queue `{queue}` holds {} and {}, so it is not deleted: let a worker finish \
         them, or purge it, and replay or delete its dead letters; or delete all with it (`delete_queue_with_tasks`)",
        number(*.tasks, "task"),
        number(*.dead_letters, "dead letter")
    )]
    #[non_exhaustive]
    QueueInUse {
        /// The queue.
        queue: String,
        /// How many tasks wait or run.
        tasks: u64,
        /// How many dead letters it keeps.
        dead_letters: u64,
    },

    /// The backend cannot do this.
    #[error("the `{backend}` backend does not support {what}")]
    #[non_exhaustive]
    Unsupported {
        /// The backend.
        backend: &'static str,
        /// What was asked for.
        what: &'static str,
    },

    /// Tasks, state and queues of this program do not fit together; every problem is named.
    #[error("{} of the task set-up must be mended:{}", count(.problems), bullets(.problems))]
    #[non_exhaustive]
    Misconfigured {
        /// One text for each problem, with its fix.
        problems: Vec<String>,
    },

    /// The storage failed. Nothing of the call was stored unless the text says otherwise.
    #[error("the `{backend}` storage {problem}")]
    #[non_exhaustive]
    Storage {
        /// The backend.
        backend: &'static str,
        /// What happened and what to do.
        problem: String,
        /// The storage's own error.
        source: BoxError,
    },

    /// `defer_many` stored some of its tasks and not others.
    #[error("{}", partial(.results))]
    #[non_exhaustive]
    Partial {
        /// What became of each task, in the order they were given.
        results: Vec<Result<Deferred, Error>>,
    },

    /// A task that ran at once, in inline mode or in a test's `drain`, failed.
    #[error("task `{kind}` failed")]
    #[non_exhaustive]
    TaskFailed {
        /// The kind of the task.
        kind: String,
        /// The handler's error.
        source: BoxError,
    },
}

/// What a backend outside of this crate answers with.
#[doc(hidden)]
impl Error {
    /// An [`Error::NoSuchTask`]: `problem` says why it cannot be done, after the words `task ID`.
    pub const fn no_such_task(id: TaskId, problem: &'static str) -> Self {
        Self::NoSuchTask { id, problem }
    }

    /// An [`Error::NoSuchQueue`] of this queue.
    pub fn no_such_queue(queue: impl Into<String>) -> Self {
        Self::NoSuchQueue { queue: queue.into() }
    }

    /// An [`Error::NewerQueue`] of this queue.
    pub fn newer_queue(queue: impl Into<String>) -> Self {
        Self::NewerQueue { queue: queue.into() }
    }

    /// An [`Error::QueueInUse`] of this queue, which holds so many tasks and dead letters.
    pub fn queue_in_use(queue: impl Into<String>, tasks: u64, dead_letters: u64) -> Self {
        Self::QueueInUse { queue: queue.into(), tasks, dead_letters }
    }

    /// An [`Error::Unsupported`] of `backend`.
    pub const fn unsupported(backend: &'static str, what: &'static str) -> Self {
        Self::Unsupported { backend, what }
    }

    /// An [`Error::Storage`] of `backend`: `problem` says what happened and what to do.
    pub fn storage(
        backend: &'static str,
        problem: impl Into<String>,
        source: impl Into<BoxError>,
    ) -> Self {
        Self::Storage { backend, problem: problem.into(), source: source.into() }
    }
}

impl Error {
    /// An [`Error::Timestamp`]: `problem` comes after the words "the time `VALUE`".
    pub(crate) const fn timestamp(value: String, problem: &'static str) -> Self {
        Self::Timestamp { value, problem }
    }
}

/// An error that tells of all `problems`, unless there are none.
pub(crate) fn no_problems(problems: Vec<String>) -> Result<(), Error> {
    if problems.is_empty() { Ok(()) } else { Err(Error::Misconfigured { problems }) }
}

fn partial(results: &[Result<Deferred, Error>]) -> String {
    let mut failed = results
        .iter()
        .enumerate()
        .filter_map(|(place, result)| Some((place, result.as_ref().err()?)));
    let (place, first) = match failed.next() {
        Some((place, error)) => (place + 1, error.to_string()),
        None => (0, String::new()),
    };
    let (count, all) = (1 + failed.count(), results.len());
    format!(
        "{count} of {all} tasks were not stored, the others were; the first is number {place}: {first}"
    )
}

fn count(problems: &[String]) -> String {
    number(problems.len() as u64, "problem")
}

/// `1 task`, `2 tasks`.
fn number(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn bullets(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("\n  - {problem}")).collect()
}
