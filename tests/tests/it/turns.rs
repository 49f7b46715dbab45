//! Queues share a worker: a long backlog of one queue does not delay another, and a bound keeps
//! runners free.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::sqlite::Sqlite;
use gae_tasks::{Client, ClientBuilder, Error, deferred};
use tokio::sync::{Semaphore, watch};

const BULK: usize = 500;

/// The state of the tasks of these tests.
#[derive(Clone, Default)]
struct Stage {
    /// The names of the tasks that have begun, in that order.
    begun: Arc<Mutex<Vec<&'static str>>>,
    changed: watch::Sender<()>,
    gate: Arc<Gate>,
}

struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Stage {
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

    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let mut changed = self.changed.subscribe();
        let waited = async {
            while !holds(self) {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waited)
            .await
            .expect("the awaited event did not happen");
    }
}

#[deferred(queue = "bulk")]
async fn bulk(#[state] stage: &Stage) {
    stage.begin("bulk");
}

#[deferred(queue = "small")]
async fn small(#[state] stage: &Stage) {
    stage.begin("small");
}

#[deferred(queue = "slow")]
async fn slow(#[state] stage: &Stage) {
    stage.begin("slow");
    stage.gate.0.acquire().await.unwrap().forget();
}

#[deferred(queue = "slow-too")]
async fn slow_too(#[state] stage: &Stage) {
    stage.begin("slow-too");
    stage.gate.0.acquire().await.unwrap().forget();
}

fn program(stage: &Stage) -> ClientBuilder {
    Client::builder().registry(crate::tasks_of(module_path!())).state(stage.clone())
}

/// Returns the position at which the last of ten tasks begins, behind a long backlog of another
/// queue.
async fn last_small(stage: &Stage, tasks: &Client) -> usize {
    tasks.defer_many((0..BULK).map(|_| bulk::defer())).await.unwrap();
    tasks.defer_many((0..10).map(|_| small::defer())).await.unwrap();
    let all_have_begun = {
        let stage = stage.clone();
        async move { stage.until(|stage| stage.begun().len() == BULK + 10).await }
    };
    tasks.worker().concurrency(4).with_graceful_shutdown(all_have_begun).await.unwrap();
    stage.begun().iter().rposition(|name| *name == "small").unwrap()
}

#[tokio::test]
async fn ten_tasks_do_not_wait_for_the_long_backlog_of_another_queue() {
    let stage = Stage::default();
    let tasks = program(&stage).build(Memory::new()).unwrap();
    // Every second task, after as many as one lease may bring before.
    let last = last_small(&stage, &tasks).await;
    assert!(last < 40, "the last task began as number {last}");
}

#[tokio::test]
async fn ten_tasks_do_not_wait_for_the_long_backlog_of_another_queue_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::default();
    let tasks =
        program(&stage).build(Sqlite::open(folder.path().join("tasks.db")).await.unwrap()).unwrap();
    let last = last_small(&stage, &tasks).await;
    assert!(last < 40, "the last task began as number {last}");
}

/// Each lease returns one task, so the turns continue from lease to lease.
#[tokio::test]
async fn a_worker_that_leases_one_task_at_a_time_takes_them_in_turn() {
    let stage = Stage::default();
    let tasks = program(&stage).build(Memory::new()).unwrap();
    tasks.defer_many((0..6).map(|_| slow::defer())).await.unwrap();
    tasks.defer_many((0..6).map(|_| slow_too::defer())).await.unwrap();
    let all_have_begun = {
        let stage = stage.clone();
        async move {
            for begun in 1..=12 {
                stage.until(|stage| stage.begun().len() == begun).await;
                stage.gate.0.add_permits(1);
            }
        }
    };
    tasks.worker().concurrency(1).with_graceful_shutdown(all_have_begun).await.unwrap();
    let first: Vec<_> = stage.begun().into_iter().take(6).collect();
    assert_eq!(first.iter().filter(|name| **name == "slow").count(), 3, "{first:?}");
}

#[tokio::test]
async fn a_bounded_queue_leaves_runners_to_the_others() {
    let stage = Stage::default();
    let tasks = program(&stage).build(Memory::new()).unwrap();
    tasks.defer_many((0..10).map(|_| slow::defer())).await.unwrap();
    let end = Arc::new(tokio::sync::Notify::new());
    let ended = Arc::clone(&end);
    // Only the end of an attempt makes the worker poll again.
    let worker = tasks
        .worker()
        .concurrency(4)
        .queue_concurrency("slow", 2)
        .poll_interval(Duration::from_secs(3600));
    let worker = worker.with_graceful_shutdown(async move { ended.notified().await });
    let worker = tokio::spawn(worker.into_future());
    stage.until(|stage| stage.count("slow") == 2).await;
    tasks.defer_many((0..50).map(|_| small::defer())).await.unwrap();
    stage.until(|stage| stage.count("small") == 50).await;
    assert_eq!(stage.count("slow"), 2, "no more than the queue's bound, though runners are free");
    stage.gate.0.add_permits(1);
    stage.until(|stage| stage.count("slow") == 3).await;
    stage.gate.0.add_permits(9);
    stage.until(|stage| stage.count("slow") == 10).await;
    end.notify_one();
    worker.await.unwrap().unwrap();
    assert_eq!(tasks.stats().await.unwrap().open(), 0);
}

#[tokio::test]
async fn a_bound_on_a_queue_that_is_not_served_is_an_error() {
    let tasks = program(&Stage::default()).build(Memory::new()).unwrap();
    let worker = tasks
        .worker()
        .queues(["small"])
        .queue_concurrency("bulk", 2)
        .queue_concurrency("no queue!", 2);
    let Err(Error::Misconfigured { problems, .. }) = worker.await else {
        panic!("the worker was started")
    };
    let text = problems.join("\n");
    assert!(
        text.contains(
            "`.queue_concurrency(\"bulk\", 2)` bounds a queue that the worker does not serve"
        ),
        "{text}"
    );
    assert!(
        text.contains("`no queue!` is not a valid queue name") && problems.len() == 2,
        "{text}"
    );
}
