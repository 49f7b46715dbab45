//! The database that is measured: of a throwaway server, or one that the user names.

use gae_tasks::BoxError;
use gae_tasks_tests_postgres::{Cluster, raw};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};

/// The schema of the queue, which each measurement makes anew.
pub(crate) const SCHEMA: &str = "gae_tasks_bench";

/// The schema of the queue with very many tasks, which stays until the end.
pub(crate) const DEEP: &str = "gae_tasks_bench_deep";

/// A database, and its server if this program has started it. Not `Debug`, because the URL may have
/// a password.
pub(crate) struct Place {
    url: String,
    /// Ends with this value.
    _cluster: Option<Cluster>,
}

impl Place {
    pub(crate) async fn new(url: Option<String>) -> Self {
        if let Some(url) = url {
            return Self { url, _cluster: None };
        }
        let cluster = Cluster::own().await;
        let url = cluster.database().await.url();
        Self { url, _cluster: Some(cluster) }
    }

    /// Returns the URL of the database, for the application and for loops of bare SQL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the URL of the queue in a schema.
    pub(crate) fn queue_in(&self, schema: &str) -> String {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{separator}schema={schema}", self.url)
    }

    /// Removes what the last measurement has left, and returns the URL of a queue without tasks.
    pub(crate) async fn empty_queue(&self) -> Result<String, BoxError> {
        self.clear().await?;
        Ok(self.queue_in(SCHEMA))
    }

    /// Removes what the last measurement has left, makes the tables for bare SQL, and returns the
    /// URL of the database.
    pub(crate) async fn bare_tables(&self) -> Result<&str, BoxError> {
        self.clear().await?;
        raw::create(&self.url).await?;
        Ok(&self.url)
    }

    /// Lets the server get over the tasks that were stored in a schema: what it has put off would
    /// cost the measurement that comes next.
    pub(crate) async fn rest(&self, schema: &str) -> Result<(), sqlx::Error> {
        for table in ["task", "waiting"] {
            self.execute(&format!("VACUUM (ANALYZE) {schema}.{table}")).await?;
        }
        self.execute("CHECKPOINT").await
    }

    /// Drops a schema if it is there.
    pub(crate) async fn drop_schema(&self, schema: &str) -> Result<(), sqlx::Error> {
        self.execute(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE")).await
    }

    /// Drops all schemas of the measurements.
    pub(crate) async fn remove(&self) -> Result<(), BoxError> {
        self.drop_schema(DEEP).await?;
        self.clear().await
    }

    /// Runs one statement on a connection of its own.
    pub(crate) async fn execute(&self, sql: &str) -> Result<(), sqlx::Error> {
        let mut connection = PgConnection::connect(&self.url).await?;
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        connection.close().await
    }

    async fn clear(&self) -> Result<(), BoxError> {
        raw::remove(&self.url).await?;
        self.drop_schema(SCHEMA).await?;
        self.execute("CHECKPOINT").await?;
        Ok(())
    }
}
