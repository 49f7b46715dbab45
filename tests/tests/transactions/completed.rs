//! Tasks that are completed in the transaction of their handler.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gae_tasks::{BoxError, Client, Error, TaskContext, TaskState, deferred};

use crate::stage::{Stage, begin, number, until};

/// What a handler does with its transaction.
#[derive(Clone, Copy, PartialEq)]
enum Play {
    Commit,
    CommitAndFail,
    Rollback,
    Drop,
    Fail,
    Twice,
    /// Another worker takes the task over before it is completed.
    Stale,
}

#[derive(Clone)]
struct Script {
    file: PathBuf,
    /// What the first attempt does; later ones commit.
    first: Play,
    attempts: Arc<AtomicU32>,
}

#[deferred(queue = "played", min_backoff = "10ms", max_backoff = "10ms")]
fn play(
    number: u32,
    #[state] script: &Script,
    #[context] cx: &TaskContext,
) -> Result<(), BoxError> {
    // A lost lease does not count as an attempt of the task.
    let is_first = script.attempts.fetch_add(1, Ordering::SeqCst) == 0;
    let play = if is_first { script.first } else { Play::Commit };
    let mut application = gae_tasks_tests::transactions::open(&script.file)?;
    if play == Play::Stale {
        application.execute("DELETE FROM gae_tasks_lease", [])?;
    }
    let tx = begin(&mut application);
    tx.execute("INSERT INTO effects (task, process) VALUES (?1, ?2)", (number.to_string(), 0))?;
    cx.complete_in(&tx)?;
    match play {
        Play::Commit | Play::Stale => tx.commit()?,
        Play::CommitAndFail => {
            tx.commit()?;
            return Err("after the commit".into());
        }
        Play::Rollback => tx.rollback()?,
        Play::Drop => {}
        Play::Fail => return Err("before the commit".into()),
        Play::Twice => {
            let again = cx.complete_in(&tx).unwrap_err();
            assert!(again.to_string().contains("completed already"), "{again}");
            tx.commit()?;
            let again = cx.complete_in(&begin(&mut application)).unwrap_err();
            assert!(again.to_string().contains("completed already"), "{again}");
        }
    }
    Ok(())
}

/// The file of the application.
struct File(PathBuf);

/// Runs a task whose first attempt does `first` until nothing is left; returns the stage and the
/// number of attempts.
async fn played(first: Play) -> (Stage, u32) {
    let attempts = Arc::<AtomicU32>::default();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let script = Script { file: file.clone(), first, attempts: Arc::clone(&attempts) };
    let client = Client::builder().state(script.clone());
    let client = client.open(&format!("sqlite:{}", file.display())).await.unwrap();
    let stage = Stage { folder, tasks: client };
    play::defer(7).named("seven").on(&stage.tasks).await.unwrap();
    let watched = &stage;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = stage.tasks.worker().queues(["played"]).poll_interval(Duration::from_millis(20));
    let worker = worker.lease(Duration::from_secs(3));
    let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
    let worker = tokio::spawn(worker.into_future());
    until("the end of the task", async || {
        number(&watched.application(), "SELECT count(*) FROM gae_tasks_task") == 0
            && number(&watched.application(), "SELECT count(*) FROM gae_tasks_lease") == 0
    })
    .await;
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    (stage, attempts.load(Ordering::SeqCst))
}

fn effects(stage: &Stage) -> i64 {
    number(&stage.application(), "SELECT count(*) FROM effects")
}

/// Nothing is left of a task but its name.
async fn assert_over(stage: &Stage) {
    let stats = stage.tasks.stats().await.unwrap();
    assert_eq!((stats.open(), stats.dead), (0, 0), "{stats:?}");
    let left = "SELECT (SELECT count(*) FROM gae_tasks_task) + (SELECT count(*) FROM \
                gae_tasks_error) + (SELECT count(*) FROM gae_tasks_waiting) + (SELECT count(*) \
                FROM gae_tasks_lease)";
    assert_eq!(number(&stage.application(), left), 0);
    let hours = "SELECT (until / 1000000 - unixepoch() + 1800) / 3600 FROM gae_tasks_name";
    assert_eq!(number(&stage.application(), hours), 24, "the name is blocked for a day");
    let again = play::defer(7).named("seven").on(&stage.tasks).await.unwrap();
    assert!(!again.created, "the name of the task is blocked");
}

#[tokio::test]
async fn a_task_is_over_when_its_transaction_commits() {
    let (stage, attempts) = played(Play::Commit).await;
    assert_eq!((attempts, effects(&stage)), (1, 1));
    assert_over(&stage).await;
}

#[tokio::test]
async fn a_task_is_over_whatever_its_handler_returns_after_the_commit() {
    let (stage, attempts) = played(Play::CommitAndFail).await;
    assert_eq!((attempts, effects(&stage)), (1, 1));
    assert_over(&stage).await;
}

#[tokio::test]
async fn a_task_whose_transaction_is_rolled_back_is_retried() {
    for play in [Play::Rollback, Play::Drop, Play::Fail] {
        let (stage, attempts) = played(play).await;
        assert_eq!((attempts, effects(&stage)), (2, 1));
        assert_over(&stage).await;
    }
}

#[tokio::test]
async fn a_task_is_completed_once() {
    let (stage, attempts) = played(Play::Twice).await;
    assert_eq!((attempts, effects(&stage)), (1, 1));
    assert_over(&stage).await;
}

#[tokio::test]
async fn a_lease_that_is_lost_completes_nothing() {
    let (stage, attempts) = played(Play::Stale).await;
    // The first attempt is refused and its effect rolled back; the task, without a lease, is put
    // back by a sweep.
    assert_eq!((attempts, effects(&stage)), (2, 1));
    assert_over(&stage).await;
}

/// The error of a rollback is kept with the task, and counts as an attempt.
#[tokio::test]
async fn a_rollback_behind_a_success_is_an_error_of_the_task() {
    #[deferred(queue = "dropped", max_attempts = 1)]
    fn forgets(#[state] file: &File, #[context] cx: &TaskContext) -> Result<(), BoxError> {
        let mut application = gae_tasks_tests::transactions::open(&file.0)?;
        cx.complete_in(&begin(&mut application))?;
        Ok(())
    }

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let client = Client::builder().state(File(file.clone()));
    let client = client.open(&format!("sqlite:{}", file.display())).await.unwrap();
    let id = forgets::defer().on(&client).await.unwrap().id;
    let failed = client.drain().await.unwrap_err();
    let Error::TaskFailed { source, .. } = failed else { panic!("{failed}") };
    assert!(source.to_string().contains("rolled back"), "{source}");
    let record = client.get(id).await.unwrap().unwrap();
    assert_eq!((record.state, record.attempts), (TaskState::Dead, 1));
    assert!(record.errors[0].message.contains("rolled back"), "{:?}", record.errors);
}

/// `drain` runs what a worker would.
#[tokio::test]
async fn a_drain_knows_what_was_completed() {
    #[deferred(queue = "drained")]
    fn commits(#[state] file: &File, #[context] cx: &TaskContext) -> Result<(), BoxError> {
        let mut application = gae_tasks_tests::transactions::open(&file.0)?;
        let tx = begin(&mut application);
        cx.complete_in(&tx)?;
        tx.commit()?;
        Err("after the commit".into())
    }

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let client = Client::builder().state(File(file.clone()));
    let client = client.open(&format!("sqlite:{}", file.display())).await.unwrap();
    commits::defer().on(&client).await.unwrap();
    client.drain().await.unwrap();
    assert_eq!(client.stats().await.unwrap().open(), 0);
}
