//! The rows of new tasks.

use sqlx::{PgConnection, Row};

use super::place::{schema, statement, wake_after};
use super::{names, refusal};
use crate::backend::NewTask;
use crate::backend::home::PostgresSchema;
use crate::backend::postgres::database::moment;
use crate::backend::postgres::rows::{Rows, given, stored};
use crate::backend::transaction::StoreInTx;
use crate::error::Error;
use crate::task::Deferred;
use crate::time::Now;

/// Stores tasks without names, if the tables are those of the client. Returns the number of the
/// transaction, and whether they are.
const STORE: &str = concat!(
    "WITH here AS (SELECT FROM gae_tasks.version WHERE identity = $13), ",
    given!(),
    ", ",
    stored!("FROM given g CROSS JOIN here"),
    " SELECT pg_current_xact_id()::text, EXISTS (SELECT FROM here)"
);

/// Stores the tasks of an order. If `judge` refuses the answers, what was stored is taken back.
pub(super) async fn store<A>(
    connection: &mut PgConnection,
    order: StoreInTx,
    judge: impl FnOnce(Vec<Deferred>) -> Result<A, Error>,
) -> Result<A, Error> {
    let StoreInTx { call, home, now, tasks } = order;
    let schema = schema(&home, call)?;
    let tasks = schema.prepare(tasks).await?;
    if tasks.iter().any(|(task, _)| task.spec.name.is_some()) {
        return names::store(connection, (&*schema, call), &tasks, now, judge).await;
    }
    let answers = tasks.iter().map(|(task, _)| Deferred::new(task.spec.id, true)).collect();
    let answer = judge(answers)?;
    if !tasks.is_empty() {
        store_unnamed(connection, (&*schema, call), &tasks, now).await?;
    }
    Ok(answer)
}

async fn store_unnamed(
    connection: &mut PgConnection,
    (schema, call): (&dyn PostgresSchema, &'static str),
    tasks: &[(NewTask, i64)],
    now: Now,
) -> Result<(), Error> {
    let rows = Rows::of(tasks.iter().map(|(task, lane)| (task, *lane)));
    let rows = rows.map_err(|fault| fault.at(schema.place()))?;
    let query = sqlx::query(statement(schema, STORE)).persistent(!schema.is_pooled());
    let query = rows.bind(query, now).bind(schema.identity());
    let stored = query.fetch_one(connection).await;
    let row = stored.map_err(|error| refusal::failed(call, schema, error))?;
    let read = || Ok::<(String, bool), sqlx::Error>((row.try_get(0)?, row.try_get(1)?));
    let (transaction, is_here) = read().map_err(|error| refusal::failed(call, schema, error))?;
    if !is_here {
        return Err(refusal::elsewhere(call, schema));
    }
    wake_after(schema, &transaction);
    Ok(())
}
