//! Tasks that are done and have no name, by one statement.

use sqlx::Row;

use crate::backend::LeaseRef;
use crate::backend::LeaseToken;
use crate::backend::postgres::counted::Counted;
use crate::backend::postgres::database::Database;
use crate::backend::postgres::error::Fault;
use crate::backend::postgres::task::{id, uuid};

/// Ends the leases that are held, in the order of their tasks, and deletes the tasks. It waits for
/// a task that others have locked only for a moment, then it fails, and nothing is recorded. The
/// leases are joined with that setting, so it is made before they are locked. Rows are found by key
/// and deleted where they are: whoever changes the row of a leased task ends its lease in the same
/// transaction, so a task whose lease is there has not moved.
const DONE: &str = "WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', '50ms', \
                    true)), held AS (SELECT n.token, l.at FROM patience CROSS JOIN \
                    unnest($1::uuid[], $2::bigint[]) AS n(task, token) CROSS JOIN LATERAL (SELECT \
                    l.ctid AS at FROM gae_tasks.lease l WHERE l.task = n.task AND l.token = \
                    n.token AND NOT l.named OFFSET 0) l), free AS (DELETE FROM gae_tasks.lease l \
                    USING held h WHERE l.ctid = h.at AND l.token = h.token RETURNING l.task, \
                    l.token, l.queue), found AS (SELECT f.token, f.queue, t.at FROM free f CROSS \
                    JOIN LATERAL (SELECT t.ctid AS at FROM gae_tasks.task t WHERE t.id = f.task \
                    OFFSET 0) t), gone AS (DELETE FROM gae_tasks.task t USING found f WHERE t.ctid \
                    = f.at RETURNING t.id, f.token, f.queue) SELECT id, token, queue, false FROM \
                    gone";

/// Records leases, in the order of their tasks, as done. Returns those that were, with the queue of
/// each that counted; a task with a name is not, since the name outlives it.
///
/// # Errors
/// [`Fault::is_of_lock`] if a transaction of the application holds one of the tasks.
pub(super) async fn record(
    database: &Database,
    leases: &[LeaseRef],
) -> Result<Vec<(LeaseRef, Option<Counted>)>, Fault> {
    let mut connection = database.connection().await?;
    let query = database
        .prepared(DONE)
        .bind(leases.iter().map(|lease| uuid(lease.id)).collect::<Vec<_>>())
        .bind(leases.iter().map(|lease| lease.token.to_bits()).collect::<Vec<_>>());
    let rows = query.fetch_all(&mut *connection).await?;
    connection.commit().await?;
    let lease = |row: &sqlx::postgres::PgRow| {
        let lease = LeaseRef::new(id(row.try_get(0)?), LeaseToken::from_bits(row.try_get(1)?));
        // What is done has used its token.
        Ok((lease, Counted::read(row, 2)?))
    };
    rows.iter().map(lease).collect()
}
