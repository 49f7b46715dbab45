//! A file that is the queue's and the application's.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use gae_tasks::{Client, ClientBuilder};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tempfile::TempDir;

/// The longest time that a test waits for something.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) tasks: Client,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::of(Client::builder()).await
    }

    pub(crate) async fn of(builder: ClientBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("shop.db").display());
        let tasks = builder.open(&url).await.unwrap();
        Self { folder, tasks }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("shop.db")
    }

    /// A connection of the application.
    pub(crate) fn application(&self) -> Connection {
        gae_tasks_tests::transactions::open(&self.file()).unwrap()
    }

    /// Another client of the file.
    pub(crate) async fn other(&self) -> Client {
        Client::open(&format!("sqlite:{}", self.file().display())).await.unwrap()
    }

    pub(crate) async fn open_tasks(&self) -> u64 {
        self.tasks.stats().await.unwrap().open()
    }
}

/// Begins a transaction that writes.
pub(crate) fn begin(application: &mut Connection) -> Transaction<'_> {
    application.transaction_with_behavior(TransactionBehavior::Immediate).unwrap()
}

/// Returns the number in the first row of a query.
pub(crate) fn number(application: &Connection, sql: &str) -> i64 {
    application.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Waits until `holds`.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
