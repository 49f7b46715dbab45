//! The tables, and how a file of an older version gets them.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::Fault;

/// Each step from one version of the tables to the next; never changed once released, only added to.
const STEPS: [&str; 1] = [include_str!("schema/1.sql")];

/// The version this program knows.
const KNOWN: i64 = STEPS.len() as i64;

/// Brings the tables to this version's.
///
/// The version lives in a table of its own: `user_version` belongs to the program whose database this may be.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    if version(connection)? == KNOWN {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    // Another process may have done it while this one waited.
    let found = version(&transaction)?;
    let missing = usize::try_from(found).ok().and_then(|found| STEPS.get(found..));
    let Some(missing) = missing else { return Err(newer(found)) };
    for step in missing {
        transaction.execute_batch(step)?;
    }
    transaction.execute("DELETE FROM gae_tasks_schema", [])?;
    transaction.execute("INSERT INTO gae_tasks_schema (version) VALUES (?1)", params![KNOWN])?;
    Ok(transaction.commit()?)
}

/// The version of the tables that are there; 0 is none.
fn version(connection: &Connection) -> Result<i64, Fault> {
    const TABLE: &str = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'gae_tasks_schema'";
    if connection.query_row(TABLE, [], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    let version = connection.query_row("SELECT version FROM gae_tasks_schema", [], |row| row.get(0)).optional()?;
    Ok(version.unwrap_or(0))
}

fn newer(found: i64) -> Fault {
    Fault::Unfit(format!(
        "its tables are of version {found}, this program knows version {KNOWN}: update gae-tasks in this program, \
         or name another file"
    ))
}
