//! A process that forks while it uses the queue: the child gets an error at once, and parent and
//! child never make equal ids or tokens.
//!
//! The children write their results into files and do not print, because another thread may have
//! held the lock of stdout.
#![cfg(all(feature = "sqlite", unix))]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::sqlite::Sqlite;
use gae_tasks::backend::{Backend, Enqueue, Extend, Lease, Leased, NewTask, Pull, Room, Routes};
use gae_tasks::{Client, Error, Now, QueueName, TaskId, TaskSpec, deferred};
use gae_tasks_tests_forked::Child;
use tempfile::TempDir;

/// The time limit of a child, far longer than a child needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The number of forks, enough to interrupt the other threads in every state.
const FORKS: usize = 20;

/// The number of forks needed to hit a lock that is held for a fraction of a microsecond.
const HUNDREDS: usize = 300;

/// The number of ids and lease tokens that each process makes.
const MANY: usize = 100_000;

#[deferred]
async fn no_op() {}

/// Runs a future without a runtime, which a child does not have.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Allows one test at a time: a child has all open files of its process, including other tests'
/// locks.
fn alone() -> impl Drop {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the threads that check this flag, also when the test fails.
struct SetAtLast<'a>(&'a AtomicBool);

impl Drop for SetAtLast<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Stage {
    folder: TempDir,
    url: String,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("tasks.db").display());
        Self { folder, url }
    }

    fn client(&self) -> Client {
        wait(Client::open(&self.url)).unwrap()
    }

    fn sqlite(&self) -> Sqlite {
        wait(Sqlite::open(self.file("tasks.db"))).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `work` while three threads defer to the file and count the stored tasks.
    fn while_in_use(&self, client: &Client, work: impl FnOnce()) -> Vec<TaskId> {
        let (over, stored) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        let defer = || {
            while !over.load(Ordering::Relaxed) {
                let id = wait(async { no_op::defer().on(client).await.unwrap().id });
                stored.lock().unwrap().push(id);
                wait(client.stats()).unwrap();
            }
        };
        thread::scope(|scope| {
            (0..3).for_each(|_| _ = scope.spawn(defer));
            let _over = SetAtLast(&over);
            work();
        });
        stored.into_inner().unwrap()
    }
}

fn lease(backend: &impl Pull, limit: usize) -> Result<Leased, Error> {
    let queues = Arc::new([QueueName::DEFAULT].into());
    let (now, routes, duration) = (Now::Storage, Routes::Any, Duration::from_secs(600));
    wait(backend.lease(Lease::new(now, queues, routes, Room::new(limit), duration)))
}

/// Returns the text of the error and its sources.
fn text<T>(answer: Result<T, Error>) -> String {
    answer
        .err()
        .map_or_else(|| "no error".to_owned(), |error| format!("{:#}", anyhow::Error::new(error)))
}

/// Returns the results of all calls that a child tries.
fn tried_in_child(client: &Client, sqlite: &Sqlite, url: &str, elsewhere: &str) -> String {
    let tried = [
        text(wait(async { no_op::defer().on(client).await })),
        text(wait(client.stats())),
        text(wait(client.queues())),
        text(lease(sqlite, 1)),
        text(wait(Client::open(url))),
        text(wait(Client::open(elsewhere))),
    ];
    tried.join("\n")
}

#[test]
fn a_child_is_told_at_once_and_its_parent_goes_on() {
    let _alone = alone();
    let stage = Stage::new();
    let (client, sqlite) = (stage.client(), stage.sqlite());
    wait(client.defer_many((0..10).map(|_| no_op::defer()))).unwrap();
    let held = lease(&sqlite, 10).unwrap();
    let elsewhere = format!("sqlite:{}", stage.file("elsewhere.db").display());
    let stored = stage.while_in_use(&client, || {
        for number in 0..FORKS {
            let report = stage.file("report");
            let mut child = Child::new(|| {
                fs::write(&report, tried_in_child(&client, &sqlite, &stage.url, &elsewhere))
                    .unwrap();
            });
            assert!(child.has_succeeded_within(PATIENCE), "child {number} hangs, or panicked");
            let report = fs::read_to_string(report).unwrap();
            let failed = report
                .lines()
                .filter(|line| line.contains("forked") && line.contains(".db`"))
                .count();
            assert_eq!(failed, 6, "{report}");
        }
    });
    assert!(!stage.file("elsewhere.db").exists());
    let leases: Vec<_> = held.tasks.iter().map(|task| task.lease).collect();
    let extend = Extend::new(Now::Storage, leases, Duration::from_secs(600));
    assert_eq!(wait(sqlite.extend(extend)).unwrap(), [true; 10]);
    let open = wait(client.stats()).unwrap().open();
    assert_eq!(open, 10 + stored.len() as u64, "acknowledged tasks are stored");
}

#[test]
fn a_child_waits_for_no_wakeups_that_only_its_parent_gets() {
    let _alone = alone();
    let stage = Stage::new();
    let sqlite = stage.sqlite();
    // A thread of the parent may have held the sender's lock, so the child checks only this.
    let mut child = Child::new(|| assert!(wait(sqlite.wakeups().changed()).is_err()));
    assert!(child.has_succeeded_within(PATIENCE), "the child hangs, or panicked");
}

#[test]
fn what_a_child_drops_stays_with_its_parent() {
    let _alone = alone();
    let stage = Stage::new();
    let (client, sqlite) = (stage.client(), stage.sqlite());
    wait(client.defer_many((0..10).map(|_| no_op::defer()))).unwrap();
    assert_eq!(lease(&sqlite, 5).unwrap().tasks.len(), 5);
    let before = names(stage.folder.path());
    assert!(before.iter().any(|name| name.ends_with(".lock")), "{before:?}");
    let other = stage.client();
    stage.while_in_use(&other, || {
        let mut dropped = Some((client, sqlite));
        for number in 0..FORKS {
            let mut child = Child::new(|| drop(dropped.take()));
            assert!(child.has_succeeded_within(PATIENCE), "child {number} hangs, or panicked");
        }
        assert_eq!(names(stage.folder.path()), before);
        let (client, sqlite) = dropped.unwrap();
        assert_eq!(wait(client.stats()).unwrap().leased, 5, "the parent's session goes on");
        assert_eq!(lease(&sqlite, 5).unwrap().tasks.len(), 5);
    });
}

#[test]
fn a_worker_in_a_child_ends_when_it_is_told_to() {
    let _alone = alone();
    let stage = Stage::new();
    let client = stage.client();
    stage.while_in_use(&client, || {
        for number in 0..FORKS {
            let mut child = Child::new(|| {
                let shutdown = async { tokio::time::sleep(Duration::from_millis(20)).await };
                wait(async { client.worker().with_graceful_shutdown(shutdown).await }).unwrap();
            });
            assert!(child.has_succeeded_within(PATIENCE), "child {number} hangs, or panicked");
        }
    });
}

#[test]
fn a_file_that_is_opened_after_the_fork_serves_both() {
    let _alone = alone();
    let stage = Stage::new();
    drop(stage.client());
    let defer = || {
        let client = stage.client();
        (0..20).for_each(|_| _ = wait(async { no_op::defer().on(&client).await.unwrap() }));
    };
    let mut child = Child::new(defer);
    defer();
    assert!(child.has_succeeded_within(PATIENCE));
    assert_eq!(wait(stage.client().stats()).unwrap().open(), 40);
}

/// Returns the names of a folder's entries, in order.
fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn ids_of_parent_and_child_never_meet() {
    let _alone = alone();
    assert_never_meet(|count| {
        let client = wait(Client::open("memory:")).unwrap();
        let answers = wait(client.defer_many((0..count).map(|_| no_op::defer()))).unwrap();
        // The other half is the time, which advances in both processes.
        let random = |id: TaskId| u64::from_be_bytes(id.as_bytes()[8..].try_into().unwrap());
        answers.into_iter().map(|answer| random(answer.id).to_string()).collect()
    });
}

#[test]
fn lease_tokens_of_parent_and_child_never_meet() {
    let _alone = alone();
    let task = |number: usize| {
        NewTask::new(
            TaskSpec::new(
                TaskId::from_bytes((number as u128).to_be_bytes()),
                gae_tasks::Kind::new("tests/task").unwrap(),
                gae_tasks::Shape::from_bits(1),
                QueueName::DEFAULT,
            ),
            Vec::new(),
            [],
        )
    };
    assert_never_meet(|count| {
        let memory = Memory::new();
        wait(memory.enqueue(Enqueue::new(Now::Storage, (0..count).map(task).collect()))).unwrap();
        lease(&memory, count)
            .unwrap()
            .tasks
            .iter()
            .map(|task| task.lease.token.to_bits().to_string())
            .collect()
    });
}

/// Calls `make` many times in this process, in a child and in other threads, and checks that all
/// values are distinct.
fn assert_never_meet(make: impl Fn(usize) -> Vec<String> + Sync) {
    let folder = tempfile::tempdir().unwrap();
    let over = AtomicBool::new(false);
    let busily = || {
        while !over.load(Ordering::Relaxed) {
            make(5_000);
        }
    };
    thread::scope(|scope| {
        (0..2).for_each(|_| _ = scope.spawn(busily));
        let _over = SetAtLast(&over);
        let child = |number: usize, count| {
            let file = folder.path().join(number.to_string());
            (Child::new(|| fs::write(&file, make(count).join("\n")).unwrap()), file)
        };
        let mut children: Vec<_> = (1..HUNDREDS).map(|number| child(number, 10)).collect();
        // Warms up first, so that the fork falls into the middle of the loop within a millisecond.
        let mut all = make(1_000);
        children.push(child(0, MANY));
        all.extend(make(MANY));
        for (child, _) in &mut children {
            assert!(child.has_succeeded_within(PATIENCE), "a child hangs, or panicked");
        }
        for (_, file) in children {
            all.extend(fs::read_to_string(file).unwrap().lines().map(str::to_owned));
        }
        let made = all.len();
        assert_eq!(made, 1_000 + 2 * MANY + (HUNDREDS - 1) * 10);
        assert_eq!(
            all.into_iter().collect::<HashSet<_>>().len(),
            made,
            "some values were made twice"
        );
    });
}
