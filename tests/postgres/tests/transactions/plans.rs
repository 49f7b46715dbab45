//! What the server reads in transactions of the application, whose sessions have its own settings:
//! a statement that was first run when the tables were tiny reads no large one whole later.

use std::sync::{Arc, Mutex};

use gae_tasks::{BoxError, Client, TaskContext, deferred};
use sqlx::postgres::{PgPool, PgPoolOptions};

use crate::stage::Stage;

/// The rows that this session has read by scans of whole tables.
const SCANNED: &str = "SELECT coalesce(sum(seq_tup_read), 0)::bigint FROM pg_stat_xact_user_tables \
                       WHERE schemaname = 'gae_tasks' AND relname IN ('task', 'lease', 'name')";

/// A session of the application, and what each handler's statement has scanned there.
#[derive(Clone)]
struct Session {
    pool: PgPool,
    scanned: Arc<Mutex<Vec<i64>>>,
}

impl Session {
    async fn of(stage: &Stage) -> Self {
        let pool = PgPoolOptions::new().max_connections(1);
        let pool = pool.connect(&stage.database.url()).await.unwrap();
        Self { pool, scanned: Arc::default() }
    }

    fn last(&self) -> i64 {
        *self.scanned.lock().unwrap().last().unwrap()
    }
}

#[deferred(queue = "finished")]
async fn finish(#[state] session: &Session, #[context] cx: &TaskContext) -> Result<(), BoxError> {
    let mut tx = session.pool.begin().await?;
    let before: i64 = sqlx::query_scalar(SCANNED).fetch_one(&mut *tx).await?;
    cx.complete_in(&mut tx).await?;
    let after: i64 = sqlx::query_scalar(SCANNED).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    session.scanned.lock().unwrap().push(after - before);
    Ok(())
}

/// Adds rows that nobody leases to the tables, which the server has no statistics of.
async fn fill(stage: &Stage, rows: u32) {
    let fill = format!(
        "INSERT INTO gae_tasks.task (id, lane, created, schedule_time, payload) SELECT \
         gen_random_uuid(), 0, 0, 0, 'payload'::bytea FROM generate_series(1, {rows}); INSERT INTO \
         gae_tasks.name (queue, name, task) SELECT 'others', gen_random_uuid()::text, \
         gen_random_uuid() FROM generate_series(1, {rows})"
    );
    stage.database.execute(&fill).await.unwrap();
}

/// A stage whose tables are tiny, as the server knows, and stay unknown to it when they grow.
async fn tiny() -> (Stage, Session) {
    let stage = Stage::new().await;
    for table in ["task", "lease", "name"] {
        let alone = format!("ALTER TABLE gae_tasks.{table} SET (autovacuum_enabled = false)");
        stage.database.execute(&alone).await.unwrap();
    }
    fill(&stage, 5).await;
    stage.database.execute("VACUUM (ANALYZE) gae_tasks.task, gae_tasks.name").await.unwrap();
    let session = Session::of(&stage).await;
    (stage, session)
}

/// Runs a task with a name, and one without.
async fn run(tasks: &Client, name: usize) {
    finish::defer().on(tasks).await.unwrap();
    finish::defer().named(format!("n{name}")).on(tasks).await.unwrap();
    assert_eq!(tasks.drain().await.unwrap(), 2);
}

#[tokio::test]
async fn complete_in_reads_no_table_whole_that_has_grown() {
    let (stage, session) = tiny().await;
    let tasks = stage.other(Client::builder().state(session.clone())).await;
    // From the sixth time on, a session keeps the plan of a statement that it has prepared.
    for name in 0..8 {
        run(&tasks, name).await;
    }
    fill(&stage, 20_000).await;
    run(&tasks, 8).await;
    let scanned = session.scanned.lock().unwrap().clone();
    assert_eq!(scanned.len(), 18);
    assert!(scanned[16..].iter().all(|rows| *rows < 1_000), "{scanned:?}");
}

#[tokio::test]
async fn a_name_in_use_is_looked_up_in_no_table_whole_that_has_grown() {
    let (stage, session) = tiny().await;
    finish::defer().named("taken").on(&stage.tasks).await.unwrap();
    let again = async || {
        let mut tx = session.pool.begin().await.unwrap();
        let before: i64 = sqlx::query_scalar(SCANNED).fetch_one(&mut *tx).await.unwrap();
        let again = finish::defer().named("taken").on(&stage.tasks).in_tx(&mut tx).await.unwrap();
        assert!(!again.created);
        let after: i64 = sqlx::query_scalar(SCANNED).fetch_one(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        session.scanned.lock().unwrap().push(after - before);
    };
    for _ in 0..8 {
        again().await;
    }
    fill(&stage, 20_000).await;
    again().await;
    assert!(session.last() < 1_000, "{}", session.last());
}
