//! Rows that tasks share are committed before: an open transaction holds up nobody.

use std::time::Duration;

use gae_tasks::{Client, deferred};
use tokio::time::timeout;

use crate::stage::Stage;

#[deferred(queue = "shared")]
async fn first_of_its_shape(_number: u64) {}

#[tokio::test]
async fn an_open_transaction_with_a_new_shape_delays_nobody() {
    let stage = Stage::new().await;
    let other = stage.other(Client::builder()).await;
    let mut tx = stage.pool.begin().await.unwrap();
    first_of_its_shape::defer(1).on(&stage.tasks).in_tx(&mut tx).await.unwrap();
    for client in [&stage.tasks, &other] {
        let call = first_of_its_shape::defer(2).on(client).into_future();
        timeout(Duration::from_secs(5), call).await.expect("nobody waits").unwrap();
    }
    tx.rollback().await.unwrap();
    assert_eq!(stage.open_tasks().await, 2);
}

#[tokio::test]
async fn a_rollback_leaves_no_task_without_its_schema() {
    let stage = Stage::new().await;
    let mut tx = stage.pool.begin().await.unwrap();
    first_of_its_shape::defer(1).on(&stage.tasks).in_tx(&mut tx).await.unwrap();
    tx.rollback().await.unwrap();
    first_of_its_shape::defer(2).on(&stage.tasks).await.unwrap();
    let without = "SELECT count(*) FROM gae_tasks.task t JOIN gae_tasks.lane l ON l.id = t.lane \
                   WHERE NOT EXISTS (SELECT FROM gae_tasks.schemas s WHERE s.shape = l.shape)";
    assert_eq!(stage.number(without).await, 0);
    assert_eq!(stage.number("SELECT count(*) FROM gae_tasks.schemas").await, 1);
}
