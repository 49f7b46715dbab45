//! Thousands of queues: their scan costs more than a lease, so it is used for several leases.

use std::collections::HashSet;

use gae_tasks::backend::{Backend, Pull};

use crate::stage::{Stage, leasing, queue, task};

const QUEUES: u32 = 3_000;

fn name(number: u32) -> String {
    format!("q{number:04}")
}

/// A stage with three tasks in each of the queues.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    let tasks = |round: u32| (0..QUEUES).map(move |of| task(&name(of), round * QUEUES + of));
    for round in 0..3 {
        stage.enqueue(tasks(round).collect()).await;
    }
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn every_queue_has_its_turn_before_any_has_a_second() {
    let stage = stage().await;
    let names: Vec<_> = (0..QUEUES).map(name).collect();
    let mut request = leasing(names.iter().map(String::as_str), 500);
    let mut seen = HashSet::new();
    while seen.len() < QUEUES as usize {
        let leased = stage.backend.lease(request.clone()).await.expect("the server answers");
        let of: HashSet<_> = leased.tasks.iter().map(|task| task.spec.queue.clone()).collect();
        let is_new = seen.is_disjoint(&of);
        request.last_turn = leased.tasks.last().map(|task| task.spec.queue.clone());
        seen.extend(of);
        assert!(is_new || seen.len() == QUEUES as usize, "a second turn before {}", seen.len());
    }
    let mut left = 0;
    loop {
        let leased = stage.backend.lease(request.clone()).await.expect("the server answers");
        left += leased.tasks.len();
        if leased.tasks.is_empty() {
            break;
        }
    }
    assert!(left < 2 * QUEUES as usize + 500);
    assert_eq!(stage.count("waiting").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_paused_gives_nothing_to_the_next_lease() {
    let stage = stage().await;
    let names: Vec<_> = (0..QUEUES).map(name).collect();
    let mut request = leasing(names.iter().map(String::as_str), 100);
    for _ in 0..3 {
        let first = stage.backend.lease(request.clone()).await.expect("the server answers");
        request.last_turn = first.tasks.last().map(|task| task.spec.queue.clone());
        let number: u32 = request.last_turn.as_ref().unwrap().as_str()[1..].parse().unwrap();
        let next = queue(&name(number + 1));
        stage.backend.set_paused(next.clone(), true).await.expect("it is paused");
        let leased = stage.backend.lease(request.clone()).await.expect("the server answers");
        assert!(leased.tasks.iter().all(|task| task.spec.queue != next));
        assert_eq!(leased.tasks.len(), 100);
    }
}
