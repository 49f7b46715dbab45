//! No connection left, in the pool or at the server: calls wait for ten seconds and say so, and
//! workers go on once there are connections.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use gae_tasks::Client;
use gae_tasks_tests_postgres::{Cluster, Database};
use sqlx::{Connection, Executor, PgConnection};

use crate::stage::{
    PASSWORD, Worker, assert_says, counted, counting, database, let_work, lock, of_ann, refused,
    role, until,
};

/// For how long a call waits for a connection, and what finding the reason may take besides.
const WAIT: Duration = Duration::from_secs(10);
const TOLERANCE: Duration = Duration::from_secs(8);

fn assert_waited(begun: Instant) {
    let waited = begun.elapsed();
    let early = WAIT - Duration::from_secs(1);
    assert!(waited >= early && waited < WAIT + TOLERANCE, "waited for {waited:?}");
}

/// Waits until this many connections of `ann` wait for a lock.
async fn until_blocked(database: &Database, connections: i64) {
    let blocked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND \
                   usename = 'ann' AND wait_event_type = 'Lock'";
    until("a lock that is waited for", async || {
        database.value::<i64>(blocked).await.unwrap() >= connections
    })
    .await;
}

#[tokio::test]
async fn a_call_that_gets_no_connection_of_the_pool_says_what_to_do() {
    let database = database().await;
    let_work(&database, "ann").await;
    let url = format!("{}?max_connections=2", of_ann(&database, PASSWORD));
    let (tasks, runs) = counting(&url).await;
    let before = counted::defer().on(&tasks).await.unwrap().id;
    let worker = Worker::of(&tasks, &["counted"]);
    runs.all_ran_once(&tasks, &[before]).await;
    let mut locked = lock(&database).await;
    // These two, or the worker, have the connections, and wait.
    let busy = [tasks.clone(), tasks.clone()]
        .map(|tasks| tokio::spawn(async move { tasks.stats().await }));
    until_blocked(&database, 2).await;
    let begun = Instant::now();
    let error = counted::defer().on(&tasks).await.unwrap_err();
    assert_says(&error, &["all connections of this process were busy", "max_connections"]);
    assert_waited(begun);
    locked.execute("ROLLBACK").await.unwrap();
    for stats in busy {
        if let Err(error) = stats.await.unwrap() {
            assert_says(&error, &["all connections of this process were busy"]);
        }
    }
    let after = counted::defer().on(&tasks).await.unwrap().id;
    runs.all_ran_once(&tasks, &[before, after]).await;
    worker.end().await;
}

#[tokio::test]
async fn a_role_without_connections_left_is_told_so() {
    let database = database().await;
    let (_, url) = role(&database, "CONNECTION LIMIT 1").await;
    let only = PgConnection::connect(&url).await.unwrap();
    let begun = Instant::now();
    let error = refused(&url).await;
    assert_says(&error, &["no connection left", "max_connections"]);
    // Nobody waits for a connection that was never there.
    assert!(begun.elapsed() < WAIT / 2, "{:?}", begun.elapsed());
    only.close().await.unwrap();
}

#[tokio::test]
async fn a_server_without_connections_left_says_so_and_opens_when_there_are() {
    // Three connections are for superusers, and four for others.
    let settings = &[("max_connections", "7"), ("superuser_reserved_connections", "3")];
    let cluster = Cluster::with(settings).await;
    let database = cluster.database().await;
    let (_, url) = role(&database, "").await;
    let taken = Mutex::new(Vec::new());
    // Connections that were closed are free a moment later.
    until("the last connection", async || {
        let one = PgConnection::connect(&url).await;
        let mut taken = taken.lock().unwrap();
        taken.extend(one);
        taken.len() == 4
    })
    .await;
    assert_says(&refused(&url).await, &["no connection left", "max_connections"]);
    drop(taken);
    until("a free connection", async || Client::open(&url).await.is_ok()).await;
}

#[tokio::test]
async fn a_worker_goes_on_when_the_server_has_connections_again() {
    let database = database().await;
    let (role, url) = role(&database, "").await;
    let (tasks, runs) = counting(&format!("{url}?max_connections=2")).await;
    let before = counted::defer().on(&tasks).await.unwrap().id;
    let worker = Worker::of(&tasks, &["counted"]);
    runs.all_ran_once(&tasks, &[before]).await;
    let limit = |most: i32| format!("ALTER ROLE {role} CONNECTION LIMIT {most}");
    database.execute(&limit(0)).await.unwrap();
    database.terminate_backends().await.unwrap();
    // Somebody else has connections.
    let (other, _) = counting(&database.url()).await;
    let meanwhile = counted::defer().on(&other).await.unwrap().id;
    let begun = Instant::now();
    let error = counted::defer().on(&tasks).await.unwrap_err();
    assert_says(&error, &["no connection left", "max_connections"]);
    assert_waited(begun);
    database.execute(&limit(-1)).await.unwrap();
    runs.all_ran_once(&tasks, &[before, meanwhile]).await;
    let after = counted::defer().on(&tasks).await.unwrap().id;
    runs.all_ran_once(&tasks, &[before, meanwhile, after]).await;
    worker.end().await;
}
