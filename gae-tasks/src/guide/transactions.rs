//! Transactions: tasks that are stored, and completed, with the data of the application.
//!
//! A row and a task that belong together are easily torn apart. Deferring after the commit can lose
//! the task: the process dies in between. Deferring before the commit can run a task for data that
//! was rolled back. Where the tasks and the data are in one SQLite file, or in one Postgres
//! database, neither can happen. The example `orders` is a whole program that works so, on both.
//!
//! # Storing a task
//!
//! Open the client with the application's own database. In SQLite the names of the tasks' tables
//! begin with `gae_tasks_`, in Postgres they are in a schema of their own, `gae_tasks`; no other
//! table is touched. [`Defer::in_tx`](crate::Defer::in_tx) stores the task in
//! your transaction: it exists when, and only when, the transaction commits.
//!
//! ```
//! use gae_tasks::{BoxError, Client, deferred};
//! use rusqlite::{Connection, TransactionBehavior::Immediate};
//!
//! #[deferred(queue = "emails")]
//! async fn send_receipt(order: i64) {}
//!
//! fn place_order(shop: &mut Connection, tasks: &Client, item: &str) -> Result<i64, BoxError> {
//!     let tx = shop.transaction_with_behavior(Immediate)?;
//!     tx.execute("INSERT INTO orders (item) VALUES (?1)", [item])?;
//!     let order = tx.last_insert_rowid();
//!     send_receipt::defer(order).on(tasks).in_tx(&tx)?;
//!     tx.commit()?;
//!     Ok(order)
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! # let folder = std::env::temp_dir().join(format!("gae-tasks-guide-tx-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let file = folder.join("shop.db");
//! # let tasks = Client::open(&format!("sqlite:{}", file.display())).await?;
//! # let mut shop = Connection::open(&file)?;
//! # shop.execute("CREATE TABLE orders (item TEXT)", [])?;
//! # place_order(&mut shop, &tasks, "tea")?;
//! # assert_eq!(tasks.stats().await?.open(), 1);
//! # drop((tasks, shop));
//! # std::fs::remove_dir_all(folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::defer_many_in_tx`](crate::Client::defer_many_in_tx) stores many, all or none. All
//! options of a call are available: a [name](super::deferring#names) is taken when the transaction
//! commits, and a name that is in use is an answer with `created: false`, as ever.
//!
//! The transactions and connections of `sqlx` 0.9 are accepted too, those of SQLite with the
//! feature `sqlx-sqlite`, those of Postgres with the feature `postgres`, and the call is awaited:
//!
#![cfg_attr(feature = "sqlx-sqlite", doc = "```")]
#![cfg_attr(not(feature = "sqlx-sqlite"), doc = "```ignore")]
//! use gae_tasks::{BoxError, Client, deferred};
//! use sqlx::SqlitePool;
//!
//! #[deferred(queue = "emails")]
//! async fn send_receipt(order: i64) {}
//!
//! async fn place_order(shop: &SqlitePool, tasks: &Client, item: &str) -> Result<(), BoxError> {
//!     let mut tx = shop.begin_with("BEGIN IMMEDIATE").await?;
//!     let insert = sqlx::query("INSERT INTO orders (item) VALUES (?1)").bind(item);
//!     let order = insert.execute(&mut *tx).await?.last_insert_rowid();
//!     send_receipt::defer(order).on(tasks).in_tx(&mut tx).await?;
//!     Ok(tx.commit().await?)
//! }
//! ```
//!
#![cfg_attr(feature = "postgres", doc = "```")]
#![cfg_attr(not(feature = "postgres"), doc = "```ignore")]
//! use gae_tasks::{BoxError, Client, deferred};
//! use sqlx::PgPool;
//!
//! #[deferred(queue = "emails")]
//! async fn send_receipt(order: i64) {}
//!
//! async fn place_order(shop: &PgPool, tasks: &Client, item: &str) -> Result<(), BoxError> {
//!     let mut tx = shop.begin().await?;
//!     let insert = "INSERT INTO orders (item) VALUES ($1) RETURNING id";
//!     let order = sqlx::query_scalar(insert).bind(item).fetch_one(&mut *tx).await?;
//!     send_receipt::defer(order).on(tasks).in_tx(&mut tx).await?;
//!     Ok(tx.commit().await?)
//! }
//! ```
//!
//! # Completing a task
//!
//! A task runs at least once: its worker may die after the work and before the outcome is recorded.
//! If the work is itself a transaction in the same file, or the same Postgres database,
//! [`TaskContext::complete_in`](crate::TaskContext::complete_in) makes it *exactly once*: the
//! effects and the end of the task commit together.
//!
//! ```
//! use gae_tasks::{BoxError, TaskContext, deferred};
//! use rusqlite::{Connection, TransactionBehavior::Immediate};
//!
//! #[deferred(queue = "ledger")]
//! fn book(account: i64, cents: i64, #[context] cx: &TaskContext) -> Result<(), BoxError> {
//!     let mut bank = Connection::open("bank.db")?;
//!     let tx = bank.transaction_with_behavior(Immediate)?;
//!     tx.execute("UPDATE accounts SET cents = cents + ?2 WHERE id = ?1", (account, cents))?;
//!     cx.complete_in(&tx)?;
//!     Ok(tx.commit()?)
//! }
//! ```
//!
//! - After the commit the task is over, whatever the handler returns and whatever becomes of the
//!   process.
//! - If the transaction is rolled back, the task is as before. A handler that returns `Ok` all the
//!   same has failed, and the task is retried.
//! - If the lease was lost, so that another worker may run the task, `complete_in` is an error and
//!   changes nothing: return it, and the transaction is rolled back.
//! - Only what is in the database is done exactly once. A mail that the handler sends is not: store
//!   it as another task, with `in_tx` in the same transaction.
//!
//! # To Cloud Tasks
//!
//! A task at Google cannot be stored in your transaction, but a task in your database can be
//! carried there. A relay creates each task of the queues that you name at Google, once, however
//! often it is killed; there the push service runs it as any other. Who has outgrown workers of its
//! own, or wants to scale to zero, keeps `in_tx`:
//!
#![cfg_attr(feature = "cloud-tasks", doc = "```no_run")]
#![cfg_attr(not(feature = "cloud-tasks"), doc = "```ignore")]
//! use gae_tasks::{Client, QueueConfig, signals};
//!
//! # async fn example() -> Result<(), gae_tasks::Error> {
//! let tasks = Client::open("sqlite:shop.db").await?; // `in_tx` stores tasks here
//! let google = Client::open("cloudtasks://shop-prod/europe-west1?url=https://worker.run.app\
//!                           &service_account=queue@shop-prod.iam.gserviceaccount.com").await?;
//! google.put_queue("emails", QueueConfig::new()).await?;
//! tasks.relay_to(&google).queues(["emails"]).with_graceful_shutdown(signals()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! - **The queue has the same name at Google**, must exist there, and its retries apply: call
//!   `put_queue` in the process of the relay, whose tasks carry the limits along. Workers must not
//!   serve it; in the process of a relay they are refused.
//! - **Options that Google lacks** are refused at `defer` and `in_tx` once the client knows that
//!   the queue is relayed. In a program that only defers, say so at its start:
//!   `tasks.relay_to(&google).queues(["emails"]).declare()?`. Of a task that was stored unchecked
//!   the relay makes a dead letter here. It knows the deadlines and backoffs of those types that
//!   its own program has: link your tasks into it.
//! - **A mistake in the settings of the client for Google** makes no dead letters: until a first
//!   task of a queue was created, each refusal by Google is logged and waited for.
//! - **Schedule times travel.** A task is created as soon as its time is less than 30 days ahead,
//!   and waits here before.
//! - **Delivery is at least once**: Google delivers a task again if an answer is lost, and it
//!   forgets names after a day, so a relay that is away for longer may create a task twice.
//! - **Deleting and purging** here reaches what is still here. A task that is being created at that
//!   moment, or was before, is at Google: delete it with that client.
//! - **Dead letters** of the push service may be kept in the same storage
//!   (`push_service().dead_letters(&tasks)`). A replay there, or of a letter in a payload store
//!   with the client of the storage, is relayed again, without the task's name.
//! - **Large payloads** need one [payload store](crate::ClientBuilder::payload_store), the same for
//!   both clients and the push service.
//!
//! # SQLite: one writer
//!
//! SQLite has one writer at a time. While a transaction of the application has written and not
//! ended, nothing else is recorded: no task is stored, leased or settled. So:
//!
//! - **Keep transactions short.** No lease is taken for lost because of an open transaction,
//!   however long, and running attempts go on; but everything else waits.
//! - **Do not await a plain `defer` inside your own transaction.** It waits for the lock that you
//!   hold, and fails after 5 seconds with an error that names `in_tx`.
//! - **Begin with `BEGIN IMMEDIATE`**: `transaction_with_behavior(Immediate)` of `rusqlite`,
//!   `begin_with("BEGIN IMMEDIATE")` of `sqlx`. A transaction that begins otherwise and reads
//!   before another one writes cannot write any more; `in_tx` says so.
//!
//! # Postgres: many writers
//!
//! An open transaction holds up nobody but those who want the same thing:
//!
//! - **Names.** Another transaction that wants a name waits for the transaction that has taken it,
//!   2 seconds at most (or the connection's own `lock_timeout`), and then fails with
//!   [`Error::Busy`](crate::Error::Busy). A name that was taken since the transaction began is an
//!   answer with `created: false`, at `REPEATABLE READ` too. After both the transaction goes on.
//!   Tasks without names wait for nobody.
//! - **What tasks share**, such as their queue and the schema of their parameters, is committed
//!   before, on the client's own connections. If the transaction is rolled back, these rows stay.
//! - **Workers are woken after the commit.** The client asks for the fate of the transaction on a
//!   connection of its own, at first after a millisecond and later every tenth of a second. Nothing
//!   is sent within your transaction, since a `NOTIFY` there would make all such commits wait for
//!   each other. If the process dies at that moment, the workers' poll finds the task.
//! - **Isolation.** `READ COMMITTED` and `REPEATABLE READ` are fully supported. A transaction at
//!   `SERIALIZABLE` may fail at its commit, as Postgres says it may: repeat it.
//! - **`complete_in` deletes the row of the task**, and waits if somebody deletes the task by
//!   hand at that moment. The lease is renewed as long as the transaction is open, also where
//!   the handler returns before: the outcome of the attempt is recorded once the transaction has
//!   ended, and a warning names the task meanwhile. A worker that shuts down tries that until
//!   its grace time is over.
//! - **Failed statements.** A statement that the database refuses (a rule, a full disk) ends the
//!   transaction, as it does in Postgres: roll it back. The refusals above are none of these.
//!
//! # SQLite: what is promised
//!
//! - **After an error the transaction is as it was before the call** and can go on: the statements
//!   of a call are in a savepoint. If the error says that the transaction cannot go on, the
//!   database has ended it as a whole, as SQLite does where, for example, the disk is full. A
//!   future of `sqlx` that is dropped has stored all or nothing.
//! - **`last_insert_rowid()` stays what it was**, so a task may be stored between the insert of an
//!   order and the question for its number.
//! - **Both must be in the main database** of the connection: SQLite commits attached files with a
//!   write-ahead log one after the other, so a loss of power may keep one and lose the other.
//! - **Durability is that of your transaction.** With `synchronous = FULL`, SQLite's default, a
//!   commit survives a loss of power; with `NORMAL` it survives a killed process, because the file
//!   has a write-ahead log.
//! - **Workers are woken by the commit**, those of this process and those of others, as by any
//!   `defer` of another process: within milliseconds on Linux.
//! - **The file must be the client's.** A transaction in another file is refused, since no worker
//!   would ever look there; so is one in an attached database. In-memory clients and Cloud Tasks
//!   have no file.
//! - **A payload must fit into the file.** One that would go to a [payload
//!   store](crate::ClientBuilder::payload_store) is refused: that store takes no part in the
//!   transaction. A retention that the client's builder states is stored by the queue's worker.
//!
//! In tests, use a client of a file in a temporary folder; an inline client runs no task in an open
//! transaction, and refuses.
