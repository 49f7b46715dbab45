//! Idempotency: handlers that do no harm when they run twice.
//!
//! A task runs *at least* once. Nothing can promise more for work outside the queue's own storage,
//! because a machine can die between the work and the record of it:
//!
//! 1. the handler sends the mail and returns `Ok`;
//! 2. the process is killed before the outcome is recorded;
//! 3. the lease ends, and another worker runs the task again.
//!
//! Other ways to a second run: a deadline that passes while the work goes on elsewhere, a lost
//! answer of a push request, a dead letter that is replayed after it had half succeeded, a restored
//! backup, a caller that defers twice because its own answer was lost. They are rare, and they
//! happen.
//!
//! # A key for each piece of work
//!
//! Most effects become safe with a key that is the same in every run.
//! [`TaskContext::id`](crate::TaskContext::id) is one: all attempts of a task have the same id, and
//! where workers run tasks so has its replay. Services that take an idempotency key remember it:
//!
//! ```
//! use gae_tasks::{TaskContext, deferred};
//!
//! #[deferred(queue = "billing")]
//! async fn charge(order: u64, cents: u64, #[context] cx: &TaskContext) -> Result<(), String> {
//!     bank::charge(order, cents, &cx.id().to_string()).await
//! }
//! # mod bank {
//! #     pub async fn charge(order: u64, cents: u64, key: &str) -> Result<(), String> { Ok(()) }
//! # }
//! ```
//!
//! A second `defer` makes a second id. If the caller may defer twice, use a key from the work
//! itself, such as the order number, or give the task a [name](super::deferring#names).
//!
//! # Your own database
//!
//! Do the work and remember the key in **one transaction**:
//!
//! ```text
//! BEGIN;
//! INSERT INTO handled (task) VALUES ($id) ON CONFLICT DO NOTHING;  -- no row: roll back, return Ok
//! UPDATE accounts SET cents = cents - $cents WHERE id = $account;
//! COMMIT;
//! ```
//!
//! Or make the statement itself repeatable: set values in place of adding to them, insert with a
//! unique key, update only from the state that you expect.
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::Mutex;
//! use gae_tasks::{TaskContext, deferred};
//!
//! /// Stands for a table with a unique key.
//! #[derive(Default)]
//! struct Payments(Mutex<HashMap<String, u64>>);
//!
//! #[deferred(queue = "billing")]
//! fn book(cents: u64, #[state] payments: &Payments, #[context] cx: &TaskContext) {
//!     payments.0.lock().unwrap().entry(cx.id().to_string()).or_insert(cents);
//! }
//!
//! # #[cfg(feature = "testing")] {
//! let (payments, cx) = (Payments::default(), TaskContext::for_test());
//! book(500, &payments, &cx);
//! book(500, &payments, &cx); // a second run of the same task
//! assert_eq!(payments.0.lock().unwrap().values().sum::<u64>(), 500);
//! # }
//! ```
//!
//! # Work that has no key
//!
//! For a mail or a push notification without such a key, decide which error is worse. To prefer a
//! lost mail over two, record "sent" before you send. To prefer two, record it after. Keep such a
//! handler small: one mail is one task, so that a failure of the next step does not repeat it.
//!
//! # Tasks that defer tasks
//!
//! A handler that defers and then fails defers again in its next attempt. Give those tasks names
//! that follow from its own arguments, and it does not matter:
//!
//! ```
//! use gae_tasks::{Client, Error, deferred};
//!
//! #[deferred]
//! async fn remind(user_id: u64) {}
//!
//! #[deferred]
//! async fn remind_all(month: String, users: Vec<u64>) -> Result<(), Error> {
//!     for user in users {
//!         remind::defer(user).named(format!("remind-{month}-{user}")).await?;
//!     }
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::open("memory:").await?;
//! tasks.scope(remind_all("2026-11".into(), vec![1, 2])).await?;
//! tasks.scope(remind_all("2026-11".into(), vec![1, 2])).await?;
//! assert_eq!(tasks.stats_of::<remind>().await?.open(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! A name blocks its reuse for 24 hours after the end of its task, not for ever.
//!
//! # With a transaction of your own
//!
//! Where the tasks are in the application's own database, SQLite or Postgres, they are stored in
//! your own [transaction](super::transactions), and a handler that works in that database can
//! complete its task in one, exactly once.
//!
//! Elsewhere `defer` does not take part in a transaction of your database. Deferring after the
//! commit can lose the task (the process dies in between); deferring before it can run the task for
//! data that was rolled back. The second is easier to handle: defer first with a short delay, let
//! the handler look whether the data is there, and return `Ok` if it is not.
