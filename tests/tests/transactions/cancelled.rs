//! Tasks that are cancelled while their handler completes them in a transaction.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use gae_tasks::{BoxError, Cancelled, Client, TaskContext, TaskState, deferred};

use crate::stage::{begin, until};

/// What a handler does.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Play {
    /// It completes its task after that was cancelled.
    CancelFirst,
    /// It is cancelled after its transaction has committed.
    CancelLast,
    /// It is cancelled, and its transaction is rolled back.
    Rollback,
}

#[derive(Clone)]
struct Script {
    file: PathBuf,
    play: Play,
    answers: Arc<Mutex<Vec<Cancelled>>>,
}

#[deferred(queue = "cancelled")]
fn complete(#[state] script: &Script, #[context] cx: &TaskContext) -> Result<(), BoxError> {
    let client = Client::current().ok_or("a handler has a client")?;
    let cancel = || -> Result<(), BoxError> {
        let answer = tokio::runtime::Handle::current().block_on(client.cancel(cx.id()))?;
        script.answers.lock().unwrap().push(answer);
        Ok(())
    };
    if script.play != Play::CancelLast {
        cancel()?;
    }
    let mut application = gae_tasks_tests::transactions::open(&script.file)?;
    let tx = begin(&mut application);
    cx.complete_in(&tx)?;
    match script.play {
        Play::CancelFirst => tx.commit()?,
        Play::Rollback => tx.rollback()?,
        Play::CancelLast => {
            tx.commit()?;
            cancel()?;
        }
    }
    Ok(())
}

/// Runs the task; returns the answers to its cancellation, and its state afterwards.
async fn played(play: Play) -> (Vec<Cancelled>, Option<TaskState>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let script = Script { file: file.clone(), play, answers: Arc::default() };
    let client = Client::builder().state(script.clone());
    let tasks = client.open(&format!("sqlite:{}", file.display())).await.unwrap();
    let id = complete::defer().on(&tasks).await.unwrap().id;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = tasks.worker().queues(["cancelled"]);
    let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
    let worker = tokio::spawn(worker.into_future());
    until("the end of the task", async || tasks.stats().await.unwrap().open() == 0).await;
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    let state = tasks.get(id).await.unwrap().map(|record| record.state);
    let answers = script.answers.lock().unwrap().clone();
    (answers, state)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_task_that_commits_its_completion_is_done() {
    assert_eq!(played(Play::CancelFirst).await, (vec![Cancelled::Requested], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_task_cannot_be_cancelled() {
    assert_eq!(played(Play::CancelLast).await, (vec![Cancelled::Gone], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_task_whose_completion_is_rolled_back_is_a_dead_letter() {
    let (answers, state) = played(Play::Rollback).await;
    assert_eq!((answers, state), (vec![Cancelled::Requested], Some(TaskState::Dead)));
}
