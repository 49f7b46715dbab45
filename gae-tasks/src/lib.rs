//! Deferred tasks: annotate a function and defer a call of the function. The call runs later, on
//! any instance, and is retried if it fails.
//!
//! Tasks wait in an embedded SQLite file, with no server to run; in a Postgres database, for many
//! machines; or in Google Cloud Tasks, which calls a service that scales to zero. The task code is
//! the same for all of them: one URL [chooses](guide::which_queue).
//!
//! ```no_run
//! use std::time::Duration;
//! use gae_tasks::{Client, deferred};
//!
//! #[deferred(queue = "emails", max_attempts = 8)]
//! async fn send_welcome(user_id: u64, template: String) -> Result<(), std::io::Error> {
//!     println!("{template} to user {user_id}"); // an ordinary function: it can still be called
//!     Ok(())
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let tasks = Client::open("sqlite:tasks.db").await?; // embedded and durable
//!     tasks.install()?; // the default client of this process
//!
//!     send_welcome::defer(42, "hello").await?; // typed like the function
//!     send_welcome::defer(43, "later").after(Duration::from_secs(60)).await?;
//!     send_welcome::defer(44, "once").named("welcome-44").await?; // deferred only once
//!
//!     tasks.worker().with_graceful_shutdown(gae_tasks::signals()).await?;
//!     Ok(())
//! }
//! ```
//!
//! # The parts
//!
//! - [`#[deferred]`](macro@deferred) makes a function or a method a task: a type of the function's
//!   name with `defer`, and an args struct. The linker registers it; [`link!`] names crates that
//!   nothing else mentions.
//! - [`Client`] is the connection to a queue. [`Client::open`] takes the queue's URL;
//!   [`ClientBuilder`] adds state and settings.
//! - [`Defer`] is a call to be run later, with its options; `.await` stores the task and returns a
//!   [`Deferred`].
//! - [`Worker`] runs stored tasks, from [`Client::worker`] until its shutdown, such as
//!   [`signals()`].
//! - [`TaskContext`] describes the running attempt to its handler; [`current()`] returns it
//!   anywhere in the call tree.
//! - [`PermanentTaskFailure`], [`SingularTaskFailure`] and [`TaskFailure`] are errors by which a
//!   handler chooses what happens to its task. Any other error means a retry.
//! - [`QueueConfig`] and [`RetryConfig`] say how the tasks of a queue are retried, limited and
//!   kept; [`Client::put_queue`] stores them, and [`Client::plan_queues`] makes the stored queues
//!   those of the program or of a `queue.yaml`.
//! - [`Client::stats`], [`Client::list`] and [`Client::replay`] inspect stored tasks and dead
//!   letters and act on them.
//! - [`payload_store`] keeps payloads that are too large for a task.
//! - `push` (feature `push`) is the HTTP service that a push queue calls; `testing` (feature
//!   `testing`) is the test kit.
//! - [`Error`] is an error between a caller and the queue.
//!
//! # Guides
//!
//! [`guide`] explains how these parts are used together: [which queue](guide::which_queue),
//! [deferring](guide::deferring), [schedules](guide::cron), [handlers](guide::handlers),
//! [testing](guide::testing), [transactions](guide::transactions),
//! [idempotency](guide::idempotency), [queues](guide::queues), [limits](guide::limits),
//! [operating](guide::operating), [Postgres](guide::postgres), [push](guide::push),
//! [deployment](guide::deployment), [changes](guide::changes), [backup](guide::backup), and the
//! [FAQ](guide::faq).
//!
//! # Guarantees
//!
//! - **At least once.** When `defer(..).await` has returned, the task survives a crash and a power
//!   loss: always on SQLite, on Postgres with the server's default settings. The task runs until it
//!   succeeds or becomes a dead letter, which is kept and can be replayed. A task can run more than
//!   once: write [idempotent](guide::idempotency) handlers.
//! - **A task that this program cannot run waits** for a program that can, and is reported. Waiting
//!   uses no attempt.
//! - **A payload is read under the schema that wrote it**: by name, if the function has
//!   [changed](guide::changes) since.
//! - **A lost worker's tasks run again**: at once on SQLite, when their leases end elsewhere.
//!   Setting a clock neither ends a live lease nor keeps a lost one.
//! - **Programs that share a file or a schema do not harm each other.** Retries and retention
//!   belong to the stored queue, and data that a newer version stored is left alone.
//! - **Mistakes fail early**: at compile time, or all at once when a worker is built.
//!
//! Order is best effort, by schedule time and [priority](guide::deferring#priorities).
//!
//! # Queues
//!
//! | URL | durable | who runs the tasks | payload up to | delay up to |
//! |---|---|---|---|---|
//! | `memory:` | no | this process; for tests | 1 MiB | 10 years |
//! | `sqlite:FILE` (feature `sqlite`) | yes | processes of one machine | 1 MiB | 10 years |
//! | `postgres://USER@HOST/DATABASE?..` (feature `postgres`) | yes | any number of machines | 1 MiB | 10 years |
//! | `cloudtasks://PROJECT/LOCATION?..` (feature `cloud-tasks`) | yes | any number of machines, or none while nothing is due | 100,000 bytes | 30 days |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `sqlite` | yes | the embedded backend |
//! | `sqlx-sqlite` | | [`Defer::in_tx`] for transactions of sqlx 0.9 in SQLite files |
//! | `postgres` | | the backend of many machines, and [`Defer::in_tx`] for transactions of sqlx 0.9 there |
//! | `json` | | `Json<T>`, for parameters that only a self-describing format can read back |
//! | `push` | | `PushService`: tasks arrive as HTTP requests |
//! | `oidc` | | `push::verify::Oidc`: Google's signed tokens prove these requests |
//! | `actix` | | the push service for actix-web 4 |
//! | `cloud-tasks` | | the backend of Google Cloud Tasks |
//! | `object-store`, `gcs` | | payload stores in a folder, any `object_store`, Google Cloud Storage |
//! | `cron` | | schedules: `cron = ".."` of the attribute, `Client::schedule`, `Cron` |
//! | `yaml` | | [`Queues`] from App Engine's `queue.yaml`; with `cron` also its `cron.yaml` |
//! | `chrono`, `jiff`, `time` | | [`Timestamp`] from and into the types of these crates |
//! | `testing` | | the test kit |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(target_family = "wasm")]
compile_error!(
    "gae-tasks does not support WebAssembly: tasks are registered by the linker, and run on \
     threads. It is for Linux, macOS, Windows and other systems with threads; put what a browser \
     shares with it into a crate of its own"
);

// vocabulary
mod attributes;
#[cfg(feature = "cron")]
mod cron;
#[cfg(any(feature = "push", feature = "cloud-tasks"))]
mod envelope;
mod error;
mod log;
mod outcome;
mod payload;
mod process;
mod queue;
mod random;
mod retention;
mod task;
mod text;
mod time;
mod unwind;
mod version;
#[cfg(feature = "yaml")]
mod yaml;

// contract
pub mod backend;
mod clock;
mod context;
mod handler;
pub mod payload_store;
mod registration;
mod registry;
mod routed;
mod spilling;
mod task_type;

// engines
mod dispatch;
#[cfg(feature = "push")]
#[cfg_attr(docsrs, doc(cfg(feature = "push")))]
pub mod push;
mod relay;
mod worker;

// surface
mod client;
mod defer;
pub mod guide;
mod retried;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;

// door
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use backend::{
    CallersTransaction, Cancelled, Capabilities, QueueLimits, QueueRecord, RouteStats, Stats,
    TaskError, TaskFilter, TaskRecord, TaskState, UnreadQueue,
};
#[cfg(feature = "push")]
#[cfg_attr(docsrs, doc(cfg(feature = "push")))]
pub use client::PushServiceBuilder;
pub use client::{
    CheckDeploy, CheckDeployFuture, Client, ClientBuilder, ClientGuard, DeferManyFuture,
    DeployReport, DeployRoute, DeployValues, DeployVerdict, Description, ListTasks,
    ListTasksFuture, QueuePlan, Relay, RelayFuture, SweepPayloads, SweepPayloadsFuture, Unroutable,
    Worker, WorkerFuture,
};
#[cfg(all(feature = "cron", any(feature = "cloud-tasks", feature = "push")))]
#[cfg_attr(docsrs, doc(cfg(feature = "cron")))]
pub use client::{CloudScheduler, CloudSchedulerJob};
#[cfg(feature = "cron")]
#[cfg_attr(docsrs, doc(cfg(feature = "cron")))]
pub use client::{MakeSchedule, MakeScheduleFuture, ScheduleRecord};
pub use clock::{Clock, SystemClock};
pub use context::{TaskContext, current, is_from_task_queue, retry_count};
#[cfg(feature = "cron")]
#[cfg_attr(docsrs, doc(cfg(feature = "cron")))]
pub use cron::{CRON_TZDB_VERSION, Cron, CronError, CronTicks, Missed};
#[cfg(all(feature = "cron", feature = "yaml"))]
#[cfg_attr(docsrs, doc(cfg(all(feature = "cron", feature = "yaml"))))]
pub use cron::{CronEntry, CronFile};
pub use defer::{Defer, DeferFuture, Unique};
pub use error::{Error, FileMistake};
#[doc = include_str!("docs/deferred.md")]
#[doc(inline)]
pub use gae_tasks_macros::deferred;
pub use outcome::{
    BoxError, Failure, Outcome, PermanentTaskFailure, SingularTaskFailure, TaskFailure,
};
#[cfg(feature = "json")]
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
pub use payload::Json;
pub use payload::{Schema, SchemaError, UnreadableError};
pub use queue::{Attempts, QueueConfig, QueueName, Queues, RetryConfig};
pub use registry::Registry;
pub use retention::Retention;
pub use task::{
    Conflict, Deferred, Kind, OnConflict, Reschedule, Route, Shape, TaskId, TaskName, TaskSpec,
    UniqueKey,
};
pub use task_type::{Args, Task};
pub use time::{Now, Schedule, Timestamp};
pub use worker::{Signals, signals};
