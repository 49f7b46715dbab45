//! Beside a snapshot that stays open, vacuum removes nothing, and the entries of tasks that are
//! gone stay in the index. What a lease reads does not grow with them.

use std::ops::Deref;
use std::time::Duration;

use gae_tasks::Now;
use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{Backend, Enqueue, Lease, LeaseRef, Pull, Settle, Sweep, Swept};
use sqlx::PgConnection;

use crate::rows::with_another;
use crate::stage::{Stage, done, end, id, leasing, task};

/// As many entries are far more than a lease should read.
const MANY: u32 = 50_000;

/// Enough entries for leases to begin behind them.
const SOME: u32 = 5_000;

/// A stage with an open snapshot, beside which tasks have come and gone in the queue `q`. Its
/// backend has made a survey, so its leases begin behind them. No other survey is made by itself.
pub(crate) struct Beside {
    stage: Stage,
    snapshot: PgConnection,
}

impl Beside {
    pub(crate) async fn new() -> Self {
        let beside = Self::with_gone(SOME).await;
        assert!(survey(&beside.backend).await.rest > Duration::ZERO, "floors are used");
        // From now on the places of the tasks before are behind the floors.
        assert_eq!(beside.leases(10).await, []);
        beside
    }

    async fn with_gone(gone: u32) -> Self {
        let stage = Stage::new().await;
        // The queue, and its lane.
        stage.store("q", 1..2).await;
        let settlements = stage.leases(1).await.into_iter().map(done).collect();
        stage.settle(settlements).await;
        let begin =
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class";
        let snapshot = stage.transaction(begin).await;
        let beside = Self { stage, snapshot };
        beside.come_and_go("60000000", gone).await;
        beside
    }

    /// Lets tasks come that have had their places for up to so many microseconds, and go.
    async fn come_and_go(&self, age: &str, tasks: u32) {
        let come = format!(
            "INSERT INTO gae_tasks.waiting (lane, due, task, size, standing, timed, named) SELECT \
             l.id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - {age}::bigint * n / \
             {tasks}, gen_random_uuid(), 7, 0, false, false FROM gae_tasks.lane l, \
             generate_series(1, {tasks}) n"
        );
        // Two transactions: what one has stored and deleted was never there for anybody.
        self.execute(&come).await;
        self.execute("DELETE FROM gae_tasks.waiting").await;
    }

    /// Gives the waiting tasks places of half a minute ago, as if nobody had told of it.
    pub(crate) async fn put_back_in_time(&self) {
        let put = "UPDATE gae_tasks.waiting SET due = due - 30000000; UPDATE gae_tasks.task SET \
                   schedule_time = schedule_time - 30000000";
        self.execute(put).await;
    }
}

impl Deref for Beside {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

/// Sweeps as a worker does twice a second, without a lost lease.
async fn survey(backend: &Postgres) -> Swept {
    let request = Sweep::new(Now::Storage, Vec::new(), 0);
    backend.sweep(request).await.expect("the server answers")
}

/// A worker of the queue `q` with room for ten tasks.
struct Worker<'a> {
    backend: &'a Postgres,
    request: Lease,
}

impl<'a> Worker<'a> {
    fn new(backend: &'a Postgres) -> Self {
        Self { backend, request: leasing(["q"], 10) }
    }

    async fn lease(&self) -> Vec<LeaseRef> {
        let leased = self.backend.lease(self.request.clone()).await.expect("the server answers");
        leased.tasks.iter().map(|task| task.lease).collect()
    }

    /// Stores a task, runs it, looks for more, and records it.
    async fn run(&self, number: u32) {
        let request = Enqueue::new(Now::Storage, vec![task("q", number)]);
        let stored = self.backend.enqueue(request).await.expect("the server answers");
        assert!(stored[0].as_ref().is_ok_and(|stored| stored.created));
        let leases = self.lease().await;
        assert_eq!(leases.iter().map(|lease| lease.id).collect::<Vec<_>>(), [id(number)]);
        assert_eq!(self.lease().await, []);
        let settle = Settle::new(Now::Storage, leases.into_iter().map(done).collect());
        self.backend.settle(settle).await.expect("the server answers");
    }
}

/// Returns how many blocks of the order of waiting tasks the server has read.
async fn blocks(stage: &Stage) -> i64 {
    // What the harness has done is counted once its connections have ended: but for this one, and
    // that of the snapshot.
    const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = \
                          current_database() AND application_name = 'harness'";
    const READ: &str = "SELECT idx_blks_hit + idx_blks_read FROM pg_statio_all_indexes WHERE \
                        indexrelid = 'gae_tasks.waiting_pkey'::regclass";
    while stage.database.value::<i64>(OTHERS).await.expect("the server answers") > 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stage.database.value(READ).await.expect("the server counts")
}

/// To read past all entries once takes some hundred blocks.
#[tokio::test]
async fn a_lease_reads_a_few_blocks_however_many_tasks_are_gone() {
    const RUN: u32 = 100;
    let beside = Beside::with_gone(MANY).await;
    let before = blocks(&beside).await;
    with_another(&beside, async |backend| {
        assert!(survey(backend).await.rest > Duration::ZERO, "floors are used");
        let worker = Worker::new(backend);
        for number in 100_000..100_000 + RUN {
            worker.run(number).await;
        }
    })
    .await;
    let each = (blocks(&beside).await - before) / i64::from(RUN);
    assert!(each < 100, "{each} blocks for each of {RUN} tasks");
}

/// Neither its look nor its guess goes past all tasks that others have taken since.
#[tokio::test]
async fn a_worker_that_comes_too_late_reads_a_few_blocks_as_well() {
    const LOOKS: u32 = 200;
    let beside = Beside::with_gone(SOME).await;
    let mut before = 0;
    with_another(&beside, async |backend| {
        assert!(survey(backend).await.rest > Duration::ZERO, "floors are used");
        let worker = Worker::new(backend);
        worker.run(100_000).await;
        beside.come_and_go("0", MANY).await;
        // Floors are some time behind.
        tokio::time::sleep(Duration::from_millis(300)).await;
        before = blocks(&beside).await;
        for _ in 0..LOOKS {
            assert_eq!(worker.lease().await, []);
        }
    })
    .await;
    let each = (blocks(&beside).await - before) / i64::from(LOOKS);
    assert!(each < 100, "{each} blocks for each of {LOOKS} looks");
}

#[tokio::test]
async fn once_the_snapshot_is_closed_leases_look_at_everything_again() {
    let Beside { stage, snapshot } = Beside::new().await;
    end(snapshot, "COMMIT").await;
    stage.execute("VACUUM gae_tasks.waiting").await;
    assert_eq!(survey(&stage.backend).await.rest, Duration::ZERO);
    stage.store("q", 2..3).await;
    stage.execute("UPDATE gae_tasks.waiting SET due = due - 30000000").await;
    assert_eq!(stage.leases(10).await.len(), 1);
}

/// What lies behind the floors is not seen, or the other tests of late tasks show nothing.
#[tokio::test]
async fn a_task_that_nobody_told_of_is_found_by_the_next_sweep() {
    let beside = Beside::new().await;
    beside.store("q", 2..3).await;
    beside.put_back_in_time().await;
    assert_eq!(beside.leases(10).await, []);
    survey(&beside.backend).await;
    assert_eq!(beside.leases(10).await.len(), 1);
}
