//! A transaction of the application that stays open for long beside the load.

use std::time::Instant;

use gae_tasks_tests::chaos::{Sign, hold};
use sqlx::{Connection, PgConnection};

use super::load::Load;
use super::stage::{SECOND, Stage, TOLERANCE, length, until};

/// The first task of its shape in the database, and a name, are deferred in the transaction.
async fn beside_an_open_transaction(begin: &'static str, commits: bool) {
    let stage = Stage::new().await;
    let mut load = Load::start(&stage, 2, 3.0).await;
    let mut application: PgConnection = stage.place.database.connect().await.unwrap();
    let mut tx = application.begin_with(begin).await.unwrap();
    let plain = hold::defer(0_u64).on(&stage.tasks).in_tx(&mut tx).await.unwrap().id;
    let named = hold::defer(0_u64).named("named").on(&stage.tasks).in_tx(&mut tx).await.unwrap().id;
    let begun = Instant::now();
    while begun.elapsed() < length(8, 60) {
        load.goes_on().await;
        // Others of the same shape.
        let begun = Instant::now();
        load.expects(hold::defer(0_u64).on(&stage.tasks).await.unwrap().id);
        assert!(begun.elapsed() < SECOND + TOLERANCE, "delayed by {:?}", begun.elapsed());
        tokio::time::sleep(SECOND / 2).await;
    }
    assert_eq!(stage.history().begun(plain) + stage.history().begun(named), 0, "not committed");
    if commits {
        tx.commit().await.unwrap();
        [plain, named].into_iter().for_each(|task| load.expects(task));
        stage.until_begun(&[plain, named], 2).await;
    } else {
        tx.rollback().await.unwrap();
    }
    let told = load.end().await;
    told.assert_only(&[]);
    for (task, attempts) in &told.history.attempts {
        let ended =
            attempts.iter().all(|one| one.over.is_some_and(|(sign, _)| sign == Sign::Ended));
        assert!(attempts.len() == 1 && ended, "{task}: {attempts:?}");
    }
    assert!(told.stored.len() > 100, "{}", told.stored.len());
    if !commits {
        let again = hold::defer(0_u64).named("named").on(&stage.tasks).await.unwrap();
        assert!(again.created, "the name of a task that was never stored is taken");
        let _worker = stage.worker().start();
        until("its end", 10 * SECOND, async || stage.history().begun(again.id) == 1).await;
    }
}

#[tokio::test]
async fn an_open_transaction_delays_nobody_and_commits() {
    beside_an_open_transaction("BEGIN", true).await;
}

/// Its snapshot keeps what was deleted since.
#[tokio::test]
async fn an_open_snapshot_delays_nobody_and_is_rolled_back() {
    beside_an_open_transaction("BEGIN ISOLATION LEVEL REPEATABLE READ", false).await;
}
