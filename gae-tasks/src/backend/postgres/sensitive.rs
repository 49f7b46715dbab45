//! The paths of args that are never shown: a row for each kind and path.
//!
//! Rows are never deleted: what was hidden once stays hidden, whichever program reads it.

use std::collections::{BTreeSet, HashMap};

use sqlx::{PgConnection, Row};

use super::database::Database;
use super::error::Fault;
use crate::payload::SensitivePaths;
use crate::task::Kind;

/// Stores these paths of kinds; the caller holds the lock of rows without a unique index.
pub(super) async fn keep(
    database: &Database,
    connection: &mut PgConnection,
    paths: BTreeSet<(&str, &str)>,
) -> Result<(), Fault> {
    const KEEP: &str = "INSERT INTO gae_tasks.sensitive (kind, path) SELECT n.kind, n.path FROM \
                        unnest($1::text[], $2::text[]) AS n(kind, path) WHERE NOT EXISTS (SELECT \
                        FROM gae_tasks.sensitive s WHERE s.kind = n.kind AND s.path = n.path)";
    let (kinds, paths): (Vec<_>, Vec<_>) = paths.into_iter().unzip();
    database.query(KEEP).bind(kinds).bind(paths).execute(connection).await?;
    Ok(())
}

/// Returns the paths of these kinds, in their order.
pub(super) async fn read(
    database: &Database,
    connection: &mut PgConnection,
    kinds: &[Kind],
) -> Result<Vec<SensitivePaths>, Fault> {
    const READ: &str = "SELECT kind, path FROM gae_tasks.sensitive WHERE kind = ANY($1) ORDER BY \
                        path";
    let names: Vec<_> = kinds.iter().map(Kind::as_str).collect();
    let rows = database.query(READ).bind(names).fetch_all(connection).await?;
    let mut found: HashMap<String, Vec<Box<str>>> = HashMap::new();
    for row in &rows {
        found.entry(row.try_get(0)?).or_default().push(row.try_get::<String, _>(1)?.into());
    }
    Ok(kinds
        .iter()
        .map(|kind| found.get(kind.as_str()).into_iter().flatten().cloned().collect())
        .collect())
}
