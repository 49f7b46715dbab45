//! Programs that are killed and stopped in the middle of their transactions.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use gae_tasks_tests_postgres::transactions::{TABLES, effect};
use gae_tasks_tests_postgres::{Cluster, Database};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use gae_tasks::Client;

const WORKERS: usize = 3;

const PATIENCE: Duration = Duration::from_secs(180);

/// Returns `short`, or `full` in the long form of the tests.
fn number(short: usize, full: usize) -> usize {
    if std::env::var_os("CHAOS_FULL").is_some() { full } else { short }
}

/// A process, killed on drop.
struct Process(Child);

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postgres-transactions"));
        Self(command.args(arguments).stdout(Stdio::piped()).spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn random() -> TestRng {
    let seed = match std::env::var("KILL_SEED") {
        Ok(seed) => seed.parse().expect("KILL_SEED is a number"),
        Err(_) => SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos(),
    };
    println!("seed {seed}: run again with KILL_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&u128::to_le_bytes(seed));
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

async fn database() -> (Database, Client) {
    let database = Cluster::shared().await.database().await;
    database.execute(TABLES).await.unwrap();
    let tasks = Client::open(&format!("{}&application_name=observer", database.url())).await;
    (database, tasks.unwrap())
}

/// Waits until the server has noticed that the programs are gone, which ends their transactions.
async fn until_alone(database: &Database) {
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND \
                  application_name NOT IN ('harness', 'observer')";
    let begun = Instant::now();
    while database.value::<i64>(others).await.unwrap() > 0 {
        assert!(begun.elapsed() < PATIENCE, "the server keeps connections of killed programs");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn tasks_exist_exactly_for_what_has_committed() {
    let ((database, _tasks), mut random) = (database().await, random());
    let (url, transactions) = (database.url(), number(300, 1_000));
    let (mut ended, mut committed, mut kills) = (0, 0, 0);
    while ended < transactions {
        let seed = (random.next_u32() >> 1).to_string();
        let mut process = Process::start(&["defer", &url, &seed]);
        let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        // Killed at some moment after some of its transactions.
        for _ in 0..random.next_u32() % 30 {
            let line = lines.next().expect("the process goes on").unwrap();
            ended += 1;
            committed += usize::from(line == "committed");
        }
        std::thread::sleep(Duration::from_micros(u64::from(random.next_u32() % 4_000)));
        process.0.kill().unwrap();
        process.0.wait().unwrap();
        kills += 1;
    }
    until_alone(&database).await;
    println!("{ended} transactions, {committed} of them committed, {kills} kills");
    let count = async |what: &str| database.value::<i64>(what).await.unwrap();
    let orders = count("SELECT count(*) FROM orders").await;
    assert!(committed > transactions / 3 && orders >= committed as i64, "{committed} {orders}");
    assert_eq!(count("SELECT count(*) FROM gae_tasks.task").await, orders);
    let both = "SELECT count(*) FROM orders o JOIN gae_tasks.task t ON t.id = o.task";
    assert_eq!(count(both).await, orders);
    // Every task waits in its lane, and every lane has its queue and its schema; every name is that
    // of a task.
    let whole = "SELECT count(*) FROM gae_tasks.task t JOIN gae_tasks.waiting w ON w.task = t.id \
                 AND w.lane = t.lane JOIN gae_tasks.lane l ON l.id = t.lane JOIN \
                 gae_tasks.schemas s ON s.shape = l.shape JOIN gae_tasks.queue q ON q.name = \
                 l.queue";
    assert_eq!(count(whole).await, orders);
    let names = "SELECT count(*) FROM gae_tasks.name n FULL JOIN (SELECT id FROM gae_tasks.task \
                 WHERE name IS NOT NULL) t ON t.id = n.task WHERE n.task IS NULL OR t.id IS NULL";
    assert_eq!(count(names).await, 0);
}

#[tokio::test]
async fn effects_are_exactly_one_a_task_though_workers_are_killed_and_stopped() {
    let ((database, tasks), mut random) = (database().await, random());
    let calls = (0..number(1_500, 10_000)).map(|_| {
        let (ends, millis) = (random.next_u32() % 6, random.next_u32() % 20);
        effect::defer(ends as u8, u64::from(millis))
    });
    let stored = tasks.defer_many(calls.collect::<Vec<_>>()).await.unwrap().len() as i64;
    let url = database.url();
    let (begun, mut kills, mut stops, mut workers) = (Instant::now(), 0, 0, Vec::new());
    while tasks.stats().await.unwrap().open() > 0 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", tasks.stats().await.unwrap());
        while workers.len() < WORKERS {
            workers.push(Process::start(&["work", &url]));
        }
        let pause = u64::from(200 + random.next_u32() % 400);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let one = random.next_u32() as usize % WORKERS;
        if random.next_u32() % 3 > 0 {
            drop(workers.swap_remove(one));
            kills += 1;
            continue;
        }
        // Longer than its leases, with transactions that stay open meanwhile.
        workers[one].signal(Signal::SIGSTOP);
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        workers[one].signal(Signal::SIGCONT);
        stops += 1;
    }
    drop(workers);
    until_alone(&database).await;
    println!("{stored} tasks, {kills} kills, {stops} stops, {:.1?}", begun.elapsed());
    let stats = tasks.stats().await.unwrap();
    assert_eq!(stats.dead, 0, "a task that was done is dead: {stats:?}");
    let effects = "SELECT count(*) FROM effects";
    assert_eq!(database.value::<i64>(effects).await.unwrap(), stored);
    let of = "SELECT count(DISTINCT task) FROM effects";
    assert_eq!(database.value::<i64>(of).await.unwrap(), stored);
    assert!(kills > 2, "{kills} kills");
}
