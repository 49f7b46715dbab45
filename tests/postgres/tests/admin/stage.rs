//! A database with tasks that statements of its own put there: thousands of them, or damaged ones.

use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{Backend, Stats, TaskRequest};
use gae_tasks::{Now, QueueConfig, QueueName, TaskId, Timestamp};
use gae_tasks_tests_postgres::{Cluster, Database};

/// The moment of all requests.
pub(crate) const NOW: Now = Now::At(Timestamp::from_micros(1_000_000_000));

pub(crate) struct Stage {
    pub(crate) database: Database,
    pub(crate) backend: Postgres,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let database = Cluster::shared().await.database().await;
        let backend = Postgres::open(&database.url()).await.expect("a fresh database opens");
        Self { database, backend }
    }

    /// Opens the database again, as another program does.
    pub(crate) async fn other(&self) -> Postgres {
        Postgres::open(&self.database.url()).await.expect("a known database opens")
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.database.execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.database.value(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Makes a queue, and a lane for tasks of `kind` in it.
    pub(crate) async fn lane(&self, of: &str, kind: &str) -> i64 {
        self.backend.put_queue(queue(of), QueueConfig::new()).await.expect("a queue is made");
        let lane = "INSERT INTO gae_tasks.lane (queue, kind, shape, version, refusers, turn)";
        self.number(&format!("{lane} VALUES ('{of}', '{kind}', 0, 0, '', 1) RETURNING id")).await
    }

    /// Stores waiting tasks, numbered, which are due at the time of their number.
    pub(crate) async fn store(&self, lane: i64, numbers: std::ops::Range<u32>) {
        self.execute(&stored(lane, numbers)).await;
    }

    /// Makes leased tasks of waiting ones.
    pub(crate) async fn lease(&self, numbers: std::ops::Range<u32>) {
        self.execute(&leased(numbers)).await;
    }

    /// Makes dead letters of waiting tasks.
    pub(crate) async fn kill(&self, numbers: std::ops::Range<u32>) {
        let of = ids(numbers);
        self.execute(&format!(
            "DELETE FROM gae_tasks.waiting WHERE task IN {of}; UPDATE gae_tasks.task SET died = 7 \
             WHERE id IN {of}"
        ))
        .await;
    }

    /// Returns the numbers of all tasks of all queues.
    pub(crate) async fn stats(&self) -> Stats {
        let lines = self.backend.stats(NOW).await.expect("tasks are counted");
        lines.into_iter().map(|line| line.stats).sum()
    }
}

/// The statement that stores waiting tasks.
pub(crate) fn stored(lane: i64, numbers: std::ops::Range<u32>) -> String {
    let (first, last) = (numbers.start, numbers.end - 1);
    format!(
        "INSERT INTO gae_tasks.task (id, lane, created, schedule_time, payload) SELECT \
         ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, {lane}, 0, n, '\\x01' \
         FROM generate_series({first}, {last}) AS n; INSERT INTO gae_tasks.waiting (lane, due, \
         task, size, standing, timed, named) SELECT lane, schedule_time, id, 1, 0, false, false \
         FROM gae_tasks.task WHERE id IN {}",
        ids(numbers)
    )
}

/// The statement that leases waiting tasks.
pub(crate) fn leased(numbers: std::ops::Range<u32>) -> String {
    let of = ids(numbers);
    format!(
        "WITH w AS (DELETE FROM gae_tasks.waiting WHERE task IN {of} RETURNING task) INSERT INTO \
         gae_tasks.lease (task, token, expires, duration, alone, named) SELECT task, 7, \
         2000000000, 30, false, false FROM w"
    )
}

fn ids(numbers: std::ops::Range<u32>) -> String {
    let (first, last) = (numbers.start, numbers.end - 1);
    format!(
        "(SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid FROM \
         generate_series({first}, {last}) AS n)"
    )
}

pub(crate) fn queue(name: &str) -> QueueName {
    QueueName::new(name).expect("a queue's name")
}

/// The id of the task with this number.
pub(crate) fn id(number: u32) -> TaskId {
    let mut bytes = [0; 16];
    (bytes[6], bytes[8]) = (0x70, 0x80);
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    TaskId::from_bytes(bytes)
}

pub(crate) fn request(number: u32) -> TaskRequest {
    TaskRequest::new(NOW, id(number))
}
