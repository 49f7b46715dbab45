//! A standby that takes over behind one address: all workers go on by themselves.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gae_tasks_tests::chaos::hold;
use gae_tasks_tests_postgres::{Cluster, Proxy, Standby};

use super::place::Place;
use super::stage::{Process, SECOND, Stage, TOLERANCE, now};

/// The time within which all workers go on.
const SOON: Duration = Duration::from_secs(10);

/// Runs `fail` on the primary, and promotes the standby behind the same address.
async fn promoted_after(fail: impl AsyncFn(&Cluster)) {
    let primary = Cluster::own().await;
    let (database, proxy) = (primary.database().await, Proxy::before(primary.port()).await);
    let url = proxy.url(database.name());
    let stage = Stage::on(Place::through(database, &url).all_through()).await;
    let workers: Vec<_> =
        (0..3).map(|_| stage.worker().lease(2.0).concurrency(2).start()).collect();
    until_all_work(&stage, &workers, Duration::ZERO, 30 * SECOND).await;
    let standby = Standby::of(&primary).await;
    let waits = hold::defer(0_u64).after(3 * SECOND).on(&stage.tasks).await.unwrap().id;
    standby.caught_up().await;

    proxy.switch(standby.cluster().port());
    fail(&primary).await;
    // The workers meet the standby before it takes writes.
    tokio::time::sleep(SECOND).await;
    let promoting = now();
    standby.promote().await;
    let took = until_all_work(&stage, &workers, promoting, SOON + TOLERANCE).await;
    println!("all workers went on after {took:.1?}");
    stage.until_begun(&[waits], 1).await;
    stage.until_open(0, 20 * SECOND).await;
    stage.history().assert_nothing_ran_beside_itself();
}

/// Defers until each worker has begun a task after the moment `since`.
async fn until_all_work(
    stage: &Stage,
    workers: &[Process],
    since: Duration,
    limit: Duration,
) -> Duration {
    let begun = Instant::now();
    let all: BTreeSet<_> = workers.iter().map(Process::id).collect();
    loop {
        // The first call may meet the connection that was lost.
        let calls = (0..6).map(|_| hold::defer(100_u64));
        let deferred = stage.tasks.defer_many(calls.collect::<Vec<_>>()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let history = stage.history();
        let made = history.attempts.values().flatten().filter(|one| one.begun > since);
        let at_work: BTreeSet<_> = made.map(|one| one.process).collect();
        if all == at_work {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < limit, "only {at_work:?} of {all:?} go on: {deferred:?}");
    }
}

#[tokio::test]
async fn workers_go_on_when_a_standby_takes_over_from_a_server_that_has_ended() {
    promoted_after(async |primary| primary.stop().await).await;
}

/// Connections that stay with a server that takes no writes any more are given up.
#[tokio::test]
async fn workers_go_on_when_a_standby_takes_over_from_a_server_that_still_answers() {
    promoted_after(async |primary| {
        let end = "ALTER SYSTEM SET default_transaction_read_only = on";
        primary.execute("postgres", end).await.unwrap();
        primary.execute("postgres", "SELECT pg_reload_conf()").await.unwrap();
    })
    .await;
}
