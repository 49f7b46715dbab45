//! Deleting a queue beside programs that store tasks in it.

use std::time::Duration;

use gae_tasks::backend::{Backend, DeleteQueue, Enqueue, NewTask, Purged};
use gae_tasks::{Error, Kind, QueueConfig, Shape, TaskSpec};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::stage::{NOW, Stage, id, queue, stored};

const QUEUES: &str = "SELECT count(*) FROM gae_tasks.queue";

fn request() -> DeleteQueue {
    DeleteQueue::new(NOW, queue("q"))
}

/// A transaction that has stored a task, and is not committed.
async fn storing(stage: &Stage, lane: i64) -> PgConnection {
    let mut connection = stage.database.connect().await.unwrap();
    let sql = format!("BEGIN; {}", stored(lane, 0..1));
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
    connection
}

/// Commits as soon as the row of the queue is gone.
async fn commit_late(stage: &Stage, mut connection: PgConnection) {
    while stage.number(QUEUES).await > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    connection.execute("COMMIT").await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_task_that_is_stored_meanwhile_keeps_its_queue() {
    for with_tasks in [false, true] {
        let stage = Stage::new().await;
        let lane = stage.lane("q", "a/b").await;
        let config = QueueConfig::new().with_max_lost_attempts(3);
        stage.backend.put_queue(queue("q"), config.clone()).await.unwrap();
        stage.backend.set_paused(queue("q"), true).await.unwrap();
        let storing = storing(&stage, lane).await;
        let request = if with_tasks { request().with_tasks() } else { request() };
        let (deleted, ()) =
            tokio::join!(stage.backend.delete_queue(request), commit_late(&stage, storing));
        match deleted {
            Ok(purged) => assert_eq!((with_tasks, purged), (true, Purged::new(0, 1))),
            Err(Error::QueueInUse { tasks: 1, dead_letters: 0, .. }) => assert!(!with_tasks),
            Err(error) => panic!("{error}"),
        }
        let queue = stage.backend.queues().await.unwrap().remove(0);
        assert_eq!((queue.config, queue.paused), (Some(config), true));
        assert_eq!(stage.stats().await.scheduled, 1);
    }
}

#[tokio::test]
async fn a_transaction_that_stays_open_keeps_no_queue_for_ever() {
    let stage = Stage::new().await;
    let lane = stage.lane("q", "a/b").await;
    let storing = storing(&stage, lane).await;
    assert_eq!(stage.backend.delete_queue(request()).await.unwrap(), Purged::new(0, 0));
    assert_eq!(stage.number(QUEUES).await, 0);
    drop(storing);
}

#[tokio::test]
async fn a_queue_is_deleted_with_all_that_is_in_it() {
    let stage = Stage::new().await;
    let lane = stage.lane("q", "a/b").await;
    stage.store(lane, 0..3_000).await;
    stage.lease(0..100).await;
    stage.kill(200..300).await;
    let refused = stage.backend.delete_queue(request()).await.unwrap_err();
    assert!(
        matches!(refused, Error::QueueInUse { tasks: 2_900, dead_letters: 100, .. }),
        "{refused}"
    );
    let deleted = stage.backend.delete_queue(request().with_tasks()).await.unwrap();
    assert_eq!((deleted, stage.number(QUEUES).await), (Purged::new(3_000, 0), 0));
    let left = "SELECT (SELECT count(*) FROM gae_tasks.task) + (SELECT count(*) FROM \
                gae_tasks.waiting) + (SELECT count(*) FROM gae_tasks.lease)";
    assert_eq!(stage.number(left).await, 0);
    assert_eq!(stage.number("SELECT count(*) FROM gae_tasks.lane").await, 1, "lanes stay");
}

#[tokio::test]
async fn rows_by_which_no_task_waits_keep_no_queue() {
    let stage = Stage::new().await;
    let lane = stage.lane("q", "a/b").await;
    stage.store(lane, 0..3).await;
    stage.execute("DELETE FROM gae_tasks.task WHERE schedule_time < 2").await;
    let deleted = stage.backend.delete_queue(request().with_tasks()).await.unwrap();
    assert_eq!((deleted, stage.number(QUEUES).await), (Purged::new(1, 0), 0));
    assert_eq!(stage.number("SELECT count(*) FROM gae_tasks.waiting").await, 0);
}

#[tokio::test]
async fn a_queue_that_a_newer_program_configured_stays() {
    let stage = Stage::new().await;
    let lane = stage.lane("q", "a/b").await;
    stage.store(lane, 0..1).await;
    stage.execute("UPDATE gae_tasks.queue SET config = '\\x0207'").await;
    for request in [request(), request().with_tasks()] {
        let refused = stage.backend.delete_queue(request).await.unwrap_err();
        assert!(matches!(refused, Error::NewerQueue { .. }), "{refused}");
    }
    assert_eq!((stage.number(QUEUES).await, stage.stats().await.scheduled), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_task_is_lost_that_is_stored_while_its_queue_is_deleted() {
    let stage = Stage::new().await;
    let other = stage.other().await;
    let (mut left, mut deleted) = (0, 0);
    for round in 0..100 {
        let kind = Kind::new("a/b").unwrap();
        let spec = TaskSpec::new(id(round), kind, Shape::from_bits(0), queue("q"));
        let task = NewTask::new(spec, vec![1], Vec::new());
        let (stored, gone) = tokio::join!(
            other.enqueue(Enqueue::new(NOW, vec![task])),
            stage.backend.delete_queue(request().with_tasks())
        );
        assert!(stored.unwrap().remove(0).unwrap().created);
        deleted += gone.unwrap().deleted;
        let scheduled = stage.stats().await.scheduled;
        assert_eq!(scheduled + deleted, u64::from(round) + 1);
        assert!(scheduled == 0 || stage.number(QUEUES).await == 1, "a queue without a row");
        left += scheduled;
    }
    assert!(left > 0 && deleted > 0, "they never met");
}
