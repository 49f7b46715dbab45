//! Tasks in a transaction of the application's own: stored, or completed, when it commits.
//!
//! The rows that tasks share are committed before, on this crate's own connections, so a
//! transaction that stays open holds up no other task. A name is taken in a savepoint, because
//! another open transaction may hold it.

mod complete;
mod names;
mod place;
mod refusal;
mod store;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres, Transaction};

pub(super) use self::names::HOLDERS;
use crate::backend::BackendFuture;
use crate::backend::sealed::Sealed;
use crate::backend::transaction::{CallersTransaction, CompleteInTx, StoreInTx};
use crate::error::Error;
use crate::task::Deferred;

macro_rules! connections {
    ($($connection:ty;)*) => {$(
        impl Sealed for &mut $connection {}

        impl<'t> CallersTransaction for &'t mut $connection {
            type Answer<A> = BackendFuture<'t, A>;

            fn store<A: Send + 'static>(
                self,
                order: Result<StoreInTx, Error>,
                judge: impl FnOnce(Vec<Deferred>) -> Result<A, Error> + Send + 'static,
            ) -> BackendFuture<'t, A> {
                Box::pin(async { store::store(self, order?, judge).await })
            }

            fn complete(
                self,
                order: Result<CompleteInTx, Error>,
                done: impl FnOnce() + Send + 'static,
            ) -> BackendFuture<'t, ()> {
                Box::pin(async { complete::complete(self, order?, done).await })
            }
        }
    )*};
}

connections! {
    PgConnection;
    PoolConnection<Postgres>;
    Transaction<'_, Postgres>;
}
