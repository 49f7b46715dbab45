//! Tasks that exist when, and only when, a transaction commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gae_tasks::{Client, Error, deferred};
use sqlx::{Acquire, PgConnection};
use tokio::sync::mpsc;

use crate::stage::Stage;

#[derive(Clone, Default)]
struct Sum(Arc<AtomicU64>);

#[deferred(queue = "sums")]
async fn add(number: u64, #[state] sum: &Sum) {
    sum.0.fetch_add(number, Ordering::SeqCst);
}

#[derive(Clone)]
struct Began(mpsc::UnboundedSender<(u64, Instant)>);

#[deferred(queue = "woken")]
async fn wake(number: u64, #[state] began: &Began) {
    _ = began.0.send((number, Instant::now()));
}

async fn order(connection: &mut PgConnection) {
    sqlx::query("INSERT INTO orders DEFAULT VALUES").execute(connection).await.unwrap();
}

async fn summed() -> (Stage, Sum) {
    let sum = Sum::default();
    let stage = Stage::of(|_| Client::builder().state(sum.clone())).await;
    (stage, sum)
}

#[tokio::test]
async fn what_commits_is_stored_and_what_is_rolled_back_is_not() {
    let (stage, sum) = summed().await;
    for number in 0..8 {
        let mut tx = stage.pool.begin().await.unwrap();
        order(&mut tx).await;
        add::defer(1 << number).on(&stage.tasks).in_tx(&mut tx).await.unwrap();
        if number % 2 == 0 { tx.commit().await.unwrap() } else { tx.rollback().await.unwrap() }
    }
    let mut tx = stage.pool.begin().await.unwrap();
    let many = stage.tasks.defer_many_in_tx(&mut *tx, [1 << 20, 1 << 21].map(add::defer)).await;
    assert_eq!(many.unwrap().len(), 2);
    let mut savepoint = tx.begin().await.unwrap();
    add::defer(1 << 22).named("n").on(&stage.tasks).in_tx(&mut savepoint).await.unwrap();
    savepoint.rollback().await.unwrap();
    tx.commit().await.unwrap();
    stage.tasks.drain().await.unwrap();
    assert_eq!(sum.0.load(Ordering::SeqCst), 0b0101_0101 + (0b11 << 20));
    assert_eq!(stage.number("SELECT count(*) FROM orders").await, 4);
}

#[tokio::test]
async fn a_connection_without_a_transaction_stores_at_once() {
    let (stage, _) = summed().await;
    let mut connection = stage.pool.acquire().await.unwrap();
    add::defer(1).on(&stage.tasks).in_tx(&mut connection).await.unwrap();
    assert_eq!(stage.open_tasks().await, 1);
    add::defer(1).named("n").on(&stage.tasks).in_tx(&mut *connection).await.unwrap();
    assert_eq!(stage.open_tasks().await, 2);
}

#[tokio::test]
async fn a_transaction_in_another_database_is_refused_and_stays_usable() {
    let (stage, _) = summed().await;
    let other = Stage::new().await;
    let mut tx = stage.pool.begin().await.unwrap();
    order(&mut tx).await;
    let refused = add::defer(1).on(&other.tasks).in_tx(&mut tx).await.unwrap_err();
    assert!(matches!(refused, Error::InTransaction { .. }), "{refused}");
    assert!(refused.to_string().contains("another database"), "{refused}");
    let named = add::defer(1).named("n").on(&other.tasks).in_tx(&mut tx).await.unwrap_err();
    assert!(matches!(named, Error::InTransaction { .. }), "{named}");
    add::defer(1).on(&stage.tasks).in_tx(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((stage.open_tasks().await, other.open_tasks().await), (1, 0));
}

#[tokio::test]
async fn an_error_does_not_quote_the_row() {
    let (stage, _) = summed().await;
    let rule = "ALTER TABLE gae_tasks.task ADD CONSTRAINT rule CHECK (octet_length(payload) = 0)";
    sqlx::query(rule).execute(&stage.pool).await.unwrap();
    for name in [None, Some("n")] {
        let mut tx = stage.pool.begin().await.unwrap();
        let task = add::defer(1).on(&stage.tasks);
        let task = match name {
            None => task,
            Some(name) => task.named(name),
        };
        let refused = task.in_tx(&mut tx).await.unwrap_err();
        let text = format!("{refused} {refused:?}");
        assert!(text.contains("23514"), "{text}");
        assert!(!text.contains("Failing row"), "{text}");
    }
}

#[tokio::test]
async fn a_priority_is_stored_with_its_task() {
    let (stage, _) = summed().await;
    let mut tx = stage.pool.begin().await.unwrap();
    let calls = [add::defer(1).priority(-7), add::defer(2).priority(7).named("n"), add::defer(3)];
    let stored = stage.tasks.defer_many_in_tx(&mut *tx, calls).await.unwrap();
    tx.commit().await.unwrap();
    let mut kept = Vec::new();
    for deferred in stored {
        kept.push(stage.tasks.get(deferred.id).await.unwrap().unwrap().spec.priority);
    }
    assert_eq!(kept, [-7, 7, 0]);
}

#[tokio::test]
async fn a_delay_counts_from_the_call() {
    let (stage, _) = summed().await;
    let mut tx = stage.pool.begin().await.unwrap();
    order(&mut tx).await;
    let minute = Duration::from_secs(60);
    add::defer(1).after(minute).on(&stage.tasks).in_tx(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let left = "SELECT (schedule_time - created) / 1000000 FROM gae_tasks.task";
    assert_eq!(stage.number(left).await, 60);
    assert_eq!(stage.tasks.stats().await.unwrap().due, 0);
}

/// The first line of a handler in another process, or at least behind another client, soon after
/// the commit: nobody polls in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_woken_after_the_commit() {
    let stage = Stage::new().await;
    let (began, mut begins) = mpsc::unbounded_channel();
    let other = stage.other(Client::builder().state(Began(began))).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = other.worker().queues(["woken"]).poll_interval(Duration::from_secs(20));
    let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
    let worker = tokio::spawn(worker.into_future());
    let mut waits = Vec::new();
    for number in 0..20 {
        let mut tx = stage.pool.begin().await.unwrap();
        order(&mut tx).await;
        wake::defer(number).on(&stage.tasks).in_tx(&mut tx).await.unwrap();
        // The transaction goes on for a while, so it is asked for more than once.
        tokio::time::sleep(Duration::from_millis(10)).await;
        tx.commit().await.unwrap();
        let committed = Instant::now();
        let began = tokio::time::timeout(Duration::from_secs(10), begins.recv()).await;
        let (of, at) = began.expect("the worker is woken").unwrap();
        assert_eq!(of, number);
        waits.push(at.saturating_duration_since(committed));
    }
    waits.sort_unstable();
    println!("woken after {:?} (p50), {:?} (longest)", waits[10], waits[19]);
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
}
