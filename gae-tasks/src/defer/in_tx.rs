//! Defers a task in a transaction of the caller's own.

use super::Defer;
use crate::backend::CallersTransaction;
use crate::error::Error;
use crate::task::Deferred;

impl Defer {
    /// Stores the task in a transaction of the application: the task exists when, and only when,
    /// the transaction commits. For clients of a SQLite file, or a Postgres database, that is also
    /// the application's; see the guide [transactions](crate::guide::transactions).
    ///
    /// `tx` is `&tx` of `rusqlite`, a transaction or a savepoint, and the answer is a `Result`.
    /// With the features `sqlx-sqlite` and `postgres` it is `&mut tx` or `&mut connection` of
    /// `sqlx` 0.9 too, and the answer is a future. A connection without a transaction stores the
    /// task at once.
    ///
    /// Begin a transaction in SQLite with `BEGIN IMMEDIATE`. The task is as durable as the
    /// transaction: the caller's `synchronous`, or `synchronous_commit`, decides. A retention that
    /// the client's builder states is stored by the worker of the queue, not here.
    ///
    /// # Errors
    /// As `.await`; [`Error::InTransaction`](crate::Error::InTransaction) if the client has no
    /// database, the transaction is in another one, or the payload is too large to be stored with
    /// its task; [`Error::Busy`](crate::Error::Busy) if another open transaction holds the task's
    /// name for too long (Postgres); [`Error::Storage`](crate::Error::Storage) if a statement
    /// fails. After an error the transaction is as it was before, and can go on, unless the error
    /// is `Storage` and says otherwise: SQLite ends a transaction if, for example, the disk is
    /// full, Postgres if a statement fails.
    ///
    /// ```
    /// # use gae_tasks::{Client, deferred};
    /// # use rusqlite::{Connection, TransactionBehavior::Immediate};
    /// #[deferred(queue = "emails")]
    /// async fn send_receipt(order: i64) {}
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = std::env::temp_dir().join(format!("gae-tasks-in-tx-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let file = folder.join("shop.db");
    /// let tasks = Client::open(&format!("sqlite:{}", file.display())).await?;
    /// let mut shop = Connection::open(&file)?;
    /// shop.execute("CREATE TABLE orders (number INTEGER PRIMARY KEY, customer TEXT)", [])?;
    ///
    /// let tx = shop.transaction_with_behavior(Immediate)?;
    /// tx.execute("INSERT INTO orders (customer) VALUES ('ann')", [])?;
    /// let order = tx.last_insert_rowid();
    /// send_receipt::defer(order).on(&tasks).in_tx(&tx)?;
    /// assert_eq!(tasks.stats().await?.open(), 0, "not yet");
    /// tx.commit()?;
    /// assert_eq!(tasks.stats().await?.open(), 1);
    /// # drop((tasks, shop));
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn in_tx<T: CallersTransaction>(self, tx: T) -> T::Answer<Deferred> {
        match self.client() {
            Ok(client) => client.defer_in_tx(self, tx),
            // Never called, as there is no order.
            Err(error) => tx.store(Err(error), |mut answers| {
                answers.pop().ok_or_else(|| Error::NoClient { kind: String::new() })
            }),
        }
    }
}
