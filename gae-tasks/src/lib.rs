#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(target_family = "wasm")]
compile_error!(
    "gae-tasks does not support WebAssembly: tasks are registered by the linker, and run on threads. It is for Linux, \
     macOS, Windows and other systems with threads; put what a browser shares with it into a crate of its own"
);

// vocabulary
mod attributes;
#[cfg(any(feature = "push", feature = "cloud-tasks"))]
mod envelope;
mod error;
mod log;
mod outcome;
mod payload;
mod queue;
mod random;
mod retention;
mod task;
mod text;
mod time;
mod unwind;
mod version;

// contract
pub mod backend;
mod clock;
mod context;
mod handler;
pub mod payload_store;
mod registration;
mod registry;
mod spilling;
mod task_type;

// engines
mod dispatch;
#[cfg(feature = "push")]
#[cfg_attr(docsrs, doc(cfg(feature = "push")))]
pub mod push;
mod worker;

// surface
mod client;
mod defer;
mod retried;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;

// door
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use backend::{Capabilities, QueueRecord, RouteStats, Stats, TaskError, TaskFilter, TaskRecord, TaskState};
#[cfg(feature = "push")]
#[cfg_attr(docsrs, doc(cfg(feature = "push")))]
pub use client::PushServiceBuilder;
pub use client::{
    Client, ClientBuilder, ClientGuard, DeferManyFuture, ListTasks, ListTasksFuture, SweepPayloads,
    SweepPayloadsFuture, Worker, WorkerFuture,
};
pub use clock::{Clock, SystemClock};
pub use context::{TaskContext, current, is_from_task_queue, retry_count};
pub use defer::{Defer, DeferFuture};
pub use error::Error;
#[doc = include_str!("docs/deferred.md")]
#[doc(inline)]
pub use gae_tasks_macros::deferred;
pub use outcome::{BoxError, Failure, Outcome, PermanentTaskFailure, SingularTaskFailure, TaskFailure};
#[cfg(feature = "json")]
#[cfg_attr(docsrs, doc(cfg(feature = "json")))]
pub use payload::Json;
pub use payload::UnreadableError;
pub use queue::{Attempts, QueueConfig, QueueName, RetryConfig};
pub use registry::Registry;
pub use retention::Retention;
pub use task::{Deferred, Kind, Route, Shape, TaskId, TaskName, TaskSpec};
pub use task_type::{Args, Task};
pub use time::{Now, Schedule, Timestamp};
pub use worker::{Signals, signals};
