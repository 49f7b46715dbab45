//! The place of the chaos tests: an SQLite file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The program that works and defers.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_chaos");

/// The lease of workers in seconds, unless a test chooses one. Locks show at once that a worker is
/// dead.
pub(crate) const LEASE: f64 = 30.0;

/// Whether a worker is known to be dead as soon as it is.
pub(crate) const HAS_LOCKS: bool = true;

/// A file of tasks.
pub(crate) struct Place {
    folder: PathBuf,
    _own: Option<TempDir>,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let own = tempfile::tempdir().unwrap();
        Self { folder: own.path().to_owned(), _own: Some(own) }
    }

    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), _own: None }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join("tasks.db")
    }

    pub(crate) fn url(&self) -> String {
        format!("sqlite:{}", self.database().display())
    }

    pub(crate) fn programs_url(&self) -> String {
        self.url()
    }

    /// Returns the lock files, which show the live processes.
    pub(crate) fn locks(&self) -> BTreeSet<PathBuf> {
        let files = fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|file| file.to_string_lossy().ends_with(".lock")).collect()
    }

    /// Takes the only lock away that is not among those `before`.
    pub(crate) fn remove_lock(&self, before: &BTreeSet<PathBuf>) {
        let lock = self.locks().difference(before).next().unwrap().clone();
        fs::remove_file(lock).unwrap();
    }

    /// Returns what keeps everybody from storing anything until it is dropped.
    pub(crate) async fn lock(&self) -> impl Sized {
        let other = rusqlite::Connection::open(self.database()).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        other
    }
}
