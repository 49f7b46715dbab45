//! Connections that are lost while something is changed by hand.

use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{Backend, List, Purged, TaskFilter};
use gae_tasks_tests_postgres::proxy::{is_commit, statement};
use gae_tasks_tests_postgres::{Cluster, Pooler, Proxy};

use crate::stage::{NOW, Stage, queue, request};

/// A stage whose backend is behind a proxy, with a waiting task and a dead letter.
async fn stage() -> (Proxy, Stage) {
    let cluster = Cluster::shared().await;
    let (database, proxy) = (cluster.database().await, Proxy::before(cluster.port()).await);
    let backend = Postgres::open(&proxy.url(database.name())).await.expect("it opens");
    let stage = Stage { database, backend };
    let lane = stage.lane("q", "a/b").await;
    stage.store(lane, 0..2).await;
    stage.kill(1..2).await;
    (proxy, stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_right_where_those_of_commits_are_lost() {
    let (proxy, stage) = stage().await;
    let fault = proxy.cut_answer(is_commit);
    stage.backend.run_now(request(0)).await.expect("it is made due");
    fault.answered().await;
    let fault = proxy.cut_answer(is_commit);
    stage.backend.replay(request(1)).await.expect("it was a dead letter");
    fault.answered().await;
    let fault = proxy.cut_answer(is_commit);
    assert!(stage.backend.delete(request(0)).await.expect("it is deleted"), "it was stored");
    fault.answered().await;
    let fault = proxy.cut_answer(is_commit);
    assert_eq!(stage.backend.purge(queue("q"), NOW).await.unwrap(), Purged::new(1, 0));
    fault.answered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_before_its_commit_is_done_again() {
    let (proxy, stage) = stage().await;
    let deletes =
        |message: &[u8]| statement(message).is_some_and(|text| text.contains("WITH gone"));
    let fault = proxy.cut_answer(deletes);
    assert!(stage.backend.delete(request(0)).await.expect("it is deleted"), "it was stored");
    fault.answered().await;
    let reads = |message: &[u8]| statement(message).is_some_and(|text| text.contains("LIMIT $4"));
    let fault = proxy.cut_answer(reads);
    assert_eq!(stage.backend.list(List::new(TaskFilter::new(), 9)).await.unwrap().len(), 1);
    fault.answered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_go_through_a_pooler() {
    let cluster = Cluster::shared().await;
    let (database, pooler) = (cluster.database().await, Pooler::before(cluster).await);
    let url = format!("{}?pooler=transaction", pooler.url(database.name()));
    let stage = Stage { backend: Postgres::open(&url).await.expect("it opens"), database };
    let lane = stage.lane("q", "a/b").await;
    stage.store(lane, 0..2_000).await;
    stage.kill(1..2).await;
    for paused in [true, false] {
        stage.backend.set_paused(queue("q"), paused).await.unwrap();
        assert_eq!(stage.backend.queues().await.unwrap()[0].paused, paused);
    }
    stage.backend.run_now(request(0)).await.unwrap();
    stage.backend.replay(request(1)).await.unwrap();
    assert!(stage.backend.delete(request(0)).await.unwrap());
    assert_eq!(stage.backend.list(List::new(TaskFilter::new(), 9)).await.unwrap().len(), 9);
    assert_eq!(stage.stats().await.scheduled, 1_999);
    assert_eq!(stage.backend.purge(queue("q"), NOW).await.unwrap(), Purged::new(1_999, 0));
}
