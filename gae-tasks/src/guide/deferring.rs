//! Deferring a call: options, names, queues, and which client stores it.
//!
//! [`#[deferred]`](macro@crate::deferred) puts a type beside the function, under the function's own
//! name. Its `defer` takes the parameters of the function and returns a [`Defer`](crate::Defer);
//! `.await` stores the task.
//!
//! ```
//! use std::time::Duration;
//! use gae_tasks::{Client, deferred};
//!
//! #[deferred(queue = "emails")]
//! async fn send_welcome(user_id: u64, template: String) {}
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::open("memory:").await?;
//! let later = send_welcome::defer(42, "hello").after(Duration::from_secs(60)).on(&tasks).await?;
//! assert!(tasks.get(later.id).await?.is_some());
//!
//! // The arguments as a value, for code that keeps or compares them.
//! SendWelcomeArgs { user_id: 43, template: "hello".into() }.defer().on(&tasks).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Methods are deferred by a function beside them: `invoice.defer_send("you")`,
//! `Invoice::defer_create(7)`. Their block carries the attribute too: see
//! [methods](macro@crate::deferred#methods).
//!
//! # Options
//!
//! | option | meaning |
//! |---|---|
//! | [`after(duration)`](crate::Defer::after), [`at(time)`](crate::Defer::at) | the first attempt starts no earlier |
//! | [`named("welcome-42")`](crate::Defer::named) | the queue stores one task of this name; see below |
//! | [`unique(Unique::by_args())`](crate::Defer::unique) | one task of these args waits in the queue; see below |
//! | [`must_be_new()`](crate::Defer::must_be_new) | a name in use is an error |
//! | [`queue("night")`](crate::Defer::queue) | another queue than the attribute names |
//! | [`spread(["a", "b"])`](crate::Defer::spread) | one of several queues |
//! | [`max_attempts(3)`](crate::Defer::max_attempts) | a cap below that of the queue |
//! | [`deadline(duration)`](crate::Defer::deadline) | the time one attempt may take |
//! | [`priority(10)`](crate::Defer::priority) | sooner, or later, than others of its queue; see below |
//! | [`retry(config)`](crate::Defer::retry) | the task's own backoff and limits |
//! | [`target("worker")`](crate::Defer::target), [`target_version`](crate::Defer::target_version), [`header("X-Tenant", "7")`](crate::Defer::header) | another service, a header of the request: Cloud Tasks only |
//! | [`on(&client)`](crate::Defer::on) | this client stores the task |
//!
//! An option that the backend does not have is an error of `.await`, never ignored.
//! [`Client::capabilities`](crate::Client::capabilities) returns the limits of the backend: the
//! largest payload, the longest delay, the range of deadlines.
//!
//! `.at(..)` takes a `SystemTime` or a [`Timestamp`](crate::Timestamp), and the types of chrono,
//! jiff and time with the features of these names.
//!
//! # When the task is stored
//!
//! When `.await` returns `Ok`, the task survives a crash of the process and, on SQLite and on a
//! Postgres server with default settings, a loss of power.
//!
//! **Dropping the future before that leaves it unknown whether the task is stored.** A request
//! handler whose client disconnects, a `select!` or a timeout drops futures. An error of the
//! storage can leave it unknown too: the answer was lost, the task may be there. Where a second
//! task would do harm, give the task a name and defer it again.
//!
//! [`wait()`](crate::Defer::wait) blocks the thread instead. It needs no async runtime, and it is
//! the way to defer from a plain `fn` task.
//!
//! [`Client::defer_many`](crate::Client::defer_many) stores many tasks in one transaction:
//!
//! ```
//! use gae_tasks::{Client, deferred};
//!
//! #[deferred]
//! async fn resize(image: u64) {}
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::open("memory:").await?;
//! let answers = tasks.defer_many([resize::defer(1), resize::defer(2)]).await?;
//! assert_eq!(answers.len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! On Cloud Tasks, which has no transactions, each task is a call of its own; if some fail,
//! [`Error::Partial`](crate::Error::Partial) has the result of each. A single `defer().await`
//! shares its commit with those of other callers, so a server needs no batches to be fast.
//!
//! In a SQLite file or a Postgres database that is also the application's,
//! [`Defer::in_tx`](crate::Defer::in_tx) stores a task in a transaction of your own: see
//! [transactions](super::transactions).
//!
//! # Names
//!
//! A named task is stored at most once while it waits, runs, or is a dead letter, and for 24 hours
//! after its end, whether it was done, deleted, purged or cancelled. A second `defer` returns
//! `created: false` and stores nothing.
//!
//! ```
//! use gae_tasks::{Client, deferred};
//!
//! #[deferred(queue = "billing")]
//! async fn send_invoice(order: u64) {}
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::open("memory:").await?;
//! let first = send_invoice::defer(7).named("invoice-7").on(&tasks).await?;
//! let again = send_invoice::defer(7).named("invoice-7").on(&tasks).await?;
//! assert!(first.created && !again.created);
//! # Ok(())
//! # }
//! ```
//!
//! Names are 1 to 500 letters, digits, hyphens and underscores. They belong to a queue. A named
//! task that is [spread](crate::Defer::spread) goes to the queue its name hashes to, so it meets
//! its namesake. [`put_queue`](crate::Client::put_queue) changes the 24 hours; Cloud Tasks has
//! times of its own, up to 24 hours, or 9 days for a queue that `queue.yaml` made.
//!
//! # Unique tasks
//!
//! A name says which task it is. [`Defer::unique`](crate::Defer::unique) says what makes two calls
//! the same, and what the second one does:
//!
//! ```
//! use std::time::Duration;
//!
//! use gae_tasks::{Client, Conflict, Unique, deferred};
//!
//! #[deferred(queue = "search", unique_by = ["page"])]
//! async fn index_page(page: u64, reason: String) {}
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::open("memory:").await?;
//! // By the attribute: one task for each page, as long as one waits or runs.
//! let first = index_page::defer(7, "edited").on(&tasks).await?;
//! let again = index_page::defer(7, "linked").on(&tasks).await?;
//! assert_eq!((again.id, again.conflict), (first.id, Some(Conflict::Kept)));
//!
//! // This call puts the task off, and gives it the latest args.
//! let quiet = Unique::by_args().replace_args().debounce(Duration::from_secs(30));
//! let last = index_page::defer(7, "edited again").unique(quiet).on(&tasks).await?;
//! assert_eq!(last.conflict, Some(Conflict::Replaced));
//! # Ok(())
//! # }
//! ```
//!
//! | | |
//! |---|---|
//! | the key | [`by_args`](crate::Unique::by_args): all parameters, or those that `unique_by` names; [`by`](crate::Unique::by): these; [`by_key`](crate::Unique::by_key): a text |
//! | what blocks it | a waiting task; one that runs, but for [`behind`](crate::Unique::behind); with [`over_dead`](crate::Unique::over_dead) a dead letter; with [`over_finished`](crate::Unique::over_finished) a finished task, for as long as its queue keeps names (24 hours) |
//! | what happens then | the other task stays as it is, or the waiting one gets the [args](crate::Unique::replace_args), the [time](crate::Unique::replace_schedule) or a [pause](crate::Unique::debounce) of the new call |
//!
//! A key belongs to a queue and to the kind of the task; a unique task that is spread goes to the
//! queue of its key. What runs is never changed: such a call answers
//! [`Conflict::Running`](crate::Conflict::Running) and stores nothing. A call with a name is not
//! unique by its attribute, nor is the tick of a schedule. On Cloud Tasks, where there are only
//! names, `Unique::by_args().over_dead().over_finished()` becomes one, and anything else is
//! refused.
//!
//! # Queues
//!
//! A task goes to the queue of its attribute, or to `default`. Queues need no declaration, except
//! at Cloud Tasks. A worker serves the queues that attributes name; one that is only named in
//! `.queue(..)` must be named in [`Worker::queues`](crate::Worker::queues) too.
//!
//! `queues = ["a", "b"]` in the attribute spreads a task over queues.
//! [`ClientBuilder::default_queues`](crate::ClientBuilder::default_queues) replaces `default` for
//! all tasks whose attribute names no queue.
//!
//! # Priorities
//!
//! A task may have a priority from -100 to 100, in its attribute or of a single call; without one
//! it is 0. The tasks of a queue run in the order of their schedule times, and each step of
//! priority counts as 30 seconds: a task of priority 10 is run as if it had been due five minutes
//! earlier. It overtakes what became due in these five minutes, and not what has waited longer, so
//! nothing waits for ever.
//!
//! ```
//! use std::time::Duration;
//! use gae_tasks::{Client, QueueConfig, deferred};
//!
//! #[deferred(queue = "emails")]
//! async fn send_receipt(order: u64) {}
//!
//! #[deferred(queue = "emails", priority = -100)]
//! async fn send_newsletter(user: u64) {}
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::open("memory:").await?;
//! let step = Duration::from_secs(60); // a step is worth a minute in this queue
//! tasks.put_queue("emails", QueueConfig::new().with_priority_step(step)).await?;
//! send_newsletter::defer(7).on(&tasks).await?; // as if it was due in 100 minutes
//! send_receipt::defer(7).priority(1).on(&tasks).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A priority changes the order and nothing else. No task starts before its schedule time, however
//! high its priority is, and none waits while a worker is free. Retries, replayed dead letters and
//! tasks that went back keep the priority. Queues take turns as before: to keep tasks of one sort
//! from delaying others at all, give them a queue of their own.
//!
//! The [step](crate::QueueConfig::with_priority_step) belongs to the queue, and a change of it
//! counts for what waits already. What a worker holds has its order: a worker leases ahead what
//! starts within about a tenth of a second. On Postgres an idle worker takes the next task of the
//! sort that it had last before it looks for others, and a look at very many sorts of tasks that
//! takes over a millisecond is used for ten times as long.
//!
//! Each priority that is in use makes a worker look at one more place, so use a few: 10 and -10,
//! not a number for each customer. Cloud Tasks has no priorities: there, one is an error.
//!
//! # Which client
//!
//! Code that defers need not hold a client. It uses the first of these that exists:
//!
//! 1. the client of [`on(..)`](crate::Defer::on);
//! 2. the client of the surrounding [`Client::scope`](crate::Client::scope); a handler is in the
//!    scope of its worker's client;
//! 3. the client of the innermost [`Client::enter`](crate::Client::enter) of this thread;
//! 4. the client that was [installed](crate::Client::install) for the process.
//!
//! None of them is [`Error::NoClient`](crate::Error::NoClient). What a handler moves to
//! `tokio::spawn` leaves the scope: pass `.on(&client)` there.
//!
//! # Arguments
//!
//! A parameter's type is owned, `Serialize`, `DeserializeOwned` and `Send`. A `String` parameter
//! takes `impl Into<String>`, so pass `"hi"` and not `"hi".into()`, whose type cannot be inferred.
//!
//! `defer` compares what a type writes with what it reads: names, their order, kinds, numbers of
//! variants. It also reads the encoded arguments back before it stores them. What would not come
//! back as itself is [`Error::Unreadable`](crate::Error::Unreadable), which names the parameter,
//! the place in it and the remedy:
//!
//! | what | remedy |
//! |---|---|
//! | `serde_json::Value`, `#[serde(flatten)]`, an untagged, internally or adjacently tagged enum | `Json<T>` (feature `json`) |
//! | `skip_serializing_if` | store the field always, or `Json<T>`; `#[serde(default)]` does not help |
//! | `skip_serializing` or `skip_deserializing` alone | `#[serde(skip)]` |
//! | `rename(serialize = ..)` alone | one name, or `#[serde(alias = "..")]` with the written one |
//! | a variant after one with `#[serde(skip)]` | put the skipped variants last |
//! | NaN or an infinite number in `Json<T>`, which JSON writes as null | `None`, or a text |
//!
//! Only the branches that a value takes are compared. Arguments appear in no log, and no value in
//! an error.
//!
//! A payload above the limit of the backend needs a [payload store](crate::payload_store), a folder
//! or a bucket: [`ClientBuilder::payload_store`](crate::ClientBuilder::payload_store). Payloads
//! above 100 KiB go there, the task carries the key. On Cloud Tasks the
//! [schema counts too](super::push#large-payloads). Call
//! [`Client::sweep_payloads`](crate::Client::sweep_payloads) once a day to delete what crashes and
//! push queues leave over.
//!
//! Code that is generic over the task uses [`Defer::new`](crate::Defer::new) or
//! [`Args`](crate::Args).
//!
//! # Running at once
//!
//! A client that is built with [`inline(true)`](crate::ClientBuilder::inline) runs each task where
//! it is deferred, and the handler's error is the error of `defer`: for command-line tools and for
//! debugging.
