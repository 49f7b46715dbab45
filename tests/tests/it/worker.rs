//! The worker in normal use: concurrency, batches, shutdown, set-up. `hardships` has the tests of
//! faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{Lease, Pull, Room, Routes, TaskFilter, TaskState};
use gae_tasks::testing::{Faulty, ManualClock, Operation};
use gae_tasks::{
    Client, ClientBuilder, Error, Now, QueueConfig, QueueName, Registry, RetryConfig, deferred,
};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

/// The state of the tasks of these tests: counters and gates of a test.
#[derive(Clone, Default)]
struct Stage {
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    /// The gate at which attempts wait.
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

    /// Waits until `holds` returns true; it is called whenever an attempt begins or ends.
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
        tokio::time::timeout(Duration::from_secs(20), waited)
            .await
            .expect("the awaited event did not happen");
    }
}

#[deferred]
async fn passes_the_gate(number: u32, #[state] stage: &Stage) {
    _ = number;
    stage.pass().await;
}

#[deferred]
async fn panics(#[state] stage: &Stage) {
    stage.begun.fetch_add(1, Ordering::SeqCst);
    stage.end();
    panic!("a failure planned by the test");
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

/// An error whose `Display` panics.
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

/// A value that panics on drop.
struct Stubborn;

impl Drop for Stubborn {
    fn drop(&mut self) {
        panic!("a drop that panics, planned by the test");
    }
}

#[deferred]
async fn panics_when_dropped(#[state] stage: &Stage) {
    let _stubborn = Stubborn;
    stage.begun.fetch_add(1, Ordering::SeqCst);
    stage.changed.notify_waiters();
    std::future::pending().await
}

#[deferred(max_attempts = 1)]
async fn never_again(#[state] stage: &Stage) {
    stage.begun.fetch_add(1, Ordering::SeqCst);
    stage.end();
}

fn program(stage: &Stage) -> ClientBuilder {
    Client::builder().registry(crate::tasks_of(module_path!())).state(stage.clone())
}

fn client(stage: &Stage) -> Client {
    program(stage).build(Memory::new()).unwrap()
}

/// A worker that runs until it is stopped.
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
        tokio::time::timeout(Duration::from_secs(20), self.worker)
            .await
            .expect("the worker did not stop")
            .unwrap()
    }
}

#[tokio::test]
async fn no_more_attempts_run_than_the_concurrency() {
    let stage = Stage::default();
    let tasks = client(&stage);
    tasks.defer_many((0..10).map(passes_the_gate::defer)).await.unwrap();
    let running = Running::start(tasks.worker().concurrency(3));
    stage.until(|stage| stage.begun() == 3).await;
    assert_eq!(tasks.stats().await.unwrap().leased, 3, "no task is leased ahead of a slow handler");
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
async fn panics_outside_of_the_handler_cost_an_attempt_and_no_runner() {
    let (stage, clock) = (Stage::default(), ManualClock::new());
    let tasks = program(&stage).clock(clock.clone()).build(Memory::new()).unwrap();
    let unprintable = fails_unprintably::defer().max_attempts(1).on(&tasks).await.unwrap().id;
    let deadline = Duration::from_secs(10);
    let stubborn = panics_when_dropped::defer()
        .max_attempts(1)
        .deadline(deadline)
        .on(&tasks)
        .await
        .unwrap()
        .id;
    let running = Running::start(tasks.worker().concurrency(1));
    stage.until(|stage| stage.begun() == 1).await;
    clock.advance(deadline);
    counts::defer().on(&tasks).await.unwrap();
    stage.until(|stage| stage.ended() == 2).await;
    running.finish().await.unwrap();
    // A handler stopped at its deadline may panic on drop: the recorded error is still the
    // deadline.
    for (id, why) in [
        (unprintable, "the handler panicked: "),
        (stubborn, "the attempt took longer than its deadline"),
    ] {
        let record = tasks.get(id).await.unwrap().unwrap();
        assert_eq!(record.state, TaskState::Dead);
        assert!(record.errors[0].message.starts_with(why), "{record:?}");
    }
}

#[tokio::test]
async fn marked_tasks_do_not_wait_behind_a_backlog() {
    let stage = Stage::default();
    let backend = Faulty::new(Memory::new());
    let tasks = program(&stage).build(backend.clone()).unwrap();
    let id = never_again::defer().on(&tasks).await.unwrap().id;
    let queues = Arc::new([QueueName::DEFAULT].into());
    let lease =
        Lease::new(Now::Storage, queues, Routes::Any, Room::new(1), Duration::from_millis(200));
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
    assert!(stage.ended() < 2900, "the task ran last, after {}", stage.ended());
    stage.gate.0.add_permits(5000);
    running.finish().await.unwrap();
}

#[tokio::test]
async fn the_cap_of_a_task_type_holds_for_lost_leases_too() {
    let tasks = client(&Stage::default());
    let id = never_again::defer().on(&tasks).await.unwrap().id;
    assert_eq!(tasks.get(id).await.unwrap().unwrap().spec.max_attempts, Some(1));
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
async fn a_busy_worker_asks_the_storage_seldom() {
    let stage = Stage::default();
    let backend = Faulty::new(Memory::new());
    let tasks = program(&stage).build(backend.clone()).unwrap();
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
    assert!(asked < 10, "the worker leased {asked} times with all runners busy");
    stage.gate.0.add_permits(50);
    running.finish().await.unwrap();
}

#[tokio::test]
async fn every_problem_of_the_set_up_is_told_at_once() {
    let tasks =
        Client::builder().registry(crate::tasks_of(module_path!())).open("memory:").await.unwrap();
    let Err(Error::Misconfigured { problems, .. }) =
        tasks.worker().queues(["no such queue!"]).await
    else {
        panic!("a worker without its state was started")
    };
    let text = problems.join("\n");
    assert!(
        text.contains("worker::Stage")
            && text.contains("`no such queue!` is not a valid queue name"),
        "{text}"
    );
    assert!(problems.len() > 3, "one problem for each task: {text}");
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
