//! Handlers that take too long, panic, or block.

use std::thread;
use std::time::Duration;

use gae_tasks::Now;
use gae_tasks::backend::{Pull, Sweep, TaskState};

use super::stage::{
    Running, World, blocks_the_runtime, counts, panics, pass_while_leased, passes_the_gate,
    plain_passes_the_gate,
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_handler_is_stopped_at_its_deadline_and_not_before() {
    let world = World::new();
    world.retry_briefly("default").await;
    let id = passes_the_gate::defer().deadline(10 * SECOND).on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker()).await;
    world.pass(10 * SECOND - Duration::from_micros(1)).await;
    assert_eq!(world.stage.signs().stopped, 0);
    world.pass(Duration::from_micros(1)).await;
    world.stage.until(|signs| signs.stopped == 1).await;
    running.finish().await;
    let record = world.record(id).await;
    assert_eq!((record.state, record.attempts), (TaskState::Scheduled, 1));
    assert!(record.errors[0].message.contains("deadline of 10 s"), "{:?}", record.errors);
    assert_eq!(
        record.schedule_time,
        world.clock.time().plus(Duration::from_millis(100)),
        "the backoff of a failure"
    );
}

#[tokio::test]
async fn a_plain_function_is_told_of_its_deadline_and_waited_for() {
    let world = World::new();
    plain_passes_the_gate::defer().deadline(10 * SECOND).on(&world.tasks).await.unwrap();
    let running = world.start_one(world.tasks.worker()).await;
    world.pass(9 * SECOND).await;
    assert_eq!(world.stage.signs().cancelled, 0);
    world.pass(SECOND).await;
    world.stage.until(|signs| signs.cancelled == 1).await;
    assert_eq!(world.tasks.stats().await.unwrap().leased, 1, "the handler still runs");
    world.stage.let_pass(1);
    world.until_open(0).await;
    assert_eq!(world.stage.signs().begun, 1, "the handler succeeded, though late");
    running.finish().await;
}

#[tokio::test]
async fn a_panic_costs_its_task_an_attempt_and_nobody_else_anything() {
    let world = World::new();
    let id = panics::defer().on(&world.tasks).await.unwrap().id;
    counts::defer().on(&world.tasks).await.unwrap();
    let running = Running::start(world.tasks.worker().concurrency(1));
    world.stage.until(|signs| signs.ended == 2).await;
    world.until_open(1).await;
    running.finish().await;
    let record = world.record(id).await;
    assert_eq!((record.state, record.attempts, record.lost_leases), (TaskState::Scheduled, 1, 0));
    assert_eq!(record.errors[0].message, "the handler panicked: a failure planned by the test");
}

#[tokio::test]
async fn a_plain_function_blocks_no_other_task() {
    let world = World::new();
    plain_passes_the_gate::defer().on(&world.tasks).await.unwrap();
    let running = world.start_one(world.tasks.worker()).await;
    counts::defer().on(&world.tasks).await.unwrap();
    world.stage.until(|signs| signs.ended == 1).await;
    world.stage.let_pass(1);
    world.until_open(0).await;
    running.finish().await;
}

#[tokio::test]
async fn an_attempt_may_outlast_many_leases() {
    let world = World::new();
    let id = passes_the_gate::defer().deadline(3600 * SECOND).on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker()).await;
    let other = Running::start(world.other_client().worker());
    world.pass_while_leased(300 * SECOND).await;
    assert_eq!((world.is_leased(id).await, world.record(id).await.lost_leases), (true, 0));
    world.stage.let_pass(1);
    world.until_open(0).await;
    assert_eq!(world.stage.signs().begun, 1);
    running.finish().await;
    other.finish().await;
}

/// The only thread of the runtime is blocked: leases are extended on a thread of their own.
#[tokio::test]
async fn a_handler_that_blocks_the_whole_runtime_keeps_its_lease() {
    let world = World::new();
    blocks_the_runtime::defer().on(&world.tasks).await.unwrap();
    let (stage, clock, backend) = (world.stage.clone(), world.clock.clone(), world.backend.clone());
    let observer = thread::spawn(move || {
        let _door = stage.door();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            stage.until(|signs| signs.begun == 1).await;
            let sweep = |lost| Sweep::new(Now::At(clock.time()), lost, 100);
            let seen = backend.sweep(sweep(Vec::new())).await.unwrap().held;
            pass_while_leased(&clock, &backend, 100 * SECOND).await;
            assert_eq!(seen.len(), 1);
            backend.sweep(sweep(seen)).await.unwrap().recovered
        })
    });
    let running = world.start();
    world.stage.until(|signs| signs.ended == 1).await;
    world.until_open(0).await;
    running.finish().await;
    assert_eq!(observer.join().unwrap(), 0, "other workers took the lease for lost");
    assert_eq!(world.stage.signs().begun, 1);
}
