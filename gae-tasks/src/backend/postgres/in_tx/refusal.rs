//! Why a call in the caller's transaction is refused, and what to do about it.

use crate::backend::home::PostgresSchema;
use crate::backend::postgres::error::{Cause, Fault, NAME};
use crate::error::Error;

/// SQLSTATEs.
const SERIALIZATION_FAILURE: &str = "40001";
const DEADLOCK: &str = "40P01";
const LOCK_NOT_AVAILABLE: &str = "55P03";
const UNDEFINED_TABLE: &str = "42P01";
const IN_FAILED_TRANSACTION: &str = "25P02";
const READ_ONLY: &str = "25006";
const NO_TRANSACTION: &str = "25P01";

/// Whether a statement failed because another transaction changed the row since this one began.
pub(super) fn is_of_serialization(error: &sqlx::Error) -> bool {
    code(error).as_deref() == Some(SERIALIZATION_FAILURE)
}

/// Whether a savepoint failed because there is no transaction.
pub(super) fn is_of_no_transaction(error: &sqlx::Error) -> bool {
    code(error).as_deref() == Some(NO_TRANSACTION)
}

/// Whether a statement failed because another transaction holds the row.
pub(super) fn is_of_a_lock(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some(LOCK_NOT_AVAILABLE | DEADLOCK))
}

/// The transaction is in another database than the client's.
pub(super) fn elsewhere(call: &'static str, schema: &dyn PostgresSchema) -> Error {
    let problem = format!(
        "needs a transaction in the database of the client's tasks, which are in schema {} at {}: \
         this transaction is in another database or finds other tables there, and workers would \
         never find a task in it; open the client with the database of the application",
        schema.schema(),
        schema.place()
    );
    Error::in_transaction(call, problem)
}

/// The transaction is on another server than the client's own connections.
pub(super) fn astray(call: &'static str, schema: &dyn PostgresSchema) -> Error {
    let problem = format!(
        "finds the transaction on another server than the client's own connections to {}: roll it \
         back, and repeat it once all connections lead to one server",
        schema.place()
    );
    Error::in_transaction(call, problem)
}

/// A statement of `call` failed.
pub(super) fn failed(
    call: &'static str,
    schema: &dyn PostgresSchema,
    source: sqlx::Error,
) -> Error {
    let place = schema.place();
    let problem = match code(&source).as_deref() {
        Some(UNDEFINED_TABLE) => return elsewhere(call, schema),
        Some(IN_FAILED_TRANSACTION) => format!(
            "cannot go on with this transaction at {place}, in which an earlier statement has \
             failed: roll it back, and begin another one (`{call}`)"
        ),
        Some(READ_ONLY) => {
            format!("cannot write at {place}: the transaction of `{call}` may only read")
        }
        Some(SERIALIZATION_FAILURE | DEADLOCK) => format!(
            "cannot go on with this transaction at {place}, which another one was in the way of: \
             roll it back, and repeat it (`{call}`)"
        ),
        _ => format!("failed at {place} in `{call}`: roll the transaction back"),
    };
    Error::Storage { backend: NAME, problem, source: cause(source) }
}

/// The savepoint around a call failed.
pub(super) fn unbegun(source: sqlx::Error) -> Error {
    let problem = "cannot set a savepoint in this transaction, so the call changed nothing";
    Error::Storage { backend: NAME, problem: problem.to_owned(), source: cause(source) }
}

/// The savepoint around a call could not be released.
pub(super) fn unkept(source: sqlx::Error) -> Error {
    let problem = "cannot release a savepoint in this transaction: roll the transaction back";
    Error::Storage { backend: NAME, problem: problem.to_owned(), source: cause(source) }
}

/// A call failed, and what it did could not be taken back alone.
pub(super) fn over(error: Error) -> Error {
    let problem = "cannot go on with this transaction: roll it back, and begin another one";
    Error::Storage { backend: NAME, problem: problem.to_owned(), source: error.into() }
}

/// Returns what the database says, without its details: they may quote the row of a task.
fn cause(source: sqlx::Error) -> Box<Cause> {
    Box::new(Cause(Fault::from(source).cause()))
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(Into::into)
}
