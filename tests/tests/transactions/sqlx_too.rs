//! The same with the transactions of sqlx.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gae_tasks::{BoxError, Client, Error, TaskContext, deferred};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{Connection, SqliteConnection};

use crate::stage::Stage;

#[derive(Clone, Default)]
struct Sum(Arc<AtomicU64>);

#[deferred(queue = "sqlx-sums")]
async fn add(number: u64, #[state] sum: &Sum) {
    sum.0.fetch_add(number, Ordering::SeqCst);
}

/// An async handler that completes in its own transaction.
#[deferred(queue = "moves", min_backoff = "10ms", max_backoff = "10ms")]
async fn move_money(
    cents: i64,
    #[state] pool: &SqlitePool,
    #[context] cx: &TaskContext,
) -> Result<(), BoxError> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query("INSERT INTO effects (task, process) VALUES (?1, 0)")
        .bind(cents.to_string())
        .execute(&mut *tx)
        .await?;
    cx.complete_in(&mut tx).await?;
    let again = cx.complete_in(&mut tx).await.unwrap_err();
    assert!(again.to_string().contains("completed already"), "{again}");
    if cx.attempt() == 1 {
        // Dropped, and so rolled back.
        return Ok(());
    }
    tx.commit().await?;
    Err("after the commit".into())
}

async fn pool(stage: &Stage) -> SqlitePool {
    drop(stage.application());
    let options = SqliteConnectOptions::new().filename(stage.file());
    SqlitePoolOptions::new().max_connections(2).connect_with(options).await.unwrap()
}

async fn orders(pool: &SqlitePool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(pool).await.unwrap()
}

async fn order(connection: &mut SqliteConnection) {
    let insert = "INSERT INTO orders (task) VALUES (hex(randomblob(8)))";
    sqlx::query(insert).execute(connection).await.unwrap();
}

#[tokio::test]
async fn what_commits_is_stored_and_what_is_rolled_back_is_not() {
    let sum = Sum::default();
    let stage = Stage::of(Client::builder().state(sum.clone())).await;
    let pool = pool(&stage).await;
    for number in 0..8 {
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
        order(&mut tx).await;
        add::defer(1 << number).on(&stage.tasks).in_tx(&mut tx).await.unwrap();
        if number % 2 == 0 { tx.commit().await.unwrap() } else { tx.rollback().await.unwrap() }
    }
    let mut tx = pool.begin().await.unwrap();
    let many = stage.tasks.defer_many_in_tx(&mut *tx, [1 << 20, 1 << 21].map(add::defer)).await;
    assert_eq!(many.unwrap().len(), 2);
    let mut savepoint = tx.begin().await.unwrap();
    add::defer(1 << 22).named("n").on(&stage.tasks).in_tx(&mut savepoint).await.unwrap();
    savepoint.rollback().await.unwrap();
    tx.commit().await.unwrap();
    stage.tasks.drain().await.unwrap();
    assert_eq!(sum.0.load(Ordering::SeqCst), 0b0101_0101 + (0b11 << 20));
    assert_eq!(orders(&pool).await, 4);
}

#[tokio::test]
async fn a_connection_without_a_transaction_stores_at_once() {
    let stage = Stage::of(Client::builder().state(Sum::default())).await;
    let pool = pool(&stage).await;
    let mut connection = pool.acquire().await.unwrap();
    add::defer(1).on(&stage.tasks).in_tx(&mut connection).await.unwrap();
    assert_eq!(stage.open_tasks().await, 1);
    add::defer(1).on(&stage.tasks).in_tx(&mut *connection).await.unwrap();
    assert_eq!(stage.open_tasks().await, 2);
}

#[tokio::test]
async fn a_refused_call_leaves_the_transaction_usable() {
    let stage = Stage::of(Client::builder().state(Sum::default())).await;
    let other = Stage::new().await;
    let pool = pool(&stage).await;
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    order(&mut tx).await;
    let refused = add::defer(1).on(&other.tasks).in_tx(&mut tx).await.unwrap_err();
    assert!(matches!(refused, Error::InTransaction { .. }), "{refused}");
    add::defer(1).named("n").on(&stage.tasks).in_tx(&mut tx).await.unwrap();
    let tasks = [add::defer(2), add::defer(3).named("n").must_be_new()];
    let refused = stage.tasks.defer_many_in_tx(&mut tx, tasks).await.unwrap_err();
    assert!(matches!(refused, Error::NameTaken { .. }), "{refused}");
    order(&mut tx).await;
    tx.commit().await.unwrap();
    assert_eq!((orders(&pool).await, stage.open_tasks().await), (2, 1));
}

#[tokio::test]
async fn a_transaction_that_read_before_others_wrote_is_told_to_begin_otherwise() {
    let stage = Stage::of(Client::builder().state(Sum::default())).await;
    let pool = pool(&stage).await;
    let mut tx = pool.begin().await.unwrap();
    let read: i64 =
        sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(&mut *tx).await.unwrap();
    assert_eq!(read, 0);
    add::defer(1).on(&stage.tasks).await.unwrap();
    let refused = add::defer(1).on(&stage.tasks).in_tx(&mut tx).await.unwrap_err();
    assert!(refused.to_string().contains("BEGIN IMMEDIATE"), "{refused}");
}

#[tokio::test]
async fn a_transaction_that_sqlx_does_not_know_of_is_refused() {
    let stage = Stage::of(Client::builder().state(Sum::default())).await;
    let pool = pool(&stage).await;
    let mut connection = pool.acquire().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.unwrap();
    let refused = add::defer(1).on(&stage.tasks).in_tx(&mut *connection).await.unwrap_err();
    assert!(refused.to_string().contains("begin_with"), "{refused}");
    sqlx::query("COMMIT").execute(&mut *connection).await.unwrap();
    assert_eq!(stage.open_tasks().await, 0);
}

/// A future that is dropped half way leaves nothing half done, whatever the transaction does then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_dropped_stores_all_or_nothing() {
    let stage = Stage::of(Client::builder().state(Sum::default())).await;
    let pool = pool(&stage).await;
    let mut stored = 0;
    for micros in (0..4_000).step_by(100) {
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let many = stage.tasks.defer_many_in_tx(&mut tx, (0..20).map(add::defer));
        let ended = tokio::time::timeout(Duration::from_micros(micros), many).await;
        tx.commit().await.unwrap();
        let more = stage.open_tasks().await - stored;
        match ended {
            Ok(done) => assert_eq!(done.unwrap().len() as u64, more),
            // It may have been dropped between its end and its answer.
            Err(_) => assert!(more == 0 || more == 20, "{more} tasks after {micros} us"),
        }
        stored += more;
    }
    println!("{} of 40 calls stored their tasks", stored / 20);
}

#[tokio::test]
async fn a_task_completes_in_a_transaction_of_sqlx() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    drop(gae_tasks_tests::transactions::open(&file).unwrap());
    let options = SqliteConnectOptions::new().filename(&file);
    let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await.unwrap();
    let client = Client::builder().state(pool.clone());
    let client = client.open(&format!("sqlite:{}", file.display())).await.unwrap();
    let stage = Stage { folder, tasks: client };
    move_money::defer(100).named("m").on(&stage.tasks).await.unwrap();
    let failed = stage.tasks.drain().await.unwrap_err();
    let Error::TaskFailed { source, .. } = failed else { panic!("{failed}") };
    assert!(source.to_string().contains("rolled back"), "{source}");
    tokio::time::sleep(Duration::from_millis(20)).await;
    stage.tasks.drain().await.unwrap();
    let effects: i64 =
        sqlx::query_scalar("SELECT count(*) FROM effects").fetch_one(&pool).await.unwrap();
    assert_eq!((effects, stage.open_tasks().await), (1, 0));
    let again = move_money::defer(100).named("m").on(&stage.tasks).await.unwrap();
    assert!(!again.created, "the name is blocked");
}
