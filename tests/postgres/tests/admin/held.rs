//! Tasks that a transaction of somebody else holds, or is just leasing.

use std::time::{Duration, Instant};

use gae_tasks::backend::Backend;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::stage::{Stage, leased, request};

/// A transaction of its own that has run `sql`.
async fn transaction(stage: &Stage, sql: &str) -> PgConnection {
    let mut connection = stage.database.connect().await.unwrap();
    let sql = format!("BEGIN; {sql}");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
    connection
}

async fn commit(mut connection: PgConnection) {
    connection.execute("COMMIT").await.unwrap();
    connection.close().await.unwrap();
}

/// Waits until somebody waits for a lock of another transaction.
async fn blocked(stage: &Stage) {
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    while stage.number(waits).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn one() -> Stage {
    let stage = Stage::new().await;
    let lane = stage.lane("q", "a/b").await;
    stage.store(lane, 0..1).await;
    stage
}

const HOLD: &str = "SELECT FROM gae_tasks.task FOR UPDATE";

#[tokio::test]
async fn a_held_task_is_neither_deleted_nor_changed_and_the_error_names_it() {
    let stage = one().await;
    let holder = transaction(&stage, HOLD).await;
    let begun = Instant::now();
    let task = request(0);
    let (deleted, run, replayed) = tokio::join!(
        stage.backend.delete(task),
        stage.backend.run_now(task),
        stage.backend.replay(task)
    );
    for error in [deleted.unwrap_err(), run.unwrap_err(), replayed.unwrap_err()] {
        let error = error.to_string();
        assert!(error.contains(&task.id.to_string()), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
    commit(holder).await;
    assert!(stage.backend.delete(task).await.unwrap());
}

#[tokio::test]
async fn a_task_that_is_being_leased_is_deleted_with_its_lease() {
    let stage = one().await;
    let leasing = transaction(&stage, &leased(0..1)).await;
    let (deleted, ()) = tokio::join!(stage.backend.delete(request(0)), async {
        blocked(&stage).await;
        commit(leasing).await;
    });
    assert!(deleted.unwrap());
    let left = "SELECT (SELECT count(*) FROM gae_tasks.task) + (SELECT count(*) FROM \
                gae_tasks.waiting) + (SELECT count(*) FROM gae_tasks.lease)";
    assert_eq!(stage.number(left).await, 0);
}

#[tokio::test]
async fn a_task_that_is_being_leased_is_not_made_due() {
    let stage = one().await;
    let leasing = transaction(&stage, &leased(0..1)).await;
    let (run, ()) = tokio::join!(stage.backend.run_now(request(0)), async {
        blocked(&stage).await;
        commit(leasing).await;
    });
    let error = run.unwrap_err().to_string();
    assert!(error.contains("is running already"), "{error}");
    assert_eq!(stage.stats().await.leased, 1);
}
