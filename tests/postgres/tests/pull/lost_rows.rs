//! Rows that are lost, or left over: others are leased beside them, and sweeps mend what they can.

use gae_tasks::backend::{Backend, Pull, Standing};

use crate::stage::{Stage, id, leasing};

#[tokio::test]
async fn a_waiting_row_without_a_task_is_removed() {
    let stage = Stage::new().await;
    stage.store("q", 1..4).await;
    stage.execute("DELETE FROM gae_tasks.task WHERE id::text LIKE '%1'").await;
    let leased = stage.lease(10).await;
    assert_eq!(leased.tasks.len(), 2);
    assert_eq!([stage.count("waiting").await, stage.count("lease").await], [0, 2]);
}

#[tokio::test]
async fn a_waiting_row_of_a_leased_task_is_removed_and_the_others_are_leased() {
    // Where the row of the task says, and elsewhere.
    for due in ["schedule_time", "schedule_time - 7"] {
        let stage = Stage::new().await;
        stage.store("q", 1..4).await;
        let leases = stage.leases(1).await;
        let again = format!(
            "INSERT INTO gae_tasks.waiting SELECT lane, {due}, id, 7, 0, false, false FROM \
             gae_tasks.task WHERE id::text LIKE '%1'"
        );
        stage.execute(&again).await;
        let leased = stage.lease(10).await.tasks;
        let ids: Vec<_> = leased.iter().map(|task| task.lease.id).collect();
        assert_eq!(ids, [id(2), id(3)], "{due}");
        assert_eq!(stage.extend(leases).await, [true], "the lease stays");
        assert_eq!(stage.count("waiting").await, 0, "{due}");
    }
}

#[tokio::test]
async fn a_lane_that_cannot_be_read_holds_up_nobody() {
    let stage = Stage::new().await;
    stage.store("q", 1..2).await;
    stage
        .execute(
            "UPDATE gae_tasks.waiting SET lane = 77; INSERT INTO gae_tasks.lane (queue, kind, \
             shape, version, turn, refusers) VALUES ('q', '', 7, 1, 9, '\\x01'); UPDATE \
             gae_tasks.waiting SET lane = (SELECT max(id) FROM gae_tasks.lane)",
        )
        .await;
    stage.store("q", 2..3).await;
    assert_eq!(stage.lease(10).await.tasks.len(), 1);
    assert_eq!(stage.count("waiting").await, 1, "it is left to programs that can read it");
}

#[tokio::test]
async fn a_task_that_neither_waits_nor_is_leased_is_put_back() {
    let stage = Stage::new().await;
    stage.store("q", 1..4).await;
    stage.leases(1).await;
    stage.execute("DELETE FROM gae_tasks.waiting WHERE task::text LIKE '%2'").await;
    let recovered = |swept: gae_tasks::backend::Swept| swept.recovered;
    let sweep = gae_tasks::backend::Sweep::new(gae_tasks::Now::Storage, Vec::new(), 1000);
    assert_eq!(recovered(stage.backend.sweep(sweep.clone()).await.unwrap()), 1);
    assert_eq!(recovered(stage.backend.sweep(sweep).await.unwrap()), 0);
    let leased = stage.lease(10).await.tasks;
    let standings: Vec<_> = leased.iter().map(|task| (task.lease.id, task.standing)).collect();
    assert_eq!(standings, [(id(2), Standing::Marked), (id(3), Standing::Clear)]);
}

#[tokio::test]
async fn a_task_that_is_just_leased_is_no_stray() {
    let stage = Stage::new().await;
    stage.store("q", 1..2).await;
    let leasing = stage
        .transaction(
            "WITH w AS (DELETE FROM gae_tasks.waiting RETURNING task) INSERT INTO gae_tasks.lease \
             SELECT task, 7, 9, 9, false, false FROM w",
        )
        .await;
    assert_eq!(stage.sweep().await.recovered, 0);
    crate::stage::end(leasing, "COMMIT").await;
    assert_eq!([stage.count("waiting").await, stage.count("lease").await], [0, 1]);
}

#[tokio::test]
async fn a_queue_that_lost_its_row_is_made_again_by_a_sweep() {
    let stage = Stage::new().await;
    stage.store("q", 1..2).await;
    stage.execute("DELETE FROM gae_tasks.queue").await;
    let leased = stage.backend.lease(leasing(["q"], 0)).await.expect("the server answers");
    assert_eq!(leased.tasks.len(), 0);
    stage.sweep().await;
    let queues = stage.backend.queues().await.expect("the server answers");
    assert_eq!(queues.len(), 1);
    assert_eq!(stage.lease(1).await.tasks.len(), 1);
}
