//! FAQ: error messages, names, parameters, SQLite, Postgres, dependencies.
//!
//! # Tasks
//!
//! **My task waits and is never run, and the log says that its kind is not registered.** A
//! dependency that your program never mentions is not linked, and its tasks are missing. Name it:
//! [`gae_tasks::link!(billing, emails);`](crate::link).
//!
//! **My task waits, though its kind is registered.** No worker serves its queue: one that is named
//! only in `.queue(..)` must be in [`Worker::queues`](crate::Worker::queues). Or the queue is
//! paused, which [`Client::queues`](crate::Client::queues) shows. Or its time has not come:
//! [`Client::get`](crate::Client::get) shows its schedule time and its last errors.
//!
//! **A queue with slow tasks keeps the others waiting.** Its handlers hold every runner. Bound it:
//! [`.queue_concurrency("bulk", 8)`](crate::Worker::queue_concurrency).
//!
//! **May I rename or move a task function?** Its kind is its module path and name, such as
//! `shop.emails/send_welcome`. Keep stored tasks running with `alias =
//! ["shop.emails/send_welcome"]`, or choose a kind of your own with `name = ".."`.
//!
//! **May I change its parameters?** Yes: tasks that wait are read by name, and wait on, reported
//! with the reason, where that cannot be done. The [table](super::deployment#changing-a-task) says
//! what each change needs. A new meaning of the same names and types wants a new name.
//!
//! **My task ran twice.** That is what at least once means: see [idempotency](super::idempotency).
//!
//! **Is my task stored when the request was cancelled?** Unknown: see
//! [deferring](super::deferring#when-the-task-is-stored).
//!
//! **Are there periodic tasks?** Yes, with the feature `cron`: `cron = "0 9 * * MON-FRI"` in the
//! attribute, or a schedule that is made at run time. Each tick is one task, whichever instance is
//! first: see [schedules](super::cron).
//!
//! **A queue is to start fewer tasks, whatever the number of workers.** Give the queue a rate, or a
//! bound of what runs at a time: see [limits](super::limits).
//!
//! **Why does a task on Cloud Tasks end with fewer attempts than `max_attempts`?** There it counts
//! deliveries, refused ones included where they cannot be distinguished: see
//! [push](super::push#limits).
//!
//! # Compiling
//!
//! **`mod send_welcome; pub use send_welcome::send_welcome;` fails with E0255.** The attribute
//! makes a type beside the function, under its name, and modules share a namespace with types. Name
//! the type: `task = SendWelcomeTask`.
//!
//! **A path stopped working in the module of a task named `image`.** The type `image` hides the
//! crate `image` there: write `::image::..`, or name the type with `task = ..`. Names of primitive
//! types are refused.
//!
//! **My intra-doc link is ambiguous.** Write ``[`send_welcome()`]``, with parentheses.
//!
//! **Two functions of one name in two function bodies of one module are reported as duplicates.**
//! Their module path is the same: give one a `name = ".."`.
//!
//! **`"hi".into()` does not compile as an argument.** A `String` parameter takes anything that is
//! `Into<String>`: pass `"hi"`.
//!
//! **`Serialize` is not implemented for a parameter that the program supplies.** A connection, a
//! mailer or a trait object is not stored with the task: mark the parameter
//! [`#[state]`](super::handlers#state-and-context).
//!
//! **`serde_json::Value`, an untagged enum or `skip_serializing_if` is refused when deferred.** The
//! compact payload format does not describe itself, so such a value could be written and not read
//! back. Wrap the parameter in `gae_tasks::Json<T>` (feature `json`), or see the
//! [other remedies](super::deferring#arguments).
//!
//! **It does not compile for WebAssembly.** Tasks are registered by the linker and run on threads,
//! and WebAssembly has neither here. Put what a browser shares with the server into a crate of its
//! own.
//!
//! # SQLite
//!
//! **Cargo says that two crates link `sqlite3`.** A program links one SQLite, by one version of
//! `libsqlite3-sys`. This crate takes `rusqlite` 0.39 to 0.43. Beside sqlx 0.9 and sea-orm 2 Cargo
//! chooses `rusqlite` 0.39; if a lock file holds a later one, run `cargo update -p rusqlite
//! --precise 0.39.0`. sqlx 0.8 and sea-orm 1 cannot stand beside it: they link SQLite 3.46, which
//! has the WAL-reset bug. Update them, or put the queue into a program of its own.
//!
//! **Opening a file fails and names the WAL-reset bug.** The program is linked to an SQLite that
//! can lose committed writes or corrupt the file: see
//! [backup](super::backup#the-other-program-needs-a-fixed-sqlite). What `rusqlite` bundles is
//! fixed. An older one is linked if the build uses the system's SQLite; `cargo tree -i
//! libsqlite3-sys` shows what links it.
//!
//! **Can several programs share one file?** Yes, on one machine. Each runs the tasks that it knows
//! and leaves the others. Network file systems are not supported: SQLite's locks do not work there.
//!
//! **May I look into the file with `sqlite3`?** Reading is harmless if that shell has a fixed
//! SQLite: see [backup](super::backup). The tables are not a part of the API. Use
//! [`Client::list`](crate::Client::list) and [`Client::stats`](crate::Client::stats).
//!
//! **May I delete or move the file while a program uses it?** No. `defer` fails from then on, until
//! the same file is back; what was acknowledged before goes with the file.
//!
//! **Can a task be deferred in my own transaction?** Yes, where both are in one SQLite file or one
//! Postgres database: see [transactions](super::transactions). Elsewhere, see
//! [idempotency](super::idempotency#with-a-transaction-of-your-own).
//!
//! **Which `rusqlite` do the transactions belong to?** The one that this crate is built with. An
//! application that states `rusqlite = ">=0.39, <0.44"`, or the release that `cargo tree -i
//! rusqlite` shows, has the same. If Cargo finds two, `in_tx` says that `&Transaction` is not a
//! transaction that a task can be stored in. The feature `sqlx-sqlite` needs 0.39.
//!
//! **How do I go from SQLite to Postgres or Cloud Tasks?** Change the URL, and let a worker on the
//! old file run until nothing is open: see [which queue](super::which_queue#moving).
//!
//! # Postgres
//!
//! **Is a server for tests needed?** No: tests run on `memory:`. What only Postgres has, such as a
//! transaction of your own, needs one.
//!
//! **Cargo builds sqlx, though I use SQLite.** Only the features `postgres` and `sqlx-sqlite` do
//! that. `postgres` brings sqlx without its SQLite, so `rusqlite` stays free to choose.
//!
//! **Which sqlx do the transactions belong to?** 0.9, the one that this crate is built with; `cargo
//! tree -i sqlx` shows it.
//!
//! **Opening fails: the tables are of another program or a development version.** Name another
//! schema in the URL (`?schema=jobs`). See [postgres](super::postgres) for rights, poolers and
//! failover.
