//! Programs that are killed in the middle of their transactions.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use gae_tasks::TaskFilter;
use gae_tasks_tests::transactions::effect;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::stage::{Stage, number};

/// Transactions of all processes; half of them are rolled back.
const TRANSACTIONS: usize = 1_000;

/// Tasks that complete in transactions.
const TASKS: usize = 1_500;

const WORKERS: usize = 2;

const PATIENCE: Duration = Duration::from_secs(180);

/// A process, killed on drop.
struct Process(Child);

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transactions"));
        Self(command.args(arguments).stdout(Stdio::piped()).spawn().unwrap())
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

fn column(file: &Path, sql: &str) -> Vec<String> {
    let application = gae_tasks_tests::transactions::open(file).unwrap();
    let mut statement = application.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn tasks_exist_exactly_for_what_has_committed() {
    let (stage, mut random) = (Stage::new().await, random());
    let file = stage.file().display().to_string();
    let (mut ended, mut committed, mut kills) = (0, 0, 0);
    while ended < TRANSACTIONS {
        let seed = (random.next_u32() >> 1).to_string();
        let mut process = Process::start(&["defer", &file, &seed]);
        let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        // Killed at some moment after some of its transactions.
        for _ in 0..random.next_u32() % 60 {
            let line = lines.next().expect("the process goes on").unwrap();
            ended += 1;
            committed += usize::from(line == "committed");
        }
        std::thread::sleep(Duration::from_micros(u64::from(random.next_u32() % 2_000)));
        process.0.kill().unwrap();
        process.0.wait().unwrap();
        kills += 1;
    }
    println!("{ended} transactions, {committed} of them committed, {kills} kills");
    let orders = column(&stage.file(), "SELECT task FROM orders");
    let orders: BTreeSet<_> = orders.into_iter().collect();
    let mut tasks = BTreeSet::new();
    let mut last = None;
    loop {
        let page = stage.tasks.list(TaskFilter::new(), last, 1_000).await.unwrap();
        let Some(record) = page.last() else { break };
        last = Some(record.spec.id);
        tasks.extend(page.iter().map(|record| record.spec.id.to_string()));
    }
    assert!(committed > TRANSACTIONS / 3 && orders.len() >= committed, "{committed}");
    assert_eq!(tasks, orders);
    // Every task waits in its lane, and every lane has its queue and its schema.
    let application = stage.application();
    let strays = "SELECT count(*) FROM gae_tasks_task t WHERE NOT EXISTS (SELECT 1 FROM \
                  gae_tasks_waiting w JOIN gae_tasks_lane l ON l.id = w.lane JOIN \
                  gae_tasks_schemas s ON s.shape = l.shape JOIN gae_tasks_queue q ON q.name = \
                  l.queue JOIN gae_tasks_ready r ON r.lane = w.lane \
                  WHERE w.task = t.id AND w.lane = t.lane)";
    assert_eq!(number(&application, strays), 0);
}

#[tokio::test]
async fn effects_are_exactly_one_a_task_though_workers_are_killed() {
    let (stage, mut random) = (Stage::new().await, random());
    let file = stage.file().display().to_string();
    drop(stage.application());
    let tasks = (0..TASKS).map(|_| {
        let (ends, micros) = (random.next_u32() % 6, random.next_u32() % 1_000);
        effect::defer(&file, ends as u8, u64::from(micros))
    });
    let tasks = stage.tasks.defer_many(tasks.collect::<Vec<_>>()).await.unwrap();
    let (begun, mut kills, mut workers) = (Instant::now(), 0, Vec::new());
    while stage.open_tasks().await > 0 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", stage.tasks.stats().await.unwrap());
        while workers.len() < WORKERS {
            workers.push(Process::start(&["work", &file]));
        }
        tokio::time::sleep(Duration::from_millis(u64::from(100 + random.next_u32() % 300))).await;
        drop(workers.swap_remove(random.next_u32() as usize % WORKERS));
        kills += 1;
    }
    drop(workers);
    println!("{TASKS} tasks, {kills} kills, {:.1?}", begun.elapsed());
    let stats = stage.tasks.stats().await.unwrap();
    assert_eq!(stats.dead, 0, "a task that was done is dead: {stats:?}");
    let effects = column(&stage.file(), "SELECT task FROM effects ORDER BY task");
    let mut expected: Vec<_> = tasks.iter().map(|task| task.id.to_string()).collect();
    expected.sort();
    assert_eq!(effects.len(), expected.len());
    assert_eq!(effects, expected);
    assert!(kills > 3, "{kills} kills");
}
