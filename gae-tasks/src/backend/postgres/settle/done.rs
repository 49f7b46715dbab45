//! Tasks that are done and have no name, by one statement.

use sqlx::Row;

use crate::backend::LeaseRef;
use crate::backend::LeaseToken;
use crate::backend::postgres::database::Database;
use crate::backend::postgres::error::Fault;
use crate::backend::postgres::task::{id, uuid};

/// Locks the tasks in the order of their ids, but for those that others have locked; ends their
/// leases; deletes those whose lease was held until then.
const DONE: &str = "WITH ended AS MATERIALIZED (SELECT t.ctid AS at, t.id, l.token FROM \
                    unnest($1::uuid[], $2::bigint[]) AS n(id, token) JOIN gae_tasks.lease l ON \
                    l.task = n.id AND l.token = n.token JOIN gae_tasks.task t ON t.id = n.id WHERE \
                    t.name IS NULL FOR UPDATE OF t SKIP LOCKED), free AS (DELETE FROM \
                    gae_tasks.lease l USING ended e WHERE l.task = e.id AND l.token = e.token \
                    RETURNING l.token, e.at), gone AS (DELETE FROM gae_tasks.task t USING free f \
                    WHERE t.ctid = f.at RETURNING t.id, f.token) SELECT id, token FROM gone";

/// Records leases, in the order of their tasks, as done. Returns those that were.
pub(super) async fn record(
    database: &Database,
    leases: &[LeaseRef],
) -> Result<Vec<LeaseRef>, Fault> {
    let mut connection = database.connection().await?;
    let query = database
        .query(DONE)
        .bind(leases.iter().map(|lease| uuid(lease.id)).collect::<Vec<_>>())
        .bind(leases.iter().map(|lease| lease.token.to_bits()).collect::<Vec<_>>());
    let rows = query.fetch_all(&mut *connection).await?;
    connection.commit().await?;
    let lease = |row: &sqlx::postgres::PgRow| {
        Ok(LeaseRef::new(id(row.try_get(0)?), LeaseToken::from_bits(row.try_get(1)?)))
    };
    rows.iter().map(lease).collect()
}
