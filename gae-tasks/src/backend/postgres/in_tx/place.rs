//! The schema of a client's tasks, in which a transaction of the application must be.

use std::sync::Arc;

use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

use crate::backend::NewTask;
use crate::backend::home::{Home, Place, PostgresSchema, Prepared};
use crate::error::Error;

/// How often tasks are prepared for a transaction that is on another server than the client's
/// connections. Those that have lost theirs find the new one at once.
pub(super) const TRIES: usize = 3;

/// Returns the schema of a client's tasks.
///
/// # Errors
/// The tasks are in no Postgres database.
#[cfg_attr(not(feature = "sqlite"), allow(unused_variables))] // There is no other place then.
pub(super) fn schema(home: &Home, call: &'static str) -> Result<Arc<dyn PostgresSchema>, Error> {
    match &home.0 {
        Place::Schema(schema) => Ok(Arc::clone(schema)),
        #[cfg(feature = "sqlite")]
        Place::File(file) => {
            let problem = format!(
                "needs a transaction in `{}`, the file of the client's tasks: this one is in a \
                 Postgres database",
                file.path.display()
            );
            Err(Error::in_transaction(call, problem))
        }
    }
}

/// Returns a query of a statement that stores tasks, which is written for the default schema, for
/// the schema of the client's tasks. It is prepared once for each connection of the application.
///
/// That is safe although the planner has the application's settings and prefers to read a tiny
/// table whole: the statement reads no table that grows. It inserts what it is given, looks
/// conflicts up in an index, as that is how they are detected, and reads the one row of `version`.
/// What looks rows up is planned anew each time instead.
pub(super) fn query(
    schema: &dyn PostgresSchema,
    text: &'static str,
) -> Query<'static, Postgres, PgArguments> {
    sqlx::query(schema.sql(text)).persistent(!schema.is_pooled())
}

/// Prepares tasks for a transaction that is not on the server that they were prepared on.
pub(super) async fn prepare_again(
    schema: &dyn PostgresSchema,
    tasks: Vec<NewTask>,
) -> Result<Prepared, Error> {
    schema.doubt();
    schema.prepare(tasks).await
}

/// Wakes workers once the transaction with this number has committed.
pub(super) fn wake_after(schema: &dyn PostgresSchema, transaction: &str) {
    if let Ok(transaction) = transaction.parse() {
        schema.wake_after(transaction);
    }
}
