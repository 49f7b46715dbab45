//! Processes that show by an advisory lock that they live, and the leases of those that do not.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use gae_tasks::Now;
use gae_tasks::backend::postgres::Postgres;
use gae_tasks::backend::{Extend, LeaseRef, Pull, Sweep};
use gae_tasks_tests_postgres::{Cluster, Pooler};
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use crate::stage::{Stage, leasing};

const SECOND: Duration = Duration::from_secs(1);

/// The time for which a lock must stay free before leases of up to 30 seconds are taken.
const GONE: Duration = Duration::from_secs(15);

/// The duration of leases: for as long after the start of a server nothing is taken. These tests
/// never say that a lease was seen unchanged for so long.
const SHORT: Duration = Duration::from_secs(5);

/// The locks in the database by which processes show that they live.
const LOCKS: &str = "pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND mode = 'ShareLock' \
                     AND database = (SELECT oid FROM pg_database WHERE datname = \
                     current_database())";

/// The key of such a lock.
const KEY: &str = "((classid::bigint << 32) | objid::bigint)";

impl Stage {
    async fn number(&self, sql: &str) -> i64 {
        self.database.value(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    async fn locks(&self) -> i64 {
        self.number(&format!("SELECT count(*) FROM {LOCKS}")).await
    }

    /// Has a backend listen, and waits until it holds its lock, beside those that are held.
    async fn show(&self, backend: &Postgres) {
        let before = self.locks().await;
        backend.wakeups();
        let shown = async {
            while self.locks().await <= before {
                tokio::task::yield_now().await;
            }
        };
        timeout(20 * SECOND, shown).await.expect("the lock is taken");
    }

    /// Ends the sessions that hold locks, and returns how many there were.
    async fn end_sessions(&self) -> i64 {
        self.number(&format!("SELECT count(pg_terminate_backend(pid)) FROM {LOCKS}")).await
    }

    /// The leases whose holders `condition` is true of.
    async fn leases_where(&self, condition: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM gae_tasks.lease WHERE {condition}")).await
    }

    /// Gives the lease of a task to a process that nobody knows.
    async fn set_holder(&self, task: u32, holder: i64) {
        let set = format!("UPDATE gae_tasks.lease SET holder = {holder} WHERE");
        self.execute(&format!("{set} task::text LIKE '%{task}'")).await;
    }
}

/// Leases tasks of the queue `q`.
async fn take(backend: &Postgres, total: usize) -> Vec<LeaseRef> {
    let mut request = leasing(["q"], total);
    request.duration = SHORT;
    let leased = backend.lease(request).await.expect("the server answers");
    leased.tasks.iter().map(|task| task.lease).collect()
}

async fn extend(backend: &Postgres, lease: LeaseRef) {
    let request = Extend::new(Now::Storage, vec![lease], SHORT);
    assert_eq!(backend.extend(request).await.expect("the server answers"), [true]);
}

/// Sweeps as a worker that has seen no lease unchanged for long; returns how many were recovered.
async fn sweep(backend: &Postgres) -> u64 {
    let request = Sweep::new(Now::Storage, Vec::new(), 1000);
    backend.sweep(request).await.expect("the server answers").recovered
}

/// Sweeps regularly until leases are recovered, with `meanwhile` after each sweep. Returns how many
/// were recovered and how long that took.
async fn recovered(backend: &Postgres, meanwhile: impl AsyncFn()) -> (u64, Duration) {
    let begun = Instant::now();
    loop {
        let recovered = sweep(backend).await;
        if recovered > 0 {
            return (recovered, begun.elapsed());
        }
        assert!(begun.elapsed() < 3 * GONE, "nothing is recovered");
        meanwhile().await;
        tokio::time::sleep(SECOND / 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_name_the_process_once_it_has_its_lock() {
    let stage = Stage::new().await;
    stage.store("q", 1..3).await;
    let first = take(&stage.backend, 1).await[0];
    assert_eq!(stage.leases_where("holder IS NULL").await, 1, "nobody listens yet");
    stage.show(&stage.backend).await;
    let named = format!("holder = (SELECT {KEY} FROM {LOCKS})");
    while stage.leases_where(&named).await == 0 {
        // The lock is there a moment before the process knows.
        extend(&stage.backend, first).await;
    }
    take(&stage.backend, 1).await;
    assert_eq!(stage.leases_where(&named).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_lost_its_session_has_the_same_lock_again_within_three_seconds() {
    let stage = Stage::new().await;
    stage.show(&stage.backend).await;
    let key = format!("SELECT min({KEY}) FROM {LOCKS}");
    let session = stage.number(&format!("SELECT min(pid)::bigint FROM {LOCKS}")).await;
    let before = stage.number(&key).await;
    assert_eq!(stage.end_sessions().await, 1);
    let again = format!("SELECT count(*) FROM {LOCKS} AND pid <> {session}");
    let locked = async {
        while stage.number(&again).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(3 * SECOND, locked).await.expect("it locks again");
    assert_eq!(stage.number(&key).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_pooler_or_with_a_listener_elsewhere_nothing_is_locked_and_nobody_named() {
    let cluster = Cluster::shared().await;
    let pooler = Pooler::before(cluster).await;
    for is_pooled in [true, false] {
        let database = cluster.database().await;
        let listen = database.tcp_url().replace(':', "%3A").replace('/', "%2F");
        let listen = format!("listen_url={}", listen.replace('@', "%40"));
        let url = if is_pooled {
            format!("{}?pooler=transaction&{listen}", pooler.url(database.name()))
        } else {
            format!("{}&{listen}", database.url())
        };
        let backend = Postgres::open(&url).await.expect("it opens").into();
        let stage = Stage { database, backend };
        stage.store("q", 1..3).await;
        // A listener that connects looks for what waits.
        let mut wakeups = stage.backend.wakeups();
        let woken = timeout(20 * SECOND, wakeups.changed()).await;
        woken.expect("it listens").expect("the backend is there");
        let leases = stage.leases(2).await;
        assert_eq!(stage.extend(leases).await, [true; 2]);
        assert_eq!((stage.locks().await, stage.leases_where("holder IS NULL").await), (0, 2));
    }
}

/// Of the tasks, one is leased by a process that is gone. The others have processes that renew, or
/// hold their lock, or settle and take tasks, or show nothing.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_process_without_a_lock_and_without_any_change_loses_its_leases_early() {
    let stage = Stage::new().await;
    stage.store("q", 1..7).await;
    let leases = take(&stage.backend, 6).await;
    for (task, holder) in [(1, 1001), (2, 1002), (3, 1003), (5, 1005), (6, -1006)] {
        stage.set_holder(task, holder).await;
    }
    let mut holders: Vec<PgConnection> = Vec::new();
    for holder in [1003_i64, -1006] {
        let mut connection = stage.database.connect().await.expect("the server answers");
        let lock = sqlx::query("SELECT pg_advisory_lock_shared($1)").bind(holder);
        lock.execute(&mut connection).await.expect("the lock is free");
        holders.push(connection);
    }
    let begun = Instant::now();
    let (count, took) = recovered(&stage.backend, async || {
        extend(&stage.backend, leases[1]).await;
        if begun.elapsed() > GONE / 2 {
            // The process takes another task.
            stage.set_holder(4, 1005).await;
        }
    })
    .await;
    println!("recovered after {took:?}");
    assert_eq!((count, stage.leases_where("task::text LIKE '%1'").await), (1, 0));
    assert!(took >= GONE && took < GONE + 5 * SECOND, "{took:?}");
    assert_eq!(stage.count("lease").await, 5);
    for connection in holders {
        connection.close().await.expect("the server answers");
    }
}

/// Its lease is not even renewed.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_session_is_ended_again_and_again_keeps_its_leases() {
    let stage = Stage::new().await;
    let living = Postgres::open(&stage.database.url()).await.expect("it opens");
    stage.show(&living).await;
    stage.store("q", 1..2).await;
    let lease = take(&living, 1).await[0];
    while stage.leases_where("holder IS NULL").await > 0 {
        // The lock is there a moment before the process knows.
        extend(&living, lease).await;
    }
    stage.store("q", 2..3).await;
    take(&stage.backend, 1).await;
    stage.set_holder(2, 1001).await;
    let ended = AtomicI64::new(0);
    let (count, _) = recovered(&stage.backend, async || {
        ended.fetch_add(stage.end_sessions().await, Ordering::Relaxed);
    })
    .await;
    println!("{ended:?} sessions ended");
    assert!(ended.into_inner() > 10, "the session was not made again");
    assert_eq!((count, stage.leases_where("holder = 1001").await), (1, 0));
    let living = "holder IS NOT NULL AND task::text LIKE '%1'";
    assert_eq!(stage.leases_where(living).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_judges_others_through_a_pooler() {
    let cluster = Cluster::shared().await;
    let (database, pooler) = (cluster.database().await, Pooler::before(cluster).await);
    let url = format!("{}?pooler=transaction", pooler.url(database.name()));
    let backend = Postgres::open(&url).await.expect("it opens").into();
    let stage = Stage { database, backend };
    stage.store("q", 1..2).await;
    take(&stage.backend, 1).await;
    stage.set_holder(1, 1001).await;
    let begun = Instant::now();
    while begun.elapsed() < GONE + 3 * SECOND {
        assert_eq!(sweep(&stage.backend).await, 0);
        tokio::time::sleep(SECOND / 2).await;
    }
}
