//! Panics outside of the handler: when an error, a panic's payload or a handler is dropped, in a
//! log writer, in a clock.

use std::fmt;
use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{BoxFuture, TaskRecord, TaskState};
use gae_tasks::testing::{Fault, ManualClock, Operation};
use gae_tasks::{Clock, Defer, Now, PermanentTaskFailure, Timestamp, deferred};
use tracing::span;

use super::stage::{
    Running, Stage, World, counts, fails, panics, passes_the_gate, program, set_log, turns,
};

const SECOND: Duration = Duration::from_secs(1);

/// A value that panics on drop.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a bomb was dropped");
    }
}

impl fmt::Display for Bomb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an error that is a bomb")
    }
}

impl std::error::Error for Bomb {}

#[deferred]
async fn fails_with_a_bomb(#[state] stage: &Stage) -> Result<(), Bomb> {
    stage.sign(|signs| signs.begun += 1);
    Err(Bomb)
}

#[deferred]
fn plain_fails_with_a_bomb(#[state] stage: &Stage) -> Result<(), Bomb> {
    stage.sign(|signs| signs.begun += 1);
    Err(Bomb)
}

#[deferred]
async fn fails_for_good_with_a_bomb(#[state] stage: &Stage) -> Result<(), PermanentTaskFailure> {
    stage.sign(|signs| signs.begun += 1);
    Err(PermanentTaskFailure::new("for good").because(Bomb))
}

#[deferred]
async fn fails_for_good(#[state] stage: &Stage) -> Result<(), PermanentTaskFailure> {
    stage.sign(|signs| (signs.begun, signs.ended) = (signs.begun + 1, signs.ended + 1));
    Err(PermanentTaskFailure::new("for good"))
}

#[deferred]
async fn panics_with_a_bomb(#[state] stage: &Stage) {
    stage.sign(|signs| signs.begun += 1);
    panic_any(Bomb);
}

#[deferred]
fn plain_panics_with_a_bomb(#[state] stage: &Stage) {
    stage.sign(|signs| signs.begun += 1);
    panic_any(Bomb);
}

/// A handler that panics when it is stopped.
#[deferred]
async fn holds_a_bomb(#[state] stage: &Stage) {
    stage.sign(|signs| signs.begun += 1);
    let _bomb = Bomb;
    std::future::pending().await
}

#[deferred]
fn plain_counts(#[state] stage: &Stage) {
    stage.sign(|signs| signs.begun += 1);
}

/// Returns the record of a task after the only runner of a worker has run the task and another one
/// after it.
async fn recorded(task: Defer) -> TaskRecord {
    let world = World::new();
    let id = task.on(&world.tasks).await.unwrap().id;
    counts::defer().on(&world.tasks).await.unwrap();
    let running = Running::start(world.tasks.worker().concurrency(1));
    world.stage.until(|signs| (signs.begun, signs.ended) == (2, 1)).await;
    world.until_none_is_leased().await;
    running.finish().await;
    world.record(id).await
}

#[tokio::test]
async fn a_failure_counts_though_its_error_panics_when_it_is_dropped() {
    for task in [fails_with_a_bomb::defer(), plain_fails_with_a_bomb::defer()] {
        let record = recorded(task).await;
        assert_eq!(
            (record.state, record.attempts, record.lost_leases),
            (TaskState::Scheduled, 1, 0)
        );
        assert_eq!(record.errors[0].message, "an error that is a bomb");
    }
    let record = recorded(fails_for_good_with_a_bomb::defer()).await;
    assert_eq!((record.state, record.attempts), (TaskState::Dead, 1));
}

#[tokio::test]
async fn a_panic_counts_though_its_payload_panics_when_it_is_dropped() {
    for task in [panics_with_a_bomb::defer(), plain_panics_with_a_bomb::defer()] {
        let record = recorded(task).await;
        assert_eq!(
            (record.state, record.attempts, record.lost_leases),
            (TaskState::Scheduled, 1, 0)
        );
        assert_eq!(record.errors[0].message, "the handler panicked: with a value that is not text");
    }
}

#[tokio::test]
async fn a_missed_deadline_is_recorded_though_the_handler_panics_when_it_is_stopped() {
    let world = World::new();
    let id = holds_a_bomb::defer().deadline(10 * SECOND).on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker().concurrency(1)).await;
    counts::defer().on(&world.tasks).await.unwrap();
    world.pass(10 * SECOND).await;
    world.stage.until(|signs| signs.ended == 1).await;
    world.until_open(1).await;
    running.finish().await;
    let record = world.record(id).await;
    assert_eq!((record.state, record.attempts), (TaskState::Scheduled, 1));
    assert!(record.errors[0].message.contains("deadline of 10 s"), "{:?}", record.errors);
}

#[tokio::test]
async fn a_shutdown_burns_no_attempt_though_the_handler_panics_when_it_is_stopped() {
    let world = World::new();
    let id = holds_a_bomb::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker().grace(SECOND)).await;
    running.stop().await;
    world.pass(SECOND).await;
    running.finish().await;
    let record = world.record(id).await;
    assert_eq!((record.state, record.attempts, record.errors.len()), (TaskState::Scheduled, 0, 0));
}

/// A clock that, once broken by a test, panics at the next request for the time of day.
#[derive(Debug, Clone, Default)]
struct BrokenClock {
    clock: ManualClock,
    is_broken: Arc<AtomicBool>,
}

impl Clock for BrokenClock {
    fn now(&self) -> Now {
        self.clock.now()
    }

    fn wall(&self) -> Timestamp {
        assert!(!self.is_broken.swap(false, Ordering::Relaxed), "the clock is broken");
        self.clock.time()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.clock.sleep(duration)
    }
}

#[tokio::test]
async fn a_panic_anywhere_in_an_attempt_costs_its_task_an_attempt_and_nobody_else_anything() {
    let (stage, clock) = (Stage::new(), BrokenClock::default());
    let tasks = program(&stage).clock(clock.clone()).build(Memory::new()).unwrap();
    let running = Running::start(tasks.worker().concurrency(1));
    // All roles sleep, so the next request for the time of day comes from an attempt.
    while clock.clock.sleepers() < 5 {
        tokio::task::yield_now().await;
    }
    clock.is_broken.store(true, Ordering::Relaxed);
    let id = counts::defer().on(&tasks).await.unwrap().id;
    counts::defer().on(&tasks).await.unwrap();
    stage.until(|signs| signs.ended == 1).await;
    running.finish().await;
    let record = tasks.get(id).await.unwrap().unwrap();
    assert_eq!((record.state, record.attempts, record.lost_leases), (TaskState::Scheduled, 1, 0));
    assert_eq!(
        record.errors[0].message,
        "the attempt panicked outside its handler: the clock is broken"
    );
}

/// A log that panics at every event, or at one kind of operation on spans.
#[derive(Debug, Clone, Copy)]
enum BrokenLog {
    Events,
    NewSpans,
    Enters,
    Exits,
    Closes,
}

impl BrokenLog {
    const ALL: [Self; 5] = [Self::Events, Self::NewSpans, Self::Enters, Self::Exits, Self::Closes];
}

impl tracing::Subscriber for BrokenLog {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        assert!(!matches!(self, Self::NewSpans), "the log is broken");
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        assert!(!matches!(self, Self::Events), "the log is broken");
    }

    fn enter(&self, _: &span::Id) {
        assert!(!matches!(self, Self::Enters), "the log is broken");
    }

    fn exit(&self, _: &span::Id) {
        assert!(!matches!(self, Self::Exits), "the log is broken");
    }

    fn try_close(&self, _: span::Id) -> bool {
        assert!(!matches!(self, Self::Closes), "the log is broken");
        true
    }
}

#[tokio::test]
async fn a_log_that_panics_changes_nothing_for_any_task() {
    for log in BrokenLog::ALL {
        let world = World::new();
        let guard = set_log(log);
        let failed = fails::defer().on(&world.tasks).await.unwrap().id;
        let panicked = panics::defer().on(&world.tasks).await.unwrap().id;
        let dead = fails_for_good::defer().on(&world.tasks).await.unwrap().id;
        plain_counts::defer().on(&world.tasks).await.unwrap();
        counts::defer().on(&world.tasks).await.unwrap();
        let running = Running::start(world.tasks.worker().concurrency(1));
        world.stage.until(|signs| (signs.begun, signs.ended) == (5, 4)).await;
        world.until_open(2).await;
        running.finish().await;
        drop(guard);
        let attempts = async |id| world.record(id).await.attempts;
        assert_eq!(
            (attempts(failed).await, attempts(panicked).await, attempts(dead).await),
            (1, 1, 1),
            "{log:?}"
        );
        assert_eq!(
            world.record(failed).await.errors[0].message,
            "a failure planned by the test",
            "{log:?}"
        );
        assert_eq!(
            world.record(panicked).await.errors[0].message,
            "the handler panicked: a failure planned by the test"
        );
        assert_eq!(world.record(dead).await.state, TaskState::Dead, "{log:?}");
    }
}

#[tokio::test]
async fn a_log_that_panics_keeps_no_outcome_from_being_recorded() {
    let world = World::new();
    let _guard = set_log(BrokenLog::Events);
    let backend = world.backend.clone().with(Operation::Settle, 1, Fault::Fail);
    let running = world.start();
    counts::defer().on(&world.tasks).await.unwrap();
    world.until_called(Operation::Settle, 1).await;
    world.pass_until(10 * SECOND, |_| backend.calls(Operation::Settle) == 2).await;
    world.until_open(0).await;
    running.finish().await;
}

#[tokio::test]
async fn a_log_that_panics_disturbs_no_shutdown() {
    let world = World::new();
    let _guard = set_log(BrokenLog::Events);
    let id = passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker().grace(SECOND)).await;
    running.stop().await;
    world.pass(SECOND).await;
    world.stage.until(|signs| signs.stopped == 1).await;
    running.finish().await;
    assert_eq!(world.record(id).await.state, TaskState::Scheduled);
}

#[tokio::test]
async fn a_log_that_panics_fails_no_call_of_the_client() {
    let _guard = set_log(BrokenLog::Events);
    let builder = program(&Stage::new()).trace_context(|| Some("no traceparent".to_owned()));
    let tasks = builder.build(Memory::new()).unwrap();
    counts::defer().on(&tasks).await.unwrap();
    let running = Running::start(tasks.worker().queues(["default", "misspelt"]));
    turns().await;
    running.finish().await;
    assert_eq!(tasks.stats().await.unwrap().open(), 0);
}
