//! One database of a cluster, as a client reaches it.

use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::folder::in_url;
use crate::server::{SUPERUSER, Server};

/// A database of a cluster. It lives as long as its cluster: dropping this value keeps it.
#[derive(Clone, Debug)]
pub struct Database {
    server: Arc<Server>,
    name: String,
}

impl Database {
    pub(crate) fn new(server: &Arc<Server>, name: impl Into<String>) -> Self {
        Self { server: server.clone(), name: name.into() }
    }

    /// Returns the database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns a URL that leads through the server's socket: faster than TCP, and the port cannot
    /// be taken while the server is down.
    pub fn url(&self) -> String {
        let (port, folder) = (self.server.port(), in_url(self.server.folder()));
        format!("postgres://{SUPERUSER}@localhost:{port}/{}?host={folder}", self.name)
    }

    /// Returns a URL that leads through TCP on the loopback interface.
    pub fn tcp_url(&self) -> String {
        format!("postgres://{SUPERUSER}@127.0.0.1:{}/{}", self.server.port(), self.name)
    }

    /// Connects as superuser, without a pool.
    pub async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let options: PgConnectOptions = self.url().parse()?;
        PgConnection::connect_with(&options.application_name("harness")).await
    }

    /// Runs statements, separated by semicolons, on a connection of their own. Returns how many
    /// rows they changed.
    pub async fn execute(&self, sql: &str) -> Result<u64, sqlx::Error> {
        let mut connection = self.connect().await?;
        let done = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        connection.close().await?;
        Ok(done.rows_affected())
    }

    /// Returns the value of a query that has one.
    pub async fn value<T>(&self, sql: &str) -> Result<T, sqlx::Error>
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let mut connection = self.connect().await?;
        let value = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(value)
    }

    /// Ends the server's processes of all connections to this database. Returns how many there
    /// were.
    pub async fn terminate_backends(&self) -> Result<u64, sqlx::Error> {
        let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                     WHERE datname = current_database() AND pid <> pg_backend_pid()";
        Ok(self.value::<i64>(ended).await?.unsigned_abs())
    }
}
