//! Names in transactions: whoever comes second waits a little, and the transaction stays usable.

use std::time::{Duration, Instant};

use gae_tasks::{Client, Error, deferred};
use sqlx::PgConnection;
use tokio::time::timeout;

use crate::stage::Stage;

#[deferred(queue = "named")]
async fn named(_number: u64) {}

async fn order(connection: &mut PgConnection) {
    sqlx::query("INSERT INTO orders DEFAULT VALUES").execute(connection).await.unwrap();
}

const REPEATABLE: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ";

#[tokio::test]
async fn a_name_that_another_open_transaction_holds_is_busy_and_the_transaction_goes_on() {
    let stage = Stage::new().await;
    for begin in ["BEGIN", REPEATABLE] {
        let mut first = stage.pool.begin_with(begin).await.unwrap();
        named::defer(1).named("n").on(&stage.tasks).in_tx(&mut first).await.unwrap();
        let mut second = stage.pool.begin_with(begin).await.unwrap();
        order(&mut second).await;
        let begun = Instant::now();
        let busy = named::defer(2).named("n").on(&stage.tasks).in_tx(&mut second).await;
        let busy = busy.unwrap_err();
        assert!(matches!(&busy, Error::Busy { name, .. } if name == "n"), "{busy}");
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_millis(1_900) && waited < Duration::from_secs(20));
        named::defer(3).on(&stage.tasks).in_tx(&mut second).await.unwrap();
        order(&mut second).await;
        second.commit().await.unwrap();
        first.rollback().await.unwrap();
    }
    assert_eq!(stage.number("SELECT count(*) FROM orders").await, 4);
    assert_eq!(stage.open_tasks().await, 2);
}

#[tokio::test]
async fn a_name_that_was_taken_meanwhile_is_answered_as_a_duplicate() {
    let stage = Stage::new().await;
    for (number, begin) in ["BEGIN", REPEATABLE].into_iter().enumerate() {
        let name = format!("n-{number}");
        let mut tx = stage.pool.begin_with(begin).await.unwrap();
        order(&mut tx).await;
        let first = named::defer(1).named(&name).on(&stage.tasks).await.unwrap();
        let many = [named::defer(2).named(&name), named::defer(3)];
        let many = stage.tasks.defer_many_in_tx(&mut tx, many).await.unwrap();
        assert_eq!((many[0].id, many[0].created, many[1].created), (first.id, false, true));
        let call = named::defer(2).named(&name).must_be_new().on(&stage.tasks);
        let taken = call.in_tx(&mut tx).await.unwrap_err();
        assert!(matches!(taken, Error::NameTaken { .. }), "{taken}");
        order(&mut tx).await;
        tx.commit().await.unwrap();
    }
    assert_eq!(stage.number("SELECT count(*) FROM orders").await, 4);
    assert_eq!(stage.open_tasks().await, 4);
}

#[tokio::test]
async fn the_patience_of_the_application_stays_as_it_was() {
    let stage = Stage::new().await;
    let mut tx = stage.pool.begin().await.unwrap();
    named::defer(1).named("n").on(&stage.tasks).in_tx(&mut tx).await.unwrap();
    let own: String = sqlx::query_scalar("SHOW lock_timeout").fetch_one(&mut *tx).await.unwrap();
    assert_eq!(own, "0");
    sqlx::query("SET LOCAL lock_timeout = '150ms'").execute(&mut *tx).await.unwrap();
    let mut other = stage.pool.begin().await.unwrap();
    named::defer(1).named("m").on(&stage.tasks).in_tx(&mut other).await.unwrap();
    let begun = Instant::now();
    let busy = named::defer(2).named("m").on(&stage.tasks).in_tx(&mut tx).await.unwrap_err();
    assert!(matches!(busy, Error::Busy { .. }), "{busy}");
    assert!(begun.elapsed() < Duration::from_millis(1_500), "its own patience is shorter");
    let own: String = sqlx::query_scalar("SHOW lock_timeout").fetch_one(&mut *tx).await.unwrap();
    assert_eq!(own, "150ms");
}

#[tokio::test]
async fn a_dropped_call_on_a_connection_without_a_transaction_leaves_none_open() {
    let stage = Stage::new().await;
    let mut holder = stage.pool.begin().await.unwrap();
    named::defer(1).named("n").on(&stage.tasks).in_tx(&mut holder).await.unwrap();
    let mut connection = stage.pool.acquire().await.unwrap();
    let call = named::defer(2).named("n").on(&stage.tasks).in_tx(&mut connection);
    assert!(timeout(Duration::from_millis(500), call).await.is_err(), "the name is waited for");
    holder.rollback().await.unwrap();
    order(&mut connection).await;
    assert_eq!(stage.number("SELECT count(*) FROM orders").await, 1, "the order is committed");
    assert_eq!(stage.open_tasks().await, 0, "the dropped call has stored nothing");
}

#[tokio::test]
async fn an_open_transaction_that_holds_a_name_delays_only_those_that_want_it() {
    let stage = Stage::new().await;
    let other = stage.other(Client::builder()).await;
    let mut tx = stage.pool.begin().await.unwrap();
    named::defer(1).named("held").on(&stage.tasks).in_tx(&mut tx).await.unwrap();
    // It waits for the name; everybody else goes on beside it.
    let waiting = tokio::spawn({
        let client = stage.tasks.clone();
        async move {
            loop {
                match named::defer(2).named("held").on(&client).await {
                    Err(Error::Busy { .. }) => {}
                    deferred => return deferred,
                }
            }
        }
    });
    for number in 0..50 {
        for client in [&stage.tasks, &other] {
            let plain = named::defer(number).on(client).into_future();
            timeout(Duration::from_secs(5), plain).await.expect("not delayed").unwrap();
            let call = named::defer(number).named(format!("own-{number}")).on(client);
            timeout(Duration::from_secs(5), call.into_future())
                .await
                .expect("not delayed")
                .unwrap();
        }
    }
    tx.rollback().await.unwrap();
    assert!(waiting.await.unwrap().unwrap().created, "the name was free after all");
}

#[tokio::test]
async fn two_transactions_that_want_the_same_names_in_another_order_do_not_deadlock() {
    let stage = Stage::new().await;
    let names: Vec<_> = (0..40).map(|number| format!("n-{number:02}")).collect();
    let call = |names: Vec<String>| async {
        let mut tx = stage.pool.begin().await.unwrap();
        let tasks = names.into_iter().map(|name| named::defer(1).named(name));
        let stored = stage.tasks.defer_many_in_tx(&mut tx, tasks).await.unwrap();
        tx.commit().await.unwrap();
        stored.into_iter().filter(|deferred| deferred.created).count()
    };
    let reversed = names.iter().rev().cloned().collect();
    let (one, other) = tokio::join!(call(names.clone()), call(reversed));
    assert_eq!(one + other, 40);
}
