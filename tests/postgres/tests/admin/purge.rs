//! A purge of many tasks: slice by slice, beside others.

use std::time::Duration;

use gae_tasks::backend::{Backend, Purged};
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::stage::{NOW, Stage, id, queue};

const HOLD: &str = "BEGIN; SELECT FROM gae_tasks.task WHERE id = \
                    '00000000-0000-7000-8000-000000000007' FOR UPDATE";

async fn five_thousand() -> Stage {
    let stage = Stage::new().await;
    let lane = stage.lane("q", "a/b").await;
    stage.store(lane, 0..5_000).await;
    stage
}

#[tokio::test]
async fn a_large_queue_is_purged_in_many_transactions_and_dead_letters_stay() {
    let stage = five_thousand().await;
    stage.lease(100..200).await;
    stage.kill(4_000..4_100).await;
    let transactions = "SELECT pg_current_xact_id()::text::bigint";
    let before = stage.number(transactions).await;
    assert_eq!(stage.backend.purge(queue("q"), NOW).await.unwrap(), Purged::new(4_900, 0));
    let count = stage.number(transactions).await - before;
    assert!(count >= 5, "{count} transactions");
    assert_eq!((stage.stats().await.open(), stage.stats().await.dead), (0, 100));
    let left = "SELECT (SELECT count(*) FROM gae_tasks.waiting) + (SELECT count(*) FROM \
                gae_tasks.lease)";
    assert_eq!(stage.number(left).await, 0);
}

#[tokio::test]
async fn a_task_that_is_held_for_long_stays_alone_and_is_named() {
    let stage = five_thousand().await;
    let mut holder = stage.database.connect().await.unwrap();
    holder.execute(sqlx::raw_sql(AssertSqlSafe(HOLD))).await.unwrap();
    let error = stage.backend.purge(queue("q"), NOW).await.unwrap_err().to_string();
    assert!(error.contains(&id(7).to_string()), "{error}");
    assert_eq!(stage.stats().await.scheduled, 1);
    holder.close().await.unwrap();
    assert_eq!(stage.backend.purge(queue("q"), NOW).await.unwrap(), Purged::new(1, 0));
}

#[tokio::test]
async fn a_task_that_is_held_for_a_moment_is_purged_as_the_last() {
    let stage = five_thousand().await;
    let mut holder = stage.database.connect().await.unwrap();
    holder.execute(sqlx::raw_sql(AssertSqlSafe(HOLD))).await.unwrap();
    let (purged, ()) = tokio::join!(stage.backend.purge(queue("q"), NOW), async {
        while stage.number("SELECT count(*) FROM gae_tasks.task").await > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        holder.execute("COMMIT").await.unwrap();
    });
    assert_eq!(purged.unwrap(), Purged::new(5_000, 0));
}

#[tokio::test]
async fn tasks_that_are_stored_during_a_purge_stay() {
    let stage = five_thousand().await;
    let lane = stage.number("SELECT id FROM gae_tasks.lane").await;
    let mut holder = stage.database.connect().await.unwrap();
    holder.execute(sqlx::raw_sql(AssertSqlSafe(HOLD))).await.unwrap();
    let (purged, ()) = tokio::join!(stage.backend.purge(queue("q"), NOW), async {
        while stage.number("SELECT count(*) FROM gae_tasks.task").await > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stage.store(lane, 6_000..6_100).await;
        holder.execute("COMMIT").await.unwrap();
    });
    assert_eq!(purged.unwrap(), Purged::new(5_000, 0));
    assert_eq!(stage.stats().await.scheduled, 100);
}

#[tokio::test]
async fn names_of_purged_tasks_are_blocked_for_as_long_as_their_queue_says() {
    let stage = five_thousand().await;
    stage
        .execute(
            "UPDATE gae_tasks.task SET name = 'n' || schedule_time; INSERT INTO gae_tasks.name \
             (queue, name, task) SELECT 'q', name, id FROM gae_tasks.task",
        )
        .await;
    let config = gae_tasks::QueueConfig::new().with_tombstone_retention(Duration::from_secs(60));
    stage.other().await.put_queue(queue("q"), config).await.unwrap();
    assert_eq!(stage.backend.purge(queue("q"), NOW).await.unwrap(), Purged::new(5_000, 0));
    let blocked = "SELECT count(*) FROM gae_tasks.name WHERE until = 1060000000";
    assert_eq!(stage.number(blocked).await, 5_000);
}

#[tokio::test]
async fn tasks_of_a_queue_that_cannot_be_read_are_left() {
    let stage = five_thousand().await;
    for config in ["\\x0207", "\\xff", ""] {
        stage.execute(&format!("UPDATE gae_tasks.queue SET config = '{config}'")).await;
        let purged = stage.backend.purge(queue("q"), NOW).await.unwrap();
        assert_eq!(purged, Purged::new(0, 5_000), "{config}");
    }
}
