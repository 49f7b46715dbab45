//! Operating: workers, what to watch, dead letters, queues.
//!
//! # Workers
//!
//! ```no_run
//! use gae_tasks::Client;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::open("sqlite:tasks.db").await?;
//! tasks
//!     .worker()
//!     .queues(["emails", "bulk"]) // by default every queue that an attribute names
//!     .concurrency(16) // attempts at the same time; 50 by default
//!     .queue_concurrency("bulk", 8)
//!     .with_graceful_shutdown(gae_tasks::signals())
//!     .await
//! # }
//! ```
//!
//! A [worker](crate::Worker) runs in any async program, beside a web server or in a process of its
//! own; any number of processes may share one SQLite file or Postgres schema. Storage errors never
//! end a worker: it logs them, waits and tries again.
//!
//! Queues take turns, so a long backlog of one does not delay the start of another's tasks. Turns
//! do not help when **the handlers of one queue are so long that they hold every runner**; only
//! [`.queue_concurrency("bulk", 8)`](crate::Worker::queue_concurrency) does, which keeps the other
//! runners free. The bound is one of each worker; one of all of them together is a
//! [limit](super::limits) of the queue.
//!
//! Where most workers run everything and one sort of machine runs the rest, name the rest once:
//! [`.without_queues(["reports"])`](crate::Worker::without_queues) is every queue that an attribute
//! names but this one, and the worker then needs no state of its tasks.
//!
//! On shutdown a worker leases no more, lets running attempts go on for the [grace
//! time](crate::Worker::grace) of 8 seconds, and gives the rest back without counting an attempt.
//! [`signals()`](crate::signals) is the shutdown for servers: SIGINT or SIGTERM.
//!
//! # What to watch
//!
//! ```
//! use gae_tasks::{Client, deferred};
//!
//! #[deferred(queue = "emails")]
//! async fn send_welcome(user_id: u64) {}
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::open("memory:").await?;
//! send_welcome::defer(42).on(&tasks).await?;
//!
//! let stats = tasks.stats().await?;
//! assert_eq!((stats.due, stats.leased, stats.dead), (1, 0, 0));
//! for line in tasks.unroutable().await? {
//!     println!("{line}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | question | call |
//! |---|---|
//! | How much waits, is due, runs, is dead? | [`stats`](crate::Client::stats), [`stats_of::<send_welcome>()`](crate::Client::stats_of), [`stats_by_route`](crate::Client::stats_by_route) |
//! | What waits that this program cannot run? | [`unroutable`](crate::Client::unroutable) |
//! | What does a task hold? | [`describe`](crate::Client::describe), [`args_json`](crate::TaskRecord::args_json) |
//! | What would wait that the next version of this program cannot run? | [`check_deploy`](crate::Client::check_deploy), run by that version: see [deployment](super::deployment#before-a-deploy) |
//! | Which tasks, with which errors? | [`list`](crate::Client::list), [`get`](crate::Client::get), [`find`](crate::Client::find) |
//! | Which queues, with which configuration? | [`queues`](crate::Client::queues) |
//!
//! **`stats` counts the stored tasks.** On SQLite it costs a few tenths of a second for each
//! million of tasks that wait, on a thread and a connection of its own; on Postgres it counts the
//! rows of an index. `defer` and workers go on meanwhile. Ask once a minute for a dashboard, not in
//! each request. Cloud Tasks has no such counts; its own metrics do.
//!
//! Alert on dead letters (`stats.dead` grows), on the age of the oldest due task
//! ([`Stats::oldest_due`](crate::Stats::oldest_due)), and on error lines of the target `gae_tasks`.
//!
//! # Logs
//!
//! Everything goes through [`tracing`](https://docs.rs/tracing): one span named `task` for each
//! attempt, whose fields have OpenTelemetry's names (`emails process`, kind consumer,
//! `messaging.*`). A failure is a warning that says which attempt failed, how many are left and
//! when the next one is. Dead letters, tasks that no program here can run, and storage that fails
//! are errors. Payloads, tokens and secrets are in no line.
//! [`trace_context`](crate::ClientBuilder::trace_context) carries the trace of the caller to the
//! attempt.
//!
//! # Dead letters
//!
//! A task that has used its attempts, or failed with
//! [`PermanentTaskFailure`](crate::PermanentTaskFailure), or has lost its worker 5 times, is a dead
//! letter: kept with its last 10 errors for 30 days, and shown by `list`. When the cause is mended,
//! replay it: it has all its attempts again.
//!
//! ```
//! use gae_tasks::{Client, QueueName, TaskFilter, TaskState};
//!
//! async fn replay_all(tasks: &Client, queue: &str) -> Result<u64, gae_tasks::Error> {
//!     let filter = TaskFilter::new().queue(QueueName::new(queue)?).state(TaskState::Dead);
//!     let (mut replayed, mut after) = (0, None);
//!     loop {
//!         let page = tasks.list(filter.clone(), after, 100).await?;
//!         let Some(last) = page.last() else { return Ok(replayed) };
//!         after = Some(last.spec.id); // a task that fails again meanwhile is not replayed twice
//!         for letter in &page {
//!             println!("{} {:?}", letter.spec.id, letter.errors.last());
//!             tasks.replay(letter.spec.id).await?;
//!             replayed += 1;
//!         }
//!     }
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # assert_eq!(replay_all(&Client::open("memory:").await?, "emails").await?, 0);
//! # Ok(())
//! # }
//! ```
//!
//! A letter shows the kind, the name, the errors and the arguments of its task, as the next section
//! says. Tasks are found by their names only, so put what an administrator looks for, such as the
//! order number, into the name. The example `shop` lists and replays dead letters over HTTP.
//!
//! [`delete`](crate::Client::delete) removes one for good. A dead letter holds its name until then.
//! On push queues the [push service](super::push#dead-letters) keeps them.
//!
//! # What a task holds
//!
//! The names and types of the arguments are stored beside the tasks. So any program can show what a
//! task holds, as JSON, whether it has the task's function or not:
//!
//! ```
//! use gae_tasks::{Client, TaskFilter, TaskState, deferred};
//!
//! #[deferred(queue = "payments")]
//! async fn charge(order: u64, #[sensitive] card: String) {}
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::open("memory:").await?;
//! let id = charge::defer(42, "4111 1111 1111 1111").on(&tasks).await?.id;
//!
//! let waiting = TaskFilter::new().state(TaskState::Scheduled);
//! for task in tasks.list(waiting, None, 100).with_payloads().await? {
//!     match task.args_json() {
//!         Ok(args) => println!("{} {args}", task.spec.kind), // {"order":42,"card":"(sensitive)"}
//!         Err(why) => println!("{} {why}", task.spec.kind),
//!     }
//! }
//! // One task, whose payload may be in a payload store.
//! let described = tasks.describe(id).await?.expect("it waits");
//! assert_eq!(described.args.as_deref(), Ok(r#"{"order":42,"card":"(sensitive)"}"#));
//! # Ok(())
//! # }
//! ```
//!
//! `#[sensitive]` and `sensitive = ["card.number"]` [hide
//! values](macro@crate::deferred#older-payloads): those of tasks that were stored before the mark
//! too, and in programs without the function. Everything else is shown in clear, so do not log it;
//! this crate never does. A mark hides, it does not encrypt: who can read the storage can read all.
//!
//! # Queues
//!
//! | call | effect |
//! |---|---|
//! | [`put_queue`](crate::Client::put_queue) | writes the fields that are set: retries, [limits](super::limits), retention of dead letters (30 days) and names (24 hours), lost attempts that make a dead letter (5), the step of [priorities](super::deferring#priorities) (30 seconds) |
//! | [`plan_queues`](crate::Client::plan_queues) | compares whole configurations, in code or of a [`queue.yaml`](super::queues), with the stored ones, and makes the differences |
//! | [`pause`](crate::Client::pause), [`resume`](crate::Client::resume) | no task of the queue starts, but those of `run_now`; what runs goes on, and tasks are still accepted. A queue that does not exist is an error |
//! | [`purge`](crate::Client::purge) | deletes the tasks that are stored when the call begins, but not dead letters |
//! | [`delete_queue`](crate::Client::delete_queue), [`delete_queue_with_tasks`](crate::Client::delete_queue_with_tasks) | the first refuses a queue that holds anything |
//! | [`run_now`](crate::Client::run_now) | one waiting task is due at once: before the others of its queue, while the queue is paused, and beyond its [limits](super::limits); if it fails, it waits like any other |
//! | [`cancel`](crate::Client::cancel), [`delete`](crate::Client::delete) | one task, as the next section says |
//!
//! The configuration is stored with the queue and holds for all programs. A program that shares the
//! queue never shortens what another one keeps: the retention that a
//! [builder](crate::ClientBuilder::dead_letter_retention) states is a lower bound.
//!
//! # Cancelling a task
//!
//! [`cancel`](crate::Client::cancel) makes sure that a task is not attempted again, wherever it is:
//!
//! ```
//! use gae_tasks::{Cancelled, Client, TaskId};
//!
//! async fn stop(tasks: &Client, id: TaskId) -> Result<&'static str, gae_tasks::Error> {
//!     Ok(match tasks.cancel(id).await? {
//!         Cancelled::Removed => "it waited, and is deleted",
//!         Cancelled::Requested => "it runs, and its handler is told",
//!         _ => "it is over already, or a dead letter",
//!     })
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! # let tasks = Client::open("memory:").await?;
//! # assert!(stop(&tasks, TaskId::from_bytes([7; 16])).await?.starts_with("it is over"));
//! # Ok(())
//! # }
//! ```
//!
//! The answer comes when its effect is stored. A task that runs may still succeed, and is over
//! then. Whatever else ends the attempt, an error, a shutdown or the death of its worker, makes a
//! dead letter whose error says that it was cancelled, and whose name stays blocked; `replay` gives
//! it a new life. What the handler makes of it is said in [handlers](super::handlers#cancellation).
//!
//! [`delete`](crate::Client::delete) leaves nothing of a task, and its running attempt learns of
//! that only when its lease is next extended, within 10 seconds. On Cloud Tasks `cancel` deletes a
//! task that waits; for one that runs it is an error, and `delete` prevents further attempts.
//!
//! # When a worker dies
//!
//! On SQLite the other workers see that the lock file of its process is free, and its tasks run
//! again at once. On Postgres they see after [about 16 seconds](super::postgres#when-a-worker-dies)
//! that it has left its session. Elsewhere, and where such a sign is missing, a lease of 30 seconds
//! must run out first. None of this needs anybody to act.
//!
//! A task that kills its worker is found by its losses: after the second it runs apart from other
//! such tasks, after five losses that it must have caused it is a dead letter. Its neighbours keep
//! their attempts.
