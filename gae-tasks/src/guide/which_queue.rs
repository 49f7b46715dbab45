//! Which queue: memory, SQLite, Postgres or Cloud Tasks, and how to move from one to another.
//!
//! The code of a task is the same for all four. One URL chooses, given to
//! [`Client::open`](crate::Client::open) or set in the environment for
//! [`Client::from_env`](crate::Client::from_env).
//!
//! # When to choose which
//!
//! **`memory:` is for tests**, and for work that may be lost. The queue is as old as its client:
//! tasks end with the process.
//!
//! **`sqlite:FILE` is for one machine.** There is no server to run, and a task is safe on the disk
//! when `defer` returns. Any number of processes share the file. If your data is in SQLite too, a
//! task [commits with it](super::transactions). Choose something else if the disk does not outlive
//! the program, as in most containers, or if the only common disk is a network file system.
//!
//! **`postgres://..` is for several machines**, and for everybody whose data is in Postgres
//! already: an order and its mail are one commit. It costs what a database costs: a server to run,
//! connections, a vacuum that keeps up. The guide [`postgres`](super::postgres) is about these.
//!
//! **`cloudtasks://..` is for services that scale to zero on Google's cloud.** No worker runs and
//! nothing polls: Google stores the tasks and calls your HTTP service when one is due. In return
//! payloads and delays are smaller, an attempt is as long as an HTTP request may be, and
//! administration is slow, because it reads tasks one by one. The guide [`push`](super::push) is
//! about them.
//!
//! If two would do, take the one with less to run. Moving on later is a change of the URL and a
//! time in which [both are served](#moving).
//!
//! # What differs
//!
//! | | `memory:` | `sqlite:FILE` | `postgres://..` | `cloudtasks://..` |
//! |---|---|---|---|---|
//! | feature | none | `sqlite` (default) | `postgres` | `cloud-tasks`, and `push` for the service |
//! | needs | nothing | a local disk | a server of PostgreSQL 13 or newer | a project at Google, a service that Google reaches |
//! | a stored task survives | nothing | a crash, a loss of power | the same, with the server's default settings | what Google's queues survive |
//! | tasks are run by | workers of the process | workers of one machine | workers of any machine | your HTTP service |
//! | stored in a [transaction](super::transactions) of your data | no | in the same file | in the same database | by a [relay](super::transactions#to-cloud-tasks) from one of these |
//! | a task of a killed worker runs again | never | at once | after about 16 seconds, at most its [lease](super::postgres#when-a-worker-dies) of 30 | when Google's request has failed |
//! | payload | 1 MiB | 1 MiB | 1 MiB | 100,000 bytes, with the schema |
//! | delay | 10 years | 10 years | 10 years | 30 days |
//! | deadline | up to a day | up to a day | up to a day | up to 30 minutes, on App Engine a day |
//! | `max_attempts` counts | attempts | attempts | attempts | [deliveries](super::push#limits) |
//! | backoff of a task type | kept | kept | kept | an error: it is the queue's |
//! | [priorities](super::deferring#priorities) | kept | kept | kept | an error |
//! | [limits](super::limits) of a queue | of all workers together | of all workers together | of all workers together | Google's, without a size of the bucket |
//! | [schedules](super::cron) | by its workers | by its workers | by its workers | by jobs of Cloud Scheduler |
//! | [`cancel`](crate::Client::cancel) | tasks that wait or run | tasks that wait or run | tasks that wait or run | tasks that wait |
//! | dead letters are kept | by queue, 30 days | by queue, 30 days | by queue, 30 days | where [you say](super::push#dead-letters) |
//! | a name is blocked after the end | by queue, 24 hours | by queue, 24 hours | by queue, 24 hours | up to 24 hours |
//! | [`stats`](crate::Client::stats) | counts | counts | counts | reads every task, and is billed |
//!
//! "By queue" means that [`put_queue`](crate::Client::put_queue) stores another time. Payloads that
//! are too large go to a [payload store](crate::payload_store) on all four, except in a
//! transaction.
//!
//! What is the same: a task runs at least once, in the order of schedule times as far as possible
//! (and of priorities, where there are any); retries end in a dead letter that can be replayed;
//! payloads are read by name after a deploy; tasks that nobody can run wait. An option that a queue
//! does not have is an error of `defer`, of the configuration of the queue, or of the start of a
//! service, never silently ignored.
//!
//! # How fast
//!
//! On a virtual machine with two cores, every task on disk before `defer` returns; on Postgres (15,
//! with its default durability) the server shares the machine. The second number of each cell is
//! the ratio to bare SQL in the same run; all are medians of several rounds:
//!
//! | tasks a second | `sqlite:FILE` | `postgres://..` |
//! |---|---|---|
//! | one caller of `defer().await` | 5,500 (0.72) | 1,400 (0.52) |
//! | 50 callers | 116,000 (0.71) | 23,000 (0.64) |
//! | `defer_many` of 1,000; on Postgres, of 100,000 | 306,000 (0.55) | 74,000 (0.61) |
//! | a worker that empties a queue | 284,000 (0.89) | 35,000 (0.51) |
//! | 50 callers beside a worker, end to end | 87,000 (0.69) | 12,000 (0.46) |
//!
//! An idle worker in another process begins with a task about 4 ms after the call of `defer` on
//! Postgres; bare SQL with `LISTEN` takes about 2 ms. `cargo run --release --example bench`
//! measures your own disk or server.
//!
//! # In development
//!
//! Nothing forces production's queue on a laptop: `sqlite:tasks.db` runs the same tasks, and tests
//! use `memory:`. Options that production's queue lacks show up only there, so let one job of your
//! CI open it, or what stands for it: a throwaway Postgres server, or the local server of the
//! examples `cloud_run` and `app_engine`.
//!
//! ```no_run
//! # async fn open() -> Result<(), gae_tasks::Error> {
//! // GAE_TASKS_URL=postgres://shop@db/shop in production
//! let tasks = gae_tasks::Client::from_env_or("sqlite:tasks.db").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Moving
//!
//! 1. Prepare the new queue: [`put_queue`](crate::Client::put_queue) the configurations that differ
//!    from the default, and give it the workers or the push service that will run its tasks.
//! 2. Deploy the new URL. From then on every `defer` stores there.
//! 3. Let a worker of the new program empty the old queue meanwhile, and end when nothing is left:
//!
//! ```standalone_crate
//! use std::time::Duration;
//!
//! use gae_tasks::{Client, Error};
//!
//! /// Runs what waits in a queue that gets no new tasks any more.
//! async fn empty(old: &Client) -> Result<(), Error> {
//!     let watched = old.clone();
//!     let emptied = async move {
//!         // A storage that fails is asked again.
//!         while !watched.stats().await.is_ok_and(|stats| stats.open() == 0) {
//!             tokio::time::sleep(Duration::from_secs(1)).await;
//!         }
//!     };
//!     old.worker().with_graceful_shutdown(emptied).await
//! }
//! # #[gae_tasks::deferred]
//! # async fn greet(name: String) {}
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! # let old = Client::open("memory:").await?;
//! # greet::defer("you").on(&old).await?;
//! # empty(&old).await?;
//! # assert_eq!(old.stats().await?.open(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! What to know:
//!
//! - **A handler defers to the queue that its own task came from**, unless the call says
//!   [`.on(&client)`](crate::Defer::on). So what belongs together stays together, and a task that
//!   defers its own successor keeps the old queue alive: give that call the new client.
//! - **Tasks with a far schedule time** keep the old queue open until then.
//!   [`list`](crate::Client::list) shows them.
//! - **Names are not shared.** A name that is taken in the old queue is free in the new one.
//! - **Dead letters stay.** Replay them while the old queue has a worker, or keep the file or the
//!   schema for as long as you may need them.
//! - **Large payloads** may stay in one payload store for both queues: keys are the ids of tasks. A
//!   [sweep](crate::Client::sweep_payloads) must then name the other client, with
//!   [`beside`](crate::SweepPayloads::beside).
//! - **To Cloud Tasks**: options that it lacks are errors of `defer`. Try the new URL before you
//!   change it, with the largest payloads and the longest delays that you have.
//! - **Away from Cloud Tasks**: its tasks are not leased. Keep the push service on the old URL
//!   until the queues are empty.
//! - **Back again** is the same move.
