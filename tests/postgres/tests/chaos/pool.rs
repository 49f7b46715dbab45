//! As few connections as possible.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gae_tasks::{Client, Error, deferred};
use gae_tasks_tests_postgres::Cluster;
use tokio::task::JoinSet;
use tokio::time::timeout;

#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

#[deferred(queue = "counted")]
async fn count(#[state] count: &Count) {
    count.0.fetch_add(1, Ordering::SeqCst);
}

/// Fifty callers and a worker in one process.
async fn busy(tasks: &Client, counted: &Count) {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = tasks.worker().queues(["counted"]).lease(Duration::from_secs(2));
    let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
    let worker = tokio::spawn(worker.into_future());
    let mut callers = JoinSet::new();
    for caller in 0..50 {
        let tasks = tasks.clone();
        callers.spawn(async move {
            for number in 0..20 {
                let call = count::defer().on(&tasks);
                let is_named = number % 10 == 0;
                let call = if is_named { call.named(format!("{caller}-{number}")) } else { call };
                call.await.unwrap();
            }
        });
    }
    callers.join_all().await;
    while counted.0.load(Ordering::SeqCst) < 1_000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    assert_eq!(counted.0.load(Ordering::SeqCst), 1_000);
    assert_eq!(tasks.stats().await.unwrap().open(), 0);
}

/// A task that runs for several leases.
#[deferred(queue = "long")]
async fn long(#[state] count: &Count) {
    count.0.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(4)).await;
    count.0.fetch_add(1_000, Ordering::SeqCst);
}

/// Each call has a transaction of its own, because of its name, and waits for a connection.
#[tokio::test]
async fn callers_that_wait_for_connections_do_not_hold_up_renewals() {
    let (counted, database) = (Count::default(), Cluster::shared().await.database().await);
    let url = format!("{}&max_connections=2", database.url());
    let tasks = Client::builder().state(counted.clone()).open(&url).await.unwrap();
    long::defer().on(&tasks).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = tasks.worker().queues(["long"]).lease(Duration::from_secs(1));
    let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
    let worker = tokio::spawn(worker.into_future());
    let count = || counted.0.load(Ordering::SeqCst);
    let mut callers = JoinSet::new();
    for caller in 0..400 {
        let (tasks, counted) = (tasks.clone(), counted.clone());
        callers.spawn(async move {
            while counted.0.load(Ordering::SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            for number in 0.. {
                let name = format!("{caller}-{number}");
                _ = count::defer().named(name).on(&tasks).await;
            }
        });
    }
    let done = async || {
        while count() < 1_000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let done = timeout(Duration::from_secs(30), done()).await;
    callers.shutdown().await;
    done.expect("the attempt goes on to its end");
    assert_eq!(count(), 1_001, "the lease was lost, and the task was leased again");
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    assert_eq!(count(), 1_001);
}

#[tokio::test]
async fn one_or_two_connections_serve_fifty_callers_and_a_worker_or_are_refused_clearly() {
    for connections in [1, 2] {
        let (counted, database) = (Count::default(), Cluster::shared().await.database().await);
        let url = format!("{}&max_connections={connections}", database.url());
        match Client::builder().state(counted.clone()).open(&url).await {
            Ok(tasks) => {
                let done = timeout(Duration::from_secs(60), busy(&tasks, &counted)).await;
                done.unwrap_or_else(|_| panic!("{connections} connections: stuck"));
            }
            Err(error) => {
                assert!(matches!(error, Error::Url { .. }), "{error}");
                assert!(connections == 1 && error.to_string().contains("max_connections=1"));
            }
        }
    }
}
