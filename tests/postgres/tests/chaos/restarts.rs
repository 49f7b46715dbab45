//! A server that is restarted and crashes under load, and ends connections.

use gae_tasks_tests_postgres::Cluster;

use super::load::Load;
use super::place::{OBSERVER, Place};
use super::stage::{Dice, Stage, length, now};

/// What the calls say that meet a server that ends.
const ENDED: [&str; 2] = ["failed at the database", "cannot use the database"];

#[tokio::test]
async fn a_server_that_is_restarted_and_crashes_loses_nothing() {
    let cluster = Cluster::own().await;
    let stage = Stage::on(Place::of(cluster.database().await)).await;
    let mut dice = Dice::new();
    let load = Load::start(&stage, 2, 2.0).await;
    let rounds = if super::stage::is_full() { 30 } else { 4 };
    for round in 0..rounds {
        tokio::time::sleep(dice.millis(0..1_000)).await;
        if round % 2 == 0 {
            cluster.crash().await
        } else {
            cluster.restart().await
        }
        load.goes_on().await;
    }
    load.end().await.assert_only(&ENDED);
}

#[tokio::test]
async fn connections_that_are_ended_at_random_lose_nothing() {
    let (stage, mut dice) = (Stage::new().await, Dice::new());
    let load = Load::start(&stage, 2, 2.0).await;
    let (begun, mut ended) = (now(), 0);
    while now() - begun < length(6, 120) {
        tokio::time::sleep(dice.millis(10..150)).await;
        let end = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE \
             datname = current_database() AND application_name NOT IN ('harness', '{OBSERVER}') \
             ORDER BY pid OFFSET {} LIMIT 1) one",
            dice.below(10)
        );
        ended += stage.place.database.value::<i64>(&end).await.unwrap();
    }
    println!("{ended} connections ended");
    assert!(ended > 10, "{ended}");
    load.goes_on().await;
    load.end().await.assert_only(&ENDED);
}

/// Statements that wait for a lock are cancelled.
#[tokio::test]
async fn a_statement_timeout_of_the_role_loses_nothing() {
    let database = Cluster::shared().await.database().await;
    let role = format!("hasty_{}", database.name());
    let create = format!(
        "CREATE ROLE {role} LOGIN SUPERUSER; ALTER ROLE {role} SET statement_timeout = '400ms'"
    );
    database.execute(&create).await.unwrap();
    let url = database.url().replace("postgres://postgres@", &format!("postgres://{role}@"));
    let stage = Stage::on(Place::through(database, &url)).await;
    let mut dice = Dice::new();
    let load = Load::start(&stage, 2, 2.0).await;
    for _ in 0..if super::stage::is_full() { 30 } else { 3 } {
        let lock = stage.place.lock().await;
        tokio::time::sleep(dice.millis(200..1_500)).await;
        drop(lock);
        load.goes_on().await;
    }
    let told = load.end().await;
    told.assert_only(&["statement_timeout"]);
}
