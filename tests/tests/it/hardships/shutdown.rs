//! The end of a worker: running attempts are waited for, waiting tasks are released.

use std::io::{self, Seek};
use std::sync::Arc;
use std::time::Duration;

use gae_tasks::backend::{TaskFilter, TaskState};
use gae_tasks::testing::{Fault, Operation};
use tracing::Level;

use super::stage::{
    Running, World, busy_runtime, counts, passes_the_gate, plain_passes_the_gate, set_log, turns,
};

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
        "no attempt is counted"
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

/// Returns a worker with one busy runner, and with tasks leased ahead.
async fn with_tasks_leased_ahead(world: &World) -> Running {
    // Fast tasks first, because the worker leases ahead only for fast tasks.
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
        let faulty = world.backend.clone().with(Operation::Settle, 1, fault).with(
            Operation::Settle,
            2,
            fault,
        );
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
            assert_eq!(
                (record.state, record.attempts, record.lost_leases),
                (TaskState::Scheduled, 0, 0),
                "{fault:?}"
            );
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

/// Runs a worker whose five attempts end during a storage outage, and ends the worker `before`
/// later.
async fn ended_while_the_storage_is_away(
    world: &World,
    before: Duration,
    grace: Duration,
) -> Running {
    world.tasks.defer_many((0..5).map(|_| passes_the_gate::defer())).await.unwrap();
    let running = Running::start(world.tasks.worker().grace(grace));
    world.stage.until(|signs| signs.begun == 5).await;
    world.backend.set_down(true);
    world.stage.let_pass(5);
    world.stage.until(|signs| signs.ended == 5).await;
    world.pass(before).await;
    running.stop().await;
    running
}

#[tokio::test]
async fn outcomes_are_recorded_though_the_storage_is_away_for_most_of_the_grace_time() {
    // The last: after 16 seconds without storage, the storage is called only every 5 seconds, and
    // next after 4.
    for (before, grace, away) in [(0, 8, 6), (20, 8, 6), (16, 2, 1)] {
        let world = World::new();
        let running =
            ended_while_the_storage_is_away(&world, before * SECOND, grace * SECOND).await;
        world.pass(away * SECOND).await;
        assert!(!running.has_ended());
        world.backend.set_down(false);
        world.pass(SECOND).await;
        running.finish().await;
        assert_eq!(world.tasks.stats().await.unwrap().open(), 0, "{before} {grace}");
        assert_eq!(world.stage.signs().begun, 5, "{before} {grace}");
    }
}

#[tokio::test]
async fn a_worker_that_cannot_record_ends_a_second_after_the_grace_time() {
    let world = World::new();
    let running = ended_while_the_storage_is_away(&world, Duration::ZERO, 8 * SECOND).await;
    world.pass(9 * SECOND - Duration::from_micros(1)).await;
    assert!(!running.has_ended());
    world.pass(Duration::from_micros(1)).await;
    running.finish().await;
}

#[tokio::test]
async fn an_attempt_that_is_stopped_takes_no_second_from_the_last_outcomes() {
    let world = World::new();
    world
        .tasks
        .defer_many([passes_the_gate::defer(), plain_passes_the_gate::defer()])
        .await
        .unwrap();
    let running = Running::start(world.tasks.worker().grace(8 * SECOND));
    world.stage.until(|signs| signs.begun == 2).await;
    world.backend.set_down(true);
    running.stop().await;
    world.pass(8 * SECOND).await;
    world.stage.until(|signs| (signs.stopped, signs.cancelled) == (1, 1)).await;
    assert!(!running.has_ended());
    world.pass(SECOND).await;
    running.finish().await;
}

#[tokio::test]
async fn a_worker_ends_only_when_everything_is_recorded() {
    let world = World::new();
    let backend = world.backend.clone().with(Operation::Settle, 1, Fault::Stall);
    let id = passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker()).await;
    world.stage.let_pass(1);
    world.until_called(Operation::Settle, 1).await;
    running.stop().await;
    assert_eq!((running.has_ended(), world.is_leased(id).await), (false, true));
    backend.let_go();
    running.finish().await;
    assert_eq!(world.tasks.stats().await.unwrap().open(), 0);
}

/// Returns the errors that a worker logs when it abandons an attempt, while the outcome of another
/// attempt waits for the storage until shortly before the end, or longer.
async fn logged_when_an_attempt_is_left_behind(is_recorded: bool) -> String {
    let world = World::new();
    let lines = Arc::new(tempfile::tempfile().unwrap());
    let log = tracing_subscriber::fmt()
        .with_max_level(Level::ERROR)
        .with_writer(Arc::clone(&lines))
        .finish();
    let _guard = set_log(log);
    plain_passes_the_gate::defer().on(&world.tasks).await.unwrap();
    let running = world.start_one(world.tasks.worker().grace(8 * SECOND)).await;
    let backend = world.backend.clone().with(Operation::Settle, 1, Fault::Stall);
    counts::defer().on(&world.tasks).await.unwrap();
    world.until_called(Operation::Settle, 1).await;
    running.stop().await;
    world.pass(9 * SECOND - Duration::from_micros(1)).await;
    assert!(!running.has_ended());
    if is_recorded {
        backend.let_go();
        world.until_open(1).await;
        turns().await;
    }
    world.pass(Duration::from_micros(1)).await;
    running.finish().await;
    assert_eq!(
        world.tasks.stats().await.unwrap().leased,
        2 - u64::from(is_recorded),
        "the running attempt keeps its lease"
    );
    (&*lines).rewind().unwrap();
    io::read_to_string(&*lines).unwrap()
}

#[tokio::test]
async fn a_worker_that_leaves_an_attempt_behind_tells_whether_everything_else_is_recorded() {
    assert_eq!(logged_when_an_attempt_is_left_behind(true).await, "");
    let logged = logged_when_an_attempt_is_left_behind(false).await;
    assert!(logged.contains("tasks that have ended may run again"), "{logged}");
}

/// Waits until a call of the storage is stalled, without moving the clock.
async fn until_stalled(world: &World) {
    while world.backend.stalled() == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_leased_as_a_worker_is_told_to_end_goes_back() {
    let world = World::new();
    let running = Running::start(world.tasks.worker().concurrency(2));
    passes_the_gate::defer().on(&world.tasks).await.unwrap();
    world.stage.until(|signs| signs.begun == 1).await;
    turns().await;
    let backend = world.backend.clone().with(Operation::Lease, 1, Fault::Stall);
    let id = passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    until_stalled(&world).await;
    running.stop().await;
    assert!(!running.has_ended());
    world.stage.let_pass(2);
    backend.let_go();
    running.finish().await;
    let record = world.record(id).await;
    assert_eq!((record.state, record.attempts, record.lost_leases), (TaskState::Scheduled, 0, 0));
    assert_eq!(world.stage.signs().begun, 1);
}

#[tokio::test]
async fn nothing_starts_while_a_worker_that_is_told_to_end_waits_for_the_storage() {
    let world = World::new();
    let running = with_tasks_leased_ahead(&world).await;
    let backend = world.backend.clone().with(Operation::Lease, 1, Fault::Stall);
    world.stage.let_pass(1);
    world.stage.until(|signs| signs.begun == 502).await;
    while world.backend.stalled() == 0 {
        world.pass(Duration::from_millis(100)).await;
    }
    running.stop().await;
    world.stage.let_pass(20);
    turns().await;
    backend.let_go();
    running.finish().await;
    assert_eq!(world.stage.signs().begun, 502);
    assert_eq!(world.tasks.stats().await.unwrap().leased, 0);
}

#[tokio::test]
async fn a_worker_ends_after_the_grace_time_though_the_storage_never_answers() {
    for operation in [Operation::Queues, Operation::Sweep, Operation::Lease] {
        let world = World::new();
        let _backend = world.backend.clone().with(operation, 1, Fault::Stall);
        counts::defer().on(&world.tasks).await.unwrap();
        let running = Running::start(world.tasks.worker().grace(8 * SECOND));
        until_stalled(&world).await;
        running.stop().await;
        world.pass(8 * SECOND - Duration::from_micros(1)).await;
        assert!(!running.has_ended(), "{operation:?}");
        world.pass(Duration::from_micros(1)).await;
        running.finish().await;
        assert_eq!(world.stage.signs().begun, 0, "{operation:?}");
        let leases = u64::from(operation == Operation::Lease);
        assert_eq!(
            world.backend.calls(Operation::Lease),
            leases,
            "{operation:?}: the worker leased after its end"
        );
    }
}

#[test]
fn a_plain_function_for_which_there_is_no_thread_until_the_grace_time_is_over_is_not_begun() {
    let (runtime, busy) = busy_runtime();
    runtime.block_on(async {
        let world = World::new();
        let id = plain_passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
        let running = Running::start(world.tasks.worker().grace(8 * SECOND));
        world.until_asleep(6).await;
        running.stop().await;
        world.pass(9 * SECOND).await;
        running.finish().await;
        drop(busy);
        world.stage.let_pass(1);
        world.until_none_is_leased().await;
        let record = world.record(id).await;
        assert_eq!(
            (record.state, record.attempts, world.stage.signs().begun),
            (TaskState::Scheduled, 0, 0)
        );
    });
}
