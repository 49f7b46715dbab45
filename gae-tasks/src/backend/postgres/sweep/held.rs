//! The leases that there are.

use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::backend::postgres::database::Database;
use crate::backend::postgres::error::Fault;
use crate::backend::postgres::task::id;
use crate::backend::{HeldLease, LeaseRef, LeaseToken};
use crate::time::Timestamp;

/// Returns all leases, after it was shown that their holders could have extended them: the server
/// takes writes.
pub(super) async fn held(database: &Database) -> Result<Vec<HeldLease>, Fault> {
    const HELD: &str = "SELECT task, token, expires, duration FROM gae_tasks.lease ORDER BY task";
    // A message that nobody reads, which the commit writes to disk.
    const PROVE: &str = "SELECT pg_logical_emit_message(true, 'gae_tasks', '')::text";
    let mut connection = database.connection().await?;
    let rows = database.query(HELD).fetch_all(&mut *connection).await?;
    if !rows.is_empty() {
        database.query(PROVE).execute(&mut *connection).await?;
    }
    connection.commit().await?;
    rows.iter().map(lease).collect()
}

/// Reads a lease: task, token, expiry and duration are the first columns.
pub(super) fn lease(row: &PgRow) -> Result<HeldLease, Fault> {
    let lease = LeaseRef::new(id(row.try_get(0)?), LeaseToken::from_bits(row.try_get(1)?));
    let duration = Duration::from_micros(row.try_get::<i64, _>(3)?.max(0).unsigned_abs());
    Ok(HeldLease::new(lease, Timestamp::from_micros(row.try_get(2)?), duration))
}
