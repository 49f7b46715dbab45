//! The place of the chaos tests: a Postgres database.

use gae_tasks_tests_postgres::{Cluster, Database};
use sqlx::PgConnection;

/// The program that works and defers.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_postgres-chaos");

/// The lease of workers in seconds, unless a test chooses one: the leases of a dead worker expire.
pub(crate) const LEASE: f64 = 1.0;

/// Whether a worker is known to be dead as soon as it is.
pub(crate) const HAS_LOCKS: bool = false;

/// The application's name of the test's own client, which no test disturbs.
pub(crate) const OBSERVER: &str = "observer";

/// A database of tasks.
pub(crate) struct Place {
    pub(crate) database: Database,
    url: String,
    programs_url: String,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::of(Cluster::shared().await.database().await)
    }

    /// Returns the place whose programs connect to the database directly.
    pub(crate) fn of(database: Database) -> Self {
        let url = database.url();
        Self::through(database, &url)
    }

    /// Returns the place whose programs connect by this URL.
    pub(crate) fn through(database: Database, url: &str) -> Self {
        let programs_url = few_connections(url);
        let url = format!("{}&application_name={OBSERVER}", few_connections(&database.url()));
        Self { database, url, programs_url }
    }

    /// Lets the test's own client connect as the programs do.
    pub(crate) fn all_through(self) -> Self {
        Self { url: self.programs_url.clone(), ..self }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn programs_url(&self) -> String {
        self.programs_url.clone()
    }

    /// There are none.
    pub(crate) fn locks(&self) {}

    pub(crate) fn remove_lock(&self, (): &()) {}

    /// Returns what keeps everybody from storing anything until it is dropped.
    pub(crate) async fn lock(&self) -> PgConnection {
        let mut other = self.database.connect().await.unwrap();
        let lock = "BEGIN; LOCK TABLE gae_tasks.task, gae_tasks.waiting, gae_tasks.lease IN ACCESS \
                    EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(&mut other).await.unwrap();
        other
    }
}

/// The tests start many processes on one server.
fn few_connections(url: &str) -> String {
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}max_connections=3")
}
