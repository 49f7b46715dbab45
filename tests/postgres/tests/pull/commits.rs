//! Connections that are lost while outcomes are recorded.

use std::sync::Arc;

use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{LeaseRef, Settled, Settlement};
use gae_tasks_tests_postgres::proxy::{Fault, is_commit};
use gae_tasks_tests_postgres::{Cluster, Proxy};

use crate::stage::{Stage, done, named, retry};

/// A stage behind a proxy, and the leases of two tasks. A third one has been settled before, so
/// that the statements are prepared.
async fn stage() -> (Proxy, Stage, Vec<LeaseRef>) {
    let cluster = Cluster::shared().await;
    let (database, proxy) = (cluster.database().await, Proxy::before(cluster.port()).await);
    let url = format!("{}?max_connections=2", proxy.url(database.name()));
    let backend = Arc::new(Postgres::open(&url).await.expect("it opens"));
    let stage = Stage { database, backend };
    stage.store("q", 1..4).await;
    let mut leases = stage.leases(10).await;
    let first = leases.remove(0);
    assert_eq!(stage.settle(vec![done(first)]).await, [Settled::Done]);
    (proxy, stage, leases)
}

/// Settles; the answer that `fault` withholds is lost.
async fn settle(stage: &Stage, settlements: Vec<Settlement>, fault: Fault) -> Vec<Settled> {
    let (settled, ()) = tokio::join!(stage.settle(settlements), async {
        fault.answered().await;
        fault.cut();
    });
    settled
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_done_although_the_answer_is_lost() {
    let (proxy, stage, leases) = stage().await;
    let fault = proxy.withhold(|message| message.first() == Some(&b'B'));
    let settlements = leases.iter().copied().map(done).collect();
    assert_eq!(settle(&stage, settlements, fault).await, [Settled::Done; 2]);
    assert_eq!(stage.count("task").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_whose_commit_is_not_answered_is_recorded_once() {
    let (proxy, stage, leases) = stage().await;
    let fault = proxy.withhold(is_commit);
    let mut settlement = done(leases[0]);
    settlement.verdict = retry();
    let settled = settle(&stage, vec![settlement], fault).await;
    assert!(matches!(settled[..], [Settled::Scheduled(_)]), "{settled:?}");
    assert_eq!(stage.count("task WHERE attempts = 1").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_task_is_done_and_leaves_its_tombstone_although_the_answer_is_lost() {
    let (proxy, stage, _) = stage().await;
    stage.enqueue(vec![named("q", 9)]).await;
    let leases = stage.leases(10).await;
    let fault = proxy.withhold(is_commit);
    assert_eq!(settle(&stage, vec![done(leases[0])], fault).await, [Settled::Done]);
    assert_eq!(stage.count("name WHERE until IS NOT NULL").await, 1);
}
