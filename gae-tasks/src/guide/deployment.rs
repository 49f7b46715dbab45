//! Deployment: processes, containers, rolling updates, Cloud Run, App Engine, linking.
//!
//! # One URL
//!
//! [`Client::from_env`](crate::Client::from_env) takes the queue's URL from `GAE_TASKS_URL`. A
//! missing variable is an error, so that a service does not keep its tasks in a file that its
//! container loses; programs that mean a default use [`from_env_or`](crate::Client::from_env_or).
//!
//! | URL | |
//! |---|---|
//! | `memory:` | tests |
//! | `sqlite:/var/lib/shop/tasks.db` | one machine |
//! | `postgres://shop@db.internal/shop` | any number of machines: see [postgres](super::postgres) |
//! | `cloudtasks://PROJECT/LOCATION?url=..&service_account=..` | any number of machines: see [push](super::push) |
//!
//! The guide [`which_queue`](super::which_queue) compares them.
//!
//! # SQLite on one machine
//!
//! - **All processes are on one host.** They may be in several containers that mount the same local
//!   directory. Network file systems (NFS, SMB, most shared volumes) are not supported: SQLite's
//!   locks do not work there.
//! - **Keep the directory writable.** Beside `tasks.db` there are `tasks.db-wal`, `tasks.db-shm`
//!   and a lock file for each process that runs a worker.
//! - **Put the file on a disk that stays**: a volume, not the writable layer of a container.
//! - **Do not move or delete the file** while a program uses it. `defer` fails from then on, until
//!   the same file is back.
//! - **Do not open a client before a `fork`.** A child can use no file that its parent opened.
//! - A disk that is full makes `defer` fail. Tasks that are stored wait until there is room.
//!
//! A web server and its worker can be one process. Each takes a signal of its own, so that both
//! stop at the same time, and a worker that cannot start ends the server too:
//!
//! ```no_run
//! use axum::Router;
//! use gae_tasks::{BoxError, Client, signals};
//!
//! async fn serve(router: Router) -> Result<(), BoxError> {
//!     let tasks = Client::from_env().await?;
//!     tasks.install()?;
//!     let listener = tokio::net::TcpListener::bind("0.0.0.0:8080").await?;
//!     let server = axum::serve(listener, router).with_graceful_shutdown(signals());
//!     let worker = tasks.worker().with_graceful_shutdown(signals());
//!     let server = async { server.await.map_err(BoxError::from) };
//!     let worker = async { worker.await.map_err(BoxError::from) };
//!     tokio::try_join!(server, worker)?;
//!     Ok(())
//! }
//! ```
//!
//! The examples `web` and `shop` are complete services. Separate processes keep slow handlers away
//! from requests: the worker starts what the server defers within milliseconds.
//!
//! # Stopping
//!
//! [`signals()`](crate::signals) drains a worker at SIGTERM within its [grace
//! time](crate::Worker::grace), 8 seconds by default: docker kills after 10. For longer handlers
//! raise both, `.grace(..)` and the time that the platform waits (`docker stop -t`,
//! `terminationGracePeriodSeconds`, `TimeoutStopSec`).
//!
//! ```text
//! [Service]
//! ExecStart=/usr/local/bin/shop
//! Environment=GAE_TASKS_URL=sqlite:/var/lib/shop/tasks.db
//! StateDirectory=shop
//! Restart=always
//! ```
//!
//! A process that is killed loses nothing: its tasks run again.
//!
//! # Rolling updates
//!
//! Old and new instances run beside each other, and tasks of one wait for the other:
//!
//! - **A new kind.** Old workers do not lease its tasks. They log that such tasks wait.
//! - **A kind that moved or was renamed.** `alias = ["shop.old/send_welcome"]` runs what was stored
//!   under the old kind. Old workers do not run the new one.
//! - **Changed parameters.** Payloads of the old ones are read by name, in both directions, and
//!   wait where that cannot be done: see [below](#changing-a-task).
//! - **A kind that was removed.** Its tasks wait, and
//!   [`Client::unroutable`](crate::Client::unroutable) shows them.
//!   [`delete`](crate::Client::delete) or [`purge`](crate::Client::purge) them.
//! - **A schedule** is as the newer of the builds that run declares it: see
//!   [revisions](super::cron#programs-and-revisions).
//! - **A newer version of this crate.** Tasks and queue configurations that only it can read are
//!   left alone by older ones.
//!
//! # Changing a task
//!
//! A payload is stored beside the schema that it was written under. A function with other
//! parameters reads it by name. What it cannot read waits, uses no attempt, and is reported with
//! the difference in words. The guide [`changes`](super::changes) has a tested example for each
//! row:
//!
//! | I want to | do |
//! |---|---|
//! | add a parameter | `#[default]`, `#[default(expr)]`, or make it an `Option` |
//! | remove a parameter | `ignores = ["note"]` |
//! | rename a parameter | `#[alias("old")]` |
//! | reorder parameters or fields | nothing |
//! | widen or narrow an integer | nothing; a value that does not fit goes back and waits |
//! | change a type to something else | `upgrade = from_v1`, or a new parameter |
//! | split or merge parameters | `upgrade = from_v1` |
//! | add a field to a struct | `#[serde(default)]`, or make it an `Option` |
//! | remove a field of a struct | `ignores = ["transfer.note"]` |
//! | rename a field or a variant | `#[serde(alias = "old")]` |
//! | add or move a variant | nothing; old instances leave tasks that have it to new ones |
//! | remove a variant | wait until no task has it |
//! | rename or move the function | `alias = ["shop.old/send_welcome"]` |
//! | make it a method, or a function again | the same, and `#[alias("invoice")] &self`, or `#[alias("self")] invoice: Invoice` |
//! | change what a value means (its unit, its currency) | a new name, without an alias: no schema sees such a change |
//!
//! # Before a deploy
//!
//! [`check_deploy`](crate::Client::check_deploy) compares a program with the tasks that are stored:
//! which of them it will run, which it will read by name, and which it will leave waiting. Give the
//! new program a flag, and run it against the live queue in CI, before the new version takes over:
//!
//! ```
//! use std::process::ExitCode;
//!
//! use gae_tasks::{Client, Error};
//!
//! /// What the program does with the flag `--check-deploy`.
//! async fn check_deploy(tasks: &Client) -> Result<ExitCode, Error> {
//!     let report = tasks.check_deploy().await?;
//!     println!("{report}");
//!     Ok(if report.is_safe() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! # let tasks = Client::open("memory:").await?;
//! # assert_eq!(check_deploy(&tasks).await?, ExitCode::SUCCESS);
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//! $ GAE_TASKS_URL=cloudtasks://shop/europe-west1?url=.. shop --check-deploy
//! not safe to deploy: of 353 waiting or leased tasks, 41 will not run; 313 resolved by name;
//! 313 payloads read; 1 does not fit
//!   40 `shop.billing/charge` (queue `payments`, shape 01c3f6.., 40 due) cannot run: parameter
//!   `cents`: was a u32, is a String
//!   313 `shop.emails/send_welcome` of another shape (queue `emails`, shape 0142ec.., 300 due,
//!   13 in the future) will be resolved by name; of 313 read, 1 does not fit: parameter
//!   `user_id` holds a number that is out of the range of u16 (1)
//! ```
//!
//! - **Build the client as the worker's**, with its state: a function whose state is missing runs
//!   nothing.
//! - **Nothing changes**: no task is leased or run, and workers go on. Schemas are compared for all
//!   tasks, values for [at most 1,000](crate::CheckDeploy::values) of each kind and shape. Values
//!   are in no line of the report.
//! - **Give it the payload store** of the live queue, or payloads in it do not fit. If that store
//!   fails, or takes more than a minute, the report is not safe.
//! - **Dead letters count for nothing**: the report says what a replay would do.
//! - A SQLite file is made if it is missing: `?mode=rw` makes that an error.
//! - On Cloud Tasks, the account of the check needs the permission `cloudtasks.tasks.fullView`
//!   beside `cloudtasks.queues.list`, `cloudtasks.tasks.list` and `cloudtasks.tasks.get`. The
//!   report names each queue that could not be read, and is not safe then.
//! - While old instances still defer, tasks of their shapes keep coming: the new program must run
//!   them too.
//!
//! The example `check_deploy` ends with 0, 1 or 2, for scripts.
//!
//! # Cloud Run
//!
//! The examples `cloud_run` and its `README.md` have the commands. What is easy to miss:
//!
//! - Create queues with `--max-attempts=-1`.
//! - The service's account needs `roles/cloudtasks.enqueuer`, and `roles/iam.serviceAccountUser` on
//!   the account whose tokens the queue sends.
//! - With `--no-allow-unauthenticated` Cloud Run takes the signature off the token: verify with
//!   `PlatformAuthenticated`.
//! - An instance has no disk that stays. Keep dead letters at Google or in a bucket:
//!   [push](super::push#dead-letters).
//!
//! # App Engine
//!
//! Tasks that the service `default` defers run in the background service at the same version, if
//! the URL names one (`?background_service=worker`). The standard environment has no runtime for
//! Rust; the example `app_engine` shows how a program without shared libraries is deployed.
//!
//! # What is linked
//!
//! Tasks are registered by the linker. **A dependency that a program never mentions is not linked,
//! and its tasks are missing.** Name such crates with [`gae_tasks::link!`](crate::link), whose
//! documentation says what `cdylib`s, Rust `dylib`s, `-C prefer-dynamic`, LTO and `strip` do. A
//! worker logs at start which of the waiting tasks it does not know.
//!
//! # Features
//!
//! The default build has `sqlite` only, which compiles a bundled SQLite and needs a C compiler.
//! `--no-default-features` leaves the memory backend; `--no-default-features --features postgres`
//! has Postgres and no SQLite.
