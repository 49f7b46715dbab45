//! Errors between a caller and the queue. An error of a handler is a [`Failure`](crate::Failure).

use std::fmt;
use std::time::Duration;

use crate::outcome::BoxError;
use crate::payload::UnreadableError;
use crate::task::{Deferred, TaskId};
use crate::time::readable;

/// An error of this crate: what went wrong, with which task or queue, and what to do about it.
///
/// `Display` does not repeat the source: print the chain (`anyhow`'s `{:#}`, `eyre`) to see both.
/// No message contains a payload.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL is malformed, or names no backend.
    #[error(
        "the queue URL `{url}` {problem}; use `memory:` (tests), `sqlite:FILE` (embedded), \
         `postgres://USER@HOST/DATABASE` or `cloudtasks://PROJECT/LOCATION?..`"
    )]
    #[non_exhaustive]
    Url {
        /// The URL, without its password.
        url: String,
        /// What is wrong with the URL.
        problem: String,
    },

    /// A queue name is not of the form `[A-Za-z0-9-]{1,100}`.
    #[error("`{value}` is not a valid queue name: use 1 to 100 letters, digits or hyphens")]
    #[non_exhaustive]
    QueueName {
        /// The rejected name.
        value: String,
    },

    /// A task was deferred to an empty set of queues.
    #[error("`{kind}` is spread over no queues: name at least one in `.spread([..])`")]
    #[non_exhaustive]
    NoQueue {
        /// The kind of the task.
        kind: String,
    },

    /// A task name is not of the form `[A-Za-z0-9_-]{1,500}`.
    #[error(
        "`{value}` is not a valid task name: use 1 to 500 letters, digits, hyphens or underscores"
    )]
    #[non_exhaustive]
    TaskName {
        /// The rejected name.
        value: String,
    },

    /// A kind is not made of segments of `[A-Za-z0-9._-]` joined by `/`.
    #[error(
        "`{value}` is not a valid task kind: use segments of letters, digits, `.`, `_` and `-`, \
         joined by `/`"
    )]
    #[non_exhaustive]
    Kind {
        /// The rejected kind.
        value: String,
    },

    /// A task id is not a UUID.
    #[error("`{value}` is not a valid task id: ids are UUIDs, as `Deferred::id` prints them")]
    #[non_exhaustive]
    TaskId {
        /// The rejected id.
        value: String,
    },

    /// A text is not a moment, or a moment is outside the range of another crate's type.
    #[error("the time `{value}` {problem}")]
    #[non_exhaustive]
    Timestamp {
        /// The text, or the moment as text.
        value: String,
        /// What is wrong with the time.
        problem: &'static str,
    },

    /// A task was deferred without a client.
    #[error(
        "no client to defer `{kind}` with: call `client.install()` at start-up, wrap this code in \
         `client.scope(..)`, or name one with `.on(&client)`"
    )]
    #[non_exhaustive]
    NoClient {
        /// The kind of the task.
        kind: String,
    },

    /// A default client is already installed in this process.
    #[error(
        "a default client is already installed in this process: install one only, and use \
         `client.scope(..)`, `client.enter()` or `.on(&client)` for others"
    )]
    AlreadyInstalled,

    /// The encoded args are larger than the backend stores, or larger than the client's bound if it
    /// has a payload store.
    #[error(
        "the payload of `{kind}` has {size} bytes{}, the limit is {limit}: give the client a \
         payload store (`.payload_store(..)`) or, if it has one, a higher bound \
         (`.max_payload(..)`); or store the data elsewhere and defer a reference to it",
        with_schema(*.beside)
    )]
    #[non_exhaustive]
    PayloadTooLarge {
        /// The kind of the task.
        kind: String,
        /// The size, in bytes.
        size: usize,
        /// How many of these bytes are the schema and the sensitive paths, which travel with each
        /// task on a push queue.
        beside: usize,
        /// The largest accepted size, in bytes.
        limit: usize,
    },

    /// The schema of the args and their sensitive paths, which travel with each task on a push
    /// queue, are larger than the queue's limit by themselves. A payload store takes payloads only.
    #[error(
        "the schema of `{kind}`, with its sensitive paths, has {size} bytes, and the `{backend}` \
         backend stores at most {limit} with a task: raise that limit (its `max_payload`), or make \
         the largest parameter a `Json<T>`, whose schema is that of a text"
    )]
    #[non_exhaustive]
    SchemaTooLarge {
        /// The kind of the task.
        kind: String,
        /// The size of schema and sensitive paths, in bytes.
        size: usize,
        /// The largest accepted size, in bytes.
        limit: usize,
        /// The name of the backend.
        backend: &'static str,
    },

    /// The payload store failed.
    #[error("the payload store `{store}` {problem}")]
    #[non_exhaustive]
    PayloadStore {
        /// The name of the store.
        store: String,
        /// What happened, to which task, and what to do.
        problem: String,
        /// The store's own error.
        source: BoxError,
    },

    /// The URL is malformed, or names no payload store.
    #[error(
        "the payload store URL `{url}` {problem}; use `file:///FOLDER`, `gs://BUCKET/PREFIX` \
         (feature `gcs`) or `memory:` (tests)"
    )]
    #[non_exhaustive]
    PayloadStoreUrl {
        /// The URL.
        url: String,
        /// What is wrong with the URL.
        problem: String,
    },

    /// The encoded args cannot be read back, so no worker could run the task.
    #[error("the arguments of `{kind}` cannot be stored")]
    #[non_exhaustive]
    Unreadable {
        /// The kind of the task.
        kind: String,
        /// Which parameter, and why.
        source: UnreadableError,
    },

    /// The schedule time is further ahead than the backend accepts.
    #[error(
        "`{kind}` is scheduled {} ahead, but the `{backend}` backend accepts at most {}: defer the \
         task closer to its schedule time",
        readable(*.ahead),
        readable(*.horizon)
    )]
    #[non_exhaustive]
    BeyondHorizon {
        /// The kind of the task.
        kind: String,
        /// How far ahead the task is scheduled.
        ahead: Duration,
        /// How far ahead the backend accepts tasks.
        horizon: Duration,
        /// The name of the backend.
        backend: &'static str,
    },

    /// The dispatch deadline is outside the range that the backend accepts.
    #[error(
        "the dispatch deadline of `{kind}` is {}, but the `{backend}` backend accepts only {} \
         to {}",
        readable(*.deadline),
        readable(*.least),
        readable(*.most)
    )]
    #[non_exhaustive]
    DeadlineOutOfRange {
        /// The kind of the task.
        kind: String,
        /// The requested deadline.
        deadline: Duration,
        /// The shortest accepted deadline.
        least: Duration,
        /// The longest accepted deadline.
        most: Duration,
        /// The name of the backend.
        backend: &'static str,
    },

    /// A task was deferred with an option that the backend does not support.
    #[error(
        "`{kind}` is deferred with `{option}`, which the `{backend}` backend does not support: \
         remove the option, or defer to a backend that calls handlers over HTTP"
    )]
    #[non_exhaustive]
    UnsupportedOption {
        /// The kind of the task.
        kind: String,
        /// The method of [`Defer`](crate::Defer) that was called.
        option: &'static str,
        /// The name of the backend.
        backend: &'static str,
    },

    /// A task has its own backoff, but the backend has one backoff for all tasks of a queue.
    #[error(
        "`{kind}` has its own backoff ({stated}), but the `{backend}` backend retries all tasks of \
         a queue alike: remove the task's backoff, and set the queue's backoff with `put_queue`"
    )]
    #[non_exhaustive]
    UnsupportedBackoff {
        /// The kind of the task.
        kind: String,
        /// Where the backoff is set: keys of the attribute, or a method of [`Defer`](crate::Defer).
        stated: &'static str,
        /// The name of the backend.
        backend: &'static str,
    },

    /// A task has a priority, but the backend has none.
    #[error(
        "`{kind}` has a priority ({stated}), but the `{backend}` backend has none: remove the \
         priority, and give the tasks that others must not delay a queue of their own"
    )]
    #[non_exhaustive]
    UnsupportedPriority {
        /// The kind of the task.
        kind: String,
        /// Where the priority is set: a key of the attribute, or a method of
        /// [`Defer`](crate::Defer).
        stated: &'static str,
        /// The name of the backend.
        backend: &'static str,
    },

    /// A task is unique in a way that the backend does not have.
    #[error(
        "`{kind}` is unique {how}, but the `{backend}` backend knows only names, which stay \
         blocked after their tasks, and leaves the other task as it is: use \
         `.unique(Unique::by_args().over_dead().over_finished())`, or `.named(..)`"
    )]
    #[non_exhaustive]
    UnsupportedUnique {
        /// The kind of the task.
        kind: String,
        /// What the backend lacks.
        how: &'static str,
        /// The name of the backend.
        backend: &'static str,
    },

    /// An option of a deferred task has an invalid value.
    #[error("`{option}` of `{kind}` {problem}")]
    #[non_exhaustive]
    InvalidOption {
        /// The kind of the task.
        kind: String,
        /// The method of [`Defer`](crate::Defer) that was called.
        option: &'static str,
        /// What is wrong, and which values are valid.
        problem: String,
    },

    /// A task that had to be new ([`must_be_new`](crate::Defer::must_be_new)) has a name that is in
    /// use.
    #[error(
        "queue `{queue}` has, or recently had, a task named `{name}`: choose another name, or \
         remove `must_be_new`"
    )]
    #[non_exhaustive]
    NameTaken {
        /// The name of the task.
        name: String,
        /// The name of the queue.
        queue: String,
    },

    /// Another open transaction holds the task's name, or waits for it, so whether the name is in
    /// use is not known yet. Nothing was stored, and a transaction of the caller goes on.
    #[error(
        "queue `{queue}`: the name `{name}` is being taken by another open transaction, whose end \
         was not waited for any longer: defer the task again once that transaction has ended"
    )]
    #[non_exhaustive]
    Busy {
        /// The task's name.
        name: String,
        /// The queue of the task.
        queue: String,
    },

    /// No task with this id is stored, or its state does not allow the call.
    #[error("task {id} {problem}")]
    #[non_exhaustive]
    NoSuchTask {
        /// The id of the task.
        id: TaskId,
        /// Why the call failed.
        problem: &'static str,
    },

    /// The configuration of a queue has an invalid setting.
    #[error("the configuration of queue `{queue}` {problem}")]
    #[non_exhaustive]
    QueueConfig {
        /// The name of the queue.
        queue: String,
        /// Which setting is invalid, and which values are valid.
        problem: String,
    },

    /// The queue to be paused or resumed does not exist.
    #[error(
        "queue `{queue}` does not exist, so it cannot be paused or resumed: check the name, or \
         create the queue with `put_queue` first"
    )]
    #[non_exhaustive]
    NoSuchQueue {
        /// The name of the queue.
        queue: String,
    },

    /// A newer version of this crate configured the queue in a way that this version cannot read.
    #[error(
        "queue `{queue}` was configured by a newer version of gae-tasks, so its configuration is \
         not changed: update gae-tasks in this program"
    )]
    #[non_exhaustive]
    NewerQueue {
        /// The name of the queue.
        queue: String,
    },

    /// The queue to be deleted holds tasks or dead letters.
    #[error(
        "queue `{queue}` holds {} and {}, so it is not deleted: let a worker finish them, or purge \
         it, and replay or delete its dead letters; or delete all with it \
         (`delete_queue_with_tasks`)",
        number(*.tasks, "task"),
        number(*.dead_letters, "dead letter")
    )]
    #[non_exhaustive]
    QueueInUse {
        /// The name of the queue.
        queue: String,
        /// The number of tasks that wait or run.
        tasks: u64,
        /// The number of dead letters.
        dead_letters: u64,
    },

    /// A schedule cannot be made as it is given.
    #[error("the schedule `{name}` {problem}")]
    #[non_exhaustive]
    Schedule {
        /// The name of the schedule.
        name: String,
        /// What is wrong, and what to do.
        problem: String,
    },

    /// There is no schedule of this name.
    #[error(
        "the program `{program}` has no schedule `{name}`: `client.schedules()` lists them; \
         `Client::builder().program(..)` names another program"
    )]
    #[non_exhaustive]
    NoSuchSchedule {
        /// The name of the schedule.
        name: String,
        /// The program of the client.
        program: String,
    },

    /// The name of a program, to which schedules belong, is not of the form
    /// `[A-Za-z0-9._-]{1,200}`.
    #[error(
        "`{value}` is not a valid name of a program: use 1 to 200 letters, digits, dots, hyphens \
         or underscores"
    )]
    #[non_exhaustive]
    Program {
        /// The rejected name.
        value: String,
    },

    /// A cron expression or a time zone is not valid.
    #[cfg(feature = "cron")]
    #[cfg_attr(docsrs, doc(cfg(feature = "cron")))]
    #[error(transparent)]
    Cron(#[from] crate::cron::CronError),

    /// The backend does not support the call.
    #[error("the `{backend}` backend does not support {what}")]
    #[non_exhaustive]
    Unsupported {
        /// The name of the backend.
        backend: &'static str,
        /// The unsupported operation.
        what: &'static str,
    },

    /// Tasks, state and queues of this program do not fit together; `Display` lists every problem.
    #[error("{} of the task set-up must be fixed:{}", count(.problems), listed(.problems))]
    #[non_exhaustive]
    Misconfigured {
        /// One text for each problem, with its fix.
        problems: Vec<String>,
    },

    /// A configuration file has mistakes; `Display` lists all of them, each with its place and its
    /// fix.
    #[error("`{file}` has {}", all_of(.mistakes))]
    #[non_exhaustive]
    ConfigFile {
        /// The name of such files.
        file: &'static str,
        /// The mistakes, in the order of the file.
        mistakes: Vec<FileMistake>,
    },

    /// A call in the caller's own transaction was refused. The transaction is as it was before the
    /// call.
    #[error("`{call}` {problem}")]
    #[non_exhaustive]
    InTransaction {
        /// The name of the method.
        call: &'static str,
        /// Why the call was refused, and what to do.
        problem: String,
    },

    /// The storage failed. Nothing of the call was stored unless the text says otherwise.
    #[error("the `{backend}` storage {problem}")]
    #[non_exhaustive]
    Storage {
        /// The name of the backend.
        backend: &'static str,
        /// What happened and what to do.
        problem: String,
        /// The storage's own error.
        source: BoxError,
    },

    /// The storage does not accept the task, whenever it is asked. Nothing was stored.
    #[error("the `{backend}` storage {problem}")]
    #[non_exhaustive]
    TaskRefused {
        /// The name of the backend.
        backend: &'static str,
        /// Which task is refused, and what to change.
        problem: String,
        /// The storage's own error.
        source: BoxError,
    },

    /// `defer_many` stored only some of its tasks.
    #[error("{}", partial(.results))]
    #[non_exhaustive]
    Partial {
        /// The result for each task, in the order of the call.
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

/// A mistake in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileMistake {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in that line, in characters, counted from 1.
    pub column: usize,
    /// What is wrong, and what to write.
    pub problem: String,
}

#[cfg(feature = "yaml")]
impl FileMistake {
    /// Creates a mistake at this place.
    pub(crate) const fn new(line: usize, column: usize, problem: String) -> Self {
        Self { line, column, problem }
    }
}

impl fmt::Display for FileMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.problem)
    }
}

/// Constructors for backends outside of this crate.
#[doc(hidden)]
impl Error {
    /// Returns an [`Error::NoSuchTask`]: `problem` says why the call failed, after the words `task
    /// ID`.
    pub const fn no_such_task(id: TaskId, problem: &'static str) -> Self {
        Self::NoSuchTask { id, problem }
    }

    /// Returns an [`Error::NoSuchQueue`] of `queue`.
    pub fn no_such_queue(queue: impl Into<String>) -> Self {
        Self::NoSuchQueue { queue: queue.into() }
    }

    /// Returns an [`Error::NewerQueue`] of `queue`.
    pub fn newer_queue(queue: impl Into<String>) -> Self {
        Self::NewerQueue { queue: queue.into() }
    }

    /// Returns an [`Error::QueueInUse`] of `queue`, which holds so many tasks and dead letters.
    pub fn queue_in_use(queue: impl Into<String>, tasks: u64, dead_letters: u64) -> Self {
        Self::QueueInUse { queue: queue.into(), tasks, dead_letters }
    }

    /// Returns an [`Error::Unsupported`] of `backend`.
    pub const fn unsupported(backend: &'static str, what: &'static str) -> Self {
        Self::Unsupported { backend, what }
    }

    /// Returns an [`Error::Storage`] of `backend`: `problem` says what happened and what to do.
    pub fn storage(
        backend: &'static str,
        problem: impl Into<String>,
        source: impl Into<BoxError>,
    ) -> Self {
        Self::Storage { backend, problem: problem.into(), source: source.into() }
    }
}

impl Error {
    /// Returns an [`Error::InTransaction`]: `problem` follows the name of the method.
    pub(crate) const fn in_transaction(call: &'static str, problem: String) -> Self {
        Self::InTransaction { call, problem }
    }

    /// Returns an [`Error::Timestamp`]: `problem` follows the words "the time `VALUE`".
    pub(crate) const fn timestamp(value: String, problem: &'static str) -> Self {
        Self::Timestamp { value, problem }
    }
}

/// Returns an error that lists all `problems`, unless `problems` is empty.
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
        "{count} of {all} tasks were not stored, the others were; the first failure is task \
         {place}: {first}"
    )
}

fn with_schema(beside: usize) -> String {
    match beside {
        0 => String::new(),
        beside => format!(", {beside} of them its schema and sensitive paths"),
    }
}

fn count(problems: &[String]) -> String {
    number(problems.len() as u64, "problem")
}

/// `1 task`, `2 tasks`.
fn number(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn all_of(mistakes: &[FileMistake]) -> String {
    format!("{}:{}", number(mistakes.len() as u64, "mistake"), listed(mistakes))
}

fn listed(items: &[impl fmt::Display]) -> String {
    items.iter().map(|item| format!("\n  - {item}")).collect()
}
