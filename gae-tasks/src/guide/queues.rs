//! Queues: their configuration in code or in a `queue.yaml`, plans.
//!
//! A queue comes into being with its first task, and needs no configuration. What it can have is
//! the same on every backend: how failed tasks are [retried](super::handlers), how fast its tasks
//! start, how many run at a time, whether it is paused. All of it is stored with the queue and
//! holds for every program that uses it.
//!
//! # In code
//!
//! [`QueueConfig`](crate::QueueConfig) has the field names of Cloud Tasks, and is built where a
//! program has its constants. [`plan_queues`](crate::Client::plan_queues) compares the queues that
//! you want with the stored ones; the plan is printed, and applied:
//!
//! ```
//! use gae_tasks::{Client, QueueConfig, RetryConfig};
//!
//! const EMAILS: QueueConfig = QueueConfig::new()
//!     .with_max_dispatches_per_second(20.0) // of all workers together
//!     .with_max_burst_size(40)
//!     .with_retry(RetryConfig::new().with_max_attempts(Some(8)));
//! const REPORTS: QueueConfig = QueueConfig::new().with_max_concurrent_dispatches(2);
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::open("memory:").await?;
//! let plan = tasks.plan_queues([("emails", EMAILS), ("reports", REPORTS)]).await?;
//! println!("{plan}");
//! plan.apply().await?;
//!
//! let again = tasks.plan_queues([("emails", EMAILS), ("reports", REPORTS)]).await?;
//! assert!(again.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//! to change in the queues of the `memory` backend:
//!   create `emails`
//!     max_dispatches_per_second: 20
//!     max_burst_size: 40
//!     retry.max_attempts: 8
//!   create `reports`
//!     max_concurrent_dispatches: 2
//! ```
//!
//! A plan decides the retries and the limits of its queues: what is not set is removed, so a field
//! that goes from your code goes from the queue. [`put_queue`](crate::Client::put_queue) writes the
//! fields that are set and leaves the rest. Neither touches a retention, a number of lost attempts
//! or a step of priorities that is not set: other programs may state them, and to have a default
//! again, set its value.
//!
//! [`QueueConfig::new`](crate::QueueConfig::new) has neither a rate nor a bound of what runs at a
//! time. On Cloud Tasks, Google's own apply then: 500 a second, 1,000 at a time.
//!
//! What the backend lacks is an error of the plan that names every such field of every queue. What
//! a newer version of this crate has configured is reported and left alone. Other stored queues are
//! listed, and deleted only by [`.delete_extra()`](crate::QueuePlan::delete_extra): they may belong
//! to another program.
//!
//! # `queue.yaml`
//!
//! With the feature `yaml`, [`Queues`](crate::Queues) are read from App Engine's own file:
//!
#![cfg_attr(feature = "yaml", doc = "```")]
#![cfg_attr(not(feature = "yaml"), doc = "```ignore")]
//! use gae_tasks::{Client, Queues};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let file = "
//! queue:
//! - name: emails
//!   rate: 20/s
//!   bucket_size: 40
//!   retry_parameters:
//!     task_retry_limit: 7
//!     task_age_limit: 2d
//! - name: imports
//!   rate: 0 # paused
//! "; // a program has `include_str!("queue.yaml")`
//! let queues: Queues = file.parse()?;
//! let tasks = Client::open("memory:").await?;
//! let plan = tasks.plan_queues(queues).await?;
//! assert!(plan.to_string().contains("create `imports`, paused"));
//! plan.apply().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Every mistake of the file is told at once, with its line, its column and what to write. A file
//! means here what it means on App Engine, with App Engine's defaults; the plan lists each value
//! that it took from them.
//!
//! | key of a queue | meaning | if it is missing |
//! |---|---|---|
//! | `name` | the name: letters, digits, hyphens, at most 100 | a mistake |
//! | `rate` | `max_dispatches_per_second`: `5/s`, `1.5/m`, `100/h`, `1/d`. `0` pauses the queue | a mistake |
//! | `bucket_size` | `max_burst_size` | 5; on Cloud Tasks, which chooses the size, none |
//! | `max_concurrent_requests` | `max_concurrent_dispatches` | 1,000 |
//! | `retry_parameters:` | | |
//! | `task_retry_limit` | `max_attempts`, less the first attempt: `7` is eight attempts | unlimited |
//! | `task_age_limit` | `max_retry_duration`: `90s`, `30m`, `12h`, `2d` | unlimited |
//! | `min_backoff_seconds`, `max_backoff_seconds` | `min_backoff`, `max_backoff` | 0.1 s, 3,600 s; one follows the other if they contradict |
//! | `max_doublings` | `max_doublings` | 16 |
//! | `mode` | `push` is what every queue is; a `pull` queue is left alone, and listed | `push` |
//! | `target`, `acl` | no effect, and listed: [`.target(..)`](crate::Defer::target) chooses a service by task, the storage decides who may use it | |
//!
//! | key of the file | meaning | if it is missing |
//! |---|---|---|
//! | `queue` | the list of queues | a mistake |
//! | `resume_paused_queues` | whether queues of the file that are paused, and whose rate is not `0`, go on: `false` leaves pauses to people | `true` |
//! | `application`, `total_storage_limit` | no effect, and listed | |
//!
//! **Retries are unlimited unless the file limits them**, as on App Engine: a task that always
//! fails is then retried for ever. And App Engine has a queue `default` that no file declares, with
//! 5 tasks a second: so has a plan of a file. Declare `default` to give it another rate.
//!
//! What a backend lacks and the file states is refused, as from code: on Cloud Tasks a
//! `bucket_size`, a rate above 500 a second, and more than 5,000 `max_concurrent_requests`.
//!
//! # Limits
//!
//! The rate is that of a token bucket, which holds `max_burst_size` tokens and starts full: after a
//! quiet time as many tasks start at once. `max_concurrent_dispatches` counts the tasks of the
//! queue that run, in all processes. It differs from
//! [`queue_concurrency`](crate::Worker::queue_concurrency) of a worker, which bounds one worker,
//! and is not stored. The guide [limits](super::limits) says what limits mean to the tasks and what
//! they cost.
//!
//! # Which queues exist
//!
//! A worker creates those of its queues that registered tasks name, before their first tasks: they
//! can be paused and configured at once. It changes none that exists, and a program that only
//! defers creates none. At Google only [`put_queue`](crate::Client::put_queue) and a plan create
//! queues, as each must exist before its first task; a plan also creates those that registered
//! tasks name.
//!
//! # At Google
//!
//! The limits of attempts are not Google's but [travel with each task](super::push#limits), so a
//! plan shows no difference in them. Call `plan_queues` and `apply` in every process that defers,
//! as `put_queue`: where nothing is to change, nothing is written, and the process takes note of
//! the limits that its tasks carry. The role `roles/cloudtasks.viewer` suffices for that; to change
//! queues takes `roles/cloudtasks.queueAdmin`.
