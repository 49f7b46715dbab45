//! The results: an SQLite table of the application, which tasks get as state.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rusqlite::Connection;

use crate::tasks::FileFacts;

const STORE: &str = "INSERT INTO result (path, digest, lines, words) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (path) DO UPDATE SET digest = ?2, lines = ?3, words = ?4, runs = runs + 1";

const TOTALS: &str =
    "SELECT count(*), coalesce(sum(lines), 0), coalesce(sum(words), 0), count(*) FILTER \
    (WHERE runs > 1)
    FROM result";

/// The table of results.
#[derive(Debug)]
pub(crate) struct Results(Mutex<Connection>);

/// The contents of the table.
#[derive(Debug)]
pub(crate) struct Totals {
    pub(crate) files: u64,
    pub(crate) lines: u64,
    pub(crate) words: u64,
    /// Files that were digested more than once.
    pub(crate) repeated: u64,
}

impl Results {
    /// Opens the table; creates it if it is missing.
    pub(crate) fn open(file: &Path) -> Result<Self> {
        let open = || {
            let connection = Connection::open(file)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.execute_batch(
                "PRAGMA journal_mode = WAL;
                 CREATE TABLE IF NOT EXISTS result (
                     path TEXT PRIMARY KEY, digest TEXT NOT NULL, lines INTEGER, words INTEGER, \
                     runs INTEGER DEFAULT 1
                 ) STRICT;",
            )?;
            // A table of another version fails here, not at the first result.
            connection.prepare(STORE)?;
            connection.prepare(TOTALS)?;
            Ok(Self(Mutex::new(connection)))
        };
        open()
            .map_err(|error: rusqlite::Error| error)
            .with_context(|| format!("cannot open {}", file.display()))
    }

    /// Stores the facts of one file. A second call replaces those of the first.
    pub(crate) fn store(&self, path: &str, facts: &FileFacts) -> Result<()> {
        self.connection()
            .execute(STORE, (path, &facts.digest, facts.lines as i64, facts.words as i64))?;
        Ok(())
    }

    /// Whether this file has a result.
    pub(crate) fn has(&self, path: &str) -> Result<bool> {
        let connection = self.connection();
        Ok(connection.prepare_cached("SELECT 1 FROM result WHERE path = ?1")?.exists([path])?)
    }

    /// The totals of what is stored so far.
    pub(crate) fn totals(&self) -> Result<Totals> {
        Ok(self.connection().query_row(TOTALS, (), |row| {
            let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
            Ok(Totals {
                files: number(0)?,
                lines: number(1)?,
                words: number(2)?,
                repeated: number(3)?,
            })
        })?)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
