//! What the server reads in transactions of the application, whose sessions have its own settings:
//! a statement that was first run when the tables were tiny reads no large one whole later.

use gae_tasks::deferred;
use sqlx::postgres::{PgPool, PgPoolOptions};

use crate::stage::Stage;

/// The rows that this session has read by scans of whole tables.
const SCANNED: &str = "SELECT coalesce(sum(seq_tup_read), 0)::bigint FROM pg_stat_xact_user_tables \
                       WHERE schemaname = 'gae_tasks' AND relname IN ('task', 'lease', 'name')";

#[deferred(queue = "finished")]
async fn finish() {}

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
async fn tiny() -> (Stage, PgPool) {
    let stage = Stage::new().await;
    for table in ["task", "lease", "name"] {
        let alone = format!("ALTER TABLE gae_tasks.{table} SET (autovacuum_enabled = false)");
        stage.database.execute(&alone).await.unwrap();
    }
    fill(&stage, 5).await;
    stage.database.execute("VACUUM (ANALYZE) gae_tasks.task, gae_tasks.name").await.unwrap();
    // A session of the application.
    let session = PgPoolOptions::new().max_connections(1);
    let session = session.connect(&stage.database.url()).await.unwrap();
    (stage, session)
}

#[tokio::test]
async fn a_name_in_use_is_looked_up_in_no_table_whole_that_has_grown() {
    let (stage, session) = tiny().await;
    finish::defer().named("taken").on(&stage.tasks).await.unwrap();
    let again = async || {
        let mut tx = session.begin().await.unwrap();
        let before: i64 = sqlx::query_scalar(SCANNED).fetch_one(&mut *tx).await.unwrap();
        let again = finish::defer().named("taken").on(&stage.tasks).in_tx(&mut tx).await.unwrap();
        assert!(!again.created);
        let after: i64 = sqlx::query_scalar(SCANNED).fetch_one(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        after - before
    };
    for _ in 0..8 {
        again().await;
    }
    fill(&stage, 20_000).await;
    let scanned = again().await;
    assert!(scanned < 1_000, "{scanned}");
}
