//! A database that is the queue's and the application's.

use std::time::{Duration, Instant};

use gae_tasks::{Client, ClientBuilder};
use gae_tasks_tests_postgres::{Cluster, Database};
use sqlx::postgres::{PgPool, PgPoolOptions};

/// The longest time that a test waits for something.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Stage {
    pub(crate) tasks: Client,
    /// The connections of the application.
    pub(crate) pool: PgPool,
    pub(crate) database: Database,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::of(|_| Client::builder()).await
    }

    /// A stage whose client's builder may use the application's pool.
    pub(crate) async fn of(builder: impl FnOnce(&PgPool) -> ClientBuilder) -> Self {
        Self::at(Cluster::shared().await.database().await, builder).await
    }

    /// As [`of`](Self::of), in this database.
    pub(crate) async fn at(
        database: Database,
        builder: impl FnOnce(&PgPool) -> ClientBuilder,
    ) -> Self {
        let pool = PgPoolOptions::new().max_connections(4).connect(&database.url()).await.unwrap();
        let tables = "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY); \
                      CREATE TABLE effects (task bigint NOT NULL)";
        sqlx::raw_sql(tables).execute(&pool).await.unwrap();
        let tasks = builder(&pool).open(&database.url()).await.unwrap();
        Self { tasks, pool, database }
    }

    /// Another client of the database.
    pub(crate) async fn other(&self, builder: ClientBuilder) -> Client {
        builder.open(&self.database.url()).await.unwrap()
    }

    pub(crate) async fn open_tasks(&self) -> u64 {
        self.tasks.stats().await.unwrap().open()
    }

    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }
}

/// Waits until `holds`.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
