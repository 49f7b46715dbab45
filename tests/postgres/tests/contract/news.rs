//! Wake-ups across processes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gae_tasks::backend::Pull;
use gae_tasks::backend::postgres::Postgres;
use gae_tasks_tests_postgres::{Cluster, Database};
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::tasks::{store_one, task};

/// Waits until the listener is woken.
async fn woken(wakeups: &mut watch::Receiver<u64>) {
    let woken = timeout(Duration::from_secs(20), wakeups.changed()).await;
    woken.expect("nobody woke the listener").expect("the backend is there");
}

/// Returns a backend whose listener hears.
async fn listening(database: &Database) -> (Postgres, watch::Receiver<u64>) {
    listening_at(&database.url()).await
}

async fn listening_at(url: &str) -> (Postgres, watch::Receiver<u64>) {
    let backend = Postgres::open(url).await.expect("it opens");
    // A listener that connects looks for what waits.
    store_one(&backend, task()).await.expect("it is stored");
    let mut wakeups = backend.wakeups();
    woken(&mut wakeups).await;
    (backend, wakeups)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_wake_each_other() {
    let database = Cluster::shared().await.database().await;
    let ((one, mut of_one), (other, mut of_other)) =
        (listening(&database).await, listening(&database).await);
    store_one(&one, task()).await.expect("it is stored");
    woken(&mut of_other).await;
    of_one.mark_unchanged();
    store_one(&other, task()).await.expect("it is stored");
    woken(&mut of_one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_lost_its_connection_looks_once_and_hears_again() {
    let database = Cluster::shared().await.database().await;
    let (_backend, mut wakeups) = listening(&database).await;
    database.terminate_backends().await.expect("the server answers");
    woken(&mut wakeups).await;
    let other = Postgres::open(&database.url()).await.expect("it opens");
    store_one(&other, task()).await.expect("it is stored");
    woken(&mut wakeups).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_schema_has_news_of_its_own() {
    let database = Cluster::shared().await.database().await;
    let (_backend, wakeups) = listening(&database).await;
    let url = format!("{}&schema=other", database.url());
    let other = Postgres::open(&url).await.expect("it opens");
    let (_second, mut of_second) = listening_at(&url).await;
    store_one(&other, task()).await.expect("it is stored");
    woken(&mut of_second).await;
    assert!(!wakeups.has_changed().expect("the backend is there"));
}

/// Notifications are sent one after the other by the whole server.
#[tokio::test(flavor = "multi_thread")]
async fn many_callers_are_far_fewer_notifications() {
    const TASKS: u128 = 1_000;
    let database = Cluster::shared().await.database().await;
    let backend = Arc::new(Postgres::open(&database.url()).await.expect("it opens"));
    store_one(&*backend, task()).await.expect("it is stored");
    let mut listener = PgListener::connect(&database.url()).await.expect("the server answers");
    listener.listen("gae_tasks").await.expect("the server answers");
    let (begun, mut callers) = (Instant::now(), JoinSet::new());
    for _ in 0..TASKS {
        let backend = Arc::clone(&backend);
        callers.spawn(async move { store_one(&*backend, task()).await.expect("it is stored") });
    }
    callers.join_all().await;
    listener.recv().await.expect("the server answers");
    let mut heard = 1;
    database.execute("NOTIFY gae_tasks, 'the end'").await.expect("the server answers");
    while listener.recv().await.expect("the server answers").payload() != "the end" {
        heard += 1;
    }
    // At most one a millisecond.
    let most = (begun.elapsed().as_millis() + 2).min(TASKS / 2);
    assert!(heard <= most, "{heard} notifications in {:?}", begun.elapsed());
}
