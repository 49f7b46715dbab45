//! A server that refuses what is written: what another moment allows is tried again, all else is
//! one error, and workers go on once it is over.

use std::sync::Arc;
use std::time::Duration;

use gae_tasks::{Client, TaskContext, deferred};
use gae_tasks_tests_postgres::Refusal;
use tokio::sync::Notify;

use crate::stage::{Runs, Worker, assert_says, counted, database, nothing, texts, until};

#[derive(Clone, Default)]
struct Gate {
    begun: Arc<Notify>,
    opens: Arc<Notify>,
}

/// Runs until the gate opens.
#[deferred(queue = "gated")]
async fn gated(#[state] gate: &Gate, #[state] runs: &Runs, #[context] cx: &TaskContext) {
    runs.add(cx.id());
    gate.begun.notify_one();
    gate.opens.notified().await;
}

/// Everything is refused while an attempt ends, a task becomes due and another one is deferred.
async fn refused_for_a_while(code: &str, says: &[&str]) {
    let (database, runs, gate) = (database().await, Runs::default(), Gate::default());
    let client = Client::builder().state(runs.clone()).state(gate.clone());
    let tasks = client.open(&database.url()).await.unwrap();
    let refusal = Refusal::of(&database).await;
    let attempted = gated::defer().on(&tasks).await.unwrap().id;
    let worker = Worker::of(&tasks, &["counted", "gated"]);
    gate.begun.notified().await;
    let due = counted::defer().after(Duration::from_secs(1)).on(&tasks).await.unwrap().id;
    refusal.begin(code, i64::MAX).await;
    let error = counted::defer().on(&tasks).await.unwrap_err();
    assert_says(&error, says);
    assert!(texts(&error).contains(code), "{}", texts(&error));
    let before = refusal.met().await;
    gate.opens.notify_one();
    until("refused outcomes and leases", async || refusal.met().await > before + 4).await;
    refusal.end().await;
    let after = counted::defer().on(&tasks).await.unwrap().id;
    runs.all_ran_once(&tasks, &[attempted, due, after]).await;
    worker.end().await;
}

#[tokio::test]
async fn a_full_disk_is_named_and_loses_nothing() {
    refused_for_a_while("53100", &["its disk is full", "make room"]).await;
}

#[tokio::test]
async fn cancelled_statements_are_named_and_lose_nothing() {
    refused_for_a_while("57014", &["a statement was cancelled", "statement_timeout"]).await;
}

#[tokio::test]
async fn a_lack_of_memory_is_told_and_loses_nothing() {
    refused_for_a_while("53200", &["failed at the database"]).await;
}

/// Conflicts with other transactions, connections that the server ends, a server that changes.
#[tokio::test]
async fn callers_do_not_hear_of_what_another_moment_allows() {
    for code in ["40001", "40P01", "25P03", "57P01", "08006", "25006"] {
        let database = database().await;
        let tasks = Client::open(&database.url()).await.unwrap();
        let first = nothing::defer().on(&tasks).await.unwrap().id;
        let refusal = Refusal::of(&database).await;
        let refused = async |what: &str| {
            let met = refusal.met().await;
            assert!(met > 3, "{code}: {what} met {met} refusals");
            refusal.begin(code, 3).await;
        };
        refusal.begin(code, 3).await;
        nothing::defer().on(&tasks).await.unwrap();
        refused("one task").await;
        nothing::defer().named("n").on(&tasks).await.unwrap();
        refused("a named task").await;
        tasks.defer_many((0..200).map(|_| nothing::defer())).await.unwrap();
        refused("many tasks").await;
        assert!(tasks.delete(first).await.unwrap());
        refused("a deletion").await;
        assert_eq!(tasks.purge("errors").await.unwrap().deleted, 202);
        assert_eq!(tasks.stats().await.unwrap().open(), 0, "{code}");
    }
}
