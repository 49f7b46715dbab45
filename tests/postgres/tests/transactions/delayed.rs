//! Outcomes of tasks that an open transaction has locked: recorded once the transaction has ended,
//! under the lease of the attempt.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gae_tasks::{BoxError, Client, Error, TaskContext, deferred};
use sqlx::{PgPool, Postgres, Transaction};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::stage::{Stage, until};

/// How long the transaction stays open: several leases.
const OPEN: Duration = Duration::from_secs(10);

const LEASE: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Script {
    pool: PgPool,
    /// The transactions that handlers leave open.
    left: mpsc::UnboundedSender<Transaction<'static, Postgres>>,
    /// The number of each attempt.
    attempts: Arc<Mutex<Vec<u32>>>,
}

impl Script {
    fn attempts(&self) -> Vec<u32> {
        self.attempts.lock().unwrap().clone()
    }
}

/// Completes its task, or locks its row, and leaves the transaction of the first attempt open.
#[deferred(queue = "delayed", min_backoff = "10ms", max_backoff = "10ms")]
async fn leave_open(
    completes: bool,
    #[state] script: &Script,
    #[context] cx: &TaskContext,
) -> Result<(), BoxError> {
    script.attempts.lock().unwrap().push(cx.attempt());
    let mut tx = script.pool.begin().await?;
    if completes {
        cx.complete_in(&mut tx).await?;
    } else {
        let id = uuid::Uuid::from_bytes(*cx.id().as_bytes());
        let lock = sqlx::query("SELECT FROM gae_tasks.task WHERE id = $1 FOR UPDATE").bind(id);
        lock.execute(&mut *tx).await?;
    }
    if cx.attempt() == 1 {
        script.left.send(tx).map_err(|_| "the test is over")?;
    } else {
        tx.commit().await?;
    }
    Ok(())
}

#[deferred(queue = "delayed")]
async fn other() {}

struct Worker(oneshot::Sender<()>, JoinHandle<Result<(), Error>>);

impl Worker {
    fn start(client: &Client) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let worker = client.worker().queues(["delayed"]).lease(LEASE);
        let worker = worker.poll_interval(Duration::from_millis(20));
        let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
        Self(stop, tokio::spawn(worker.into_future()))
    }

    async fn stop(self) {
        self.0.send(()).unwrap();
        self.1.await.unwrap().unwrap();
    }
}

/// Runs a task whose first attempt leaves its transaction open, which `ends` after a while. Returns
/// the number of each attempt.
async fn attempts(
    completes: bool,
    ends: impl AsyncFnOnce(Transaction<'static, Postgres>),
) -> Vec<u32> {
    let (left, mut open) = mpsc::unbounded_channel();
    let attempts = Arc::<Mutex<Vec<u32>>>::default();
    let script = |pool: &PgPool| Script { pool: pool.clone(), left, attempts };
    let mut given = None;
    let stage = Stage::of(|pool| Client::builder().state(given.insert(script(pool)).clone())).await;
    let script = given.unwrap();
    let second = stage.other(Client::builder().state(script.clone())).await;
    leave_open::defer(completes).on(&stage.tasks).await.unwrap();
    let workers = [&stage.tasks, &second].map(Worker::start);
    let (tx, begun) = (open.recv().await.unwrap(), Instant::now());

    other::defer().on(&stage.tasks).await.unwrap();
    let tasks = "SELECT count(*) FROM gae_tasks.task";
    until("the end of the other task", async || stage.number(tasks).await == 1).await;
    assert!(begun.elapsed() < OPEN, "the other task waited for {:?}", begun.elapsed());
    tokio::time::sleep(OPEN.saturating_sub(begun.elapsed())).await;
    let leases = "SELECT count(*) FROM gae_tasks.lease";
    assert_eq!((script.attempts(), stage.number(leases).await), (vec![1], 1), "it is held");
    ends(tx).await;
    until("the end of the task", async || {
        stage.number(tasks).await + stage.number(leases).await == 0
    })
    .await;
    for worker in workers {
        worker.stop().await;
    }
    script.attempts()
}

#[tokio::test]
async fn a_completed_task_is_over_once_its_transaction_commits_however_late() {
    assert_eq!(attempts(true, async |tx| tx.commit().await.unwrap()).await, [1]);
}

/// The failure is recorded: the second attempt is not one of a lost lease.
#[tokio::test]
async fn a_completed_task_is_retried_once_its_transaction_is_rolled_back_however_late() {
    assert_eq!(attempts(true, async |tx| tx.rollback().await.unwrap()).await, [1, 2]);
}

#[tokio::test]
async fn a_task_that_somebody_has_locked_is_done_once_it_is_free_and_does_not_run_again() {
    assert_eq!(attempts(false, async |tx| tx.rollback().await.unwrap()).await, [1]);
}
