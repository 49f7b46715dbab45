//! All that can happen to tasks: rows of every sort are written, changed and deleted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{Lease, Pull, Room, Routes};
use gae_tasks::{
    BoxError, Client, Now, PermanentTaskFailure, QueueConfig, QueueName, TaskContext, deferred,
};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::oneshot;

const HOUR: Duration = Duration::from_secs(3600);

/// How long names and dead letters are kept, where they are to be forgotten.
const SHORT: Duration = Duration::from_millis(1);

/// Fails once or for good, or does nothing.
#[deferred(queue = "life", min_backoff = "1ms", max_backoff = "1ms")]
async fn live(
    ends: u8,
    #[sensitive] secret: String,
    #[context] cx: &TaskContext,
) -> Result<(), BoxError> {
    _ = secret;
    match ends {
        1 if cx.attempt() == 1 => Err("it fails once".into()),
        2 => Err(PermanentTaskFailure::new("it fails for good").into()),
        _ => Ok(()),
    }
}

/// Is completed in a transaction of the application.
#[deferred(queue = "life")]
async fn complete(#[state] pool: &PgPool, #[context] cx: &TaskContext) -> Result<(), BoxError> {
    let mut tx = pool.begin().await?;
    cx.complete_in(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Has all that happen in the schema of `url`. The application connects by `own`.
///
/// What a worker does is waited for, because workers do not end where they fail.
pub(crate) async fn all_that_can_happen(url: &str, own: &str) {
    let pool = PgPoolOptions::new().max_connections(3).connect(own).await.unwrap();
    let tasks = Client::builder().state(pool.clone()).open(url).await.unwrap();
    let config = QueueConfig::new().with_max_lost_attempts(3);
    tasks.put_queue("life", config.clone()).await.unwrap();
    tasks.put_queue("life", config.with_tombstone_retention(SHORT)).await.unwrap();
    live::defer(0, "").on(&tasks).await.unwrap();
    lose_a_lease(url).await;
    live::defer(1, "").on(&tasks).await.unwrap();
    let dead = live::defer(2, "").on(&tasks).await.unwrap().id;
    let later = live::defer(0, "").after(HOUR).on(&tasks).await.unwrap().id;
    assert!(live::defer(0, "").named("once").on(&tasks).await.unwrap().created);
    complete::defer().on(&tasks).await.unwrap();
    tasks.defer_many((0..150).map(|_| live::defer(0, ""))).await.unwrap();
    in_a_transaction(&tasks, &pool).await;

    let (stop, stopped) = oneshot::channel::<()>();
    let worker = tasks.worker().queues(["life"]);
    let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
    let worker = tokio::spawn(worker.into_future());
    until_left(&tasks, 1, 1).await;
    tasks.run_now(later).await.unwrap();
    until_left(&tasks, 0, 1).await;
    tasks.replay(dead).await.unwrap();
    until_left(&tasks, 0, 1).await;
    assert!(live::defer(0, "").named("once").on(&tasks).await.unwrap().created, "it is forgotten");
    let forgets = QueueConfig::new().with_dead_letter_retention(SHORT);
    tasks.put_queue("life", forgets).await.unwrap();
    until_left(&tasks, 0, 0).await;
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    by_hand(&tasks).await;
}

/// Leases a task, and goes.
async fn lose_a_lease(url: &str) {
    let gone = Postgres::open(url).await.unwrap();
    let queues = Arc::new([QueueName::new("life").unwrap()].into());
    let duration = Duration::from_secs(1);
    let lease = Lease::new(Now::Storage, queues, Routes::Any, Room::new(1), duration);
    assert_eq!(gone.lease(lease).await.unwrap().tasks.len(), 1);
}

async fn in_a_transaction(tasks: &Client, pool: &PgPool) {
    let mut tx = pool.begin().await.unwrap();
    live::defer(0, "").on(tasks).in_tx(&mut tx).await.unwrap();
    live::defer(0, "").named("in-a-transaction").on(tasks).in_tx(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
}

/// What people do to tasks and queues.
async fn by_hand(tasks: &Client) {
    tasks.pause("life").await.unwrap();
    tasks.resume("life").await.unwrap();
    let many = (0..4).map(|_| live::defer(0, "").after(HOUR));
    let waiting = tasks.defer_many(many).await.unwrap();
    assert!(tasks.delete(waiting[0].id).await.unwrap());
    assert_eq!(tasks.purge("life").await.unwrap().deleted, 3);
    live::defer(0, "").named("last").on(tasks).await.unwrap();
    assert_eq!(tasks.delete_queue_with_tasks("life").await.unwrap().deleted, 1);
    assert!(tasks.queues().await.unwrap().is_empty());
}

/// Waits until so many open tasks and dead letters are left.
async fn until_left(tasks: &Client, open: u64, dead: u64) {
    let begun = Instant::now();
    loop {
        let stats = tasks.stats().await.unwrap();
        if (stats.open(), stats.dead) == (open, dead) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{stats:?} are left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
