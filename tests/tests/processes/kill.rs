//! Worker processes killed at random moments: no task is lost, and no task runs twice at the same
//! time.
#![cfg(all(feature = "sqlite", unix))]

use std::collections::BTreeMap;
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
/// The concurrency of a worker, and the largest number of tasks that the worker leases beyond it.
const CONCURRENCY: usize = 50;
const AHEAD: usize = 1_000;
/// A limit far below the 30 seconds of a lease.
const SOON: Duration = Duration::from_secs(10);
/// The time limit of the test, enough if no lease is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

#[deferred(queue = "chaos", name = "gae_tasks_tests_linked.chaos/record")]
fn record(log: String, number: u32, micros: u64) {
    drop((log, number, micros));
}

#[deferred(queue = "chaos", name = "gae_tasks_tests_linked.chaos/poison")]
fn poison(log: String, number: u32) {
    drop((log, number));
}

/// The worker processes, and the state of the killer.
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

    /// Starts workers in place of ended ones.
    fn replace(&mut self) {
        self.workers.retain_mut(|worker| worker.try_wait().unwrap().is_none());
        while self.workers.len() < WORKERS {
            let worker = Command::new(env!("CARGO_BIN_EXE_instance"))
                .args(["work", &self.url])
                .spawn()
                .unwrap();
            self.workers.push(worker);
        }
    }

    fn kill_one(&mut self) {
        let victim = self.rng.next_u32() as usize % self.workers.len();
        let mut victim = self.workers.swap_remove(victim);
        let mut log = OpenOptions::new().append(true).create(true).open(&self.log).unwrap();
        let micros = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
        log.write_all(format!("killed 0 {} {micros}\n", victim.id()).as_bytes()).unwrap();
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

/// One attempt in the log.
struct Attempt {
    process: u32,
    begun: u64,
    has_ended: bool,
}

/// The attempts of each task, in order, and when each killed process was killed.
struct Log {
    lives: BTreeMap<u32, Vec<Attempt>>,
    killed: BTreeMap<u32, u64>,
}

impl Log {
    /// Reads the log, and checks every line.
    fn read(log: &Path) -> Self {
        let (mut lives, mut killed) = (BTreeMap::<u32, Vec<Attempt>>::new(), BTreeMap::new());
        for line in fs::read_to_string(log).unwrap().lines() {
            let [what, number, process, micros] =
                line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            let (number, process): (u32, u32) = (number.parse().unwrap(), process.parse().unwrap());
            let micros = micros.parse().unwrap();
            let life = lives.entry(number).or_default();
            match what {
                "killed" => _ = killed.insert(process, micros),
                "begin" => {
                    let mut open = life
                        .iter()
                        .filter(|attempt| !attempt.has_ended)
                        .map(|attempt| attempt.process);
                    let alive = open.find(|process| !killed.contains_key(process));
                    assert_eq!(
                        alive, None,
                        "task {number} runs there and in {process} at the same time"
                    );
                    life.push(Attempt { process, begun: micros, has_ended: false });
                }
                _ => life
                    .iter_mut()
                    .filter(|attempt| attempt.process == process)
                    .for_each(|one| one.has_ended = true),
            }
        }
        // The task number in lines about kills.
        lives.remove(&0);
        Self { lives, killed }
    }

    /// Returns the attempts repeated because `process` was killed: for each task, the time until
    /// the repetition, and whether the killed attempt had ended.
    fn taken_over(&self, process: u32) -> Vec<(Duration, bool)> {
        let killed = self.killed[&process];
        let again = self
            .lives
            .values()
            .flat_map(|life| life.windows(2))
            .filter(|pair| pair[0].process == process);
        let took = |pair: &[Attempt]| {
            (Duration::from_micros(pair[1].begun.saturating_sub(killed)), pair[0].has_ended)
        };
        again.map(took).collect()
    }

    /// Checks that tasks are repeated only after kills, soon, and at most as many as a worker can
    /// have in progress.
    fn assert_only_what_was_in_flight_is_repeated(&self) {
        for (number, life) in &self.lives {
            let (_, before) = life.split_last().unwrap();
            let all_killed =
                before.iter().all(|attempt| self.killed.contains_key(&attempt.process));
            assert!(all_killed, "task {number} was repeated without need");
        }
        let mut first = Vec::new();
        let (mut running, mut unrecorded, mut longest) = (0, 0, Duration::ZERO);
        for process in self.killed.keys() {
            let again = self.taken_over(*process);
            let ended = again.iter().filter(|(_, has_ended)| *has_ended).count();
            assert!(
                again.len() - ended <= CONCURRENCY,
                "{process} ran {} tasks at once",
                again.len() - ended
            );
            assert!(ended <= AHEAD, "{process} had not recorded {ended} outcomes");
            (running, unrecorded) = (running + again.len() - ended, unrecorded + ended);
            first.extend(again.iter().map(|(after, _)| *after).min());
            longest = longest.max(again.iter().map(|(after, _)| *after).max().unwrap_or_default());
        }
        first.sort();
        let (median, last) = (first[first.len() / 2], first[first.len() - 1]);
        println!(
            "repeated: {running} tasks that ran at a kill, {unrecorded} whose outcome was not \
             recorded yet"
        );
        println!(
            "from a kill to the next attempt at one of its tasks: {median:.1?} median, {last:.1?} \
             at most, {longest:.1?} to the last of them, {} kills",
            first.len()
        );
        // Not the last one: tasks that may have killed their worker run one at a time.
        assert!(
            median < SOON,
            "{median:?} passed before a task of a killed worker was retried: for the lease of 30 s?"
        );
    }
}

#[tokio::test]
async fn every_task_runs_though_its_workers_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log").display().to_string();
    let url = format!("sqlite:{}", folder.path().join("tasks.db").display());
    let tasks = Client::open(&url).await.unwrap();
    let mut killer = Killer::new(&url, &log);
    for chunk in (1..=TASKS).collect::<Vec<_>>().chunks(1000) {
        let calls = chunk
            .iter()
            .map(|number| record::defer(&log, *number, u64::from(killer.rng.next_u32() % 400)));
        tasks.defer_many(calls).await.unwrap();
    }
    let poisoned = poison::defer(&log, TASKS + 1).on(&tasks).await.unwrap().id;

    let begun = Instant::now();
    while tasks.stats().await.unwrap().open() > 0 {
        assert!(
            begun.elapsed() < PATIENCE,
            "{:?} after {PATIENCE:?}",
            tasks.stats().await.unwrap()
        );
        killer.replace();
        tokio::time::sleep(killer.pause()).await;
        killer.kill_one();
    }
    println!("{TASKS} tasks, {} kills, {:.1?}", killer.kills, begun.elapsed());

    let log = Log::read(Path::new(&log));
    assert!(log.lives.keys().copied().eq(1..=TASKS + 1), "a task was lost");
    log.assert_only_what_was_in_flight_is_repeated();
    let dead = tasks.list(TaskFilter::new().state(TaskState::Dead), None, 10).await.unwrap();
    assert_eq!(
        dead.iter().map(|record| record.spec.id).collect::<Vec<_>>(),
        [poisoned],
        "an innocent task died"
    );
    assert_eq!((dead[0].lost_attempts, dead[0].attempts), (5, 5), "five lost attempts kill");
    // The first loss marks the task, the second makes it a suspect, and one may be lost in company.
    assert!((7..=8).contains(&dead[0].lost_leases), "{}", dead[0].lost_leases);
}
