//! A database with tasks, and what workers ask of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{
    Backend, Enqueue, Extend, Lease, LeaseRef, Leased, NewTask, Pull, Room, Routes, Settle,
    Settled, Settlement, Sweep, Swept, Verdict,
};
use gae_tasks::{Kind, Now, QueueName, Shape, TaskId, TaskName, TaskSpec};
use gae_tasks_tests_postgres::{Cluster, Database};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

pub(crate) const LEASE: Duration = Duration::from_secs(30);

pub(crate) struct Stage {
    pub(crate) database: Database,
    pub(crate) backend: Arc<Postgres>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let database = Cluster::shared().await.database().await;
        let backend = Postgres::open(&database.url()).await.expect("a fresh database opens");
        Self { database, backend: Arc::new(backend) }
    }

    /// Stores tasks in a queue, with the numbers as ids.
    pub(crate) async fn store(&self, of: &str, numbers: std::ops::Range<u32>) {
        self.enqueue(numbers.map(|number| task(of, number)).collect()).await;
    }

    pub(crate) async fn enqueue(&self, tasks: Vec<NewTask>) {
        let request = Enqueue::new(Now::Storage, tasks);
        let answers = self.backend.enqueue(request).await.expect("the server answers");
        answers.into_iter().for_each(|answer| assert!(answer.expect("it is stored").created));
    }

    /// Leases up to `total` tasks of the queue `q`.
    pub(crate) async fn lease(&self, total: usize) -> Leased {
        self.backend.lease(leasing(["q"], total)).await.expect("the server answers")
    }

    /// Leases up to `total` tasks of the queue `q`, and returns their leases.
    pub(crate) async fn leases(&self, total: usize) -> Vec<LeaseRef> {
        self.lease(total).await.tasks.iter().map(|task| task.lease).collect()
    }

    pub(crate) async fn settle(&self, settlements: Vec<Settlement>) -> Vec<Settled> {
        let request = Settle::new(Now::Storage, settlements);
        self.backend.settle(request).await.expect("the server answers")
    }

    /// Settles as a worker does: what is locked is settled again.
    pub(crate) async fn settle_all(&self, settlements: Vec<Settlement>) -> Vec<Settled> {
        let mut answers = self.settle(settlements.clone()).await;
        loop {
            let is_locked = |place: &usize| answers[*place] == Settled::Locked;
            let locked: Vec<_> = (0..answers.len()).filter(is_locked).collect();
            if locked.is_empty() {
                return answers;
            }
            let again = locked.iter().map(|place| settlements[*place].clone()).collect();
            for (place, answer) in locked.into_iter().zip(self.settle(again).await) {
                answers[place] = answer;
            }
        }
    }

    pub(crate) async fn extend(&self, leases: Vec<LeaseRef>) -> Vec<bool> {
        let request = Extend::new(Now::Storage, leases, LEASE);
        self.backend.extend(request).await.expect("the server answers")
    }

    /// Sweeps as a worker that has seen all leases unchanged for long.
    pub(crate) async fn sweep(&self) -> Swept {
        let sweep = |lost, limit| self.backend.sweep(Sweep::new(Now::Storage, lost, limit));
        let held = sweep(Vec::new(), 0).await.expect("the server answers").held;
        sweep(held, 1000).await.expect("the server answers")
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.database.execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub(crate) async fn count(&self, of: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM gae_tasks.{of}");
        self.database.value(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// A transaction of somebody else that has run `sql`.
    pub(crate) async fn transaction(&self, sql: &str) -> PgConnection {
        let mut connection = self.database.connect().await.expect("the server answers");
        let sql = format!("BEGIN; {sql}");
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.expect("it holds");
        connection
    }

    /// Waits until somebody waits for a lock of another transaction.
    pub(crate) async fn blocked(&self) {
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        while self.database.value::<i64>(waits).await.expect("the server answers") == 0 {
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) async fn end(mut connection: PgConnection, how: &'static str) {
    connection.execute(how).await.expect("it ends");
}

pub(crate) fn task(of: &str, number: u32) -> NewTask {
    let kind = Kind::new("pull/plain").expect("a kind");
    let spec = TaskSpec::new(id(number), kind, Shape::from_bits(7), queue(of));
    NewTask::new(spec, b"payload".to_vec(), *b"schema")
}

pub(crate) fn named(of: &str, number: u32) -> NewTask {
    let name = TaskName::new(format!("name{number}")).expect("a name");
    task(of, number).with(|task| task.spec.name = Some(name))
}

pub(crate) fn id(number: u32) -> TaskId {
    TaskId::from_bytes(u128::from(number).to_be_bytes())
}

pub(crate) fn queue(name: &str) -> QueueName {
    QueueName::new(name).expect("a queue's name")
}

/// A request for up to `total` tasks of any route.
pub(crate) fn leasing<'a>(queues: impl IntoIterator<Item = &'a str>, total: usize) -> Lease {
    let queues: BTreeSet<_> = queues.into_iter().map(queue).collect();
    Lease::new(Now::Storage, Arc::new(queues), Routes::Any, Room::new(total), LEASE)
}

pub(crate) fn done(lease: LeaseRef) -> Settlement {
    Settlement::new(lease, Verdict::Done)
}

pub(crate) fn retry() -> Verdict {
    Verdict::Retry { error: "it failed".to_owned(), after: None, max_attempts: None }
}

/// The outcome of an attempt that has completed its task in a transaction, and says so.
pub(crate) fn completed(lease: LeaseRef) -> Settlement {
    let mut settlement = done(lease);
    settlement.rolled_back = Some(retry());
    settlement
}
