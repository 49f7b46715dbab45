//! Connections that are lost while tasks are stored.

use std::sync::Arc;

use gae_tasks::Deferred;
use gae_tasks::backend::NewTask;
use gae_tasks::backend::postgres::Postgres;
use gae_tasks_tests_postgres::proxy::{is_commit, statement};
use gae_tasks_tests_postgres::{Cluster, Database, Proxy};

use crate::tasks::{named, store, store_one, stored, task};

/// A backend behind a proxy, whose shared rows are stored and whose tasks are not.
async fn stage() -> (Proxy, Arc<Postgres>, Database) {
    let cluster = Cluster::shared().await;
    let (database, proxy) = (cluster.database().await, Proxy::before(cluster.port()).await);
    let backend = Postgres::open(&proxy.url(database.name())).await.expect("it opens");
    store_one(&backend, task()).await.expect("it is stored");
    at_rest(&database).await;
    forget(&database).await;
    (proxy, Arc::new(backend), database)
}

/// Waits until no transaction is open, as one is for a moment that waits for the next caller.
async fn at_rest(database: &Database) {
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state \
                = 'idle in transaction'";
    while database.value::<i64>(open).await.expect("the server answers") > 0 {
        tokio::task::yield_now().await;
    }
}

/// Deletes all tasks, as a worker does that has run them.
async fn forget(database: &Database) {
    let delete = "DELETE FROM gae_tasks.task; DELETE FROM gae_tasks.waiting; \
                  DELETE FROM gae_tasks.name";
    database.execute(delete).await.expect("the server answers");
}

async fn lose_answer_of_commit(task: NewTask) {
    let (proxy, backend, database) = stage().await;
    let (id, fault) = (task.spec.id, proxy.withhold(is_commit));
    let storing = tokio::spawn(async move { store_one(&*backend, task).await });
    fault.answered().await;
    assert_eq!(stored(&database).await, 1);
    forget(&database).await;
    fault.cut();
    let answer = storing.await.expect("it does not panic").expect("the server knows");
    assert_eq!(answer, Deferred::new(id, true));
    assert_eq!(stored(&database).await, 0, "the task was stored again after it had run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_has_run_is_not_stored_again_where_the_answer_of_its_commit_is_lost() {
    lose_answer_of_commit(task()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_is_a_named_one() {
    lose_answer_of_commit(named("once")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_whose_transaction_was_lost_are_stored_by_another() {
    let (proxy, backend, database) = stage().await;
    // The first statement of a name is prepared here, in the midst of the transaction.
    let fault = proxy.cut_answer(|message| {
        statement(message).is_some_and(|text| text.contains("INTO gae_tasks.name"))
    });
    store_one(&*backend, named("once")).await.expect("it is stored");
    fault.answered().await;
    assert_eq!(stored(&database).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_do_not_hear_of_a_restart() {
    let cluster = Cluster::own().await;
    let database = cluster.database().await;
    let backend = Arc::new(Postgres::open(&database.tcp_url()).await.expect("it opens"));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let backend = Arc::clone(&backend);
        callers.spawn(async move {
            for _ in 0..100 {
                store_one(&*backend, task()).await.expect("it is stored");
            }
        });
    }
    let some = "SELECT count(*) >= 100 FROM gae_tasks.task";
    while !database.value::<bool>(some).await.expect("the server answers") {
        tokio::task::yield_now().await;
    }
    cluster.restart().await;
    callers.join_all().await;
    assert_eq!(stored(&database).await, 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_is_one_transaction() {
    let (proxy, backend, database) = stage().await;
    let fault = proxy.withhold(is_commit);
    let tasks = (0..2_500).map(|_| task()).collect();
    let storing = tokio::spawn(async move { store(&*backend, tasks).await });
    fault.answered().await;
    assert_eq!(stored(&database).await, 2_500, "the first commit is that of all");
    fault.release();
    let answers = storing.await.expect("it does not panic").expect("the server answers");
    assert!(answers.len() == 2_500 && answers.iter().all(Result::is_ok));
}
