//! Waits for transactions that are at work while something is changed that they have looked at.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use sqlx::Row;

use super::error::Fault;
use super::shared::Shared;

/// How long transactions are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the transactions write.
#[derive(Debug, Clone, Copy)]
pub(super) enum Table {
    /// They store, change or delete tasks.
    Task,
    /// They give, extend or end leases; those of applications do not.
    Lease,
}

impl Table {
    const fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Lease => "lease",
        }
    }
}

/// Waits until the transactions that write a table now have ended, for a few seconds at most. Those
/// that begin later see what was committed before.
pub(super) async fn wait_for_writers(shared: &Shared, table: Table) -> Result<(), Fault> {
    const WRITERS: &str = "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND \
                           database = (SELECT oid FROM pg_database WHERE datname = \
                           current_database()) AND relation = $1::text::regclass AND mode = \
                           'RowExclusiveLock' AND pid <> pg_backend_pid()";
    let begun = Instant::now();
    let name = format!("{}.{}", shared.database.schema(), table.name());
    let mut writers: Option<HashSet<String>> = None;
    loop {
        let mut connection = shared.database.connection().await?;
        let query = shared.database.query(WRITERS).bind(&name);
        let rows = query.fetch_all(&mut *connection).await?;
        let now = rows.iter().map(|row| row.try_get(0));
        let now = now.collect::<Result<HashSet<String>, _>>()?;
        drop(connection);
        let rest = match &writers {
            None => now,
            Some(writers) => now.into_iter().filter(|of| writers.contains(of)).collect(),
        };
        if rest.is_empty() || begun.elapsed() > PATIENCE {
            return Ok(());
        }
        writers = Some(rest);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
