//! Guides: how to use gae-tasks, one subject each. There is no code here, only documentation.
//!
//! | guide | what it answers |
//! |---|---|
//! | [`which_queue`] | memory, SQLite, Postgres or Cloud Tasks; moving from one to another |
//! | [`deferring`] | options of a call, names, queues, which client stores it |
//! | [`cron`] | schedules: fields, time zones, App Engine's words and its `cron.yaml`; ticks, deploys |
//! | [`handlers`] | parameters, state, outcomes, retries, deadlines |
//! | [`testing`] | what was deferred, moving time, storage that fails |
//! | [`transactions`] | tasks that commit with the data of the application |
//! | [`idempotency`] | handlers that do no harm when they run twice |
//! | [`queues`] | configurations in code and in a `queue.yaml`, plans |
//! | [`operating`] | workers, what to watch, dead letters, queues |
//! | [`limits`] | rates of queues, and how many of their tasks run at a time |
//! | [`postgres`] | URL, rights, poolers, failover, vacuum, backups of a queue in Postgres |
//! | [`push`] | Google Cloud Tasks calls this program over HTTP |
//! | [`deployment`] | processes, containers, rolling updates, linking |
//! | [`changes`] | changing a task while tasks of the old version wait |
//! | [`backup`] | copying a queue file that is in use |
//! | [`faq`] | error messages, names, SQLite, Postgres, dependencies |

pub mod backup;
pub mod changes;
pub mod cron;
pub mod deferring;
pub mod deployment;
pub mod faq;
pub mod handlers;
pub mod idempotency;
pub mod limits;
pub mod operating;
pub mod postgres;
pub mod push;
pub mod queues;
pub mod testing;
pub mod transactions;
pub mod which_queue;

/// The code of the README, compiled and run as the examples here are.
#[cfg(all(doctest, feature = "cloud-tasks", feature = "oidc", feature = "testing"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
