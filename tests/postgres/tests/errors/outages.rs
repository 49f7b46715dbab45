//! Servers that restart, or take no writes for a while.

use std::time::{Duration, Instant};

use gae_tasks::Client;
use gae_tasks_tests_postgres::Cluster;

use crate::stage::{Worker, assert_says, counted, counting, nothing};

#[tokio::test]
async fn a_server_that_restarts_is_one_error_at_most_and_then_works() {
    let cluster = Cluster::own().await;
    let database = cluster.database().await;
    let tasks = Client::open(&database.url()).await.unwrap();
    nothing::defer().on(&tasks).await.unwrap();
    cluster.restart().await;
    let first = nothing::defer().on(&tasks).await;
    let second = nothing::defer().on(&tasks).await;
    assert!(second.is_ok(), "{second:?}");
    let stored = 2 + u64::from(first.is_ok());
    if let Err(error) = first {
        assert_says(&error, &["the database"]);
    }
    assert_eq!(tasks.stats().await.unwrap().open(), stored);
    cluster.stop().await;
    let begun = Instant::now();
    let error = nothing::defer().on(&tasks).await.unwrap_err();
    println!("after {:?}", begun.elapsed());
    assert_says(&error, &["the database"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    cluster.start().await;
    let begun = Instant::now();
    while let Err(error) = nothing::defer().on(&tasks).await {
        assert!(begun.elapsed() < Duration::from_secs(10), "{error}");
    }
    assert_eq!(tasks.stats().await.unwrap().open(), stored + 1);
}

/// Sets what all sessions of a server begin their transactions with.
async fn take_writes(cluster: &Cluster, does: bool) {
    let set = format!("ALTER SYSTEM SET default_transaction_read_only = {}", !does);
    cluster.execute("postgres", &set).await.unwrap();
    cluster.execute("postgres", "SELECT pg_reload_conf()").await.unwrap();
}

#[tokio::test]
async fn a_server_that_takes_no_writes_says_so_and_the_worker_goes_on_when_it_does() {
    let cluster = Cluster::own().await;
    let database = cluster.database().await;
    let (tasks, runs) = counting(&database.url()).await;
    let worker = Worker::of(&tasks, &["counted"]);
    let mut stored = vec![counted::defer().on(&tasks).await.unwrap().id];
    runs.all_ran_once(&tasks, &stored).await;
    take_writes(&cluster, false).await;
    // Sessions hear of it a moment later.
    let begun = Instant::now();
    let error = loop {
        match counted::defer().on(&tasks).await {
            Ok(deferred) => stored.push(deferred.id),
            Err(error) => break error,
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "the server takes writes");
    };
    assert_says(&error, &["takes no writes", "standby"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    take_writes(&cluster, true).await;
    stored.push(counted::defer().on(&tasks).await.unwrap().id);
    runs.all_ran_once(&tasks, &stored).await;
    worker.end().await;
}
