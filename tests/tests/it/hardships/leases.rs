//! Lost leases: the attempt is stopped, and its later outcome is ignored.

use std::sync::Arc;
use std::time::Duration;

use gae_tasks::backend::{
    Lease, LeasedTask, Pull, Room, Routes, Settle, Settled, Sweep, TaskState, Verdict,
};
use gae_tasks::testing::Operation;
use gae_tasks::testing::conformance::settlement;
use gae_tasks::{Now, QueueName, TaskId};

use super::stage::{
    Running, World, busy_runtime, counts, passes_the_gate, plain_passes_the_gate, turns,
};

const SECOND: Duration = Duration::from_secs(1);

/// Another worker, which takes the first one for dead, takes its task.
async fn take_over(world: &World) -> LeasedTask {
    let sweep = |lost| Sweep::new(Now::At(world.clock.time()), lost, 100);
    let held = world.backend.sweep(sweep(Vec::new())).await.unwrap().held;
    assert_eq!(world.backend.sweep(sweep(held)).await.unwrap().recovered, 1);
    let queues = Arc::new([QueueName::DEFAULT].into());
    let now = Now::At(world.clock.time());
    let lease = Lease::new(now, queues, Routes::Any, Room::new(1), 3600 * SECOND);
    world.backend.lease(lease).await.unwrap().tasks.remove(0)
}

/// The end of the task in the other worker.
async fn done_by_the_other(world: &World, task: LeasedTask) -> Vec<Settled> {
    let settlements = vec![settlement(task.lease, None, Verdict::Done)];
    let settle = Settle::new(Now::At(world.clock.time()), settlements);
    world.backend.settle(settle).await.unwrap()
}

async fn begun(world: &World) -> (TaskId, Running) {
    let id = passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    (id, world.start_one(world.tasks.worker()).await)
}

#[tokio::test]
async fn an_attempt_whose_lease_another_got_is_stopped() {
    let world = World::new();
    let (id, running) = begun(&world).await;
    let other = take_over(&world).await;
    let before = world.record(id).await;
    world.pass(10 * SECOND).await;
    world.stage.until(|signs| signs.stopped == 1).await;
    turns().await;
    assert_eq!(world.record(id).await, before, "the worker that lost the lease records nothing");
    assert_eq!((before.state, before.attempts), (TaskState::Leased, 0));
    assert_eq!(done_by_the_other(&world, other).await, [Settled::Done]);
    running.finish().await;
    assert_eq!(world.stage.signs().begun, 1);
}

#[tokio::test]
async fn an_outcome_that_comes_too_late_changes_nothing() {
    let world = World::new();
    let (id, running) = begun(&world).await;
    let other = take_over(&world).await;
    let before = world.record(id).await;
    world.stage.let_pass(1);
    world.stage.until(|signs| signs.ended == 1).await;
    world.until_called(Operation::Settle, 1).await;
    turns().await;
    assert_eq!(world.record(id).await, before);
    assert_eq!(done_by_the_other(&world, other).await, [Settled::Done]);
    running.finish().await;
}

#[tokio::test]
async fn a_plain_function_whose_lease_another_got_is_told_and_counts_for_nothing() {
    let world = World::new();
    let id = plain_passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker()).await;
    let other = take_over(&world).await;
    let before = world.record(id).await;
    world.pass(10 * SECOND).await;
    world.stage.until(|signs| signs.cancelled == 1).await;
    world.stage.let_pass(1);
    world.stage.until(|signs| signs.ended == 1).await;
    world.until_called(Operation::Settle, 1).await;
    turns().await;
    assert_eq!(world.record(id).await, before);
    assert_eq!(done_by_the_other(&world, other).await, [Settled::Done]);
    running.finish().await;
}

#[tokio::test]
async fn a_deleted_task_is_stopped_when_its_lease_is_extended() {
    let world = World::new();
    let id = passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker().concurrency(1)).await;
    world.tasks.delete(id).await.unwrap();
    counts::defer().on(&world.tasks).await.unwrap();
    world.pass(10 * SECOND).await;
    // The only runner is free again once the handler is dropped.
    world.stage.until(|signs| (signs.stopped, signs.ended) == (1, 1)).await;
    world.until_open(0).await;
    running.finish().await;
}

#[tokio::test]
async fn an_attempt_is_stopped_once_its_lease_has_run_out_unextended() {
    let world = World::new();
    let (_, running) = begun(&world).await;
    world.backend.set_down(true);
    world.pass_among(6, 30 * SECOND).await;
    assert_eq!(world.stage.signs().stopped, 0, "the attempt holds its lease until then");
    // No other worker may take the task before, so the attempt is stopped exactly then, even if the
    // storage fails.
    world.pass(Duration::from_millis(10)).await;
    world.stage.until(|signs| signs.stopped == 1).await;
    world.backend.set_down(false);
    world.stage.let_pass(1);
    world.pass(60 * SECOND).await;
    world.until_open(0).await;
    running.finish().await;
}

/// The watcher of expiring leases has slept since before this lease was given.
#[tokio::test]
async fn a_lease_that_was_given_to_an_idle_worker_runs_out_in_time() {
    let world = World::new();
    let running = world.start();
    world.until_asleep(5).await;
    world.pass_among(5, 5 * SECOND).await;
    passes_the_gate::defer().on(&world.tasks).await.unwrap();
    world.stage.until(|signs| signs.begun == 1).await;
    world.until_asleep(6).await;
    world.backend.set_down(true);
    world.pass_among(6, 30 * SECOND).await;
    assert_eq!(world.stage.signs().stopped, 0);
    world.pass(Duration::from_millis(10)).await;
    world.stage.until(|signs| signs.stopped == 1).await;
    world.backend.set_down(false);
    world.stage.let_pass(1);
    world.pass_until(100 * SECOND, |signs| signs.ended == 1).await;
    running.finish().await;
}

#[tokio::test]
async fn a_lease_is_extended_three_times_as_often_as_it_must_be() {
    let world = World::new();
    let (_, running) = begun(&world).await;
    world.pass_among(6, 65 * SECOND).await;
    assert_eq!(world.backend.calls(Operation::Extend), 6);
    world.stage.let_pass(1);
    world.until_open(0).await;
    running.finish().await;
}

/// A short lease is extended in time after an outage of the storage of any length.
#[tokio::test]
async fn a_short_lease_is_tried_to_be_extended_as_often_while_the_storage_is_away() {
    let world = World::new();
    passes_the_gate::defer().on(&world.tasks).await.unwrap();
    let running = world.start_one(world.tasks.worker().lease(3 * SECOND)).await;
    world.backend.set_down(true);
    world.pass_among(6, 20 * SECOND).await;
    let before = world.backend.calls(Operation::Extend);
    world.pass_among(6, 10 * SECOND).await;
    assert!(world.backend.calls(Operation::Extend) - before >= 9);
    world.backend.set_down(false);
    world.stage.let_pass(2);
    world.pass_until(100 * SECOND, |signs| signs.ended == 1).await;
    running.finish().await;
}

#[tokio::test]
async fn a_plain_function_that_outlives_its_worker_keeps_its_lease() {
    let world = World::new();
    let id =
        plain_passes_the_gate::defer().deadline(3600 * SECOND).on(&world.tasks).await.unwrap().id;
    let first = world.start_one(world.tasks.worker().grace(8 * SECOND)).await;
    first.stop().await;
    world.pass(10 * SECOND).await;
    first.finish().await;
    world.stage.until(|signs| signs.cancelled == 1).await;
    let second = Running::start(world.other_client().worker());
    world.pass_while_leased(100 * SECOND).await;
    assert_eq!((world.is_leased(id).await, world.record(id).await.lost_leases), (true, 0));
    world.stage.let_pass(1);
    world.until_open(0).await;
    assert_eq!(world.stage.signs().begun, 1);
    second.finish().await;
}

#[test]
fn a_plain_function_whose_lease_is_lost_before_there_is_a_thread_for_it_is_not_begun() {
    let (runtime, busy) = busy_runtime();
    runtime.block_on(async {
        let world = World::new();
        let (_, running) = begun(&world).await;
        let id = plain_passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
        world.until_asleep(7).await;
        world.tasks.delete(id).await.unwrap();
        // The result of an extension is known to all roles before the next extension is requested.
        world.pass_until(60 * SECOND, |_| world.backend.calls(Operation::Extend) >= 2).await;
        drop(busy);
        world.stage.let_pass(2);
        running.finish().await;
        assert_eq!(world.stage.signs().begun, 1, "the task ran without a lease");
    });
}
