//! Work in a transaction of the caller's own: the orders of a client, and the trait of the
//! transactions that carry them out.

use std::sync::Arc;

use super::home::Home;
use super::lease::LeaseRef;
use super::request::NewTask;
use super::sealed;
use crate::clock::Clock;
use crate::error::Error;
use crate::queue::QueueName;
use crate::task::{Deferred, TaskName, UniqueKey};
use crate::time::Now;

/// A transaction of an application's own database, in which [`Defer::in_tx`](crate::Defer::in_tx),
/// [`Client::defer_many_in_tx`](crate::Client::defer_many_in_tx) and
/// [`TaskContext::complete_in`](crate::TaskContext::complete_in) work.
///
/// | type | feature | answer |
/// |---|---|---|
/// | `&rusqlite::Transaction`, `&rusqlite::Savepoint` | `sqlite` | at once, a `Result` |
/// | `&mut sqlx::Transaction<'_, sqlx::Sqlite>`, `&mut sqlx::SqliteConnection`, `&mut sqlx::pool::PoolConnection<sqlx::Sqlite>` | `sqlx-sqlite` | a future |
/// | `&mut sqlx::Transaction<'_, sqlx::Postgres>`, `&mut sqlx::PgConnection`, `&mut sqlx::pool::PoolConnection<sqlx::Postgres>` | `postgres` | a future |
///
/// The types of `rusqlite` are those of the release that this crate is built with: Cargo chooses
/// one of 0.39 to 0.43, the same for an application that accepts it. A later release of this crate
/// may accept other releases of `rusqlite` and of sqlx; that is not counted as a breaking change.
///
/// The calls with `rusqlite` block the thread, up to the `busy_timeout` of the connection if the
/// file is locked.
///
/// The trait is sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a transaction that a task can be stored in",
    label = "pass `&tx` of rusqlite, or `&mut tx` of sqlx",
    note = "the types of sqlx need the feature `sqlx-sqlite` or `postgres`"
)]
pub trait CallersTransaction: sealed::Sealed + Sized {
    /// What a call returns: `Result<A, Error>`, or a future of it.
    type Answer<A>;

    /// Stores tasks, unless the order is an error. If `judge` refuses the answers, nothing is
    /// stored.
    #[doc(hidden)]
    fn store<A: Send + 'static>(
        self,
        order: Result<StoreInTx, Error>,
        judge: impl FnOnce(Vec<Deferred>) -> Result<A, Error> + Send + 'static,
    ) -> Self::Answer<A>;

    /// Deletes the row of a task that runs, unless the order is an error, and then calls `done`.
    #[doc(hidden)]
    fn complete(
        self,
        order: Result<CompleteInTx, Error>,
        done: impl FnOnce() + Send + 'static,
    ) -> Self::Answer<()>;
}

/// An order to store tasks.
#[doc(hidden)]
#[derive(Debug)]
// Backends that have a home read it.
#[cfg_attr(not(any(feature = "postgres", feature = "sqlite")), allow(dead_code))]
pub struct StoreInTx {
    /// The method, for errors.
    pub(crate) call: &'static str,
    pub(crate) home: Home,
    pub(crate) now: Now,
    pub(crate) tasks: Vec<NewTask>,
}

/// An order to complete a task that runs.
#[doc(hidden)]
#[derive(Debug)]
// Backends that have a home read it.
#[cfg_attr(not(any(feature = "postgres", feature = "sqlite")), allow(dead_code))]
pub struct CompleteInTx {
    pub(crate) home: Home,
    pub(crate) now: Now,
    pub(crate) lease: LeaseRef,
    /// The number of leases that the task had lost when it was leased; read in transactions
    /// of Postgres.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code))]
    pub(crate) lost_leases: u32,
    /// The number of attempts that had begun before it was leased; read in transactions
    /// of Postgres.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code))]
    pub(crate) attempts: u32,
    pub(crate) queue: QueueName,
    pub(crate) name: Option<TaskName>,
    /// Read in transactions of Postgres.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code))]
    pub(crate) unique: Option<UniqueKey>,
}

/// What a running attempt must know of its storage to complete its task in a transaction.
#[derive(Debug)]
pub(crate) struct Storage {
    /// The backend's name.
    pub(crate) backend: &'static str,
    pub(crate) home: Option<Home>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Storage {
    /// Returns the home, for the method `call`.
    ///
    /// # Errors
    /// The backend has none.
    pub(crate) fn home(&self, call: &'static str) -> Result<Home, Error> {
        home(self.home.as_ref(), self.backend, call)
    }
}

/// Returns the home of a backend, for the method `call`.
///
/// # Errors
/// The backend has none.
pub(crate) fn home(
    home: Option<&Home>,
    backend: &'static str,
    call: &'static str,
) -> Result<Home, Error> {
    home.cloned().ok_or_else(|| {
        Error::in_transaction(
            call,
            format!(
                "needs tasks that are stored in the database of the transaction, and the \
                 `{backend}` backend stores none there: open the client with that database \
                 (`sqlite:FILE`, `postgres://..`), or defer after the commit"
            ),
        )
    })
}
