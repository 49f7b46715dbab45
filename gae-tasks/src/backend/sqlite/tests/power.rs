//! Power losses: whatever the disk had not yet been told to keep may be gone, and every acknowledged task is there.
//!
//! The model. After each operation the database file and its log are copied. What a crash may leave is put together
//! from two copies: the one of the last moment at which everything was synced, and that of now. Wherever they differ, a
//! disk that lost its power may hold the old or the new sector, or zeros where the file has grown; it may have kept the
//! growth or not. So every prefix of a commit, every torn frame and every order of writes is among the crashes.
//!
//! When everything is synced is what SQLite promises: the log after a `FULL` commit
//! ([`PRAGMA synchronous`](https://www.sqlite.org/pragma.html#pragma_synchronous)), and both files after a checkpoint,
//! which syncs the log before it copies and the database before the log is used anew. A log that begins anew has its
//! header synced first, so of that the new one is taken.
//!
//! What must hold is more than that nothing is lost: the state that is found is one that there was, and no older than
//! the last acknowledged operation that must survive.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use rusqlite::Connection;

use super::{Folder, at, enqueue, lease, open, task, wait};
use crate::backend::sqlite::Sqlite;
use crate::backend::{
    Backend, LeaseRef, List, NewTask, Pull, Settle, Settlement, Sweep, TaskFilter, TaskRecord, TaskState, Touch,
    Verdict,
};
use crate::queue::{QueueConfig, QueueName, RetryConfig};
use crate::task::{TaskId, TaskName};
use crate::time::Now;

/// Lives, operations of each, and crashes after each operation.
const LIVES: u32 = 3;
const STEPS: u32 = 30;
const CRASHES: u32 = 3;

/// What a disk writes as a whole.
const SECTOR: usize = 512;

/// Bytes of the log's header.
const HEADER: usize = 32;

const FILES: [&str; 2] = ["tasks.db", "tasks.db-wal"];

/// The bytes of both files.
type Image = [Vec<u8>; 2];

/// What an operation leaves to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// It must survive: it was acknowledged as durable.
    Kept,
    /// It may be lost: it is done again then.
    MayBeLost,
    /// It changed no task: it copied the log, which was synced first, into the database, which was synced last.
    Copied,
    /// The file was closed, which also copies the log, and opened again.
    Reopened,
}

#[test]
fn a_loss_of_power_loses_nothing_that_was_acknowledged() {
    let seed = match std::env::var("POWER_SEED") {
        Ok(seed) => seed.parse().expect("POWER_SEED is a number"),
        Err(_) => SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos(),
    };
    println!("seed {seed}: run again with POWER_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&u128::to_le_bytes(seed));
    let mut life = Life::new(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    for _ in 0..LIVES {
        life = Life::new(life.rng);
        for _ in 0..STEPS {
            life.step();
        }
    }
}

/// A file in use, and what a loss of power may make of it.
struct Life {
    folder: Folder,
    sqlite: Option<Sqlite>,
    rng: TestRng,
    ids: Vec<TaskId>,
    leases: Vec<LeaseRef>,
    /// The files when everything was synced last.
    synced: Image,
    /// The states that may be found after a crash: that of the last sync, and all since.
    states: Vec<Vec<TaskRecord>>,
}

impl Life {
    fn new(rng: TestRng) -> Self {
        let folder = Folder::new();
        let sqlite = folder.open();
        // The tables must be there for certain, as they are once `open` has been answered and a task stored.
        enqueue(&sqlite, vec![task(b"first")]).unwrap();
        let (synced, states) = (image(&folder), vec![state(&sqlite)]);
        Self { folder, sqlite: Some(sqlite), rng, ids: Vec::new(), leases: Vec::new(), synced, states }
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.rng.next_u32() as usize % sides
    }

    fn step(&mut self) {
        let before = image(&self.folder);
        let promise = self.act();
        is_sound(&self.folder.file());
        let now = image(&self.folder);
        self.states.push(state(self.backend()));
        for _ in 0..CRASHES {
            let crash = match promise {
                // In the middle of it, or right behind it.
                Promise::Kept | Promise::MayBeLost => self.crashed(&now),
                // While the database is written the log is whole.
                Promise::Copied => [self.mixed(&before[0], &now[0]), before[1].clone()],
                Promise::Reopened => break,
            };
            // What was acknowledged before is there; of a copied log all is.
            let oldest = if promise == Promise::Copied { self.states.len() - 2 } else { 0 };
            self.check(&crash, oldest);
        }
        if promise != Promise::MayBeLost {
            self.check(&now, self.states.len() - 1);
            self.states.drain(..self.states.len() - 1);
            self.synced = now;
        }
    }

    fn act(&mut self) -> Promise {
        let (id, last) = (self.any_id(), self.leases.len());
        match self.roll(14) {
            0..4 => self.store(),
            4..6 => {
                let limit = 1 + self.roll(6);
                let leased = lease(self.sqlite.as_ref().unwrap(), at(1000), limit);
                self.leases.extend(leased.tasks.iter().map(|task| task.lease));
                return Promise::MayBeLost;
            }
            6..9 => {
                let from = last.saturating_sub(1 + self.roll(4));
                return self.settle(from);
            }
            9 => _ = wait(self.backend().delete(touch(id))).unwrap(),
            10 if wait(self.backend().replay(touch(id))).is_err() => return Promise::MayBeLost,
            11 if wait(self.backend().run_now(touch(id))).is_err() => return Promise::MayBeLost,
            10 | 11 => {}
            12 => wait(self.backend().put_queue(QueueName::DEFAULT, no_pauses())).unwrap(),
            _ => return self.checkpoint(),
        }
        Promise::Kept
    }

    fn backend(&self) -> &Sqlite {
        self.sqlite.as_ref().unwrap()
    }

    fn any_id(&mut self) -> TaskId {
        let of = self.roll(self.ids.len() + 1);
        self.ids.get(of).copied().unwrap_or_else(TaskId::generate)
    }

    /// Many callers' tasks in one go, some of them large and some named.
    fn store(&mut self) {
        let tasks: Vec<NewTask> = (0..1 + self.roll(30)).map(|_| self.new_task()).collect();
        self.ids.extend(tasks.iter().map(|task| task.id));
        let answers = enqueue(self.backend(), tasks).unwrap();
        assert!(answers.iter().all(Result::is_ok));
    }

    fn new_task(&mut self) -> NewTask {
        let length = if self.roll(5) == 0 { self.roll(9_000) } else { self.roll(80) };
        let name = (self.roll(4) == 0).then(|| TaskName::new(format!("name-{}", self.roll(20))).unwrap());
        NewTask { name, ..task(&vec![b'x'; length]) }
    }

    fn settle(&mut self, from: usize) -> Promise {
        let leases = self.leases.split_off(from);
        let settlements = leases.into_iter().map(|lease| Settlement::new(lease, self.verdict())).collect();
        let settle = Settle { now: Now::At(at(1000)), settlements, tombstones: Duration::from_secs(60) };
        wait(self.backend().settle(settle)).unwrap();
        Promise::MayBeLost
    }

    fn verdict(&mut self) -> Verdict {
        match self.roll(4) {
            0 => Verdict::Retry { error: "not now".to_owned(), after: Some(Duration::ZERO), max_attempts: None },
            1 => Verdict::Permanent { error: "never".to_owned() },
            _ => Verdict::Done,
        }
    }

    /// Copies the log into the database, by another connection as SQLite itself does it, or by closing the file.
    fn checkpoint(&mut self) -> Promise {
        let mode = ["PASSIVE", "FULL", "RESTART", "TRUNCATE", ""][self.roll(5)];
        if mode.is_empty() {
            self.leases.clear();
            self.sqlite = None;
            self.sqlite = Some(self.folder.open());
            Promise::Reopened
        } else {
            let other = Connection::open(self.folder.file()).unwrap();
            let blocked: i64 =
                other.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get(0)).unwrap();
            assert_eq!(blocked, 0, "nobody else uses the file");
            Promise::Copied
        }
    }

    /// What a loss of power may leave of the files as they are `now`.
    fn crashed(&mut self, now: &Image) -> Image {
        // Only a checkpoint writes the database, and syncs it.
        let synced = self.synced[1].clone();
        let mut log = self.mixed(&synced, &now[1]);
        if now[1].len() >= HEADER && log.len() >= HEADER {
            log[..HEADER].copy_from_slice(&now[1][..HEADER]);
        }
        [now[0].clone(), log]
    }

    /// A file of which some sectors are those of `old`, and some those of `new`.
    fn mixed(&mut self, old: &[u8], new: &[u8]) -> Vec<u8> {
        let mut mixed = new.to_vec();
        // Files that shrink do so in one step.
        let grown = new.len().saturating_sub(old.len());
        if grown > 0 && self.roll(2) == 0 {
            mixed.truncate(old.len() + self.roll(grown + 1));
        }
        // From all to nothing of what was written since.
        let kept = self.roll(5);
        let length = mixed.len();
        for start in (0..length).step_by(SECTOR) {
            let end = length.min(start + SECTOR);
            if self.roll(4) < kept {
                continue;
            }
            let old_bytes = old.iter().skip(start).copied().chain(std::iter::repeat(0));
            mixed[start..end].iter_mut().zip(old_bytes).for_each(|(byte, old)| *byte = old);
        }
        mixed
    }

    /// What is found after a crash: a state that there was, the oldest of them number `from`, in a sound file.
    fn check(&mut self, crash: &Image, from: usize) {
        let folder = Folder::new();
        for (file, bytes) in FILES.iter().zip(crash) {
            fs::write(folder.0.join(file), bytes).unwrap();
        }
        let found = folder.open();
        let found_state = state(&found);
        let known = self.states[from..].contains(&found_state);
        assert!(known, "{}", self.difference(&found_state));
        is_sound(&folder.file());
        if self.roll(20) == 0 {
            runs_all(&found, &found_state);
        }
    }

    fn difference(&self, found: &[TaskRecord]) -> String {
        let (first, last) = (&self.states[0], self.states.last().unwrap());
        let lost: Vec<_> = first.iter().filter(|task| !found.contains(task)).collect();
        format!(
            "a state that never was: {} tasks where there were {} to {}; of the last synced ones these differ: {lost:#?}",
            found.len(),
            first.len(),
            last.len()
        )
    }
}

fn touch(id: TaskId) -> Touch {
    Touch { now: Now::At(at(1000)), id, tombstones: Duration::from_secs(60) }
}

fn no_pauses() -> QueueConfig {
    QueueConfig::new().with_retry(RetryConfig::new().with_min_backoff(Duration::ZERO))
}

/// Copied by another process: one that closes a file itself drops the locks that SQLite has on it in this one.
fn image(folder: &Folder) -> Image {
    let copy = Folder::new();
    FILES.map(|file| {
        let copied = Command::new("cp").arg(folder.0.join(file)).arg(&copy.0).output().unwrap();
        if copied.status.success() { fs::read(copy.0.join(file)).unwrap() } else { Vec::new() }
    })
}

fn state(sqlite: &Sqlite) -> Vec<TaskRecord> {
    let all = List { filter: TaskFilter::new(), after: None, limit: usize::MAX };
    wait(sqlite.list(all)).unwrap()
}

/// Whether SQLite finds no fault, and every task stands where it must.
fn is_sound(file: &Path) {
    let connection = Connection::open(file).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    const ASTRAY: &str = "SELECT count(*) FROM gae_tasks_task t WHERE \
        (SELECT count(*) FROM gae_tasks_waiting w WHERE w.task = t.id) + \
        (SELECT count(*) FROM gae_tasks_lease l WHERE l.task = t.id) <> (t.died IS NULL)";
    const ORPHANS: &str = "SELECT count(*) FROM (SELECT task FROM gae_tasks_waiting UNION ALL SELECT task FROM \
        gae_tasks_lease) WHERE task NOT IN (SELECT id FROM gae_tasks_task)";
    for query in [ASTRAY, ORPHANS] {
        assert_eq!(connection.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap(), 0, "{query}");
    }
}

/// A worker gets all that waits or was leased.
fn runs_all(sqlite: &Sqlite, state: &[TaskRecord]) {
    let keep = Duration::from_secs(1_000_000);
    let sweep = Sweep { now: Now::At(at(5000)), dead_letters: keep, tombstones: keep, limit: 10_000 };
    wait(sqlite.sweep(sweep)).unwrap();
    let leased = lease(sqlite, at(5000), 10_000);
    let open = state.iter().filter(|task| task.state != TaskState::Dead).count();
    assert_eq!(leased.tasks.len(), open);
}

/// The model is no use unless it loses what may be lost.
#[test]
fn what_was_not_synced_can_be_lost_in_this_model() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x"), task(b"y")]).unwrap();
    let synced = image(&folder);
    let held = lease(&sqlite, at(1000), 2);
    assert_eq!(held.tasks.len(), 2);
    let now = image(&folder);
    let crash = Folder::new();
    fs::write(crash.0.join(FILES[0]), &now[0]).unwrap();
    fs::write(crash.0.join(FILES[1]), &synced[1]).unwrap();
    let found = state(&open(crash.file()).unwrap());
    assert_eq!(found.iter().filter(|task| task.state == TaskState::Scheduled).count(), 2, "the lease was not synced");
}
