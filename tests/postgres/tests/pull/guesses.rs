//! An idle worker looks first where it found the last task, and is fair all the same.

use std::time::Duration;

use gae_tasks::TaskId;
use gae_tasks::backend::{Backend, Lease, Leased, Pull};

use crate::stage::{Stage, id, leasing, queue};

fn ids(leased: &Leased) -> Vec<TaskId> {
    leased.tasks.iter().map(|task| task.lease.id).collect()
}

/// A worker of the queues `a` and `b`.
struct Worker<'a> {
    stage: &'a Stage,
    request: Lease,
}

impl<'a> Worker<'a> {
    /// Creates a worker that has found its last task in the queue `a`, and nothing since.
    async fn idle_after_a(stage: &'a Stage) -> Self {
        Self::with_room(stage, 10).await
    }

    async fn with_room(stage: &'a Stage, room: usize) -> Self {
        let worker = Self { stage, request: leasing(["a", "b"], room) };
        for (queue, number) in [("b", 8), ("a", 9)] {
            stage.store(queue, number..number + 1).await;
            assert_eq!(ids(&worker.lease().await), [id(number)]);
        }
        assert_eq!(ids(&worker.lease().await), []);
        worker
    }

    async fn lease(&self) -> Leased {
        let leased = self.stage.backend.lease(self.request.clone()).await;
        leased.expect("the server answers")
    }
}

#[tokio::test]
async fn a_worker_asks_again_at_once_until_nothing_is_due() {
    let stage = Stage::new().await;
    let request = leasing(["a"], 10);
    stage.store("a", 1..2).await;
    let lease = || async { stage.backend.lease(request.clone()).await.expect("it answers") };
    let first = lease().await;
    assert_eq!((ids(&first), first.next), (vec![id(1)], Some(Duration::ZERO)));
    let second = lease().await;
    assert_eq!((ids(&second), second.next), (vec![], None));
}

#[tokio::test]
async fn an_idle_worker_takes_from_where_it_found_the_last_task_and_then_looks_everywhere() {
    let stage = Stage::new().await;
    let worker = Worker::idle_after_a(&stage).await;
    stage.store("b", 2..3).await;
    stage.store("a", 3..4).await;
    let guessed = worker.lease().await;
    assert_eq!((ids(&guessed), guessed.next), (vec![id(3)], Some(Duration::ZERO)));
    stage.store("a", 4..5).await;
    let mut found = ids(&worker.lease().await);
    found.sort_unstable();
    assert_eq!(found, [id(2), id(4)], "a worker that is not idle does not guess");
}

#[tokio::test]
async fn a_guess_is_about_one_task_however_many_are_due() {
    let stage = Stage::new().await;
    let worker = Worker::with_room(&stage, 2).await;
    stage.store("a", 1..6).await;
    stage.store("b", 7..8).await;
    assert_eq!(ids(&worker.lease().await), [id(1)]);
    assert!(ids(&worker.lease().await).contains(&id(7)), "the other queue has its turn");
}

#[tokio::test]
async fn nothing_is_guessed_beyond_the_bound_of_a_queue() {
    let stage = Stage::new().await;
    let mut worker = Worker::idle_after_a(&stage).await;
    worker.request.bounds.insert(queue("a"), 0);
    stage.store("a", 1..2).await;
    stage.store("b", 2..3).await;
    assert_eq!(ids(&worker.lease().await), [id(2)]);
}

#[tokio::test]
async fn a_guess_is_that_of_one_worker() {
    let stage = Stage::new().await;
    let worker = Worker::idle_after_a(&stage).await;
    stage.store("a", 1..2).await;
    let other = Worker { stage: &stage, request: leasing(["b"], 10) };
    assert_eq!(ids(&other.lease().await), []);
    assert_eq!(ids(&worker.lease().await), [id(1)]);
}

#[tokio::test]
async fn a_wrong_guess_costs_nothing_but_a_statement() {
    let stage = Stage::new().await;
    let worker = Worker::idle_after_a(&stage).await;
    stage.store("b", 2..4).await;
    assert_eq!(ids(&worker.lease().await), [id(2), id(3)]);
}

#[tokio::test]
async fn a_task_that_is_due_before_the_last_one_is_found_by_the_scan() {
    let stage = Stage::new().await;
    let worker = Worker::idle_after_a(&stage).await;
    stage.store("a", 2..4).await;
    stage.execute("UPDATE gae_tasks.waiting SET due = 0 WHERE task::text LIKE '%2'").await;
    assert_eq!(ids(&worker.lease().await), [id(3)]);
    assert_eq!(ids(&worker.lease().await), [id(2)]);
}

#[tokio::test]
async fn nothing_is_guessed_in_a_queue_that_was_paused_since() {
    let stage = Stage::new().await;
    let worker = Worker::idle_after_a(&stage).await;
    stage.backend.set_paused(queue("a"), true).await.expect("it is paused");
    stage.store("a", 2..3).await;
    assert_eq!(ids(&worker.lease().await), []);
}

#[tokio::test]
async fn nothing_is_guessed_in_a_lane_of_another_server() {
    let stage = Stage::new().await;
    let worker = Worker::idle_after_a(&stage).await;
    stage.store("a", 2..3).await;
    // The lane's number is that of another queue there, which this process stores tasks in.
    let lane = "UPDATE gae_tasks.lane SET queue = 'other' WHERE queue = 'a'";
    stage.execute(lane).await;
    let made = "INSERT INTO gae_tasks.queue SELECT 'other', config, paused FROM gae_tasks.queue \
                WHERE name = 'a'; UPDATE gae_tasks.version SET queue_changes = queue_changes - 1";
    stage.execute(made).await;
    stage.database.terminate_backends().await.expect("the server answers");
    stage.store("other", 3..4).await;
    stage.store("b", 4..5).await;
    assert_eq!(ids(&worker.lease().await), [id(4)]);
}
