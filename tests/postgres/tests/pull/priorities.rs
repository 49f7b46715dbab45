//! Priorities where a worker takes without a scan, and where several workers take at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gae_tasks::backend::{Backend, Lease, NewTask, Pull};
use gae_tasks::{QueueConfig, TaskId};
use tokio::task::JoinSet;

use crate::stage::{Stage, id, leasing, queue, task};

fn of(number: u32, priority: i8) -> NewTask {
    task("q", number).with(|task| task.spec.priority = priority)
}

async fn lease(stage: &Stage, request: &Lease) -> Vec<TaskId> {
    let leased = stage.backend.lease(request.clone()).await.expect("the server answers");
    leased.tasks.iter().map(|task| task.lease.id).collect()
}

#[tokio::test]
async fn an_idle_worker_takes_at_most_one_task_before_those_of_higher_priority() {
    let stage = Stage::new().await;
    let request = leasing(["q"], 10);
    for (number, priority) in [(1, 100), (2, 0)] {
        stage.enqueue(vec![of(number, priority)]).await;
        assert_eq!(lease(&stage, &request).await, [id(number)]);
    }
    assert_eq!(lease(&stage, &request).await, []);
    stage.enqueue(vec![of(3, 0), of(4, 0), of(5, 100)]).await;
    assert_eq!(lease(&stage, &request).await, [id(3)], "the guess");
    assert_eq!(lease(&stage, &request).await, [id(5), id(4)]);
}

#[tokio::test]
async fn what_is_left_of_a_lane_is_leased_next_in_its_order() {
    let stage = Stage::new().await;
    let tasks = (1..=40).map(|number| of(number, [0, 1, 100][number as usize % 3]));
    stage.enqueue(tasks.collect()).await;
    let mut leased = Vec::new();
    while leased.len() < 40 {
        let some = lease(&stage, &leasing(["q"], 7)).await;
        assert!(!some.is_empty(), "{leased:?}");
        leased.extend(some);
    }
    let of_rest = |rest| (1..=40).filter(move |number| number % 3 == rest).map(id);
    let expected: Vec<_> = [2, 1, 0].into_iter().flat_map(of_rest).collect();
    assert_eq!(leased, expected);
}

#[tokio::test]
async fn the_step_of_a_queue_counts_from_the_next_lease_on() {
    let stage = Stage::new().await;
    let request = leasing(["q"], 1);
    stage.enqueue(vec![of(1, 0)]).await;
    stage.execute("UPDATE gae_tasks.waiting SET due = due - 20000000").await;
    stage.execute("UPDATE gae_tasks.task SET schedule_time = schedule_time - 20000000").await;
    stage.enqueue(vec![of(2, 1)]).await;
    let step = QueueConfig::new().with_priority_step(Duration::from_secs(1));
    stage.backend.put_queue(queue("q"), step).await.expect("it is configured");
    assert_eq!(lease(&stage, &request).await, [id(1)], "twenty seconds are more than one");
    assert_eq!(lease(&stage, &request).await, [id(2)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_take_at_once_share_no_task_of_any_priority() {
    const TASKS: u32 = 400;
    let stage = Stage::new().await;
    let tasks = (1..=TASKS).map(|number| of(number, [-100, -1, 0, 1, 100][number as usize % 5]));
    stage.enqueue(tasks.collect()).await;
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let (backend, request) = (Arc::clone(&stage.backend), leasing(["q"], 9));
        workers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let leased = backend.lease(request.clone()).await.expect("the server answers");
                if leased.tasks.is_empty() && leased.next.is_none() {
                    return mine;
                }
                mine.extend(leased.tasks.iter().map(|task| task.lease.id));
            }
        });
    }
    let leased: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    let distinct: BTreeSet<_> = leased.iter().copied().collect();
    assert_eq!((leased.len(), distinct), (TASKS as usize, (1..=TASKS).map(id).collect()));
}
