//! Tasks that are completed in the transaction of their handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gae_tasks::{BoxError, Client, QueueConfig, TaskContext, deferred};
use sqlx::PgPool;

use crate::stage::{Stage, until};

/// What a handler does with its transaction.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Play {
    Commit,
    CommitAndFail,
    Rollback,
    Drop,
    Fail,
    Twice,
    /// Its lease is lost before it completes.
    Stale,
    /// It is recorded as failed before it completes.
    Failed,
    /// It stays open for several renewals.
    Long,
}

#[derive(Clone)]
struct Script {
    pool: PgPool,
    begin: &'static str,
    /// What the first attempt does; later ones commit.
    first: Play,
    attempts: Arc<AtomicU32>,
}

#[deferred(queue = "played", min_backoff = "10ms", max_backoff = "10ms")]
async fn play(
    number: i64,
    #[state] script: &Script,
    #[context] cx: &TaskContext,
) -> Result<(), BoxError> {
    let is_first = script.attempts.fetch_add(1, Ordering::SeqCst) == 0;
    let play = if is_first { script.first } else { Play::Commit };
    let mut tx = script.pool.begin_with(script.begin).await?;
    sqlx::query("INSERT INTO effects (task) VALUES ($1)").bind(number).execute(&mut *tx).await?;
    let over = match play {
        Play::Stale => Some("UPDATE gae_tasks.task SET lost_leases = 1"),
        Play::Failed => Some("UPDATE gae_tasks.task SET attempts = 1"),
        _ => None,
    };
    if let Some(over) = over {
        sqlx::query(over).execute(&script.pool).await?;
    }
    if play == Play::Long {
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    cx.complete_in(&mut tx).await?;
    match play {
        Play::Commit | Play::Stale | Play::Failed | Play::Long => tx.commit().await?,
        Play::CommitAndFail => {
            tx.commit().await?;
            return Err("after the commit".into());
        }
        Play::Rollback => tx.rollback().await?,
        Play::Drop => {}
        Play::Fail => return Err("before the commit".into()),
        Play::Twice => {
            let again = cx.complete_in(&mut tx).await.unwrap_err();
            assert!(again.to_string().contains("completed already"), "{again}");
            tx.commit().await?;
            let again = cx.complete_in(&mut script.pool.begin().await?).await.unwrap_err();
            assert!(again.to_string().contains("completed already"), "{again}");
        }
    }
    Ok(())
}

/// Runs a task whose first attempt does `first` until nothing is left; returns the stage and the
/// number of attempts.
async fn played(first: Play, begin: &'static str) -> (Stage, u32) {
    played_as(first, begin, QueueConfig::new()).await
}

/// As [`played`], in a queue of this configuration.
async fn played_as(first: Play, begin: &'static str, config: QueueConfig) -> (Stage, u32) {
    let attempts = Arc::<AtomicU32>::default();
    let counted = Arc::clone(&attempts);
    let stage = Stage::of(|pool| {
        Client::builder().state(Script { pool: pool.clone(), begin, first, attempts: counted })
    })
    .await;
    stage.tasks.put_queue("played", config).await.unwrap();
    play::defer(7).named("seven").on(&stage.tasks).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = stage.tasks.worker().queues(["played"]).poll_interval(Duration::from_millis(20));
    let worker = worker.lease(Duration::from_secs(3));
    let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
    let worker = tokio::spawn(worker.into_future());
    until("the end of the task", async || {
        stage.number("SELECT count(*) FROM gae_tasks.task").await == 0
            && stage.number("SELECT count(*) FROM gae_tasks.lease").await == 0
    })
    .await;
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    (stage, attempts.load(Ordering::SeqCst))
}

/// Nothing is left of the task but its name and its effect.
async fn assert_over(stage: &Stage) {
    let stats = stage.tasks.stats().await.unwrap();
    assert_eq!((stats.open(), stats.dead), (0, 0), "{stats:?}");
    let left = "SELECT (SELECT count(*) FROM gae_tasks.task) + (SELECT count(*) FROM \
                gae_tasks.waiting) + (SELECT count(*) FROM gae_tasks.lease)";
    assert_eq!(stage.number(left).await, 0);
    let again = play::defer(7).named("seven").on(&stage.tasks).await.unwrap();
    assert!(!again.created, "the name of the task is blocked");
    assert_eq!(stage.number("SELECT count(*) FROM effects").await, 1, "exactly once");
}

const READ_COMMITTED: &str = "BEGIN";
const REPEATABLE_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ";

#[tokio::test]
async fn a_task_is_over_when_its_transaction_commits() {
    for begin in [READ_COMMITTED, REPEATABLE_READ] {
        for first in [Play::Commit, Play::CommitAndFail, Play::Twice] {
            let (stage, attempts) = played(first, begin).await;
            assert_eq!(attempts, 1, "{first:?} {begin}");
            assert_over(&stage).await;
        }
    }
}

#[tokio::test]
async fn a_name_may_be_blocked_for_ever() {
    let config = QueueConfig::new().with_tombstone_retention(Duration::MAX);
    let (stage, attempts) = played_as(Play::Commit, READ_COMMITTED, config).await;
    assert_eq!(attempts, 1);
    assert_over(&stage).await;
}

#[tokio::test]
async fn a_task_runs_again_when_its_transaction_does_not_commit() {
    for first in [Play::Rollback, Play::Drop, Play::Fail] {
        let (stage, attempts) = played(first, READ_COMMITTED).await;
        assert_eq!(attempts, 2, "{first:?}");
        assert_over(&stage).await;
    }
}

#[tokio::test]
async fn a_stale_attempt_does_not_complete_its_task() {
    for begin in [READ_COMMITTED, REPEATABLE_READ] {
        for first in [Play::Stale, Play::Failed] {
            let (stage, attempts) = played(first, begin).await;
            assert_eq!(attempts, 2, "{first:?} {begin}");
            assert_over(&stage).await;
        }
    }
}

#[tokio::test]
async fn a_transaction_may_be_open_for_several_renewals() {
    for begin in [READ_COMMITTED, REPEATABLE_READ] {
        let (stage, attempts) = played(Play::Long, begin).await;
        assert_eq!(attempts, 1, "{begin}");
        assert_over(&stage).await;
    }
}
