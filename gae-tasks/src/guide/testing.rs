//! Testing: what was deferred, what a task does, and what happens when the storage fails.
//!
//! The test kit is the feature `testing`: `cargo add --dev gae-tasks --features testing` turns it
//! on for tests. The module `testing` has the reference.
//!
//! # One client for each test
//!
//! A client on `memory:` is a queue of its own. A test that uses no other runs in parallel with all
//! others; nothing global is switched. [`Client::scope`](crate::Client::scope) makes it the client
//! of a future, [`Client::enter`](crate::Client::enter) the client of a thread, which includes what
//! a current-thread runtime spawns.
//!
//! ```
//! # #[cfg(feature = "testing")] {
//! use gae_tasks::testing::{assert_deferred, assert_not_deferred};
//! use gae_tasks::{Client, deferred};
//!
//! #[deferred(queue = "emails")]
//! async fn send_welcome(user_id: u64) {}
//!
//! async fn sign_up(user_id: u64) -> Result<(), gae_tasks::Error> {
//!     send_welcome::defer(user_id).await?;
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::open("memory:").await?;
//! tasks.scope(sign_up(42)).await?;
//! assert_deferred!(tasks, send_welcome, |args| args.user_id == 42);
//! assert_not_deferred!(tasks, send_welcome, |args| args.user_id == 43);
//! # Ok(())
//! # }
//! # main().unwrap();
//! # }
//! ```
//!
//! The asserts look at tasks that wait or run: assert before `drain`. A failed one prints the tasks
//! of the type.
//!
//! # Three verbs
//!
//! | verb | what it does |
//! |---|---|
//! | `client.perform(task)` | calls the function once, stores nothing, returns the [`Outcome`](crate::Outcome) |
//! | `client.drain()` | runs what is stored until nothing is due, and returns the first failure |
//! | `client.run(task)` | defers, then drains |
//!
//! `drain` and `run` fail with [`Error::TaskFailed`](crate::Error::TaskFailed), whose `source` is
//! the handler's error. The failure is recorded, so go on with another `drain`.
//!
//! The verbs need the state of the tasks they run, not of every task in the program. A function
//! without injected parameters needs none of them: call it. [`TaskContext`](crate::TaskContext) has
//! constructors for tests, `TaskContext::for_test()` and `for_test_attempt(3)`.
//!
//! # Time
//!
//! A `ManualClock` stands still until the test moves it. Delays, retries and retention follow it.
//! Default pauses are up to a tenth longer than 1 second, 2 seconds, 4 seconds and so on: move the
//! clock by more than that, or set the task's backoff, which is kept exactly.
//! [`Client::run_now`](crate::Client::run_now) makes a task due without the clock.
//!
//! ```
//! # #[cfg(feature = "testing")] {
//! use std::time::Duration;
//! use gae_tasks::testing::ManualClock;
//! use gae_tasks::{Client, TaskContext, deferred};
//!
//! #[deferred]
//! async fn works_the_second_time(#[context] cx: &TaskContext) -> Result<(), String> {
//!     if cx.attempt() == 1 { Err("not yet".to_owned()) } else { Ok(()) }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let clock = ManualClock::new();
//! let tasks = Client::builder().clock(clock.clone()).open("memory:").await?;
//! assert!(tasks.run(works_the_second_time::defer()).await.is_err());
//! assert_eq!(tasks.drain().await?, 0); // the pause has not passed
//!
//! clock.advance(Duration::from_secs(2));
//! assert_eq!(tasks.drain().await?, 1);
//! assert_eq!(tasks.stats().await?.open(), 0);
//! # Ok(())
//! # }
//! # main().unwrap();
//! # }
//! ```
//!
//! # Dead letters
//!
//! ```
//! # #[cfg(feature = "testing")] {
//! use gae_tasks::{Client, PermanentTaskFailure, TaskFilter, TaskState, deferred};
//!
//! #[deferred]
//! async fn charge(order: u64) -> Result<(), PermanentTaskFailure> {
//!     Err(PermanentTaskFailure::new(format!("order {order} does not exist")))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::open("memory:").await?;
//! assert!(tasks.run(charge::defer(7)).await.is_err());
//! let dead = tasks.list(TaskFilter::new().state(TaskState::Dead), None, 10).await?;
//! assert_eq!(dead[0].errors[0].message, "order 7 does not exist"); // with its sources, if any
//!
//! tasks.replay(dead[0].spec.id).await?; // the next `drain` runs it
//! assert_eq!(tasks.stats().await?.due, 1);
//! # Ok(())
//! # }
//! # main().unwrap();
//! # }
//! ```
//!
//! # Storage that fails
//!
//! `Faulty` wraps a backend, fails or stalls the n-th call of an operation, or stores and loses the
//! answer:
//!
//! ```
//! # #[cfg(feature = "testing")] {
//! use gae_tasks::backend::memory::Memory;
//! use gae_tasks::testing::{Fault, Faulty, Operation};
//! use gae_tasks::{Client, deferred};
//!
//! #[deferred]
//! async fn greet(name: String) {}
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let storage = Faulty::new(Memory::new()).with(Operation::Enqueue, 1, Fault::Fail);
//! let tasks = Client::builder().build(storage)?;
//! assert!(greet::defer("you").on(&tasks).await.is_err());
//! assert!(greet::defer("you").on(&tasks).await.is_ok());
//! # Ok(())
//! # }
//! # main().unwrap();
//! # }
//! ```
//!
//! # Which tasks a client knows
//!
//! A client knows every task that is linked into the test program. A test that needs few of them
//! builds its client with [`ClientBuilder::registry`](crate::ClientBuilder::registry) and
//! `Registry::new().with::<send_welcome>()`.
//!
//! # What waits across a deploy
//!
//! Tasks are read by the names and types of the parameters that they were deferred with. One test
//! for each package compares these with the committed file `tasks.lock`, and says what an edit
//! means for tasks that wait, with the attribute to paste:
//!
//! ```no_run
//! # #[cfg(feature = "testing")] {
//! use gae_tasks::testing::assert_lock;
//!
//! #[test]
//! fn tasks_that_wait_can_run() {
//!     assert_lock!();
//! }
//! # assert_lock!();
//! # }
//! ```
//!
//! `GAE_TASKS_LOCK=write cargo test` creates the file, and takes the changes that are compatible or
//! that it confirms. Review its diff as you review a migration. What cannot be confirmed fails
//! until the attribute is there, or until you have deleted the old lines because no such task
//! waits. In a test of the folder `tests/`, mention the library, `use shop as _;`, or the linker
//! leaves its tasks out. The documentation of `assert_lock!` has the details.
//!
//! # Push
//!
//! `client.push_request(task, attempt)` (features `testing` and `push`) makes the HTTP request that
//! a push queue would send. Pass it to your router to test how the push service is mounted:
//!
//! ```standalone_crate
//! # #[cfg(all(feature = "testing", feature = "push"))] {
//! use axum::{Router, body::Body};
//! use gae_tasks::push::verify::SharedSecret;
//! use gae_tasks::{Client, deferred};
//! use tower_service::Service;
//!
//! #[deferred(queue = "emails")]
//! async fn send_welcome(user_id: u64) {}
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tasks = Client::open("memory:").await?;
//! let verify = SharedSecret::new("known to this test only")?;
//! let service = tasks.push_service().verify(verify).log_dead_letters().build()?;
//! let mut router = Router::new().route_service("/_cb/deferred/{*kind}", service);
//!
//! let request = || tasks.push_request(send_welcome::defer(42), 1);
//! let strange = request()?.map(Body::from);
//! assert_eq!(router.call(strange).await?.status(), 403);
//!
//! let mut proven = request()?.map(Body::from);
//! proven.headers_mut().insert(SharedSecret::HEADER, "known to this test only".parse()?);
//! assert_eq!(router.call(proven).await?.status(), 200);
//! # Ok(())
//! # }
//! # main().unwrap();
//! # }
//! ```
//!
//! The examples `cloud_run` and `app_engine` run with a small Cloud Tasks server in the same
//! process.
//!
//! # The set-up
//!
//! Awaiting a [worker](crate::Worker) with a shutdown that is ready at once checks that all state
//! is there. It runs nothing else:
//!
//! ```
//! use gae_tasks::{Client, Error, deferred};
//!
//! struct Mailer;
//!
//! #[deferred]
//! async fn send_welcome(user_id: u64, #[state] mailer: &Mailer) {}
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # use gae_tasks::Registry;
//! # let builder = || Client::builder().registry(Registry::new().with::<send_welcome>());
//! let tasks = builder().open("memory:").await?;
//! let checked = tasks.worker().with_graceful_shutdown(async {}).await;
//! assert!(matches!(checked, Err(Error::Misconfigured { .. })));
//!
//! let tasks = builder().state(Mailer).open("memory:").await?;
//! tasks.worker().with_graceful_shutdown(async {}).await?;
//! # Ok(())
//! # }
//! ```
