//! Servers that lack rows which were committed: nothing is stored in a lane that is not there.

use std::sync::Arc;
use std::time::Duration;

use gae_tasks::Now;
use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{Backend, Enqueue, Settled};
use gae_tasks_tests_postgres::proxy::statement;
use gae_tasks_tests_postgres::{Cluster, Database, Pooler, Proxy, Standby};

use crate::stage::{Stage, done, id, task};

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

/// Ends the connections of the backend that are not in a transaction.
async fn end_idle(database: &Database) {
    let idle = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE state = 'idle' \
                AND application_name = 'gae-tasks' AND datname = current_database()";
    database.value::<i64>(idle).await.expect("the server answers");
}

/// Returns how many tasks a server has, each of which must be in a lane that is there.
async fn tasks_in_lanes(database: &Database) -> i64 {
    let in_lanes = "SELECT count(*) FROM gae_tasks.task t JOIN gae_tasks.lane l ON l.id = t.lane";
    let all = "SELECT count(*) FROM gae_tasks.task";
    let all = database.value::<i64>(all).await.expect("the server answers");
    let in_lanes = database.value::<i64>(in_lanes).await.expect("the server answers");
    assert_eq!(in_lanes, all, "a task is in a lane that is not there");
    all
}

/// A flush keeps a transaction open for the next caller. The former primary still runs, and the
/// lanes of the other server have other numbers.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_stores_nothing_in_the_lanes_of_another_server() {
    let primary = Cluster::own().await;
    let (database, proxy) = (primary.database().await, Proxy::before(primary.port()).await);
    let backend = open(&proxy.url(database.name())).await;
    let standby = Standby::of(&primary).await;
    standby.caught_up().await;
    standby.promote().await;
    let other = standby.cluster().named(database.name());
    let count_from = "ALTER TABLE gae_tasks.lane ALTER COLUMN id RESTART WITH 100";
    other.execute(count_from).await.expect("the other server answers");
    let request = |number| Enqueue::new(Now::Storage, vec![task("q", number)]);
    let store = |number| {
        let (backend, request) = (Arc::clone(&backend), request(number));
        tokio::spawn(async move { backend.enqueue(request).await })
    };
    let chains = |message: &[u8]| statement(message) == Some("COMMIT AND CHAIN");
    let first_commit = proxy.withhold(chains);
    let first = store(1);
    first_commit.answered().await;
    proxy.switch(standby.cluster().port());
    end_idle(&database).await;
    let second_commit = proxy.withhold(chains);
    let second = store(2);
    second_commit.answered().await;
    // Both flushes are at work, so the first one finds this task when it goes on.
    let third = backend.enqueue(request(3));
    first_commit.release();
    let third = third.await;
    second_commit.release();
    for answers in [first.await.expect("no panic"), second.await.expect("no panic"), third] {
        answers.expect("a server answers").into_iter().for_each(|answer| {
            assert!(answer.expect("it is stored").created);
        });
    }
    assert_eq!((tasks_in_lanes(&database).await, tasks_in_lanes(&other).await), (1, 2));
}
