//! Tasks that are cancelled while a transaction of their handler completes them, and by another
//! process.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gae_tasks::{BoxError, Cancelled, Client, TaskContext, TaskId, TaskState, deferred};
use sqlx::PgPool;
use tokio::sync::watch;

use crate::stage::{Stage, until};

/// How the transaction of a handler ends, and when the task is cancelled.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Play {
    Commit,
    Rollback,
    CancelLast,
}

#[derive(Clone)]
struct Script {
    pool: PgPool,
    play: Play,
    answers: Arc<Mutex<Vec<Cancelled>>>,
}

/// Cancels itself while its transaction holds the row of its task.
#[deferred(queue = "cancelled")]
async fn complete(#[state] script: &Script, #[context] cx: &TaskContext) -> Result<(), BoxError> {
    let client = Client::current().ok_or("a handler has a client")?;
    let mut tx = script.pool.begin().await?;
    cx.complete_in(&mut tx).await?;
    if script.play == Play::CancelLast {
        tx.commit().await?;
        let answer = client.cancel(cx.id()).await?;
        script.answers.lock().unwrap().push(answer);
        return Ok(());
    }
    let begun = Instant::now();
    let answer = client.cancel(cx.id()).await?;
    assert!(begun.elapsed() < Duration::from_secs(2), "it waited for the transaction");
    script.answers.lock().unwrap().push(answer);
    match script.play {
        Play::Rollback => tx.rollback().await?,
        _ => tx.commit().await?,
    }
    Ok(())
}

/// Runs the task; returns the answers to its cancellation, and its state afterwards.
async fn played(play: Play) -> (Vec<Cancelled>, Option<TaskState>) {
    let answers = Arc::<Mutex<Vec<Cancelled>>>::default();
    let told = Arc::clone(&answers);
    let stage = Stage::of(|pool| {
        Client::builder().state(Script { pool: pool.clone(), play, answers: told })
    })
    .await;
    let id = complete::defer().on(&stage.tasks).await.unwrap().id;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = stage.tasks.worker().queues(["cancelled"]);
    let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
    let worker = tokio::spawn(worker.into_future());
    until("the end of the task", async || {
        stage.open_tasks().await == 0
            && stage.number("SELECT count(*) FROM gae_tasks.lease").await == 0
    })
    .await;
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    let state = stage.tasks.get(id).await.unwrap().map(|record| record.state);
    let answers = answers.lock().unwrap().clone();
    (answers, state)
}

#[tokio::test]
async fn a_transaction_that_completes_a_task_delays_no_cancellation_and_decides() {
    assert_eq!(played(Play::Commit).await, (vec![Cancelled::Requested], None));
    let (answers, state) = played(Play::Rollback).await;
    assert_eq!((answers, state), (vec![Cancelled::Requested], Some(TaskState::Dead)));
}

#[tokio::test]
async fn a_completed_task_cannot_be_cancelled() {
    assert_eq!(played(Play::CancelLast).await, (vec![Cancelled::Gone], None));
}

/// What a task does: nothing yet, it runs, or it was told that it is cancelled.
#[derive(Clone)]
struct Life(Arc<watch::Sender<&'static str>>);

#[deferred(queue = "heeds")]
async fn heeds(#[state] life: &Life, #[context] cx: &TaskContext) -> Result<(), &'static str> {
    life.0.send_replace("runs");
    cx.cancelled().await;
    life.0.send_replace("told");
    Err("it heeds")
}

#[tokio::test]
async fn a_task_that_another_process_cancels_is_told_within_a_second() {
    let life = Life(Arc::new(watch::Sender::new("")));
    let stage = Stage::of(|_| Client::builder().state(life.clone())).await;
    let other = stage.other(Client::builder()).await;
    let id = heeds::defer().on(&stage.tasks).await.unwrap().id;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = stage.tasks.worker().queues(["heeds"]);
    let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
    let worker = tokio::spawn(worker.into_future());
    until("the attempt", async || *life.0.borrow() == "runs").await;
    assert_eq!(other.cancel(id).await.unwrap(), Cancelled::Requested);
    let begun = Instant::now();
    until("the cancellation", async || *life.0.borrow() == "told").await;
    println!("it took {:?}", begun.elapsed());
    // With some time for a busy machine.
    assert!(begun.elapsed() < Duration::from_millis(1_500), "{:?}", begun.elapsed());
    until("the dead letter", async || is_dead(&other, id).await).await;
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
}

async fn is_dead(client: &Client, id: TaskId) -> bool {
    client.get(id).await.unwrap().is_some_and(|record| record.state == TaskState::Dead)
}
