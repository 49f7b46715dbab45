//! The rows of new tasks.

use sqlx::{PgConnection, Row};

use super::place::{TRIES, prepare_again, query, schema, wake_after};
use super::{names, refusal};
use crate::backend::home::{PostgresSchema, Prepared};
use crate::backend::postgres::database::moment;
use crate::backend::postgres::epoch::started;
use crate::backend::postgres::rows::{
    Rows, bind_one, bind_plain, given, given_one, given_plain, is_plain, stored, stored_plain,
};
use crate::backend::transaction::StoreInTx;
use crate::error::Error;
use crate::task::Deferred;
use crate::time::Now;

/// Stores tasks without names, if the tables are those of the client, on the server that the tasks
/// were prepared on. Returns the number of the transaction, and whether each is so. `$identity` and
/// `$server` are the parameters after those of the tasks.
macro_rules! store {
    ($identity:literal, $server:literal, $given:expr, $stored:expr) => {
        concat!(
            "WITH here AS (SELECT ",
            started!(),
            " IS NOT DISTINCT FROM ",
            $server,
            " AS is_same FROM gae_tasks.version WHERE identity = ",
            $identity,
            "), ",
            $given,
            ", ",
            $stored,
            " SELECT pg_current_xact_id()::text, EXISTS (SELECT FROM here), EXISTS (SELECT FROM \
             here WHERE is_same)"
        )
    };
}

const STORE: &str =
    store!("$13", "$14", given!(), stored!("FROM given g CROSS JOIN here WHERE here.is_same"));

const STORE_PLAIN: &str = store!(
    "$5",
    "$6",
    given_plain!(),
    stored_plain!("FROM given g CROSS JOIN here WHERE here.is_same")
);

const STORE_ONE: &str = store!(
    "$5",
    "$6",
    given_one!(),
    stored_plain!("FROM given g CROSS JOIN here WHERE here.is_same")
);

/// Stores the tasks of an order. If `judge` refuses the answers, what was stored is taken back.
pub(super) async fn store<A>(
    connection: &mut PgConnection,
    order: StoreInTx,
    judge: impl FnOnce(Vec<Deferred>) -> Result<A, Error>,
) -> Result<A, Error> {
    let StoreInTx { call, home, now, tasks } = order;
    let schema = schema(&home, call)?;
    let prepared = schema.prepare(tasks).await?;
    if prepared.tasks.iter().any(|(task, _)| task.spec.is_known_by_more()) {
        return names::store(connection, (&*schema, call), &prepared, now, judge).await;
    }
    let ids = prepared.tasks.iter().map(|(task, _)| task.spec.id);
    let answer = judge(ids.map(|id| Deferred::new(id, true)).collect())?;
    if !prepared.tasks.is_empty() {
        store_unnamed(connection, (&*schema, call), prepared, now).await?;
    }
    Ok(answer)
}

async fn store_unnamed(
    connection: &mut PgConnection,
    (schema, call): (&dyn PostgresSchema, &'static str),
    mut prepared: Prepared,
    now: Now,
) -> Result<(), Error> {
    for _ in 0..TRIES {
        let written = write(connection, schema, &prepared, now).await?;
        match written.map_err(|error| refusal::failed(call, schema, error))? {
            Written { is_here: false, .. } => return Err(refusal::elsewhere(call, schema)),
            Written { is_same: true, transaction, .. } => {
                wake_after(schema, &transaction);
                return Ok(());
            }
            Written { is_same: false, .. } => {
                let tasks = prepared.tasks.into_iter().map(|(task, _)| task).collect();
                prepared = prepare_again(schema, tasks).await?;
            }
        }
    }
    Err(refusal::astray(call, schema))
}

/// What a statement says that stores tasks.
struct Written {
    transaction: String,
    is_here: bool,
    is_same: bool,
}

/// # Errors
/// The task cannot be written; or else, the inner one, the statement fails.
async fn write(
    connection: &mut PgConnection,
    schema: &dyn PostgresSchema,
    prepared: &Prepared,
    now: Now,
) -> Result<Result<Written, sqlx::Error>, Error> {
    let tasks = prepared.tasks.iter().map(|(task, lane)| (task, *lane));
    let are_plain = tasks.clone().all(|(task, _)| is_plain(task));
    let query = match prepared.tasks.as_slice() {
        [(task, lane)] if are_plain => bind_one(query(schema, STORE_ONE), now, (task, *lane)),
        _ if are_plain => bind_plain(query(schema, STORE_PLAIN), now, tasks),
        _ => {
            let rows = Rows::of(tasks).map_err(|fault| fault.at(schema.place()))?;
            rows.bind(query(schema, STORE), now)
        }
    };
    let query = query.bind(schema.identity()).bind(prepared.server);
    let read = |row: sqlx::postgres::PgRow| {
        let (transaction, is_here) = (row.try_get(0)?, row.try_get(1)?);
        Ok::<_, sqlx::Error>(Written { transaction, is_here, is_same: row.try_get(2)? })
    };
    Ok(query.fetch_one(connection).await.and_then(read))
}
