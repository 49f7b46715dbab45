//! Values that cannot be read: each fails alone.

use gae_tasks::backend::{Backend, List, TaskFilter};

use crate::stage::{Stage, id, queue, request};

async fn three() -> Stage {
    let stage = Stage::new().await;
    let lane = stage.lane("q", "a/b").await;
    stage.store(lane, 0..3).await;
    stage
}

async fn listed(stage: &Stage) -> Vec<gae_tasks::TaskId> {
    let page = stage.backend.list(List::new(TaskFilter::new(), 2)).await.unwrap();
    page.into_iter().map(|record| record.spec.id).collect()
}

#[tokio::test]
async fn a_task_with_damaged_parts_is_shown_without_them() {
    let stage = three().await;
    stage
        .execute(
            "UPDATE gae_tasks.task SET retry = '\\xff', errors = '\\x01ff', name = 'no name!', \
             attributes = '\\xff', attempts = -1, deadline = -1 WHERE schedule_time = 0",
        )
        .await;
    let record = stage.backend.get(id(0)).await.unwrap().unwrap();
    assert_eq!((record.spec.retry, record.errors, record.spec.name), (None, vec![], None));
    assert_eq!(listed(&stage).await, [id(0), id(1)]);
    stage.backend.run_now(request(0)).await.unwrap();
    assert!(stage.backend.delete(request(0)).await.unwrap());
    assert_eq!(listed(&stage).await, [id(1), id(2)]);
}

#[tokio::test]
async fn a_name_that_cannot_be_read_is_blocked_all_the_same() {
    let stage = three().await;
    stage
        .execute(
            "UPDATE gae_tasks.task SET name = 'no name!' WHERE schedule_time = 0; INSERT INTO \
             gae_tasks.name (queue, name, task) SELECT 'q', name, id FROM gae_tasks.task WHERE \
             name IS NOT NULL",
        )
        .await;
    stage.backend.delete(request(0)).await.unwrap();
    let blocked = "SELECT count(*) FROM gae_tasks.name WHERE name = 'no name!' AND until > 0";
    assert_eq!(stage.number(blocked).await, 1);
}

#[tokio::test]
async fn tasks_of_a_damaged_lane_are_skipped_and_can_be_deleted() {
    for damage in ["kind = ''", "refusers = '\\x01'", "version = -1", "priority = 200"] {
        let stage = three().await;
        let bad = stage.lane("q", "a/c").await;
        stage.store(bad, 10..12).await;
        stage.execute(&format!("UPDATE gae_tasks.lane SET {damage} WHERE id = {bad}")).await;
        let stage = Stage { backend: stage.other().await, database: stage.database };
        assert_eq!(listed(&stage).await, [id(0), id(1)], "{damage}");
        let all = stage.backend.list(List::new(TaskFilter::new(), 2).newest_first()).await.unwrap();
        assert_eq!(all.len(), 2, "{damage}: a page is not shorter for what it skips");
        assert!(stage.backend.get(id(10)).await.is_err(), "{damage}");
        assert_eq!(stage.stats().await.scheduled, 3, "{damage}");
        assert!(stage.backend.delete(request(10)).await.unwrap(), "{damage}");
        let purged = stage.backend.purge(queue("q"), crate::stage::NOW).await.unwrap();
        assert_eq!((purged.deleted, purged.left), (3, 1), "{damage}");
    }
}

#[tokio::test]
async fn a_queue_that_cannot_be_read_hides_no_other() {
    let stage = three().await;
    stage
        .execute(
            "INSERT INTO gae_tasks.queue VALUES ('', '\\x01', false), ('damaged', '\\xff', true); \
             INSERT INTO gae_tasks.lane (queue, kind, shape, version, refusers, turn) VALUES \
             ('damaged', 'a/b', 0, 0, '', 2)",
        )
        .await;
    let queues = stage.backend.queues().await.unwrap();
    let names: Vec<_> = queues.iter().map(|queue| queue.name.as_str()).collect();
    assert_eq!(names, ["damaged", "q"]);
    assert_eq!((queues[0].config.is_none(), queues[0].paused), (true, true));
    let lane = "SELECT id FROM gae_tasks.lane WHERE queue = 'damaged'";
    stage.store(stage.number(lane).await, 20..22).await;
    let lines = stage.backend.stats(crate::stage::NOW).await.unwrap();
    let counted: Vec<_> = lines.iter().map(|line| (line.is_newer, line.stats.scheduled)).collect();
    assert_eq!(counted, [(true, 2), (false, 3)]);
}
