//! Transactions and savepoints of `rusqlite`, which are synchronous.

use std::future::ready;

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, Savepoint, Transaction};

use super::statements::{Column, Failed, Row, Statements, Value};
use crate::backend::sealed::Sealed;
use crate::backend::transaction::{CallersTransaction, CompleteInTx, StoreInTx};
use crate::error::Error;
use crate::task::Deferred;

macro_rules! transactions {
    ($($transaction:ty;)*) => {$(
        impl Sealed for &$transaction {}

        impl CallersTransaction for &$transaction {
            type Answer<A> = Result<A, Error>;

            fn store<A: Send + 'static>(
                self,
                order: Result<StoreInTx, Error>,
                judge: impl FnOnce(Vec<Deferred>) -> Result<A, Error> + Send + 'static,
            ) -> Result<A, Error> {
                store(self, order?, judge)
            }

            fn complete(
                self,
                order: Result<CompleteInTx, Error>,
                done: impl FnOnce() + Send + 'static,
            ) -> Result<(), Error> {
                complete(self, order?, done)
            }
        }
    )*};
}

transactions! {
    Transaction<'_>;
    Savepoint<'_>;
}

fn store<A>(
    connection: &Connection,
    order: StoreInTx,
    judge: impl FnOnce(Vec<Deferred>) -> Result<A, Error>,
) -> Result<A, Error> {
    let savepoint = begin(connection)?;
    savepoint.end(pollster::block_on(super::store(
        &mut ConnectionStatements(connection),
        order,
        judge,
    )))
}

fn complete(
    connection: &Connection,
    order: CompleteInTx,
    done: impl FnOnce(),
) -> Result<(), Error> {
    let savepoint = begin(connection)?;
    savepoint.end(pollster::block_on(super::complete(
        &mut ConnectionStatements(connection),
        order,
        done,
    )))
}

/// A savepoint around the statements of a call.
struct CallSavepoint<'a>(&'a Connection);

fn begin(connection: &Connection) -> Result<CallSavepoint<'_>, Error> {
    let begun =
        statement(connection, "SAVEPOINT gae_tasks").and_then(|mut begin| begin.raw_execute());
    begun.map_err(failed).map_err(super::refusal::unbegun)?;
    Ok(CallSavepoint(connection))
}

impl CallSavepoint<'_> {
    /// Keeps what was done, or takes it back.
    fn end<A>(self, done: Result<A, Error>) -> Result<A, Error> {
        let Self(connection) = self;
        let kept = done.and_then(|answer| {
            let released =
                statement(connection, "RELEASE gae_tasks").and_then(|mut end| end.raw_execute());
            released.map_err(failed).map_err(super::refusal::unkept)?;
            Ok(answer)
        });
        kept.map_err(|error| {
            match connection.execute_batch("ROLLBACK TO gae_tasks; RELEASE gae_tasks") {
                Ok(()) => error,
                Err(_) => super::refusal::over(error),
            }
        })
    }
}

/// The statements of a connection, which run when they are called.
struct ConnectionStatements<'a>(&'a Connection);

impl Statements for ConnectionStatements<'_> {
    fn run(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<u64, Failed>> + Send {
        let run = || {
            let mut statement = bound(self.0, sql, values)?;
            Ok(statement.raw_execute()? as u64)
        };
        ready(run().map_err(failed))
    }

    fn read(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<Vec<Row>, Failed>> + Send {
        let read = || {
            let mut statement = bound(self.0, sql, values)?;
            let columns = statement.column_count();
            let (mut rows, mut found) = (statement.raw_query(), Vec::new());
            while let Some(row) = rows.next()? {
                let column = |column| row.get_ref(column).map(Column::from);
                found.push(Row((0..columns).map(column).collect::<Result<_, _>>()?));
            }
            Ok(found)
        };
        ready(read().map_err(failed))
    }
}

fn statement<'a>(connection: &'a Connection, sql: &str) -> rusqlite::Result<CachedStatement<'a>> {
    connection.prepare_cached(sql)
}

fn bound<'a>(
    connection: &'a Connection,
    sql: &str,
    values: &[Value<'_>],
) -> rusqlite::Result<CachedStatement<'a>> {
    let mut statement = statement(connection, sql)?;
    for (place, value) in (1..).zip(values) {
        match value {
            Value::Null => statement.raw_bind_parameter(place, None::<i64>)?,
            Value::Integer(number) => statement.raw_bind_parameter(place, number)?,
            Value::Text(text) => statement.raw_bind_parameter(place, text)?,
            Value::Blob(bytes) => statement.raw_bind_parameter(place, bytes)?,
        }
    }
    Ok(statement)
}

impl From<ValueRef<'_>> for Column {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Text(text) => Self::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
            ValueRef::Null | ValueRef::Real(_) => Self::Null,
        }
    }
}

fn failed(error: rusqlite::Error) -> Failed {
    let code = match &error {
        rusqlite::Error::SqliteFailure(error, _) | rusqlite::Error::SqlInputError { error, .. } => {
            Some(error.extended_code)
        }
        _ => None,
    };
    // Without the text of the statement, which users do not know.
    match error {
        rusqlite::Error::SqlInputError { error, msg, .. } => {
            Failed::of(code, rusqlite::Error::SqliteFailure(error, Some(msg)))
        }
        error => Failed::of(code, error),
    }
}
