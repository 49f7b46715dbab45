//! The paths of args that are never shown: a row for each kind and path, written with the first
//! task that brings it.
//!
//! Rows are never deleted: what was hidden once stays hidden, whichever program reads it.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, params};

use super::error::Fault;
use super::unreadable;
use crate::backend::NewTask;
use crate::payload::SensitivePaths;
use crate::task::Kind;

pub(super) const KEEP: &str =
    "INSERT INTO gae_tasks_sensitive (kind, path) VALUES (?1, ?2) ON CONFLICT DO NOTHING";

/// The paths in memory that are stored, or that the transaction under way stores. A transaction
/// that is rolled back forgets all of them.
#[derive(Debug, Default)]
pub(super) struct Sensitive(HashMap<Kind, HashSet<Box<str>>>);

impl Sensitive {
    /// Stores the paths of a task that are not known to be stored.
    pub(super) fn keep(&mut self, connection: &Connection, task: &NewTask) -> Result<(), Fault> {
        if task.sensitive.is_empty() {
            return Ok(());
        }
        let known = self.0.entry(task.spec.kind.clone()).or_default();
        for path in &*task.sensitive {
            if !known.contains(path) {
                let values = params![task.spec.kind.as_str(), path];
                connection.prepare_cached(KEEP)?.execute(values)?;
                known.insert(path.clone());
            }
        }
        Ok(())
    }
}

/// Returns the paths of these kinds, in their order.
pub(super) fn read_all(
    connection: &Connection,
    kinds: &[Kind],
) -> Result<Vec<SensitivePaths>, Fault> {
    kinds.iter().map(|kind| read(connection, kind)).collect()
}

fn read(connection: &Connection, kind: &Kind) -> Result<SensitivePaths, Fault> {
    const READ: &str = "SELECT path FROM gae_tasks_sensitive WHERE kind = ?1 ORDER BY path";
    let mut statement = connection.prepare_cached(READ)?;
    let mut rows = statement.query(params![kind.as_str()])?;
    let mut paths = Vec::new();
    while let Some(row) = rows.next()? {
        paths.push(row.get::<_, Box<str>>(0).unwrap_or_else(|_| {
            unreadable::row(connection, "gae_tasks_sensitive", kind);
            // It may have been any path: the empty one hides everything.
            Box::default()
        }));
    }
    Ok(paths.into_iter().collect())
}
