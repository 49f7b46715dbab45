//! Handlers: parameters, state, outcomes, retries, deadlines.
//!
//! A handler is the function that carries [`#[deferred]`](macro@crate::deferred). It stays an
//! ordinary function that any code can call. A method can be one too, whose receiver is sent with
//! the task: see [methods](macro@crate::deferred#methods).
//!
//! `async fn` and plain `fn` are both tasks. An `async fn` runs on the runtime of the worker and
//! must not block it; a plain `fn` runs on the blocking pool.
//!
//! # State and context
//!
//! Parameters marked `#[state]` and `#[context]` are not stored. The worker supplies them:
//!
//! ```
//! use gae_tasks::{Client, TaskContext, deferred};
//!
//! struct Mailer;
//!
//! #[deferred(queue = "emails", deadline = "30s", max_attempts = 8)]
//! async fn send_welcome(user_id: u64, #[state] mailer: &Mailer, #[context] cx: &TaskContext) {
//!     println!("attempt {} for {user_id}", cx.attempt());
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::builder().state(Mailer).open("memory:").await?;
//! # Ok(())
//! # }
//! ```
//!
//! State is one value of each type, given to [`ClientBuilder::state`](crate::ClientBuilder::state).
//! A parameter takes it by reference, or by value where the type is `Clone`. A worker whose tasks
//! need state that is missing refuses to start and names each type.
//!
//! A trait object lets a test give another implementation than the program. Name its type where it
//! is given, as state is found by that type:
//!
//! ```
//! use std::sync::Arc;
//! use gae_tasks::{Client, deferred};
//!
//! trait Gateway: Send + Sync {
//!     fn charge(&self, order: u64) -> Result<(), String>;
//! }
//! # struct Sandbox;
//! # impl Gateway for Sandbox {
//! #     fn charge(&self, order: u64) -> Result<(), String> { Ok(()) }
//! # }
//!
//! #[deferred(queue = "payments")]
//! fn charge(order: u64, #[state] gateway: &Arc<dyn Gateway>) -> Result<(), String> {
//!     gateway.charge(order)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let builder = Client::builder().state::<Arc<dyn Gateway>>(Arc::new(Sandbox));
//! let tasks = builder.open("memory:").await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`TaskContext`](crate::TaskContext) has the task's id, kind, queue, name, attempt and deadline.
//! Code that is called by a handler reads the same from [`current()`](crate::current),
//! [`retry_count()`](crate::retry_count) and [`is_from_task_queue()`](crate::is_from_task_queue).
//!
//! # How an attempt ends
//!
//! | the handler ends with | then |
//! |---|---|
//! | `()` or `Ok(_)` | the task is over |
//! | an error | the task is tried again after a pause |
//! | an error that contains [`PermanentTaskFailure`](crate::PermanentTaskFailure) | the task becomes a dead letter |
//! | an error that contains [`SingularTaskFailure`](crate::SingularTaskFailure) | it is tried again, and logged at debug level only |
//! | an error that contains [`TaskFailure::retry_after(d)`](crate::TaskFailure::retry_after) | it is tried again after `d` |
//! | a panic or a missed deadline | it is tried again after a pause |
//!
//! The error type is anything that turns into `Box<dyn Error + Send + Sync>`: your own error type,
//! `String`, `anyhow::Error`.
//!
//! ```
//! use std::time::Duration;
//! use gae_tasks::{BoxError, PermanentTaskFailure, TaskFailure, deferred};
//!
//! #[deferred(queue = "billing")]
//! async fn charge(order: String) -> Result<(), BoxError> {
//!     let order: u64 = order
//!         .parse()
//!         .map_err(|e| PermanentTaskFailure::new("the order id is not a number").because(e))?;
//!     match call_the_bank(order).await {
//!         429 => {
//!             let pause = Duration::from_secs(90);
//!             Err(TaskFailure::retry_after(pause).because("rate limited").into())
//!         }
//!         500.. => Err("the bank does not answer".into()), // tried again after the queue's pause
//!         _ => Ok(()),
//!     }
//! }
//! # async fn call_the_bank(order: u64) -> u16 { 200 }
//! ```
//!
//! The three failures are found anywhere in the chain of sources, also under `anyhow`'s
//! `.context(..)` and in variants that thiserror calls `transparent`. One place is out of reach: an
//! `anyhow::Error` *inside another error type* hides what was attached to it by `.context(..)`.
//! Return the `anyhow::Error` itself, or make the failure its root.
//!
//! # Retries
//!
//! The pause before a retry and the end of retrying follow the [`RetryConfig`](crate::RetryConfig)
//! of the queue, whose fields and rules are those of Cloud Tasks. By default there are 100
//! attempts, with pauses that begin at 1 second, double, and end at 1 hour. With the default pauses
//! `max_attempts = 8` makes its last attempt 127 seconds after the first: enough for a restart of a
//! database, not for a night. Workers make each default pause up to a tenth longer, so that tasks
//! which failed together are not all tried again at the same moment; pauses that you set are kept
//! exactly.
//!
//! Retrying stops when `max_attempts` **and** `max_retry_duration` are both reached, as far as they
//! are set. `max_attempts` of the attribute or of a call is a cap that stops alone. `min_backoff =
//! "10s"` and `max_backoff = "1h"` of the attribute replace the queue's pauses; Cloud Tasks has one
//! backoff for all tasks of a queue and refuses them.
//!
//! A configuration of a queue is stored with the queue, so it holds for all programs:
//!
//! ```
//! use std::time::Duration;
//! use gae_tasks::{Client, QueueConfig, RetryConfig};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::open("memory:").await?;
//! let retry = RetryConfig::new().with_min_backoff(Duration::from_secs(10));
//! let retry = retry.with_max_attempts(Some(20));
//! tasks.put_queue("emails", QueueConfig::new().with_retry(retry)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! On Cloud Tasks `max_attempts` counts deliveries, except where refused ones can be distinguished:
//! see [push](super::push#limits).
//!
//! # Deadlines
//!
//! An attempt may take 10 minutes, or the `deadline` of the attribute or the call.
//!
//! When the deadline passes, or the lease is lost, an async handler is dropped at its next
//! `.await`. A plain `fn` cannot be stopped.
//! [`TaskContext::is_cancelled`](crate::TaskContext::is_cancelled) becomes true, and the function
//! should look at it between steps; it keeps its lease and its place in the worker until it
//! returns. If it succeeds late, the task is over.
//!
//! ```
//! use gae_tasks::{TaskContext, deferred};
//!
//! #[deferred(deadline = "1m")]
//! fn import(lines: Vec<String>, #[context] cx: &TaskContext) -> Result<(), String> {
//!     for line in lines {
//!         if cx.is_cancelled() {
//!             return Err("out of time".to_owned());
//!         }
//!         println!("{line}");
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Cancellation
//!
//! [`Client::cancel`](crate::Client::cancel) tells the running attempt of a task to end:
//! [`cancelled()`](crate::TaskContext::cancelled) returns, and `is_cancelled()` is true, at once in
//! the same process and within a second in others. An async handler then has [5
//! seconds](crate::Worker::cancel_grace) to leave things in order before it is dropped. A plain
//! `fn` goes on until it returns, with its lease and its place in the worker.
//!
//! ```
//! use gae_tasks::{TaskContext, deferred};
//!
//! #[deferred]
//! async fn convert(video: u64, #[context] cx: &TaskContext) -> Result<(), &'static str> {
//!     tokio::select! {
//!         () = convert_all(video) => Ok(()),
//!         () = cx.cancelled() => {
//!             remove_parts(video).await;
//!             Err("stopped halfway")
//!         }
//!     }
//! }
//! # async fn convert_all(video: u64) {}
//! # async fn remove_parts(video: u64) {}
//! ```
//!
//! Return an error if the work is not done: success is success, and the task is over. After an
//! error it becomes a dead letter, whatever attempts it had left.
//!
//! # Logging
//!
//! Each attempt has a span with kind, queue, id and attempt. A failure is logged as a warning, a
//! dead letter as an error, a success at debug level; do not log the error that you return.
//! [`log_as_retried!`](crate::log_as_retried) logs the same event louder with every retry.
//!
//! # At least once
//!
//! An attempt can happen more than once, whatever it returned: see
//! [idempotency](super::idempotency).
