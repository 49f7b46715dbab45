//! Transactions on another server than the one that the client remembers.

use gae_tasks::{Client, Defer, Error, deferred};
use gae_tasks_tests_postgres::{Cluster, Standby};
use sqlx::Connection;

use crate::stage::Stage;

#[deferred(queue = "moved")]
async fn count(_number: u64) {}

/// Calls of `count`, without a name and with one.
fn calls() -> [fn() -> Defer; 2] {
    [|| count::defer(2), || count::defer(2).named("n")]
}

/// A stage with a server of its own, which has run a task.
async fn stage(cluster: &Cluster) -> Stage {
    let stage = Stage::at(cluster.database().await, |_| Client::builder()).await;
    assert_eq!(stage.tasks.run(count::defer(1)).await.unwrap(), 1);
    stage
}

/// The client has not used its connections since the restart; the application has.
#[tokio::test]
async fn tasks_are_stored_in_lanes_that_are_there_after_a_restart() {
    for call in calls() {
        let cluster = Cluster::own().await;
        let stage = stage(&cluster).await;
        let lose = "DELETE FROM gae_tasks.lane; DELETE FROM gae_tasks.schemas";
        stage.database.execute(lose).await.unwrap();
        cluster.restart().await;
        let mut tx = stage.pool.begin().await.unwrap();
        call().on(&stage.tasks).in_tx(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(stage.tasks.drain().await.unwrap(), 1, "a worker finds the task");
        assert_eq!(stage.number("SELECT count(*) FROM gae_tasks.schemas").await, 1);
    }
}

#[tokio::test]
async fn a_transaction_on_a_copy_of_the_server_is_refused_and_goes_on() {
    let primary = Cluster::own().await;
    let stage = stage(&primary).await;
    let standby = Standby::of(&primary).await;
    standby.caught_up().await;
    standby.promote().await;
    let copy = standby.cluster().named(stage.database.name());
    let mut connection = copy.connect().await.unwrap();
    for call in calls() {
        let mut tx = connection.begin().await.unwrap();
        let refused = call().on(&stage.tasks).in_tx(&mut tx).await.unwrap_err();
        assert!(matches!(refused, Error::InTransaction { .. }), "{refused}");
        assert!(refused.to_string().contains("on another server"), "{refused}");
        sqlx::query("INSERT INTO orders DEFAULT VALUES").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }
    let tasks: i64 = copy.value("SELECT count(*) FROM gae_tasks.task").await.unwrap();
    assert_eq!((tasks, stage.open_tasks().await), (0, 0));
}
