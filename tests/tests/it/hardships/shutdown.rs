//! The end of a worker: what runs is waited for, what waits goes back.

use std::time::Duration;

use gae_tasks::backend::{TaskFilter, TaskState};
use gae_tasks::testing::{Fault, Operation};

use super::stage::{Running, World, counts, passes_the_gate, turns};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn what_runs_is_waited_for_as_long_as_the_grace_time() {
    let world = World::new();
    let id = passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    let running = Running::start(world.tasks.worker().grace(8 * SECOND));
    world.stage.until(|signs| signs.begun == 1).await;
    running.stop().await;
    world.pass(8 * SECOND - Duration::from_micros(1)).await;
    assert_eq!((world.stage.signs().stopped, running.has_ended()), (0, false));
    world.pass(Duration::from_micros(1)).await;
    world.stage.until(|signs| signs.stopped == 1).await;
    running.finish().await;
    let record = world.record(id).await;
    assert_eq!(
        (record.state, record.attempts, record.errors.len()),
        (TaskState::Scheduled, 0, 0),
        "no attempt is burnt"
    );
}

#[tokio::test]
async fn what_ends_in_the_grace_time_is_recorded_and_nothing_more_is_begun() {
    let world = World::new();
    world.tasks.defer_many((0..3).map(|_| passes_the_gate::defer())).await.unwrap();
    let running = Running::start(world.tasks.worker().concurrency(1).grace(8 * SECOND));
    world.stage.until(|signs| signs.begun == 1).await;
    running.stop().await;
    world.pass(7 * SECOND).await;
    world.stage.let_pass(3);
    running.finish().await;
    let stats = world.tasks.stats().await.unwrap();
    assert_eq!((world.stage.signs().begun, stats.scheduled, stats.leased), (1, 2, 0));
}

/// A worker with one runner that is busy, and with tasks leased ahead for it.
async fn with_tasks_leased_ahead(world: &World) -> Running {
    // Fast tasks first: only then it is worth it to lease ahead.
    world.tasks.defer_many((0..500).map(|_| counts::defer())).await.unwrap();
    let running = Running::start(world.tasks.worker().concurrency(1));
    while world.stage.signs().ended < 500 {
        world.clock.advance(Duration::from_millis(10));
        tokio::task::yield_now().await;
    }
    world.tasks.defer_many((0..20).map(|_| passes_the_gate::defer())).await.unwrap();
    world.stage.until(|signs| signs.begun == 501).await;
    turns().await;
    let leased = world.tasks.stats().await.unwrap().leased;
    assert!(leased > 5, "only {leased} are leased");
    running
}

#[tokio::test]
async fn what_was_leased_ahead_goes_back_though_the_storage_fails_at_first() {
    for fault in [Fault::Fail, Fault::LoseAnswer] {
        let world = World::new();
        let running = with_tasks_leased_ahead(&world).await;
        let faulty = world.backend.clone().with(Operation::Settle, 1, fault).with(Operation::Settle, 2, fault);
        running.stop().await;
        world.stage.let_pass(1);
        // Two pauses after failures, well within the second that the last outcomes have.
        for _ in 0..6 {
            world.pass(Duration::from_millis(100)).await;
        }
        running.finish().await;
        drop(faulty);
        let waiting = world.tasks.list(TaskFilter::new(), None, 100).await.unwrap();
        assert_eq!(waiting.len(), 19, "{fault:?}");
        for record in waiting {
            assert_eq!((record.state, record.attempts, record.lost_leases), (TaskState::Scheduled, 0, 0), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn what_was_leased_ahead_and_does_not_start_goes_back_while_the_worker_goes_on() {
    let world = World::new();
    let running = with_tasks_leased_ahead(&world).await;
    world.pass(7 * SECOND).await;
    let stats = world.tasks.stats().await.unwrap();
    assert_eq!((stats.leased, stats.scheduled), (1, 19), "another worker may have them");
    world.stage.let_pass(20);
    world.until_open(0).await;
    running.finish().await;
}
