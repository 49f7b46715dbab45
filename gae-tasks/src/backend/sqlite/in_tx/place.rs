//! The file of the caller's transaction: it must be the client's, and its tables those of this
//! program.

use std::path::{Path, PathBuf};

use super::super::opened::Identity;
use super::super::schema;
use super::refusal;
use super::statements::{Failed, Statements};
use crate::backend::home::{self, Home, SqliteFile};
use crate::error::Error;

/// Takes the write lock and changes nothing. A transaction that reads first could not write once
/// another one has written.
const LOCK: &str = "DELETE FROM main.gae_tasks_waiting WHERE 0";

const FILE: &str = "SELECT file FROM pragma_database_list WHERE name = 'main'";

const VERSION: &str = "SELECT version, digest FROM main.gae_tasks_version";

/// The file of the client's tasks, and the method that was called.
pub(super) struct Place {
    file: SqliteFile,
    call: &'static str,
}

impl Place {
    /// Returns the file of a client's tasks.
    ///
    /// # Errors
    /// The tasks are in no file of SQLite.
    pub(super) fn new(home: Home, call: &'static str) -> Result<Self, Error> {
        match home.0 {
            home::Place::File(file) => Ok(Self { file, call }),
            #[cfg(feature = "postgres")]
            home::Place::Schema(_) => {
                let problem = "needs a transaction in the Postgres database of the client's tasks: \
                               this one is in a file of SQLite";
                Err(Error::in_transaction(call, problem.to_owned()))
            }
        }
    }

    /// Checks that the transaction is in the client's file, and takes the write lock.
    pub(super) async fn enter(&self, statements: &mut impl Statements) -> Result<(), Error> {
        // Before anything is read, be it the name of the file. Another file may lack the table.
        let locked = statements.run(LOCK, &[]).await;
        let found = statements.read(FILE, &[]).await.map_err(|failed| self.failed(failed))?;
        let file = found.first().and_then(|row| row.text(0)).unwrap_or_default();
        let SqliteFile { path, identity } = &self.file;
        if !is_same(Path::new(file), path, *identity) {
            return Err(self.refused(refusal::elsewhere(file, path)));
        }
        locked.map_err(|failed| self.failed(failed))?;
        let tables = statements.read(VERSION, &[]).await.map_err(|failed| self.failed(failed))?;
        let known = schema::known();
        let is_known = |row: &super::statements::Row| {
            (row.integer(0), row.integer(1)) == (Some(known.0), Some(known.1))
        };
        match tables.as_slice() {
            [row] if is_known(row) => Ok(()),
            _ => Err(self.refused(refusal::other_tables(path))),
        }
    }

    pub(super) fn failed(&self, failed: Failed) -> Error {
        refusal::failed(self.call, &self.file.path, failed)
    }

    pub(super) fn refused(&self, problem: String) -> Error {
        Error::in_transaction(self.call, problem)
    }
}

/// Whether `found`, the file of the transaction, is the client's file. An empty path is a database
/// in memory.
fn is_same(found: &Path, path: &Path, identity: [u64; 2]) -> bool {
    let is_identical = || Identity::of(found).is_ok_and(|found| found.numbers() == identity);
    // Where files have no numbers, their names decide.
    let is_named = || cfg!(unix) || found.canonicalize().is_ok_and(|found| found == path);
    // A hard link is the same file beside another log, which no worker reads.
    let log = |file: &Path| Identity::of(&with_suffix(file, "-wal")).map(|log| log.numbers());
    let has_same_log = || log(found).is_ok_and(|of_found| log(path).is_ok_and(|of| of == of_found));
    !found.as_os_str().is_empty() && is_identical() && is_named() && has_same_log()
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
