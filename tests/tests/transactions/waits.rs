//! Calls that wait for the lock of an open transaction.

use std::time::{Duration, Instant};

use gae_tasks::{Client, Error, deferred};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::stage::{Stage, begin, until};

/// How long a `defer` waits for a lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a busy machine adds.
const TOLERANCE: Duration = Duration::from_millis(1_500);

#[deferred(queue = "plain")]
async fn plain() {}

#[deferred(queue = "slow")]
async fn slow(millis: u64, #[state] runs: &Runs) {
    runs.lock().unwrap().push(true);
    tokio::time::sleep(Duration::from_millis(millis)).await;
    runs.lock().unwrap().push(false);
}

/// Begins and ends of attempts.
type Runs = std::sync::Arc<std::sync::Mutex<Vec<bool>>>;

/// A worker of the queue `slow`.
struct Running {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), Error>>,
}

impl Running {
    fn start(client: &Client, lease: Duration) -> Self {
        let (stop, stopped) = oneshot::channel();
        let worker = client.worker().queues(["slow"]).lease(lease);
        let worker = worker.poll_interval(Duration::from_millis(50));
        let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
        Self { stop, ended: tokio::spawn(worker.into_future()) }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap().unwrap();
    }
}

fn assert_names_in_tx(refused: &Error) {
    let text = refused.to_string();
    assert!(text.contains("in_tx") && text.contains("another connection"), "{text}");
}

#[tokio::test]
async fn a_plain_defer_in_an_open_transaction_fails_and_names_in_tx() {
    let stage = Stage::new().await;
    let mut application = stage.application();
    let tx = begin(&mut application);
    let begun = Instant::now();
    let first = tokio::spawn(plain::defer().on(&stage.tasks).into_future());
    tokio::time::sleep(Duration::from_secs(3)).await;
    // Calls that come while others wait do not wait for those as well.
    let later = Instant::now();
    let second = tokio::spawn(plain::defer().on(&stage.tasks).into_future());
    assert_names_in_tx(&first.await.unwrap().unwrap_err());
    let waited = begun.elapsed();
    assert!((PATIENCE..PATIENCE + TOLERANCE).contains(&waited), "{waited:?}");
    assert_names_in_tx(&second.await.unwrap().unwrap_err());
    let waited = later.elapsed();
    assert!((PATIENCE..PATIENCE + TOLERANCE).contains(&waited), "{waited:?}");
    // The transaction was not disturbed.
    plain::defer().on(&stage.tasks).in_tx(&tx).unwrap();
    tx.commit().unwrap();
    assert_eq!(stage.open_tasks().await, 1);
}

/// A worker's operations do not shorten or lengthen the wait of a `defer`.
#[tokio::test]
async fn a_plain_defer_beside_a_worker_waits_no_longer() {
    let stage = Stage::of(Client::builder().state(Runs::default())).await;
    let worker = Running::start(&stage.tasks, Duration::from_secs(30));
    slow::defer(300).on(&stage.tasks).await.unwrap();
    let mut application = stage.application();
    let tx = begin(&mut application);
    // The outcome of the task waits for the lock by now.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let begun = Instant::now();
    assert_names_in_tx(&plain::defer().on(&stage.tasks).await.unwrap_err());
    let waited = begun.elapsed();
    assert!((PATIENCE..PATIENCE + TOLERANCE).contains(&waited), "{waited:?}");
    tx.rollback().unwrap();
    until("the outcome", async || stage.open_tasks().await == 0).await;
    worker.stop().await;
}

/// An open transaction keeps leases from being extended for longer than they last: no other worker
/// takes a task over meanwhile, or after.
#[tokio::test]
async fn a_transaction_that_is_open_for_several_leases_loses_none() {
    const LEASE: Duration = Duration::from_secs(1);
    let runs = Runs::default();
    let stage = Stage::of(Client::builder().state(runs.clone())).await;
    let other = Client::builder().state(runs.clone());
    let other = other.open(&format!("sqlite:{}", stage.file().display())).await.unwrap();
    slow::defer(400).on(&stage.tasks).await.unwrap();
    let workers = [&stage.tasks, &other].map(|client| Running::start(client, LEASE));
    until("the attempt", async || !runs.lock().unwrap().is_empty()).await;
    // The attempt ends within its lease; its outcome is recorded three leases later.
    let mut application = stage.application();
    let tx = begin(&mut application);
    tokio::time::sleep(3 * LEASE).await;
    assert_eq!(*runs.lock().unwrap(), [true, false]);
    tx.commit().unwrap();
    until("the outcome", async || stage.open_tasks().await == 0).await;
    tokio::time::sleep(2 * LEASE).await;
    assert_eq!(*runs.lock().unwrap(), [true, false], "the task ran twice");
    for worker in workers {
        worker.stop().await;
    }
}

/// While nobody can write, nobody takes an attempt's lease: the attempt goes on, however long.
#[tokio::test]
async fn an_attempt_goes_on_through_a_transaction_that_is_longer_than_its_lease() {
    const LEASE: Duration = Duration::from_secs(1);
    let runs = Runs::default();
    let stage = Stage::of(Client::builder().state(runs.clone())).await;
    let other = Client::builder().state(runs.clone());
    let other = other.open(&format!("sqlite:{}", stage.file().display())).await.unwrap();
    slow::defer(5_000).on(&stage.tasks).await.unwrap();
    let workers = [&stage.tasks, &other].map(|client| Running::start(client, LEASE));
    until("the attempt", async || !runs.lock().unwrap().is_empty()).await;
    let mut application = stage.application();
    let tx = begin(&mut application);
    tokio::time::sleep(4 * LEASE).await;
    tx.commit().unwrap();
    until("the outcome", async || stage.open_tasks().await == 0).await;
    assert_eq!(*runs.lock().unwrap(), [true, false], "the task ran twice");
    for worker in workers {
        worker.stop().await;
    }
}
