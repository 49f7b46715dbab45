//! Servers that lack rows which were committed: nothing is stored in a lane that is not there.

use std::sync::Arc;
use std::time::Duration;

use gae_tasks::backend::Settled;
use gae_tasks::backend::postgres::Postgres;
use gae_tasks_tests_postgres::{Cluster, Pooler, Proxy, Standby};

use crate::stage::{Stage, done, id};

/// Loses the rows that tasks share, and the trace of that in the count of changes.
const LOSE: &str = "DELETE FROM gae_tasks.lane; DELETE FROM gae_tasks.schemas; DELETE FROM \
                    gae_tasks.queue; UPDATE gae_tasks.version SET queue_changes = queue_changes - \
                    1";

async fn open(url: &str) -> Arc<Postgres> {
    Arc::new(Postgres::open(url).await.expect("it opens"))
}

/// Stores and runs the first task, and then loses what it has left behind.
async fn lose(stage: &Stage) {
    stage.store("q", 1..2).await;
    let settled = stage.settle(stage.leases(1).await.into_iter().map(done).collect()).await;
    assert_eq!(settled, [Settled::Done]);
    stage.execute(LOSE).await;
}

/// Stores the second task, and checks that a worker finds it.
async fn assert_found(stage: &Stage) {
    stage.store("q", 2..3).await;
    let leased = stage.lease(10).await.tasks;
    let ids: Vec<_> = leased.iter().map(|task| task.lease.id).collect();
    assert_eq!(ids, [id(2)], "the task is in a lane that is not there");
    assert_eq!([stage.count("lane").await, stage.count("queue").await], [1, 1]);
}

#[tokio::test]
async fn lanes_are_looked_up_again_once_connections_were_lost() {
    // Connections that were idle for a second are checked; others are lost as they are used.
    for idle in [Duration::ZERO, Duration::from_millis(1_200)] {
        let stage = Stage::new().await;
        lose(&stage).await;
        stage.database.terminate_backends().await.expect("the server answers");
        tokio::time::sleep(idle).await;
        assert_found(&stage).await;
    }
}

/// The connections to the pooler stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_restarted_behind_a_pooler_is_another_one() {
    let cluster = Cluster::own().await;
    let (database, pooler) = (cluster.database().await, Pooler::before(&cluster).await);
    let url = format!("{}?pooler=transaction", pooler.url(database.name()));
    let stage = Stage { database, backend: open(&url).await };
    lose(&stage).await;
    cluster.restart().await;
    assert_found(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_takes_over_without_the_last_lanes_gets_them() {
    let primary = Cluster::own().await;
    let (database, proxy) = (primary.database().await, Proxy::before(primary.port()).await);
    let stage = Stage { backend: open(&proxy.url(database.name())).await, database };
    let standby = Standby::of(&primary).await;
    standby.caught_up().await;
    let replica = standby.cluster().named("postgres");
    for end in ["ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"] {
        replica.execute(end).await.expect("the replica answers");
    }
    let receives = "SELECT count(*) FROM pg_stat_wal_receiver";
    while replica.value::<i64>(receives).await.expect("the replica answers") > 0 {
        tokio::task::yield_now().await;
    }
    stage.store("q", 1..2).await;
    proxy.switch(standby.cluster().port());
    primary.stop().await;
    standby.promote().await;
    let database = standby.cluster().named(stage.database.name());
    assert_found(&Stage { database, backend: stage.backend }).await;
}
