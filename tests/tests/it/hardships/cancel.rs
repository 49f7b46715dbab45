//! Cancelled tasks: their handlers are told, have a grace, and are not called again.

use std::time::Duration;

use gae_tasks::backend::{Pull, Sweep, TaskState};
use gae_tasks::testing::{Fault, Operation};
use gae_tasks::{Cancelled, Now, TaskContext, TaskId, deferred};

use super::stage::{Stage, World, busy_runtime, counts, passes_the_gate, plain_passes_the_gate};

const SECOND: Duration = Duration::from_secs(1);

/// Ends once it is cancelled.
#[deferred]
async fn heeds(#[state] stage: &Stage, #[context] cx: &TaskContext) -> Result<(), &'static str> {
    stage.sign(|signs| signs.begun += 1);
    cx.cancelled().await;
    stage.sign(|signs| signs.cancelled += 1);
    Err("it heeds")
}

/// Cancels a running task, and waits until its handler is told: the grace is another sleeper.
async fn cancel(world: &World, id: TaskId) {
    assert_eq!(world.tasks.cancel(id).await.unwrap(), Cancelled::Requested);
    world.until_asleep(7).await;
}

/// Checks that a task is a dead letter that was cancelled after this many attempts.
async fn assert_dead(world: &World, id: TaskId, attempts: u32, error: &str) {
    world.until_none_is_leased().await;
    let record = world.record(id).await;
    assert_eq!((record.state, record.attempts), (TaskState::Dead, attempts));
    let last = &record.errors.last().unwrap().message;
    assert!(last.starts_with("the task was cancelled") && last.ends_with(error), "{last}");
}

#[tokio::test]
async fn a_cancelled_handler_is_dropped_after_its_grace_and_not_before() {
    let world = World::new();
    let id = passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker()).await;
    cancel(&world, id).await;
    world.pass(5 * SECOND - Duration::from_micros(1)).await;
    assert_eq!(world.stage.signs().stopped, 0);
    world.pass(Duration::from_micros(1)).await;
    world.stage.until(|signs| signs.stopped == 1).await;
    assert_dead(&world, id, 1, "did not end within 5 s and was dropped").await;
    running.finish().await;
    assert_eq!(world.stage.signs().begun, 1);
}

#[tokio::test]
async fn the_grace_can_be_set() {
    let world = World::new();
    let id = passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker().cancel_grace(20 * SECOND)).await;
    cancel(&world, id).await;
    world.pass(19 * SECOND).await;
    assert_eq!(world.stage.signs().stopped, 0);
    world.pass(SECOND).await;
    world.stage.until(|signs| signs.stopped == 1).await;
    running.finish().await;
}

#[tokio::test]
async fn a_cancelled_handler_that_succeeds_within_its_grace_is_done() {
    let world = World::new();
    let id = passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker()).await;
    cancel(&world, id).await;
    world.stage.let_pass(1);
    world.until_open(0).await;
    running.finish().await;
    assert!(world.tasks.get(id).await.unwrap().is_none());
    assert_eq!(world.stage.signs().stopped, 0);
}

#[tokio::test]
async fn a_cancelled_handler_is_told_at_once_and_may_fail() {
    let world = World::new();
    let id = heeds::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker()).await;
    assert_eq!(world.other_client().cancel(id).await.unwrap(), Cancelled::Requested);
    world.stage.until(|signs| signs.cancelled == 1).await;
    assert_dead(&world, id, 1, "it heeds").await;
    running.finish().await;
}

#[tokio::test]
async fn a_cancelled_task_has_a_new_life_when_it_is_replayed() {
    let world = World::new();
    let id = passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker().cancel_grace(Duration::ZERO)).await;
    assert_eq!(world.tasks.cancel(id).await.unwrap(), Cancelled::Requested);
    assert_dead(&world, id, 1, "was dropped").await;
    world.stage.let_pass(1);
    world.tasks.replay(id).await.unwrap();
    world.until_open(0).await;
    assert!(world.tasks.get(id).await.unwrap().is_none());
    running.finish().await;
}

#[tokio::test]
async fn a_plain_function_is_told_and_keeps_its_runner_and_its_lease_until_it_returns() {
    let world = World::new();
    let id = plain_passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker().concurrency(1)).await;
    assert_eq!(world.tasks.cancel(id).await.unwrap(), Cancelled::Requested);
    world.stage.until(|signs| signs.cancelled == 1).await;
    counts::defer().on(&world.tasks).await.unwrap();
    world.pass_while_leased(60 * SECOND).await;
    assert_eq!((world.stage.signs().begun, world.is_leased(id).await), (1, true));
    world.stage.let_pass(1);
    world.stage.until(|signs| signs.ended == 2).await;
    world.until_open(0).await;
    assert!(world.tasks.get(id).await.unwrap().is_none(), "the function succeeded");
    running.finish().await;
}

#[test]
fn a_plain_function_that_is_cancelled_before_a_thread_is_free_is_not_called() {
    let (runtime, busy) = busy_runtime();
    runtime.block_on(async {
        let world = World::new();
        let id = plain_passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
        let running = world.start();
        // Its attempt has begun once its deadline is waited for.
        world.until_asleep(6).await;
        assert_eq!(world.tasks.cancel(id).await.unwrap(), Cancelled::Requested);
        // After the first look that was made since, or one that was under way.
        let looks = world.backend.calls(Operation::Cancelled);
        world.until_called(Operation::Cancelled, looks + 3).await;
        drop(busy);
        assert_dead(&world, id, 0, "").await;
        running.finish().await;
        assert_eq!(world.stage.signs().begun, 0);
    });
}

#[tokio::test]
async fn a_shutdown_within_the_grace_leaves_a_dead_letter() {
    let world = World::new();
    let id = passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    let worker = world.tasks.worker().grace(SECOND).cancel_grace(3600 * SECOND);
    let running = world.start_one(worker).await;
    cancel(&world, id).await;
    running.stop().await;
    world.pass(SECOND).await;
    world.stage.until(|signs| signs.stopped == 1).await;
    assert_dead(&world, id, 0, "").await;
    running.finish().await;
}

#[tokio::test]
async fn a_cancelled_task_whose_worker_is_gone_is_not_attempted_again() {
    let world = World::new();
    let id = passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    let first = world.start_one(world.tasks.worker().cancel_grace(3600 * SECOND)).await;
    cancel(&world, id).await;
    let sweep = |lost| Sweep::new(Now::At(world.clock.time()), lost, 100);
    let held = world.backend.sweep(sweep(Vec::new())).await.unwrap().held;
    assert_eq!(world.backend.sweep(sweep(held)).await.unwrap().died, 1);
    assert_dead(&world, id, 0, "").await;
    // The lost worker drops the handler when it learns of the loss.
    world.pass(10 * SECOND).await;
    world.stage.until(|signs| signs.stopped == 1).await;
    first.finish().await;
    assert_eq!(world.stage.signs().begun, 1);
}

#[tokio::test]
async fn a_look_that_fails_is_made_again() {
    let world = World::new();
    let id = heeds::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker()).await;
    for nth in [1, 2] {
        _ = world.backend.clone().with(Operation::Cancelled, nth, Fault::Fail);
    }
    assert_eq!(world.tasks.cancel(id).await.unwrap(), Cancelled::Requested);
    world.stage.until(|signs| signs.cancelled == 1).await;
    assert_dead(&world, id, 1, "it heeds").await;
    running.finish().await;
}
