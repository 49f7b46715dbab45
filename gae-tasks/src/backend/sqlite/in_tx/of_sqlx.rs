//! Transactions and connections of `sqlx`, which are asynchronous.

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{
    Connection, Decode, Row as _, Sqlite, SqliteConnection, Transaction, TypeInfo, ValueRef,
};

use super::statements::{Column, Failed, Row, Statements, Value};
use crate::backend::BackendFuture;
use crate::backend::sealed::Sealed;
use crate::backend::transaction::{CallersTransaction, CompleteInTx, StoreInTx};
use crate::error::Error;
use crate::task::Deferred;

macro_rules! connections {
    ($($(#[$doc:meta])* $connection:ty;)*) => {$(
        impl Sealed for &mut $connection {}

        impl<'t> CallersTransaction for &'t mut $connection {
            type Answer<A> = BackendFuture<'t, A>;

            fn store<A: Send + 'static>(
                self,
                order: Result<StoreInTx, Error>,
                judge: impl FnOnce(Vec<Deferred>) -> Result<A, Error> + Send + 'static,
            ) -> BackendFuture<'t, A> {
                Box::pin(async move {
                    let (order, mut savepoint) = (order?, begin(self).await?);
                    let mut statements = ConnectionStatements(&mut savepoint);
                    let done = super::store(&mut statements, order, judge).await;
                    end(savepoint, done).await
                })
            }

            fn complete(
                self,
                order: Result<CompleteInTx, Error>,
                done: impl FnOnce() + Send + 'static,
            ) -> BackendFuture<'t, ()> {
                Box::pin(async move {
                    let (order, mut savepoint) = (order?, begin(self).await?);
                    let mut statements = ConnectionStatements(&mut savepoint);
                    let done = super::complete(&mut statements, order, done).await;
                    end(savepoint, done).await
                })
            }
        }
    )*};
}

connections! {
    SqliteConnection;
    PoolConnection<Sqlite>;
    Transaction<'_, Sqlite>;
}

/// Begins a savepoint, or a transaction where there is none. It is sqlx's own, which sqlx rolls
/// back if the future is dropped half way.
async fn begin(connection: &mut SqliteConnection) -> Result<Transaction<'_, Sqlite>, Error> {
    Connection::begin(connection).await.map_err(failed).map_err(super::refusal::unbegun)
}

/// Keeps what was done, or takes it back.
async fn end<A>(savepoint: Transaction<'_, Sqlite>, done: Result<A, Error>) -> Result<A, Error> {
    match done {
        Ok(answer) => {
            savepoint.commit().await.map_err(failed).map_err(super::refusal::unkept)?;
            Ok(answer)
        }
        Err(error) => match savepoint.rollback().await {
            Ok(()) => Err(error),
            Err(_) => Err(super::refusal::over(error)),
        },
    }
}

/// The statements of a connection.
struct ConnectionStatements<'a>(&'a mut SqliteConnection);

impl Statements for ConnectionStatements<'_> {
    fn run(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<u64, Failed>> + Send {
        let query = query(sql, values);
        async {
            let done = query.execute(&mut *self.0).await.map_err(failed)?;
            Ok(done.rows_affected())
        }
    }

    fn read(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<Vec<Row>, Failed>> + Send {
        let query = query(sql, values);
        async {
            let rows = query.fetch_all(&mut *self.0).await.map_err(failed)?;
            rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
        }
    }
}

type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

fn query(sql: &'static str, values: &[Value<'_>]) -> Query {
    values.iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Null => query.bind(None::<i64>),
        Value::Integer(number) => query.bind(*number),
        Value::Text(text) => query.bind((*text).to_owned()),
        Value::Blob(bytes) => query.bind(bytes.to_vec()),
    })
}

fn read(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    let column = |column| {
        let value = row.try_get_raw(column)?;
        // The type of a null is that of its column.
        if value.is_null() {
            return Ok(Column::Null);
        }
        let kind = value.type_info().name().to_owned();
        let read = match kind.as_str() {
            "INTEGER" => Decode::<Sqlite>::decode(value).map(Column::Integer),
            "TEXT" => Decode::<Sqlite>::decode(value).map(Column::Text),
            "BLOB" => Decode::<Sqlite>::decode(value).map(Column::Blob),
            _ => Ok(Column::Null),
        };
        read.map_err(sqlx::Error::Decode)
    };
    Ok(Row((0..row.len()).map(column).collect::<Result<_, _>>()?))
}

fn failed(error: sqlx::Error) -> Failed {
    let code = error.as_database_error().and_then(|error| error.code()?.parse().ok());
    Failed::of(code, error)
}
