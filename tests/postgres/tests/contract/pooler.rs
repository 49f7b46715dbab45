//! Behind a pooler that gives each transaction another connection.

use std::sync::Arc;

use gae_tasks::backend::postgres::Postgres;
use gae_tasks_tests_postgres::{Cluster, Pooler};
use tokio::task::JoinSet;

use crate::tasks::{named, store_one, stored, task, text};

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_stored_through_a_pooler() {
    let cluster = Cluster::shared().await;
    let (database, pooler) = (cluster.database().await, Pooler::before(cluster).await);
    let url = format!("{}?pooler=transaction", pooler.url(database.name()));
    let mut callers = JoinSet::new();
    // Several programs share the connections of the pooler, and what is prepared there.
    for _ in 0..3 {
        let backend = Arc::new(Postgres::open(&url).await.expect("it opens"));
        for place in 0..20 {
            let backend = Arc::clone(&backend);
            callers.spawn(async move {
                store_one(&*backend, task()).await.expect("it is stored");
                store_one(&*backend, named(&format!("n{place}"))).await.expect("it is answered");
            });
        }
    }
    callers.join_all().await;
    assert_eq!(stored(&database).await, 60 + 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_the_url_does_not_name_is_named_in_the_error() {
    let cluster = Cluster::shared().await;
    let (database, pooler) = (cluster.database().await, Pooler::before(cluster).await);
    let refused = Postgres::open(&pooler.url(database.name())).await.map(drop);
    let refused = text(&refused.expect_err("the pooler refuses settings"));
    assert!(refused.contains("add `?pooler=transaction`"), "{refused}");
}
