//! Workers that are killed are found by their locks before their leases expire, and those that live
//! are left alone.

use std::time::Duration;

use gae_tasks::TaskId;
use gae_tasks_tests::chaos::obey;
use gae_tasks_tests_postgres::{Cluster, Database, Proxy, Standby};

use super::place::Place;
use super::stage::{Dice, Orders, Process, SECOND, Stage, TOLERANCE, length, now, until};

/// The locks in a database by which processes show that they live.
const LOCKS: &str = "pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND mode = 'ShareLock' \
                     AND database = (SELECT oid FROM pg_database WHERE datname = \
                     current_database())";

/// The schema of tasks, unless the URL names another.
const SCHEMA: &str = "gae_tasks";

async fn number(database: &Database, sql: &str) -> i64 {
    database.value(sql).await.unwrap()
}

async fn locks(database: &Database) -> i64 {
    number(database, &format!("SELECT count(DISTINCT (classid, objid)) FROM {LOCKS}")).await
}

/// Starts a worker, waits until it shows that it lives, and has it work on a task of its queue.
async fn at_work(
    stage: &Stage,
    schema: &str,
    (queue, lease): (&str, f64),
    orders: &Orders,
) -> (Process, TaskId) {
    let database = &stage.place.database;
    let before = locks(database).await;
    let worker = stage.worker().queues(&[queue]).lease(lease).start();
    until("a lock", 20 * SECOND, async || locks(database).await > before).await;
    let task = obey::defer(orders.file()).queue(queue).on(&stage.tasks).await.unwrap().id;
    stage.until_begun(&[task], 1).await;
    // A lease that was taken before the worker knew of its lock names it once it is renewed.
    let unnamed = format!("SELECT count(*) FROM {schema}.lease WHERE holder IS NULL");
    let named = async || number(database, &unnamed).await == 0;
    until("a lease with a name", 20 * SECOND, named).await;
    (worker, task)
}

/// Waits until the server has run for longer than leases of this many seconds.
async fn until_settled(database: &Database, lease: u32) {
    let since = "extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::bigint";
    let ran = format!("SELECT {since}");
    let limit = (lease + 20) * SECOND;
    let is_settled = async || number(database, &ran).await > i64::from(lease);
    until("a settled server", limit, is_settled).await;
}

/// Waits for the second attempt of a task, and returns how long after `since` it began.
async fn again_after(stage: &Stage, task: TaskId, since: Duration) -> Duration {
    until("the next attempt", 60 * SECOND, async || stage.history().begun(task) == 2).await;
    stage.history().of(task)[1].begun.saturating_sub(since)
}

#[tokio::test]
async fn a_killed_worker_is_found_before_its_leases_expire() {
    let stage = Stage::new().await;
    let orders = stage.orders("orders");
    let (mut one, short) = at_work(&stage, SCHEMA, ("a", 30.0), &orders).await;
    let (mut other, long) = at_work(&stage, SCHEMA, ("b", 45.0), &orders).await;
    let _observer = stage.worker().queues(&["a", "b"]).start();
    until_settled(&stage.place.database, 45).await;
    let killed = now();
    one.kill();
    other.kill();
    // Without its lock, the longer lease is seen to be lost after 30 seconds at the earliest.
    for (task, enough) in [(short, 15), (long, 22)] {
        let took = again_after(&stage, task, killed).await;
        println!("taken over after {took:?}");
        assert!(took >= enough * SECOND, "{took:?}");
        assert!(took < enough * SECOND + 5 * SECOND + TOLERANCE, "{took:?}");
    }
    orders.done();
    stage.until_open(0, 10 * SECOND).await;
    stage.history().assert_nothing_ran_beside_itself();
}

#[tokio::test]
async fn a_living_worker_keeps_its_tasks_though_its_session_ends_again_and_again() {
    let (stage, mut dice) = (Stage::new().await, Dice::new());
    let (orders, database) = (stage.orders("orders"), &stage.place.database);
    let (_worker, task) = at_work(&stage, SCHEMA, ("a", 30.0), &orders).await;
    let _observer = stage.worker().queues(&["a"]).start();
    until_settled(database, 30).await;
    let (begun, mut ended) = (now(), 0);
    while now() - begun < length(20, 120) {
        let end = format!("SELECT count(pg_terminate_backend(pid)) FROM {LOCKS}");
        ended += number(database, &end).await;
        tokio::time::sleep(dice.millis(50..1_500)).await;
    }
    println!("{ended} sessions ended");
    assert!(ended > 10, "{ended}");
    assert_eq!(stage.history().begun(task), 1, "a live lease was taken");
    orders.done();
    stage.until_open(0, 10 * SECOND).await;
    assert_eq!(stage.history().begun(task), 1);
}

/// A schema with a worker to kill, one that lives, and one that looks at both.
struct Scene {
    killed: Process,
    _others: [Process; 2],
    of_killed: TaskId,
    of_living: TaskId,
    orders: Orders,
    stage: Stage,
}

impl Scene {
    async fn new(stage: Stage, schema: &str) -> Self {
        let orders = stage.orders("orders");
        let (killed, of_killed) = at_work(&stage, schema, ("a", 30.0), &orders).await;
        let (living, of_living) = at_work(&stage, schema, ("b", 30.0), &orders).await;
        let observer = stage.worker().queues(&["a", "b"]).start();
        Self { killed, _others: [living, observer], of_killed, of_living, orders, stage }
    }
}

#[tokio::test]
async fn two_schemas_of_a_database_do_not_disturb_each_other() {
    let database = Cluster::shared().await.database().await;
    let url = format!("{}&schema=other", database.url());
    let one = Stage::on(Place::of(database.clone())).await;
    let other = Stage::on(Place::through(database.clone(), &url).all_through()).await;
    let mut scenes = [Scene::new(one, SCHEMA).await, Scene::new(other, "other").await];
    until_settled(&database, 30).await;
    let killed = now();
    scenes.iter_mut().for_each(|scene| scene.killed.kill());
    for Scene { stage, of_killed, .. } in &scenes {
        let took = again_after(stage, *of_killed, killed).await;
        assert!(took >= 15 * SECOND && took < 20 * SECOND + TOLERANCE, "{took:?}");
    }
    for Scene { stage, orders, of_living, .. } in &scenes {
        orders.done();
        stage.until_open(0, 10 * SECOND).await;
        assert_eq!(stage.history().begun(*of_living), 1, "a live lease was taken");
    }
}

/// The server that was left still answers, so no connection to it is lost by itself.
#[tokio::test]
async fn a_worker_locks_at_the_server_that_has_taken_over() {
    let primary = Cluster::own().await;
    let (database, proxy) = (primary.database().await, Proxy::before(primary.port()).await);
    let url = proxy.url(database.name());
    let stage = Stage::on(Place::through(database, &url)).await;
    let orders = stage.orders("orders");
    let (_worker, task) = at_work(&stage, SCHEMA, ("a", 30.0), &orders).await;
    let standby = Standby::of(&primary).await;
    standby.caught_up().await;
    proxy.switch(standby.cluster().port());
    let end = "ALTER SYSTEM SET default_transaction_read_only = on";
    primary.execute("postgres", end).await.unwrap();
    primary.execute("postgres", "SELECT pg_reload_conf()").await.unwrap();
    standby.promote().await;
    let there = standby.cluster().named(stage.place.database.name());
    let took = until("a lock there", 30 * SECOND, async || locks(&there).await == 1).await;
    println!("locked after {took:.1?}");
    orders.done();
    let is_over = async || stage.history().over(task) == (1, 0);
    until("the end of the task", 20 * SECOND, is_over).await;
    assert_eq!(stage.history().begun(task), 1);
}
