//! The worker as a program meets it: concurrency, shutdown, lost leases, storage that fails, time that jumps.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{Lease, Pull, Routes, TaskFilter, TaskState};
use gae_tasks::testing::{Fault, Faulty, ManualClock, Operation};
use gae_tasks::{Client, Error, Now, QueueConfig, QueueName, Registry, RetryConfig, TaskContext, deferred};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

/// What the tasks of these tests meet: counters and gates of the test that deferred them.
#[derive(Clone, Default)]
struct Stage {
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    /// Attempts wait here until the test lets them go on.
    gate: Arc<Gate>,
    changed: Arc<Notify>,
}

struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Stage {
    async fn pass(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        self.gate.0.acquire().await.unwrap().forget();
        self.end();
    }

    fn end(&self) {
        self.ended.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }

    /// Waits until `holds`, which is asked again whenever an attempt begins or ends.
    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let waited = async {
            loop {
                let changed = self.changed.notified();
                if holds(self) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waited).await.expect("what the test waits for did not happen");
    }
}

#[deferred]
async fn passes_the_gate(number: u32, #[state] stage: &Stage) {
    _ = number;
    stage.pass().await;
}

#[deferred]
fn blocks_until_cancelled(#[state] stage: &Stage, #[context] cx: &TaskContext) {
    stage.begun.fetch_add(1, Ordering::SeqCst);
    stage.changed.notify_waiters();
    while !cx.is_cancelled() {
        std::thread::yield_now();
    }
    stage.end();
}

#[deferred]
async fn panics(#[state] stage: &Stage) {
    stage.begun.fetch_add(1, Ordering::SeqCst);
    stage.end();
    panic!("as the test wants it");
}

#[deferred]
async fn counts(#[state] stage: &Stage) {
    stage.begun.fetch_add(1, Ordering::SeqCst);
    stage.end();
}

#[deferred]
async fn defers_another(#[state] stage: &Stage) -> Result<(), Error> {
    counts::defer().await?;
    stage.end();
    Ok(())
}

/// An error whose text cannot be made.
#[derive(Debug)]
struct Unprintable;

impl std::fmt::Display for Unprintable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Err(std::fmt::Error)
    }
}

impl std::error::Error for Unprintable {}

#[deferred]
async fn fails_unprintably(#[state] stage: &Stage) -> Result<(), Unprintable> {
    stage.end();
    Err(Unprintable)
}

/// A value that does not want to be dropped.
struct Stubborn;

impl Drop for Stubborn {
    fn drop(&mut self) {
        panic!("dropped, as the test wants it");
    }
}

#[deferred]
async fn panics_when_dropped(#[state] stage: &Stage) {
    let _stubborn = Stubborn;
    stage.begun.fetch_add(1, Ordering::SeqCst);
    stage.changed.notify_waiters();
    std::future::pending().await
}

#[deferred]
fn blocks_at_the_gate(#[state] stage: &Stage) {
    stage.begun.fetch_add(1, Ordering::SeqCst);
    stage.changed.notify_waiters();
    while stage.gate.0.try_acquire().is_err() {
        std::thread::yield_now();
    }
    stage.end();
}

#[deferred(max_attempts = 1)]
async fn never_again(#[state] stage: &Stage) {
    stage.begun.fetch_add(1, Ordering::SeqCst);
    stage.end();
}

fn client(stage: &Stage) -> Client {
    Client::builder().state(stage.clone()).build(Memory::new()).unwrap()
}

/// A worker that runs until it is told to stop.
struct Running {
    stop: Arc<Notify>,
    worker: JoinHandle<Result<(), Error>>,
}

impl Running {
    fn start(worker: gae_tasks::Worker) -> Self {
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let worker = worker.with_graceful_shutdown(async move { stopped.notified().await });
        Self { stop, worker: tokio::spawn(worker.into_future()) }
    }

    async fn finish(self) -> Result<(), Error> {
        self.stop.notify_one();
        tokio::time::timeout(Duration::from_secs(20), self.worker).await.expect("the worker did not stop").unwrap()
    }

    async fn finish_while_time_passes(self, clock: &ManualClock) -> Result<(), Error> {
        let passing = async {
            loop {
                clock.advance(Duration::from_millis(500));
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ended = self.finish() => ended,
            () = passing => unreachable!("time passes for ever"),
        }
    }
}

#[tokio::test]
async fn no_more_attempts_run_than_the_concurrency() {
    let stage = Stage::default();
    let tasks = client(&stage);
    tasks.defer_many((0..10).map(passes_the_gate::defer)).await.unwrap();
    let running = Running::start(tasks.worker().concurrency(3));
    stage.until(|stage| stage.begun() == 3).await;
    assert_eq!(tasks.stats().await.unwrap().leased, 3, "nothing is leased ahead of a slow handler");
    stage.gate.0.add_permits(10);
    stage.until(|stage| stage.ended() == 10).await;
    running.finish().await.unwrap();
    assert_eq!(tasks.stats().await.unwrap().open(), 0);
}

#[tokio::test]
async fn thousands_of_tasks_run_once_each() {
    let stage = Stage::default();
    let tasks = client(&stage);
    tasks.defer_many((0..5000).map(|_| counts::defer())).await.unwrap();
    let running = Running::start(tasks.worker());
    stage.until(|stage| stage.ended() == 5000).await;
    running.finish().await.unwrap();
    assert_eq!((stage.ended(), tasks.stats().await.unwrap().open()), (5000, 0));
}

#[tokio::test]
async fn a_graceful_shutdown_waits_for_what_runs_and_leaves_the_rest() {
    let stage = Stage::default();
    let tasks = client(&stage);
    tasks.defer_many((0..5).map(passes_the_gate::defer)).await.unwrap();
    let running = Running::start(tasks.worker().concurrency(2));
    stage.until(|stage| stage.begun() == 2).await;
    running.stop.notify_one();
    stage.gate.0.add_permits(2);
    running.finish().await.unwrap();
    let stats = tasks.stats().await.unwrap();
    assert_eq!((stage.ended(), stats.scheduled, stats.leased), (2, 3, 0));
}

#[tokio::test]
async fn what_outlives_the_grace_time_is_given_back_and_burns_no_attempt() {
    let (stage, clock) = (Stage::default(), ManualClock::new());
    let tasks = Client::builder().state(stage.clone()).clock(clock.clone()).build(Memory::new()).unwrap();
    let id = passes_the_gate::defer(1).on(&tasks).await.unwrap().id;
    let running = Running::start(tasks.worker().grace(Duration::from_secs(8)));
    stage.until(|stage| stage.begun() == 1).await;
    running.stop.notify_one();
    running.finish_while_time_passes(&clock).await.unwrap();
    let record = tasks.get(id).await.unwrap().unwrap();
    assert_eq!((record.state, record.attempts, record.errors.len()), (TaskState::Scheduled, 0, 0));
}

#[tokio::test]
async fn a_missed_deadline_drops_the_handler_and_is_retried() {
    let (stage, clock) = (Stage::default(), ManualClock::new());
    let tasks = Client::builder().state(stage.clone()).clock(clock.clone()).build(Memory::new()).unwrap();
    let id = passes_the_gate::defer(1).deadline(Duration::from_secs(10)).on(&tasks).await.unwrap().id;
    let running = Running::start(tasks.worker());
    stage.until(|stage| stage.begun() == 1).await;
    while tasks.get(id).await.unwrap().unwrap().errors.is_empty() {
        clock.advance(Duration::from_secs(5));
        tokio::task::yield_now().await;
    }
    running.finish_while_time_passes(&clock).await.unwrap();
    let error = &tasks.get(id).await.unwrap().unwrap().errors[0];
    assert!(error.message.contains("deadline of 10s"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_function_is_told_of_its_deadline_and_waited_for() {
    let stage = Stage::default();
    let tasks = client(&stage);
    blocks_until_cancelled::defer().deadline(Duration::from_millis(20)).on(&tasks).await.unwrap();
    let running = Running::start(tasks.worker());
    stage.until(|stage| stage.ended() == 1).await;
    running.finish().await.unwrap();
    assert_eq!(tasks.stats().await.unwrap().open(), 0, "it succeeded, if late");
}

#[tokio::test]
async fn a_panic_is_an_attempt_that_failed() {
    let stage = Stage::default();
    let tasks = client(&stage);
    let id = panics::defer().max_attempts(1).on(&tasks).await.unwrap().id;
    let running = Running::start(tasks.worker());
    stage.until(|stage| stage.ended() == 1).await;
    running.finish().await.unwrap();
    let record = tasks.get(id).await.unwrap().unwrap();
    assert_eq!(record.state, TaskState::Dead);
    assert_eq!(record.errors[0].message, "the handler panicked: as the test wants it");
}

#[tokio::test]
async fn panics_outside_of_the_handler_cost_an_attempt_and_no_runner() {
    let stage = Stage::default();
    let tasks = client(&stage);
    let unprintable = fails_unprintably::defer().max_attempts(1).on(&tasks).await.unwrap().id;
    let short = Duration::from_millis(20);
    let stubborn = panics_when_dropped::defer().max_attempts(1).deadline(short).on(&tasks).await.unwrap().id;
    let running = Running::start(tasks.worker().concurrency(1));
    stage.until(|stage| stage.begun() == 1).await;
    counts::defer().on(&tasks).await.unwrap();
    stage.until(|stage| stage.ended() == 2).await;
    running.finish().await.unwrap();
    for id in [unprintable, stubborn] {
        let record = tasks.get(id).await.unwrap().unwrap();
        assert_eq!(record.state, TaskState::Dead);
        assert!(record.errors[0].message.starts_with("the handler panicked: "), "{record:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_function_that_outlives_its_worker_keeps_its_lease() {
    let stage = Stage::default();
    let tasks = client(&stage);
    let id = blocks_at_the_gate::defer().on(&tasks).await.unwrap().id;
    let lease = Duration::from_secs(1);
    let first = Running::start(tasks.worker().grace(Duration::from_millis(10)).lease(lease));
    stage.until(|stage| stage.begun() == 1).await;
    first.finish().await.unwrap();
    let second = Running::start(tasks.worker().lease(lease));
    tokio::time::sleep(lease * 2).await;
    assert_eq!((stage.begun(), tasks.get(id).await.unwrap().unwrap().lost_leases), (1, 0));
    stage.gate.0.add_permits(1);
    stage.until(|stage| stage.ended() == 1).await;
    while tasks.get(id).await.unwrap().is_some() {
        tokio::task::yield_now().await;
    }
    second.finish().await.unwrap();
    assert_eq!(stage.begun(), 1);
}

#[tokio::test]
async fn marked_tasks_do_not_wait_behind_a_backlog() {
    let stage = Stage::default();
    let backend = Faulty::new(Memory::new());
    let tasks = Client::builder().state(stage.clone()).build(backend.clone()).unwrap();
    let id = never_again::defer().on(&tasks).await.unwrap().id;
    let lease = Lease {
        now: Now::Storage,
        queues: Arc::new([QueueName::DEFAULT].into()),
        routes: Routes::Any,
        limit: 1,
        starting: 1,
        suspects: 1,
        duration: Duration::from_millis(200),
    };
    backend.lease(lease).await.unwrap();
    tasks.defer_many((0..3000).map(passes_the_gate::defer)).await.unwrap();
    let running = Running::start(tasks.worker().concurrency(2));
    let opened = async {
        loop {
            stage.gate.0.add_permits(1);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let over = async {
        while tasks.get(id).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = opened => {}
        () = over => {}
    }
    assert!(stage.ended() < 2900, "it ran last, after {}", stage.ended());
    stage.gate.0.add_permits(5000);
    running.finish().await.unwrap();
}

#[tokio::test]
async fn the_cap_of_a_task_type_holds_for_lost_leases_too() {
    let tasks = client(&Stage::default());
    let id = never_again::defer().on(&tasks).await.unwrap().id;
    assert_eq!(tasks.get(id).await.unwrap().unwrap().max_attempts, Some(1));
}

#[tokio::test]
async fn any_concurrency_is_accepted() {
    let stage = Stage::default();
    let tasks = client(&stage);
    counts::defer().on(&tasks).await.unwrap();
    let running = Running::start(tasks.worker().concurrency(usize::MAX));
    stage.until(|stage| stage.ended() == 1).await;
    running.finish().await.unwrap();
}

#[tokio::test]
async fn a_handler_defers_with_the_client_of_its_worker() {
    let stage = Stage::default();
    let tasks = client(&stage);
    defers_another::defer().on(&tasks).await.unwrap();
    let running = Running::start(tasks.worker());
    stage.until(|stage| stage.ended() == 2).await;
    running.finish().await.unwrap();
}

#[tokio::test]
async fn a_deleted_task_is_cancelled_when_its_lease_is_extended() {
    let (stage, clock) = (Stage::default(), ManualClock::new());
    let tasks = Client::builder().state(stage.clone()).clock(clock.clone()).build(Memory::new()).unwrap();
    let id = passes_the_gate::defer(1).on(&tasks).await.unwrap().id;
    let running = Running::start(tasks.worker().concurrency(1));
    stage.until(|stage| stage.begun() == 1).await;
    tasks.delete(id).await.unwrap();
    counts::defer().on(&tasks).await.unwrap();
    // The only runner is free again once the handler is dropped.
    while stage.ended() == 0 {
        clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    running.finish().await.unwrap();
    assert_eq!(tasks.stats().await.unwrap().open(), 0);
}

#[tokio::test]
async fn storage_that_fails_does_not_end_the_worker() {
    let (stage, clock) = (Stage::default(), ManualClock::new());
    let backend = Faulty::new(Memory::new())
        .with(Operation::Sweep, 1, Fault::Fail)
        .with(Operation::Lease, 1, Fault::Fail)
        .with(Operation::Lease, 2, Fault::Fail)
        .with(Operation::Settle, 1, Fault::Fail)
        .with(Operation::Settle, 2, Fault::LoseAnswer);
    let tasks = Client::builder().state(stage.clone()).clock(clock.clone()).build(backend).unwrap();
    counts::defer().on(&tasks).await.unwrap();
    let running = Running::start(tasks.worker());
    while tasks.stats().await.unwrap().open() > 0 {
        clock.advance(Duration::from_millis(100));
        tokio::task::yield_now().await;
    }
    running.finish_while_time_passes(&clock).await.unwrap();
    assert_eq!(stage.ended(), 1);
}

#[tokio::test]
async fn a_busy_worker_asks_the_storage_seldom() {
    let stage = Stage::default();
    let backend = Faulty::new(Memory::new());
    let tasks = Client::builder().state(stage.clone()).build(backend.clone()).unwrap();
    // Many fast tasks first, so that the worker leases ahead; then slow ones on all its runners.
    tasks.defer_many((0..2000).map(|_| counts::defer())).await.unwrap();
    tasks.defer_many((0..50).map(passes_the_gate::defer)).await.unwrap();
    let running = Running::start(tasks.worker());
    stage.until(|stage| stage.begun() == 2050).await;
    let before = backend.calls(Operation::Lease);
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    let asked = backend.calls(Operation::Lease) - before;
    assert!(asked < 10, "it asked {asked} times with all runners busy");
    stage.gate.0.add_permits(50);
    running.finish().await.unwrap();
}

#[tokio::test]
async fn a_clock_that_jumps_an_hour_loses_no_lease() {
    let (stage, clock) = (Stage::default(), ManualClock::new());
    let tasks = Client::builder().state(stage.clone()).clock(clock.clone()).build(Memory::new()).unwrap();
    let id = passes_the_gate::defer(1).on(&tasks).await.unwrap().id;
    let running = Running::start(tasks.worker());
    stage.until(|stage| stage.begun() == 1).await;
    for hour in [clock.time().minus(Duration::from_secs(3600)), clock.time().plus(Duration::from_secs(3600))] {
        clock.step_to(hour);
        // Long enough for many sweeps; slow enough for the thread that extends leases.
        for _ in 0..200 {
            clock.advance(Duration::from_millis(100));
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
    }
    assert_eq!(tasks.get(id).await.unwrap().unwrap().lost_leases, 0);
    stage.gate.0.add_permits(1);
    stage.until(|stage| stage.ended() == 1).await;
    running.finish().await.unwrap();
    assert_eq!((stage.begun(), tasks.stats().await.unwrap().open()), (1, 0));
}

#[tokio::test]
async fn a_scheduled_task_starts_at_its_time_and_not_at_the_next_poll() {
    let (stage, clock) = (Stage::default(), ManualClock::new());
    let tasks = Client::builder().state(stage.clone()).clock(clock.clone()).build(Memory::new()).unwrap();
    let running = Running::start(tasks.worker().poll_interval(Duration::from_secs(3600)));
    counts::defer().after(Duration::from_millis(1500)).on(&tasks).await.unwrap();
    while stage.ended() == 0 {
        clock.advance(Duration::from_millis(100));
        tokio::task::yield_now().await;
        assert!(clock.time() < ManualClock::new().time().plus(Duration::from_secs(60)), "it was left to the poll");
    }
    running.finish().await.unwrap();
}

#[tokio::test]
async fn every_problem_of_the_set_up_is_told_at_once() {
    let tasks = Client::open("memory:").await.unwrap();
    let Err(Error::Misconfigured { problems, .. }) = tasks.worker().queues(["no such queue!"]).await else {
        panic!("a worker without its state was started")
    };
    let text = problems.join("\n");
    assert!(text.contains("worker::Stage") && text.contains("`no such queue!` is no queue name"), "{text}");
    assert!(problems.len() > 3, "one problem a task: {text}");
}

#[tokio::test]
async fn a_program_without_tasks_is_told_so() {
    let tasks = Client::builder().registry(Registry::new()).open("memory:").await.unwrap();
    let error = tasks.worker().await.unwrap_err().to_string();
    assert!(error.contains("no task is registered") && error.contains("link!"), "{error}");
}

#[tokio::test]
async fn exhausted_tasks_become_dead_letters_with_their_errors() {
    let stage = Stage::default();
    let tasks = client(&stage);
    let retry = RetryConfig::new().with_min_backoff(Duration::ZERO).with_max_attempts(Some(3));
    tasks.put_queue("default", QueueConfig::new().with_retry(retry)).await.unwrap();
    panics::defer().on(&tasks).await.unwrap();
    let running = Running::start(tasks.worker());
    stage.until(|stage| stage.ended() == 3).await;
    running.finish().await.unwrap();
    let dead = tasks.list(TaskFilter::new().state(TaskState::Dead), None, 10).await.unwrap();
    assert_eq!((dead.len(), dead[0].attempts, dead[0].errors.len()), (1, 3, 3));
}
