//! The stage of the tests: tasks controlled by a test, and a worker on a clock that a test moves.

use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{TaskRecord, TaskState};
use gae_tasks::testing::{Faulty, ManualClock, Operation};
use gae_tasks::{
    Client, ClientBuilder, Error, QueueConfig, RetryConfig, TaskContext, TaskId, deferred,
};
use tokio::runtime::{self, Runtime};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tracing::subscriber::{DefaultGuard, NoSubscriber, set_default};
use tracing::{Dispatch, Subscriber};

/// The real time for which a test waits for events that need no time to pass on its clock.
const PATIENCE: Duration = Duration::from_secs(30);

/// Counts of what the tasks of one test have done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Signs {
    pub(super) begun: usize,
    pub(super) ended: usize,
    /// The handlers that were stopped before their end.
    pub(super) stopped: usize,
    /// The plain functions that noticed their cancellation.
    pub(super) cancelled: usize,
}

/// The state of the tasks: their counts, and the gates that a test opens for them.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    signs: Arc<watch::Sender<Signs>>,
    gate: Arc<Semaphore>,
    /// The gate for handlers that block their thread.
    door: Arc<(Mutex<bool>, Condvar)>,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self { signs: Arc::default(), gate: Arc::new(Semaphore::new(0)), door: Arc::default() }
    }

    pub(super) fn signs(&self) -> Signs {
        *self.signs.borrow()
    }

    pub(super) fn sign(&self, change: impl FnOnce(&mut Signs)) {
        self.signs.send_modify(change);
    }

    /// Lets `count` attempts pass the gate.
    pub(super) fn let_pass(&self, attempts: usize) {
        self.gate.add_permits(attempts);
    }

    /// Lets handlers that block their thread pass, at the latest when the returned value is
    /// dropped.
    pub(super) fn door(&self) -> Door {
        Door(Arc::clone(&self.door))
    }

    /// Waits until `holds` returns true for the counts, without moving the clock.
    pub(super) async fn until(&self, holds: impl FnMut(&Signs) -> bool) {
        let mut signs = self.signs.subscribe();
        let waited = tokio::time::timeout(PATIENCE, signs.wait_for(holds)).await;
        assert!(waited.is_ok(), "the awaited event did not happen: {:?}", self.signs());
    }
}

/// Opens the gate on drop, so that a failed test does not hang.
pub(super) struct Door(Arc<(Mutex<bool>, Condvar)>);

impl Drop for Door {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

/// Counts a handler as stopped unless it ends.
struct Attempt<'a>(&'a Stage);

impl Attempt<'_> {
    fn begin(stage: &Stage) -> Attempt<'_> {
        stage.sign(|signs| signs.begun += 1);
        Attempt(stage)
    }

    fn end(self) {
        self.0.sign(|signs| signs.ended += 1);
        std::mem::forget(self);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.0.sign(|signs| signs.stopped += 1);
    }
}

/// Waits at the gate.
#[deferred]
pub(super) async fn passes_the_gate(#[state] stage: &Stage) {
    let attempt = Attempt::begin(stage);
    stage.gate.acquire().await.unwrap().forget();
    attempt.end();
}

/// Waits at the gate, even after it is cancelled.
#[deferred]
pub(super) fn plain_passes_the_gate(#[state] stage: &Stage, #[context] cx: &TaskContext) {
    let attempt = Attempt::begin(stage);
    tokio::runtime::Handle::current().block_on(async {
        tokio::select! {
            biased;
            permit = stage.gate.acquire() => return permit.unwrap().forget(),
            () = cx.cancelled() => stage.sign(|signs| signs.cancelled += 1),
        }
        stage.gate.acquire().await.unwrap().forget();
    });
    attempt.end();
}

/// Blocks the thread of the runtime, as no async function should.
#[deferred]
pub(super) async fn blocks_the_runtime(#[state] stage: &Stage) {
    let attempt = Attempt::begin(stage);
    let (open, opened) = &*stage.door;
    let mut open = open.lock().unwrap();
    while !*open {
        open = opened.wait(open).unwrap();
    }
    attempt.end();
}

#[deferred]
pub(super) async fn counts(#[state] stage: &Stage) {
    Attempt::begin(stage).end();
}

#[deferred]
pub(super) async fn panics(#[state] stage: &Stage) {
    Attempt::begin(stage).end();
    panic!("a failure planned by the test");
}

#[deferred]
pub(super) async fn fails(#[state] stage: &Stage) -> Result<(), &'static str> {
    Attempt::begin(stage).end();
    Err("a failure planned by the test")
}

/// Returns the program of all tasks of these tests.
pub(super) fn program(stage: &Stage) -> ClientBuilder {
    let tests = module_path!().rsplit_once("::").expect("a module of the tests").0;
    Client::builder().registry(crate::tasks_of(tests)).state(stage.clone())
}

/// A program with its storage, its clock and its tasks.
pub(super) struct World {
    pub(super) stage: Stage,
    pub(super) clock: ManualClock,
    pub(super) backend: Faulty<Memory>,
    pub(super) tasks: Client,
}

impl World {
    pub(super) fn new() -> Self {
        let (stage, clock, backend) =
            (Stage::new(), ManualClock::new(), Faulty::new(Memory::new()));
        let tasks = program(&stage).clock(clock.clone()).build(backend.clone()).unwrap();
        Self { stage, clock, backend, tasks }
    }

    /// Returns the client of another process on the same storage.
    pub(super) fn other_client(&self) -> Client {
        program(&self.stage).clock(self.clock.clone()).build(self.backend.clone()).unwrap()
    }

    /// Configures a queue with pauses that begin at 100 ms.
    pub(super) async fn retry_briefly(&self, queue: &str) {
        let brief = RetryConfig::new().with_min_backoff(Duration::from_millis(100));
        self.tasks.put_queue(queue, QueueConfig::new().with_retry(brief)).await.unwrap();
    }

    pub(super) fn start(&self) -> Running {
        Running::start(self.tasks.worker())
    }

    /// Waits until `count` sleepers wait for the clock: a worker's roles that lease, sweep, report,
    /// extend leases and watch for expiring ones, and each attempt for its deadline. Time that
    /// passes before a sleeper waits does not count for that sleeper.
    pub(super) async fn until_asleep(&self, sleepers: usize) {
        let asleep = async {
            while self.clock.sleepers() < sleepers {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, asleep).await;
        assert!(waited.is_ok(), "{} wait for the clock", self.clock.sleepers());
    }

    /// Starts a worker and waits until it runs its only task and all its roles sleep.
    pub(super) async fn start_one(&self, worker: gae_tasks::Worker) -> Running {
        let running = Running::start(worker);
        self.stage.until(|signs| signs.begun == 1).await;
        self.until_asleep(6).await;
        running
    }

    /// Lets time pass until `holds` returns true for the counts, and returns the time passed.
    /// Threads get a moment after each second.
    pub(super) async fn pass_until(
        &self,
        limit: Duration,
        holds: impl Fn(&Signs) -> bool,
    ) -> Duration {
        let begun = self.clock.time();
        while !holds(&self.stage.signs()) {
            assert!(
                self.clock.time().since(begun) < limit,
                "{:?} after {limit:?}",
                self.stage.signs()
            );
            self.pass(Duration::from_secs(1)).await;
            _ = tokio::time::timeout(Duration::from_millis(20), self.stage.until(&holds)).await;
        }
        self.clock.time().since(begun)
    }

    pub(super) async fn record(&self, id: TaskId) -> TaskRecord {
        self.tasks.get(id).await.unwrap().expect("the task is stored")
    }

    /// Waits until the storage counts `open` open tasks, without moving the clock.
    pub(super) async fn until_open(&self, tasks: u64) {
        let counted = async {
            while self.tasks.stats().await.unwrap().open() != tasks {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, counted).await;
        assert!(waited.is_ok(), "{:?}", self.tasks.stats().await);
    }

    /// Waits until no task is leased, without moving the clock.
    pub(super) async fn until_none_is_leased(&self) {
        let counted = async {
            while self.tasks.stats().await.unwrap().leased > 0 {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, counted).await;
        assert!(waited.is_ok(), "{:?}", self.tasks.stats().await);
    }

    pub(super) async fn is_leased(&self, id: TaskId) -> bool {
        self.record(id).await.state == TaskState::Leased
    }

    /// Lets time pass, second by second; what waits for it in this thread has its turn after each.
    pub(super) async fn pass(&self, time: Duration) {
        pass(&self.clock, time).await;
    }

    /// Like [`pass`](Self::pass), but no faster than `sleepers` sleepers follow, including the
    /// thread that extends leases.
    pub(super) async fn pass_among(&self, sleepers: usize, time: Duration) {
        for _ in 0..time.as_secs() {
            self.pass(Duration::from_secs(1)).await;
            self.until_asleep(sleepers).await;
        }
    }

    /// Like [`pass`](Self::pass), while a lease is held: no faster than the thread that extends
    /// leases follows.
    pub(super) async fn pass_while_leased(&self, time: Duration) {
        pass_while_leased(&self.clock, &self.backend, time).await;
    }

    /// Waits until an operation of the storage was called `calls` times, without moving the clock.
    pub(super) async fn until_called(&self, operation: Operation, times: u64) {
        let called = async {
            while self.backend.calls(operation) < times {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, called).await;
        assert!(
            waited.is_ok(),
            "{operation:?} was called only {} times",
            self.backend.calls(operation)
        );
    }
}

/// Lets time pass, second by second; what waits for it in this thread has its turn after each.
async fn pass(clock: &ManualClock, time: Duration) {
    let mut left = time;
    while !left.is_zero() {
        let step = left.min(Duration::from_secs(1));
        clock.advance(step);
        left -= step;
        turns().await;
    }
}

/// Lets time pass, no faster than leases are extended: every 10 seconds, by a thread for which
/// yielding here does not wait.
///
/// That thread may be slow to fall asleep, and then sleeps longer by the clock; so time goes on
/// after a short wait for the thread, and only shortly before a lease of 30 seconds expires the
/// wait is long.
pub(super) async fn pass_while_leased(
    clock: &ManualClock,
    backend: &Faulty<Memory>,
    time: Duration,
) {
    let (mut extensions, mut since) = (backend.calls(Operation::Extend), 0);
    for _ in 0..time.as_secs() {
        pass(clock, Duration::from_secs(1)).await;
        since += 1;
        let real = match since {
            ..=10 => continue,
            11..=25 => Duration::from_millis(100),
            _ => PATIENCE,
        };
        let extended = async {
            while backend.calls(Operation::Extend) == extensions {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(real, extended).await.is_ok() {
            (extensions, since) = (backend.calls(Operation::Extend), 0);
        }
        assert!(since < 28, "the lease is not extended");
    }
}

/// Opens the gates, so that no attempt hangs after its test has failed.
impl Drop for World {
    fn drop(&mut self) {
        self.stage.let_pass(1000);
    }
}

/// Sets `log` as the log of this thread, and so of everything that a test's worker spawns.
///
/// A second log, without output, is set too: while there is only one in the process, a line that a
/// thread without a log reaches first is disabled for all threads.
pub(super) fn set_log(log: impl Subscriber + Send + Sync) -> (Dispatch, DefaultGuard) {
    (Dispatch::new(NoSubscriber::new()), set_default(log))
}

/// Returns a runtime with one thread for plain functions, which is busy until the other returned
/// value is dropped.
pub(super) fn busy_runtime() -> (Runtime, mpsc::Sender<()>) {
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let (busy, is_free) = mpsc::channel();
    runtime.spawn_blocking(move || is_free.recv());
    (runtime, busy)
}

/// Yields often enough that all other futures of this thread finish their current work.
pub(super) async fn turns() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// A worker that runs until it is stopped.
pub(super) struct Running {
    stop: Arc<Notify>,
    worker: JoinHandle<Result<(), Error>>,
}

impl Running {
    pub(super) fn start(worker: gae_tasks::Worker) -> Self {
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let worker = worker.with_graceful_shutdown(async move { stopped.notified().await });
        Self { stop, worker: tokio::spawn(worker.into_future()) }
    }

    /// Signals the worker to end, and lets it receive the signal.
    pub(super) async fn stop(&self) {
        self.stop.notify_one();
        turns().await;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.worker.is_finished()
    }

    /// Stops the worker without moving the clock.
    pub(super) async fn finish(self) {
        self.stop.notify_one();
        let ended = tokio::time::timeout(PATIENCE, self.worker).await;
        ended.expect("the worker did not stop").unwrap().unwrap();
    }
}
