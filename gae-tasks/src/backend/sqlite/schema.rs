//! The tables: created in a file without tables, and recognized by their version and a digest of
//! their text.

use std::sync::LazyLock;

use rusqlite::{Connection, Row, params};

use super::error::Fault;
use crate::attributes::checksum;

/// The text of the tables. A file with tables of another text is refused: until the first release
/// there are no migrations.
const TABLES: &str = include_str!("schema/1.sql");

/// The version of the tables that this program knows.
const KNOWN: i64 = 1;

/// The tables found in a file.
enum Found {
    Nothing,
    /// The tables that this program knows.
    Known,
    /// Tables of a later version.
    Newer(i64),
    /// Tables of another development version.
    Other,
}

/// Returns the version and the digest of the tables that this program knows.
pub(super) fn known() -> (i64, i64) {
    static DIGEST: LazyLock<i64> = LazyLock::new(|| checksum(TABLES.as_bytes()).cast_signed());
    (KNOWN, *DIGEST)
}

/// Creates the tables, if there are none.
///
/// # Errors
/// [`Fault::Unfit`] if there are tables that this program does not know.
pub(super) fn ensure(connection: &mut Connection) -> Result<(), Fault> {
    ensure_as(connection, TABLES)
}

fn ensure_as(connection: &mut Connection, tables: &str) -> Result<(), Fault> {
    let digest = checksum(tables.as_bytes()).cast_signed();
    if find(connection, digest)?.is_known()? {
        return Ok(());
    }
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    // Another process may have created the tables while this one waited.
    if find(&transaction, digest)?.is_known()? {
        return Ok(());
    }
    transaction.execute_batch(tables)?;
    let insert = "INSERT INTO gae_tasks_version (version, digest) VALUES (?1, ?2)";
    transaction.execute(insert, params![KNOWN, digest])?;
    Ok(transaction.commit()?)
}

/// Reads the version from its own table: `user_version` belongs to the application whose database
/// this may be.
fn find(connection: &Connection, digest: i64) -> Result<Found, Fault> {
    const OURS: &str = "SELECT count(*), total(name = 'gae_tasks_version') FROM sqlite_schema \
                        WHERE type = 'table' AND name GLOB 'gae_tasks_*'";
    let (tables, has_version): (i64, f64) =
        connection.query_row(OURS, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if tables == 0 {
        return Ok(Found::Nothing);
    }
    if has_version == 0.0 {
        return Ok(Found::Other);
    }
    // Selects all columns: other versions of the crate have others.
    let mut statement = connection.prepare("SELECT * FROM gae_tasks_version")?;
    let number = |row: &Row<'_>, column| row.get::<_, i64>(column).ok();
    let rows =
        statement.query_map([], |row| Ok((number(row, "version"), number(row, "digest"))))?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    if rows == [(Some(KNOWN), Some(digest))] {
        return Ok(Found::Known);
    }
    let newest = rows.iter().filter_map(|(version, _)| *version).max();
    Ok(newest.filter(|newest| *newest > KNOWN).map_or(Found::Other, Found::Newer))
}

impl Found {
    /// Whether the tables exist; an error if this program must not touch them.
    fn is_known(&self) -> Result<bool, Fault> {
        let problem = match self {
            Self::Nothing => return Ok(false),
            Self::Known => return Ok(true),
            Self::Newer(version) => format!(
                "its tables are of version {version}, this program knows version {KNOWN}: update \
                 gae-tasks in this program, or name another file"
            ),
            Self::Other => {
                "its tables were made by another development version of gae-tasks: drain it with \
                            the program that wrote it, or delete it"
                    .to_owned()
            }
        };
        Err(Fault::Unfit(problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_which_one_character_differs_are_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        ensure(&mut connection).unwrap();
        ensure(&mut connection).unwrap();
        let changed = TABLES.replacen("paused INTEGER", "Paused INTEGER", 1);
        assert_eq!(changed.len(), TABLES.len());
        assert_ne!(changed, TABLES);
        let refused = ensure_as(&mut connection, &changed).unwrap_err();
        assert!(
            matches!(&refused, Fault::Unfit(text) if text.contains("another development version")),
            "{refused:?}"
        );
        let mut connection = Connection::open_in_memory().unwrap();
        ensure_as(&mut connection, &changed).unwrap();
        assert!(ensure(&mut connection).is_err());
    }
}
