//! The queues that tasks name: made by a worker that starts, and by a plan.

use std::future::ready;

use gae_tasks::backend::memory::Memory;
use gae_tasks::testing::{Fault, Faulty, Operation};
use gae_tasks::{Client, ClientBuilder, QueueConfig, Queues, Worker, deferred};

#[deferred(queue = "emails")]
async fn sends() {}

#[deferred(queues = ["bulk-a", "bulk-b"])]
async fn spreads() {}

#[deferred]
async fn names_no_queue() {}

fn program() -> ClientBuilder {
    Client::builder().registry(crate::tasks_of(module_path!()))
}

async fn names(tasks: &Client) -> Vec<String> {
    let queues = tasks.queues().await.unwrap();
    queues.into_iter().map(|queue| queue.name.to_string()).collect()
}

/// Starts a worker that ends when it has started.
async fn start(worker: Worker) {
    worker.with_graceful_shutdown(ready(())).await.unwrap();
}

#[tokio::test]
async fn the_queues_that_tasks_name_exist_once_a_worker_has_started() {
    let tasks = program().build(Memory::new()).unwrap();
    assert!(names(&tasks).await.is_empty(), "a client makes none");
    start(tasks.worker()).await;
    assert_eq!(names(&tasks).await, ["bulk-a", "bulk-b", "default", "emails"]);
    let others = program().default_queues(["low"]).build(Memory::new()).unwrap();
    start(others.worker()).await;
    assert_eq!(names(&others).await, ["bulk-a", "bulk-b", "emails", "low"]);
}

#[tokio::test]
async fn a_worker_makes_only_queues_that_it_serves_and_that_tasks_name() {
    let tasks = program().build(Memory::new()).unwrap();
    start(tasks.worker().queues(["emails", "perhaps-misspelt"])).await;
    assert_eq!(names(&tasks).await, ["emails"]);
}

#[tokio::test]
async fn a_queue_that_exists_stays_as_it_is() {
    let tasks = program().build(Memory::new()).unwrap();
    let config = QueueConfig::new().with_max_concurrent_dispatches(3);
    tasks.put_queue("emails", config.clone()).await.unwrap();
    tasks.pause("emails").await.unwrap();
    start(tasks.worker()).await;
    let queues = tasks.queues().await.unwrap();
    let emails = queues.into_iter().find(|queue| queue.name.as_str() == "emails").unwrap();
    assert_eq!((emails.config, emails.paused), (Some(config), true));
}

#[tokio::test]
async fn a_queue_that_cannot_be_made_ends_no_worker() {
    let backend = Faulty::new(Memory::new()).with(Operation::PutQueue, 1, Fault::Fail);
    let tasks = program().build(backend).unwrap();
    start(tasks.worker()).await;
    assert_eq!(names(&tasks).await, ["bulk-b", "default", "emails"]);
    let unread = Faulty::new(Memory::new()).with(Operation::Queues, 1, Fault::Fail);
    let tasks = program().build(unread.clone()).unwrap();
    start(tasks.worker()).await;
    assert_eq!(unread.calls(Operation::PutQueue), 0, "what exists is not known");
}

#[tokio::test]
async fn a_worker_that_finds_its_queues_writes_none() {
    let backend = Faulty::new(Memory::new());
    let tasks = program().build(backend.clone()).unwrap();
    start(tasks.worker()).await;
    assert_eq!(backend.calls(Operation::PutQueue), 4);
    start(tasks.worker()).await;
    assert_eq!(backend.calls(Operation::PutQueue), 4);
}

#[tokio::test]
async fn of_many_queues_a_hundred_are_asked_for_at_once() {
    let queues: Vec<_> = (0..250).map(|number| format!("q-{number}")).collect();
    let backend = Faulty::new(Memory::new()).with(Operation::PutQueue, 1, Fault::Stall);
    let tasks = program().default_queues(queues).build(backend.clone()).unwrap();
    let first = async {
        while backend.stalled() == 0 {
            tokio::task::yield_now().await;
        }
        let asked = backend.calls(Operation::PutQueue);
        backend.let_go();
        asked
    };
    let ((), asked) = tokio::join!(start(tasks.worker()), first);
    assert_eq!((asked, names(&tasks).await.len()), (100, 253));
}

#[tokio::test]
async fn a_plan_makes_the_queues_that_tasks_name_and_changes_none() {
    let tasks = program().build(Memory::new()).unwrap();
    let slow = QueueConfig::new().with_max_dispatches_per_second(1.0);
    tasks.put_queue("emails", slow.clone()).await.unwrap();
    let plan = tasks.plan_queues([("default", slow.clone())]).await.unwrap();
    let told = plan.to_string();
    for line in ["  create `default`\n", "  create `bulk-a`, which tasks name"] {
        assert!(told.contains(line), "{told}");
    }
    assert!(!told.contains("emails") && plan.extra().is_empty(), "{told}");
    plan.apply().await.unwrap();
    assert_eq!(names(&tasks).await, ["bulk-a", "bulk-b", "default", "emails"]);
    let again = tasks.plan_queues(Queues::new()).await.unwrap();
    assert!(again.is_empty() && again.extra().is_empty(), "{again}");
    let config = tasks.queues().await.unwrap().remove(3).config;
    assert_eq!(config, Some(slow));
}
