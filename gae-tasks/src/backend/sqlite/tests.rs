//! Tests from inside: losses of power, query plans, pragmas, failed transactions.

mod by_hand;
mod committer;
mod delete_queue;
mod file;
mod flood;
mod held;
mod limits;
mod moved;
mod newer;
mod plans;
mod power;
mod priorities;
mod purge;
mod ready;
mod refused;
mod schedules;
mod schemas;
mod sensitive;
mod sharing;
mod statements;
mod stray;
mod transactions;
mod unreadable;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rusqlite::{Connection, params};

use super::Sqlite;
use super::call::Request;
use super::connection::{Durability, set};
use super::database::Database;
use super::error::Fault;
use crate::backend::{
    Backend, Enqueue, Lease, Leased, LeasedTask, NewTask, Pull, Room, Routes, Settle, Settled,
    Settlement, Sweep, Swept, Verdict,
};
use crate::error::Error;
use crate::queue::QueueName;
use crate::task::{Deferred, Kind, Shape, TaskId, TaskSpec};
use crate::time::{Now, Timestamp};

/// Waits for an answer, like a caller without a runtime.
fn wait<T>(answer: impl Future<Output = T>) -> T {
    pollster::block_on(answer)
}

/// A folder that is removed when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("gae-tasks-sqlite-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("tasks.db")
    }

    fn open(&self) -> Sqlite {
        open(self.file()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(file: impl AsRef<Path>) -> Result<Sqlite, Error> {
    wait(Sqlite::open(file))
}

/// Returns the error and its sources in one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn task(payload: &[u8]) -> NewTask {
    NewTask::new(
        TaskSpec::new(
            TaskId::generate(),
            Kind::from_static("shop/send"),
            Shape::of_schema(b"schema"),
            QueueName::DEFAULT,
        ),
        payload.to_vec(),
        *b"schema",
    )
}

fn enqueue(backend: &Sqlite, tasks: Vec<NewTask>) -> Result<Vec<Result<Deferred, Error>>, Error> {
    wait(backend.enqueue(Enqueue::new(Now::At(at(100)), tasks)))
}

fn lease(backend: &Sqlite, now: Timestamp, limit: usize) -> Leased {
    let queues = Arc::new([QueueName::DEFAULT].into());
    let request =
        Lease::new(Now::At(now), queues, Routes::Any, Room::new(limit), Duration::from_secs(30));
    wait(backend.lease(request)).unwrap()
}

/// Records the same outcome for all these tasks.
fn settle_all(
    backend: &Sqlite,
    now: Timestamp,
    leased: &[LeasedTask],
    verdict: &Verdict,
) -> Vec<Settled> {
    let settlements =
        leased.iter().map(|task| Settlement::new(task.lease, verdict.clone())).collect();
    wait(backend.settle(Settle::new(Now::At(now), settlements))).unwrap()
}

fn finish(backend: &Sqlite, leased: &Leased) -> Vec<Settled> {
    settle_all(backend, at(200), &leased.tasks, &Verdict::Done)
}

/// Makes dead letters of all due tasks.
fn bury_due(backend: &Sqlite) {
    let failed = Verdict::Permanent { error: String::new() };
    while let due @ [_, ..] = &*lease(backend, at(100), 10).tasks {
        settle_all(backend, at(100), due, &failed);
    }
}

/// Changes one row, by the id of a task.
fn spoil(folder: &Folder, sql: &str, id: TaskId) {
    let changed =
        Connection::open(folder.file()).unwrap().execute(sql, params![id.as_bytes()]).unwrap();
    assert_eq!(changed, 1, "{sql}");
}

fn ids(tasks: &[LeasedTask]) -> Vec<TaskId> {
    tasks.iter().map(|task| task.lease.id).collect()
}

/// Runs a test of this program in another process, and returns once the test has printed `says`.
fn start_child(test: &str, variable: &str, folder: &Folder, says: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(variable, folder.file())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    lines.map(Result::unwrap).find(|line| line.ends_with(says)).unwrap();
    child
}

/// Sweeps like a worker that has seen every expired lease unchanged; the answer omits the held
/// leases.
fn sweep(sqlite: &Sqlite, now: Timestamp) -> Swept {
    let request = |lost| Sweep::new(Now::At(now), lost, 100);
    let held = wait(sqlite.sweep(Sweep { limit: 0, ..request(Vec::new()) })).unwrap().held;
    let lost = held.into_iter().filter(|held| held.expires <= now).collect();
    Swept { held: Vec::new(), ..wait(sqlite.sweep(request(lost))).unwrap() }
}

/// Leaves the file no room to grow, or gives the room back.
struct FullDisk(bool);

impl Request for FullDisk {
    type Output = ();
    const DURABILITY: Durability = Durability::Normal;

    fn perform(&mut self, database: &mut Database) -> Result<(), Fault> {
        let pages: i64 =
            database.connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
        set(&database.connection, "max_page_count", if self.0 { pages } else { 1_000_000 })
    }
}

/// Ends the writer's thread by a panic.
struct Panics;

impl Request for Panics {
    type Output = ();
    const DURABILITY: Durability = Durability::Normal;

    fn perform(&mut self, _: &mut Database) -> Result<(), Fault> {
        panic!("a panic on purpose")
    }
}

/// Keeps the writer busy until the test releases it.
struct Busy(mpsc::Sender<()>, mpsc::Receiver<()>);

impl Request for Busy {
    type Output = ();
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, _: &mut Database) -> Result<(), Fault> {
        self.0.send(()).unwrap();
        self.1.recv().unwrap();
        Ok(())
    }
}
