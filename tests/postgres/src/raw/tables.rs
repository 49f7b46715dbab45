//! The tables of the loops.

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};

use super::rows::{self, Row};

const TABLES: &str = "
    DROP SCHEMA IF EXISTS gae_tasks_raw CASCADE;
    CREATE SCHEMA gae_tasks_raw;
    CREATE TABLE gae_tasks_raw.tasks (
        id uuid PRIMARY KEY, due bigint NOT NULL, state smallint NOT NULL DEFAULT 0,
        payload bytea NOT NULL);
    CREATE INDEX tasks_due ON gae_tasks_raw.tasks (due) WHERE state = 0;
    CREATE TABLE gae_tasks_raw.orders (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer text NOT NULL,
        cents bigint NOT NULL)";

/// Creates the tables, empty, whatever was in them.
///
/// # Errors
///
/// Those of the database.
pub async fn create(url: &str) -> Result<(), sqlx::Error> {
    execute(url, TABLES).await
}

/// Drops the tables and their schema.
///
/// # Errors
///
/// Those of the database.
pub async fn remove(url: &str) -> Result<(), sqlx::Error> {
    execute(url, "DROP SCHEMA IF EXISTS gae_tasks_raw CASCADE").await
}

/// Stores tasks that are due, for [`drain`](super::drain()), and lets the server get over it:
/// what it has put off would cost the loop that comes next.
///
/// # Errors
///
/// Those of the database, one is that only superusers may ask for a checkpoint.
pub async fn fill(url: &str, tasks: usize) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    for from in (0..tasks).step_by(10_000) {
        let chunk: Vec<_> = (from..tasks.min(from + 10_000)).map(|_| Row::new()).collect();
        rows::unnest(&mut connection, &chunk).await?;
    }
    connection.execute("VACUUM (ANALYZE) gae_tasks_raw.tasks").await?;
    connection.execute("CHECKPOINT").await?;
    connection.close().await
}

async fn execute(url: &str, sql: &'static str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    connection.execute(sqlx::raw_sql(sql)).await?;
    connection.close().await
}
