//! Queues with limits beside a worker: nothing is leased ahead, what waits goes on in time, and no
//! queue starves another.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::sqlite::Sqlite;
use gae_tasks::testing::ManualClock;
use gae_tasks::{Client, Error, QueueConfig, Worker, deferred};
use tempfile::TempDir;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;

/// A rate that no test reaches.
const UNREACHED: QueueConfig =
    QueueConfig::new().with_max_dispatches_per_second(1_000_000.0).with_max_burst_size(1_000_000);

/// The state of the tasks of these tests.
#[derive(Clone)]
struct Stage {
    /// The names of the tasks that have begun, in that order.
    begun: Arc<Mutex<Vec<&'static str>>>,
    changed: watch::Sender<()>,
    gate: Arc<Semaphore>,
}

impl Stage {
    fn new() -> Self {
        let gate = Arc::new(Semaphore::new(0));
        Self { begun: Arc::default(), changed: watch::Sender::default(), gate }
    }

    fn begin(&self, name: &'static str) {
        self.begun.lock().unwrap().push(name);
        self.changed.send_replace(());
    }

    fn begun(&self) -> Vec<&'static str> {
        self.begun.lock().unwrap().clone()
    }

    fn count(&self, name: &str) -> usize {
        self.begun().iter().filter(|begun| **begun == name).count()
    }

    /// Waits until so many tasks of a name have begun.
    async fn until(&self, name: &str, count: usize) {
        let mut changed = self.changed.subscribe();
        let waited = async {
            while self.count(name) < count {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waited)
            .await
            .unwrap_or_else(|_| panic!("only {} of {name} have begun", self.count(name)));
    }
}

/// Takes a millisecond.
#[deferred(queue = "bulk")]
async fn bulk(#[state] stage: &Stage) {
    stage.begin("bulk");
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[deferred(queue = "limited")]
async fn quick(#[state] stage: &Stage) {
    stage.begin("quick");
}

/// Waits for the gate.
#[deferred(queue = "limited")]
async fn slow(#[state] stage: &Stage) {
    stage.begin("slow");
    stage.gate.acquire().await.unwrap().forget();
}

/// Waits for the gate, in a queue without limits.
#[deferred(queue = "heavy")]
async fn heavy(#[state] stage: &Stage) {
    stage.begin("heavy");
    stage.gate.acquire().await.unwrap().forget();
}

#[deferred(queue = "limited-too")]
async fn other(#[state] stage: &Stage) {
    stage.begin("other");
}

/// A client with its stage, on one of two backends.
struct Program {
    stage: Stage,
    tasks: Client,
    _folder: Option<TempDir>,
}

impl Program {
    fn on_memory() -> Self {
        let stage = Stage::new();
        let builder = Client::builder().registry(crate::tasks_of(module_path!()));
        let tasks = builder.state(stage.clone()).build(Memory::new()).unwrap();
        Self { stage, tasks, _folder: None }
    }

    async fn on_sqlite() -> Self {
        let (stage, folder) = (Stage::new(), tempfile::tempdir().unwrap());
        let sqlite = Sqlite::open(folder.path().join("tasks.db")).await.unwrap();
        let builder = Client::builder().registry(crate::tasks_of(module_path!()));
        let tasks = builder.state(stage.clone()).build(sqlite).unwrap();
        Self { stage, tasks, _folder: Some(folder) }
    }

    async fn both() -> [Self; 2] {
        [Self::on_memory(), Self::on_sqlite().await]
    }

    /// A worker that looks for tasks only when it is woken, or knows of a time.
    fn worker(&self) -> Worker {
        self.tasks.worker().poll_interval(Duration::from_secs(3600))
    }
}

/// A worker that runs until the test ends it.
struct Running(Arc<Notify>, JoinHandle<Result<(), Error>>);

impl Running {
    fn start(worker: Worker) -> Self {
        let end = Arc::new(Notify::new());
        let ended = Arc::clone(&end);
        let worker = worker.with_graceful_shutdown(async move { ended.notified().await });
        Self(end, tokio::spawn(worker.into_future()))
    }

    async fn end(self) {
        self.0.notify_one();
        self.1.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn nothing_is_leased_ahead_from_a_queue_with_limits() {
    for program in Program::both().await {
        let Program { stage, tasks, .. } = &program;
        tasks.put_queue("limited", UNREACHED).await.unwrap();
        tasks.defer_many((0..400).map(|_| bulk::defer())).await.unwrap();
        let worker = Running::start(program.worker().concurrency(2));
        // By then attempts end so fast that many tasks are leased ahead.
        stage.until("bulk", 300).await;
        tasks.defer_many((0..30).map(|_| slow::defer())).await.unwrap();
        for begun in 2..=30 {
            stage.until("slow", begun).await;
            // Two run, and the outcomes of two others may not be recorded yet.
            let leased = tasks.stats_of::<slow>().await.unwrap().leased;
            assert!((1..=4).contains(&leased), "{leased} are leased, {begun} have begun");
            stage.gate.add_permits(1);
        }
        stage.gate.add_permits(30);
        worker.end().await;
    }
}

/// Without a runner that is kept free, no task of the queue would start before the backlog ends.
#[tokio::test]
async fn a_queue_with_limits_has_its_turn_beside_a_backlog_that_is_leased_ahead() {
    for program in Program::both().await {
        let Program { stage, tasks, .. } = &program;
        tasks.put_queue("limited", UNREACHED).await.unwrap();
        tasks.defer_many((0..4_000).map(|_| bulk::defer())).await.unwrap();
        let worker = Running::start(program.worker().concurrency(4));
        stage.until("bulk", 500).await;
        tasks.defer_many((0..20).map(|_| quick::defer())).await.unwrap();
        stage.until("quick", 20).await;
        let before = stage.count("bulk");
        assert!(before < 3_000, "{before} of the backlog began before the last of 20 tasks");
        stage.until("bulk", 4_000).await;
        worker.end().await;
    }
}

#[tokio::test]
async fn queues_with_limits_take_turns_and_leave_turns_to_the_backlog() {
    for program in Program::both().await {
        let Program { stage, tasks, .. } = &program;
        for queue in ["limited", "limited-too"] {
            tasks.put_queue(queue, UNREACHED).await.unwrap();
        }
        tasks.defer_many((0..1_000).map(|_| quick::defer())).await.unwrap();
        tasks.defer_many((0..50).map(|_| other::defer())).await.unwrap();
        tasks.defer_many((0..50).map(|_| bulk::defer())).await.unwrap();
        let worker = Running::start(program.worker().concurrency(2));
        stage.until("other", 50).await;
        stage.until("bulk", 50).await;
        let before = stage.count("quick");
        assert!(before < 900, "{before} of the longest queue began before the last of the others");
        worker.end().await;
    }
}

/// On a clock that stands still nothing is leased ahead, as nothing has ended in any time.
#[tokio::test]
async fn where_nothing_is_leased_ahead_a_queue_with_limits_has_one_turn_in_a_round() {
    let stage = Stage::new();
    let builder = Client::builder().registry(crate::tasks_of(module_path!()));
    let builder = builder.state(stage.clone()).clock(ManualClock::new());
    let tasks = builder.build(Memory::new()).unwrap();
    tasks.put_queue("limited", UNREACHED).await.unwrap();
    tasks.defer_many((0..4).map(|_| slow::defer())).await.unwrap();
    tasks.defer_many((0..4).map(|_| heavy::defer())).await.unwrap();
    let worker = Running::start(tasks.worker().concurrency(1));
    for turn in 1..=4 {
        for name in ["slow", "heavy"] {
            stage.until(name, turn).await;
            assert_eq!((stage.count("slow"), stage.begun().last()), (turn, Some(&name)));
            stage.gate.add_permits(1);
        }
    }
    worker.end().await;
}

#[tokio::test]
async fn the_end_of_an_attempt_lets_the_next_one_begin() {
    for program in Program::both().await {
        let Program { stage, tasks, .. } = &program;
        let one = QueueConfig::new().with_max_concurrent_dispatches(1);
        tasks.put_queue("limited", one).await.unwrap();
        tasks.defer_many((0..20).map(|_| quick::defer())).await.unwrap();
        let worker = Running::start(program.worker());
        stage.until("quick", 20).await;
        worker.end().await;
        assert_eq!(tasks.stats().await.unwrap().open(), 0);
    }
}

#[tokio::test]
async fn no_more_attempts_run_at_a_time_than_the_queue_allows() {
    for program in Program::both().await {
        let Program { stage, tasks, .. } = &program;
        let three = QueueConfig::new().with_max_concurrent_dispatches(3);
        tasks.put_queue("limited", three).await.unwrap();
        tasks.defer_many((0..9).map(|_| slow::defer())).await.unwrap();
        let workers = [(); 2].map(|()| Running::start(program.worker()));
        stage.until("slow", 3).await;
        other::defer().on(tasks).await.unwrap();
        stage.until("other", 1).await;
        assert_eq!(stage.count("slow"), 3, "though runners are free");
        for begun in 4..=9 {
            stage.gate.add_permits(1);
            stage.until("slow", begun).await;
            assert_eq!(stage.count("slow"), begun);
        }
        stage.gate.add_permits(9);
        for worker in workers {
            worker.end().await;
        }
    }
}

#[tokio::test]
async fn a_worker_comes_back_when_there_is_a_token() {
    for program in Program::both().await {
        let Program { stage, tasks, .. } = &program;
        let config = QueueConfig::new().with_max_dispatches_per_second(25.0).with_max_burst_size(1);
        tasks.put_queue("limited", config).await.unwrap();
        tasks.defer_many((0..6).map(|_| quick::defer())).await.unwrap();
        let begun = Instant::now();
        let worker = Running::start(program.worker());
        stage.until("quick", 6).await;
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(195), "five tokens took {took:?}");
        worker.end().await;
    }
}

#[tokio::test]
async fn changed_limits_hold_at_once() {
    for program in Program::both().await {
        let Program { stage, tasks, .. } = &program;
        let closed =
            QueueConfig::new().with_max_dispatches_per_second(0.001).with_max_burst_size(1);
        tasks.put_queue("limited", closed).await.unwrap();
        tasks.defer_many((0..5).map(|_| quick::defer())).await.unwrap();
        let worker = Running::start(program.worker());
        stage.until("quick", 1).await;
        tasks.put_queue("limited", UNREACHED).await.unwrap();
        stage.until("quick", 5).await;
        worker.end().await;
    }
}

#[tokio::test]
async fn a_task_that_is_run_by_hand_begins_beyond_the_limits() {
    for program in Program::both().await {
        let Program { stage, tasks, .. } = &program;
        let one = QueueConfig::new().with_max_concurrent_dispatches(1);
        let config = one.with_max_dispatches_per_second(0.001).with_max_burst_size(1);
        tasks.put_queue("limited", config).await.unwrap();
        slow::defer().on(tasks).await.unwrap();
        let worker = Running::start(program.worker());
        stage.until("slow", 1).await;
        let waits = quick::defer().on(tasks).await.unwrap().id;
        tasks.run_now(waits).await.unwrap();
        stage.until("quick", 1).await;
        stage.gate.add_permits(1);
        worker.end().await;
    }
}
