//! Worker processes that are killed at random moments: nothing is lost, nothing runs twice at the same time.
#![cfg(all(feature = "sqlite", unix))]

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime};

use gae_tasks::backend::{TaskFilter, TaskState};
use gae_tasks::{Client, deferred};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

const TASKS: u32 = 20_000;
const WORKERS: usize = 3;
/// Longer than the whole test takes when a lease is never waited for.
const PATIENCE: Duration = Duration::from_secs(300);

#[deferred(queue = "chaos", name = "gae_tasks_tests_linked.chaos/record")]
fn record(_log: String, _number: u32, _micros: u64) {}

#[deferred(queue = "chaos", name = "gae_tasks_tests_linked.chaos/poison")]
fn poison(_log: String, _number: u32) {}

/// The worker processes, and the one who kills them.
struct Killer {
    url: String,
    log: String,
    rng: TestRng,
    workers: Vec<Child>,
    kills: u32,
}

impl Killer {
    fn new(url: &str, log: &str) -> Self {
        let seed = match std::env::var("KILL_SEED") {
            Ok(seed) => seed.parse().expect("KILL_SEED is a number"),
            Err(_) => SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos(),
        };
        println!("seed {seed}: run again with KILL_SEED={seed}");
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&u128::to_le_bytes(seed));
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self { url: url.to_owned(), log: log.to_owned(), rng, workers: Vec::new(), kills: 0 }
    }

    /// Starts workers in place of those that are gone.
    fn replace(&mut self) {
        self.workers.retain_mut(|worker| worker.try_wait().unwrap().is_none());
        while self.workers.len() < WORKERS {
            let worker = Command::new(env!("CARGO_BIN_EXE_instance")).args(["work", &self.url]).spawn().unwrap();
            self.workers.push(worker);
        }
    }

    fn kill_one(&mut self) {
        let victim = self.rng.next_u32() as usize % self.workers.len();
        let mut victim = self.workers.swap_remove(victim);
        let mut log = OpenOptions::new().append(true).create(true).open(&self.log).unwrap();
        log.write_all(format!("killed 0 {}\n", victim.id()).as_bytes()).unwrap();
        victim.kill().unwrap();
        victim.wait().unwrap();
        self.kills += 1;
    }

    fn pause(&mut self) -> Duration {
        Duration::from_millis(u64::from(self.rng.next_u32() % 250))
    }
}

impl Drop for Killer {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            _ = worker.kill();
            _ = worker.wait();
        }
    }
}

/// What happened to one task: the process of each attempt, in order.
#[derive(Default)]
struct Life {
    attempts: Vec<u32>,
    /// The process that has begun and not ended.
    open: Option<u32>,
}

/// Reads the log, and holds every line against what may happen.
fn lives(log: &Path) -> (BTreeMap<u32, Life>, HashSet<u32>) {
    let (mut lives, mut killed) = (BTreeMap::<u32, Life>::new(), HashSet::new());
    for line in fs::read_to_string(log).unwrap().lines() {
        let [what, number, process] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let (number, process): (u32, u32) = (number.parse().unwrap(), process.parse().unwrap());
        if what == "killed" {
            killed.insert(process);
            continue;
        }
        let life = lives.entry(number).or_default();
        if what == "begin" {
            if let Some(open) = life.open {
                assert!(killed.contains(&open), "task {number} runs in {open} and in {process} at the same time");
            }
            life.attempts.push(process);
            life.open = Some(process);
        } else if life.open == Some(process) {
            life.open = None;
        }
    }
    (lives, killed)
}

#[tokio::test]
async fn every_task_runs_though_its_workers_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log").display().to_string();
    let url = format!("sqlite:{}", folder.path().join("tasks.db").display());
    let tasks = Client::open(&url).await.unwrap();
    let mut killer = Killer::new(&url, &log);
    for chunk in (1..=TASKS).collect::<Vec<_>>().chunks(1000) {
        let calls = chunk.iter().map(|number| record::defer(&log, *number, u64::from(killer.rng.next_u32() % 400)));
        tasks.defer_many(calls).await.unwrap();
    }
    let poisoned = poison::defer(&log, TASKS + 1).on(&tasks).await.unwrap().id;

    let begun = Instant::now();
    while tasks.stats().await.unwrap().open() > 0 {
        assert!(begun.elapsed() < PATIENCE, "{:?} after {PATIENCE:?}", tasks.stats().await.unwrap());
        killer.replace();
        tokio::time::sleep(killer.pause()).await;
        killer.kill_one();
    }
    println!("{TASKS} tasks, {} kills, {:.1?}", killer.kills, begun.elapsed());

    let (lives, killed) = lives(Path::new(&log));
    assert_eq!(lives.len() as u32, TASKS + 1, "a task was lost");
    for (number, life) in &lives {
        let (_, before) = life.attempts.split_last().unwrap();
        assert!(before.iter().all(|process| killed.contains(process)), "task {number} was repeated without need");
    }
    let dead = tasks.list(TaskFilter::new().state(TaskState::Dead), None, 10).await.unwrap();
    assert_eq!(dead.iter().map(|record| record.id).collect::<Vec<_>>(), [poisoned], "an innocent task died");
    assert_eq!((dead[0].lost_leases, dead[0].attempts), (6, 5), "one lost lease marks, five lost attempts kill");
}
