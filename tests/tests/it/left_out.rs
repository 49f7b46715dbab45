//! Workers that leave queues to others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::testing::{Faulty, Operation};
use gae_tasks::{Client, Error, Registry, Worker, deferred};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How many tasks have run, of all queues.
#[derive(Clone, Default)]
struct Ran(Arc<AtomicUsize>, Arc<Notify>);

/// A state that only the workers for large tasks have.
#[derive(Clone)]
struct Memories;

#[deferred(queue = "small")]
async fn small(#[state] ran: &Ran) {
    ran.0.fetch_add(1, Ordering::SeqCst);
    ran.1.notify_one();
}

#[deferred(queue = "large")]
async fn large(#[state] _memory: &Memories, #[state] ran: &Ran) {
    ran.0.fetch_add(1, Ordering::SeqCst);
    ran.1.notify_one();
}

/// A task of two queues.
#[deferred(queues = ["small", "other"])]
async fn spread() {}

fn registry() -> Registry {
    crate::tasks_of(module_path!())
}

fn start(worker: Worker) -> (Arc<Notify>, JoinHandle<Result<(), Error>>) {
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let worker = worker.with_graceful_shutdown(async move { stopped.notified().await });
    (stop, tokio::spawn(worker.into_future()))
}

async fn problems(worker: Worker) -> Vec<String> {
    match worker.await {
        Err(Error::Misconfigured { problems, .. }) => problems,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_worker_runs_nothing_of_queues_that_it_leaves_out_and_needs_nothing_for_them() {
    let ran = Ran::default();
    let backend = Faulty::new(Memory::new());
    let builder = || Client::builder().registry(registry()).state(ran.clone());
    // It has no `Memories`.
    let tasks = builder().build(backend.clone()).unwrap();
    large::defer().on(&tasks).await.unwrap();
    small::defer().on(&tasks).await.unwrap();
    let (stop, worker) = start(tasks.worker().without_queues(["large"]));
    ran.1.notified().await;
    while tasks.stats_of::<small>().await.unwrap().open() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(tasks.stats_of::<large>().await.unwrap().due, 1);
    stop.notify_one();
    worker.await.unwrap().unwrap();
    let others = builder().state(Memories).build(backend).unwrap();
    let (stop, worker) = start(others.worker().queues(["large"]));
    ran.1.notified().await;
    stop.notify_one();
    worker.await.unwrap().unwrap();
    assert_eq!(ran.0.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_task_of_several_queues_is_met_in_the_others() {
    let tasks = Client::builder().registry(registry()).build(Memory::new()).unwrap();
    let problems = problems(tasks.worker().without_queues(["other", "large"])).await;
    let text = problems.join("\n");
    assert!(text.contains("Ran") && !text.contains("Memories"), "{text}");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let tasks = Client::builder()
        .registry(registry())
        .state(Ran::default())
        .state(Memories)
        .build(Memory::new())
        .unwrap();
    let worker = || tasks.worker();
    for (worker, parts) in [
        (worker().without_queues(["lrage"]), ["`.without_queues([\"lrage\"])`", "`large`"]),
        (
            worker().queues(["small", "large"]).without_queues(["large"]),
            ["`.queues([..])`", "`.without_queues([..])`"],
        ),
        (
            worker().without_queues(["small", "large", "other"]),
            ["the worker has no queues", "`.without_queues([..])`"],
        ),
        (
            worker().without_queues(["large"]).queue_concurrency("large", 2),
            ["`.queue_concurrency(\"large\", 2)`", "does not serve"],
        ),
        (worker().without_queues(["not a name"]), ["`not a name`", "not a valid queue name"]),
    ] {
        let problems = problems(worker).await;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(parts.iter().all(|part| problems[0].contains(part)), "{problems:?}");
    }
}

#[tokio::test]
async fn an_idle_worker_asks_for_no_cancelled_tasks() {
    let backend = Faulty::new(Memory::new());
    let client = Client::builder().registry(registry()).state(Ran::default());
    let tasks = client.build(backend.clone()).unwrap();
    let (stop, worker) = start(tasks.worker().without_queues(["large"]));
    // Sweeps come as often as looks for cancelled tasks do while tasks run.
    while backend.calls(Operation::Sweep) < 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(backend.calls(Operation::Cancelled), 0);
    stop.notify_one();
    worker.await.unwrap().unwrap();
}
