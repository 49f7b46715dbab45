//! Completes the running task: its row goes, its lease stays until the attempt is settled.
//!
//! Renewals write the row of the lease, so it is only read here. Whoever recovers a lost lease, or
//! records that the attempt has failed, counts that in the task's row, so a stale attempt finds
//! another row than its own.
//!
//! The statements are planned anew each time. The session is the application's, where a plan that
//! was made while a table was tiny reads all of it; were the statement prepared, it would go on to
//! do so while the queue fills, until the table is analyzed, and again after each time that the
//! queue was empty. The values stand in the text of the statements, because a statement that the
//! driver prepares and forgets takes a second round trip.

use sqlx::{AssertSqlSafe, PgConnection, raw_sql};

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

/// Removes the row of the task; returns how many rows were changed.
async fn remove(
    connection: &mut PgConnection,
    schema: &dyn PostgresSchema,
    order: &CompleteInTx,
) -> Result<u64, sqlx::Error> {
    let CompleteInTx { now, lease, lost_leases, attempts, queue, name, .. } = order;
    let numbers = [i64::from(*lost_leases), i64::from(*attempts)];
    let mut values =
        vec![Some(uuid(lease.id).to_string()), Some(lease.token.to_bits().to_string())];
    values.extend(numbers.map(|number| Some(number.to_string())));
    let text = match name {
        None => REMOVE,
        Some(name) => {
            let blocked = micros(schema.blocks_names(queue));
            values.extend([Some(queue.to_string()), Some(name.to_string())]);
            values.extend([Some(blocked.to_string()), at(*now).map(|now| now.to_string())]);
            REMOVE_NAMED
        }
    };
    let statement = filled(schema.sql(text).as_str(), &values);
    Ok(raw_sql(AssertSqlSafe(statement)).execute(connection).await?.rows_affected())
}

/// Returns a statement with values in place of its parameters. They are numbers, ids, and names of
/// queues and tasks, which have neither quotes nor backslashes.
fn filled(text: &str, values: &[Option<String>]) -> String {
    let mut filled = text.to_owned();
    // The last one first: `$1` is the beginning of `$10`.
    for (place, value) in values.iter().enumerate().rev() {
        let value = value.as_ref().map_or_else(|| "NULL".to_owned(), |value| format!("'{value}'"));
        filled = filled.replace(&format!("${}", place + 1), &value);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parameters_are_filled_in() {
        let values: Vec<_> = (1..=8).map(|number| Some(format!("v{number}"))).collect();
        for (text, parameters) in [(REMOVE, 4), (REMOVE_NAMED, 8)] {
            let filled = filled(text, &values[..parameters]);
            assert!(!filled.contains('$'), "{filled}");
            (1..=parameters).for_each(|number| assert!(filled.contains(&format!("'v{number}'"))));
        }
        assert_eq!(
            filled("SELECT $1, $2::bigint", &[values[0].clone(), None]),
            "SELECT 'v1', NULL::bigint"
        );
    }
}
