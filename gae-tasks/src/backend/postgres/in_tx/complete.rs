//! Completes the running task: its row goes, its lease stays until the attempt is settled.
//!
//! Renewals write the row of the lease, so it is only read here. Whoever recovers a lost lease, or
//! records that the attempt has failed, counts that in the task's row, so a stale attempt finds
//! another row than its own.
//!
//! The statement is prepared in the application's session. There it may keep a plan that was made
//! for a table of a few pages and reads all of it, until autovacuum analyzes the table that has
//! grown, in about a minute. To plan it each time costs more than a completion may.

use std::time::Duration;

use sqlx::PgConnection;

use super::{place, refusal};
use crate::backend::home::PostgresSchema;
use crate::backend::postgres::database::at;
use crate::backend::postgres::task::uuid;
use crate::backend::transaction::CompleteInTx;
use crate::error::Error;
use crate::time::micros;

const CALL: &str = "complete_in";

/// Deletes the row of the task, unless the attempt is over: where the statement waited for whoever
/// ended it, only the row itself is read anew.
macro_rules! remove {
    () => {
        "DELETE FROM gae_tasks.task t WHERE t.id = $1 AND coalesce(t.lost_leases, 0) = $3 AND \
         coalesce(t.attempts, 0) = $4 AND EXISTS (SELECT FROM gae_tasks.lease l WHERE l.task = $1 \
         AND l.token = $2)"
    };
}

const REMOVE: &str = remove!();

const REMOVE_NAMED: &str = concat!(
    "WITH gone AS (",
    remove!(),
    " RETURNING t.id), buried AS (UPDATE gae_tasks.name n SET until = least($7::bigint::numeric + \
     coalesce($8::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint), \
     9223372036854775807)::bigint FROM gone WHERE n.queue = $5 AND n.name = $6 AND n.task = \
     gone.id) SELECT FROM gone"
);

const STATE: &str = "SELECT EXISTS (SELECT FROM gae_tasks.task WHERE id = $1)";

/// Completes the task of an order, and then calls `done`.
pub(super) async fn complete(
    connection: &mut PgConnection,
    order: CompleteInTx,
    done: impl FnOnce(),
) -> Result<(), Error> {
    let schema = place::schema(&order.home, CALL)?;
    let removed = remove(connection, &*schema, &order).await;
    let failed = |error| refusal::failed(CALL, &*schema, error);
    if removed.map_err(failed)? > 0 {
        done();
        return Ok(());
    }
    let is_stored = sqlx::query_scalar(schema.sql(STATE))
        .persistent(false)
        .bind(uuid(order.lease.id))
        .fetch_one(connection)
        .await;
    let problem = if is_stored.map_err(failed)? {
        "finds the lease of the task lost, so another worker may run it: roll back the transaction"
    } else {
        "finds no task: it is completed already, in this transaction or in one that has committed"
    };
    Err(Error::in_transaction(CALL, problem.to_owned()))
}

/// Returns the name or the key of the task in its form among names, and for how long it stays
/// blocked, if it does.
fn known_as(
    schema: &dyn PostgresSchema,
    order: &CompleteInTx,
) -> Option<(String, Option<Duration>)> {
    let blocked = || schema.blocks_names(&order.queue);
    match (&order.name, order.unique) {
        (Some(name), _) => Some((name.to_string(), Some(blocked()))),
        (None, key) => key.map(|key| (key.in_names(), key.outlives().then(blocked))),
    }
}

/// Removes the row of the task; returns how many rows were changed.
async fn remove(
    connection: &mut PgConnection,
    schema: &dyn PostgresSchema,
    order: &CompleteInTx,
) -> Result<u64, sqlx::Error> {
    let CompleteInTx { now, lease, lost_leases, attempts, queue, .. } = order;
    let known = known_as(schema, order);
    let text = if known.is_some() { REMOVE_NAMED } else { REMOVE };
    let query = sqlx::query(schema.sql(text))
        .persistent(!schema.is_pooled())
        .bind(uuid(lease.id))
        .bind(lease.token.to_bits())
        .bind(i64::from(*lost_leases))
        .bind(i64::from(*attempts));
    let query = match known {
        None => query,
        Some((name, Some(blocked))) => {
            query.bind(queue.as_str()).bind(name).bind(micros(blocked)).bind(at(*now))
        }
        // Free from the beginning of time on.
        Some((key, None)) => query.bind(queue.as_str()).bind(key).bind(0_i64).bind(Some(0_i64)),
    };
    Ok(query.execute(connection).await?.rows_affected())
}
