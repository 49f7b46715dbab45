//! A loss of power at any moment takes back nothing that was acknowledged as durable.
//!
//! # The model
//! A program works on one file step by step, with a checkpoint every few steps. Around each step
//! both files are read as the operating system shows them. From the difference the test makes files
//! as a loss of power *within* that step may leave them: each sector (512 bytes) that is written
//! and not synced may be old, new, zero or garbage, the file may be as short as before, and the
//! shared memory file may be gone or full of garbage. When such files are opened, they must have
//! the exact state after one of the steps since the last sync; every acknowledged task must be
//! stored, and no task that was deleted by hand; no task that was cancelled may be attempted again;
//! the tables must agree with each other; and a worker must be able to drain the queue.
//!
//! # Why the model is sound
//! The test does not watch the calls of `fsync` (that would take a VFS of SQLite, in unsafe code).
//! SQLite documents (`PRAGMA synchronous`) and itself tests when it makes these calls in a
//! write-ahead log:
//!
//! - `FULL`: the log is synced before `COMMIT` returns. `NORMAL`: the log is not synced.
//! - At both levels: the log is synced before a checkpoint writes to the database, the database
//!   after; and the log's header when the log is begun anew, before anything else is written to the
//!   log.
//!
//! The level of a commit is not assumed but read from the connection that made it. A call that
//! answers before its commit is synced therefore fails here. The model leaves out bytes that change
//! though nobody wrote to them, including bytes beside the written ones of one sector (SQLite
//! assumes that disks do not change these: `SQLITE_POWERSAFE_OVERWRITE`), and disks that report a
//! sync too early.

mod check;
mod disk;

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, SystemTime};

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use self::check::Promises;
use self::disk::Disk;
use super::super::Sqlite;
use super::super::call::Request;
use super::super::connection::{Durability, set};
use super::super::database::Database;
use super::super::error::Fault;
use super::{Folder, at, task, wait};
use crate::backend::{
    Backend, Cancelled, Enqueue, LeaseRef, List, NewTask, Pull, Settle, Settlement, TaskFilter,
    TaskRequest, TaskState, Verdict,
};
use crate::queue::{QueueConfig, QueueName};
use crate::task::{TaskId, TaskName};
use crate::time::{Now, Timestamp};

const STEPS: usize = 200;

#[test]
fn no_loss_of_power_takes_back_what_was_acknowledged() {
    let folder = Folder::new();
    let mut life = Life::begin(&folder);
    let mut disk = Disk::new(folder.file());
    for step in 0..STEPS {
        let before = life.promises.clone();
        let is_one_commit = life.step(&disk);
        let is_synced = wait(life.sqlite.writer.call(Level)).unwrap() == Durability::Full.level();
        let within = before.still_true_with(&life.promises);
        for image in disk.images(&mut life.dice, is_one_commit, is_synced) {
            image.check(
                if image.is_answered { &life.promises } else { &within },
                &format!("step {step}"),
            );
        }
    }
    let [log, copy, after] = disk.losses;
    println!(
        "power was lost {log} times while the log was written, {copy} times in a checkpoint, \
         {after} times after it"
    );
    assert!(log > 50 && copy > 5 && after > 20, "too few losses to be conclusive");
}

/// Random numbers, reproducible from a seed.
struct Dice(TestRng);

impl Dice {
    /// Uses the seed in `POWER_SEED`, or a new one.
    fn new() -> Self {
        let seed = match std::env::var("POWER_SEED") {
            Ok(seed) => seed.parse().expect("POWER_SEED is a number"),
            Err(_) => SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos(),
        };
        println!("seed {seed}: run again with POWER_SEED={seed}");
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&u128::to_le_bytes(seed));
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0.next_u32() as usize % sides.max(1)
    }
}

/// A program that works on the file, and what it was promised.
struct Life {
    sqlite: Sqlite,
    dice: Dice,
    seconds: i64,
    leases: Vec<LeaseRef>,
    promises: Promises,
}

impl Life {
    fn begin(folder: &Folder) -> Self {
        let sqlite = folder.open();
        wait(sqlite.writer.call(OftenCopied)).unwrap();
        let briefly = QueueConfig::new().with_tombstone_retention(Duration::from_secs(20));
        wait(sqlite.put_queue(QueueName::DEFAULT, briefly)).unwrap();
        Self {
            sqlite,
            dice: Dice::new(),
            seconds: 100,
            leases: Vec::new(),
            promises: Promises::default(),
        }
    }

    /// Performs a random action; returns whether it was at most one commit.
    fn step(&mut self, disk: &Disk) -> bool {
        self.seconds += self.dice.roll(4) as i64;
        match self.dice.roll(22) {
            0..=4 => self.enqueue(),
            5 => {
                self.enqueue_by_many();
                return false;
            }
            6..=9 => self.lease(),
            10..=14 => self.settle(),
            15 => self.sweep(),
            16 => self.replay(),
            17 | 18 => self.delete(),
            19 | 20 => self.cancel(),
            _ => disk.copy_log(),
        }
        true
    }

    fn now(&self) -> Now {
        Now::At(self.time())
    }

    fn time(&self) -> Timestamp {
        at(self.seconds)
    }

    fn new_task(&mut self) -> NewTask {
        let mut new = task(&vec![7; self.dice.roll(3) * self.dice.roll(1_000)]);
        new.spec.name =
            (self.dice.roll(4) == 0).then(|| TaskName::new(new.spec.id.to_string()).unwrap());
        new
    }

    fn enqueue(&mut self) {
        let tasks: Vec<_> = (0..=self.dice.roll(10)).map(|_| self.new_task()).collect();
        let ids = database(&self.sqlite, self.now(), tasks);
        self.promises.stored.extend(ids);
    }

    fn enqueue_by_many(&mut self) {
        let calls: Vec<Vec<_>> =
            (0..8).map(|_| (0..3).map(|_| self.new_task()).collect()).collect();
        let (sqlite, now) = (&self.sqlite, self.now());
        let ids: Vec<TaskId> = thread::scope(|scope| {
            let one_by_one = |tasks: Vec<NewTask>| {
                tasks.into_iter().flat_map(|task| database(sqlite, now, vec![task]))
            };
            let callers = calls
                .into_iter()
                .map(|tasks| scope.spawn(move || one_by_one(tasks).collect::<Vec<_>>()));
            let callers: Vec<_> = callers.collect();
            callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
        });
        self.promises.stored.extend(ids);
    }

    fn lease(&mut self) {
        let leased = super::lease(&self.sqlite, self.time(), 1 + self.dice.roll(12));
        self.leases.extend(leased.tasks.iter().map(|task| task.lease));
    }

    fn settle(&mut self) {
        let count = self.leases.len().min(1 + self.dice.roll(12));
        let settlements: Vec<_> =
            self.leases.drain(..count).map(|lease| Settlement::new(lease, Verdict::Done)).collect();
        let settlements: Vec<_> = settlements.into_iter().map(|one| self.judged(one)).collect();
        let request = Settle::new(self.now(), settlements);
        wait(self.sqlite.settle(request)).unwrap();
    }

    fn judged(&mut self, mut settlement: Settlement) -> Settlement {
        let error = "it failed".to_owned();
        settlement.verdict = match self.dice.roll(8) {
            0 => Verdict::Permanent { error },
            1 => Verdict::Retry { error, after: Some(Duration::from_secs(2)), max_attempts: None },
            2 => Verdict::Release,
            _ => {
                // The task is over or, if this settlement is lost with the power, is attempted
                // again.
                self.promises.stored.remove(&settlement.lease.id);
                Verdict::Done
            }
        };
        settlement
    }

    fn sweep(&mut self) {
        // Some leases have expired by then.
        self.seconds += 20;
        super::sweep(&self.sqlite, self.time());
    }

    fn touch(&self, id: TaskId) -> TaskRequest {
        TaskRequest::new(self.now(), id)
    }

    /// Replays a dead letter, if there is one.
    fn replay(&mut self) {
        let dead = List::new(TaskFilter::new().state(TaskState::Dead), 1);
        if let Some(record) = wait(self.sqlite.list(dead)).unwrap().pop() {
            wait(self.sqlite.replay(self.touch(record.spec.id))).unwrap();
            self.promises.cancelled.remove(&record.spec.id);
        }
    }

    /// Returns any stored task.
    fn any(&mut self) -> Option<TaskId> {
        let place = self.dice.roll(self.promises.stored.len());
        self.promises.stored.iter().copied().nth(place)
    }

    /// Cancels a task, whether it waits or is leased.
    fn cancel(&mut self) {
        let Some(id) = self.any() else { return };
        match wait(self.sqlite.cancel(self.touch(id))).unwrap() {
            Cancelled::Removed => {
                self.promises.stored.remove(&id);
                self.promises.deleted.insert(id);
            }
            Cancelled::Requested => _ = self.promises.cancelled.insert(id),
            Cancelled::Gone => {}
        }
    }

    fn delete(&mut self) {
        let Some(id) = self.any() else { return };
        assert!(wait(self.sqlite.delete(self.touch(id))).unwrap(), "{id} was stored");
        self.promises.stored.remove(&id);
        self.promises.deleted.insert(id);
    }
}

/// Stores the tasks and returns the acknowledged ids.
fn database(sqlite: &Sqlite, now: Now, tasks: Vec<NewTask>) -> BTreeSet<TaskId> {
    wait(sqlite.enqueue(Enqueue::new(now, tasks)))
        .unwrap()
        .into_iter()
        .map(|answer| answer.unwrap().id)
        .collect()
}

/// Makes SQLite copy the log into the file every few commits.
struct OftenCopied;

impl Request for OftenCopied {
    type Output = ();
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, database: &mut Database) -> Result<(), Fault> {
        set(&database.connection, "wal_autocheckpoint", 60)
    }
}

/// Returns the level of the last commit, without making one.
struct Level;

impl Request for Level {
    type Output = i64;
    const DURABILITY: Durability = Durability::Normal;
    const MAY_REST: bool = true;

    fn look(&self, database: &mut Database) -> Result<Option<i64>, Fault> {
        Ok(Some(database.connection.pragma_query_value(None, "synchronous", |row| row.get(0))?))
    }

    /// Returns the level of its own commit.
    fn perform(&mut self, _: &mut Database) -> Result<i64, Fault> {
        Ok(Self::DURABILITY.level())
    }
}
