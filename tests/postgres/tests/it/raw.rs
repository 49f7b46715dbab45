//! The loops do what they measure.

use gae_tasks_tests_postgres::raw::{self, Means};
use gae_tasks_tests_postgres::{Cluster, Database};

async fn stored(database: &Database) -> i64 {
    database
        .value("SELECT count(*) FROM gae_tasks_raw.tasks WHERE length(payload) = 70")
        .await
        .unwrap()
}

#[tokio::test]
async fn all_that_was_stored_by_any_means_is_drained() {
    let database = Cluster::shared().await.database().await;
    let url = database.url();
    raw::create(&url).await.unwrap();
    raw::enqueue_coalesced(&url, 7, 2, 100).await.unwrap();
    assert_eq!(stored(&database).await, 100);
    raw::insert_many(&url, Means::Unnest, 30, 100).await.unwrap();
    assert_eq!(stored(&database).await, 200);
    raw::insert_many(&url, Means::Copy, 30, 100).await.unwrap();
    assert_eq!(stored(&database).await, 300);
    raw::fill(&url, 10_001).await.unwrap();
    assert_eq!(raw::drain(&url, 2, 100).await.unwrap().tasks, 10_301);
    assert_eq!(stored(&database).await, 0);
}

#[tokio::test]
async fn each_task_reaches_the_worker_and_each_transaction_stores_both_rows() {
    let database = Cluster::shared().await.database().await;
    let url = database.url();
    raw::create(&url).await.unwrap();
    let times = raw::latency(&url, 5).await.unwrap();
    assert_eq!(times.count(), 5);
    let left = stored(&database).await;
    assert!(left <= 1, "{left} tasks were not deleted");
    raw::transactions(&url, 3).await.unwrap();
    assert_eq!(stored(&database).await, left + 3);
    let orders = database.value("SELECT count(*) FROM gae_tasks_raw.orders").await;
    assert_eq!(orders.map(|orders: i64| orders).unwrap(), 3);
    raw::remove(&url).await.unwrap();
}
