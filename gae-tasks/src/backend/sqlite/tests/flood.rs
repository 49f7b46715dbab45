//! A single call is answered soon, even beside a process that writes without a pause.

use std::process::Child;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::super::Sqlite;
use super::super::turn::{COURTESY, SPELL, Turn};
use super::{Folder, at, enqueue, lease, open, start_child, task};

/// The environment variable of the child process that floods: the database.
const CHILD: &str = "GAE_TASKS_TEST_FLOOD";

const CALLERS: usize = 50;

/// Not a test: the work of the child process until it is killed.
#[test]
fn child() {
    let Ok(file) = std::env::var(CHILD) else { return };
    let sqlite = open(file).unwrap();
    println!("flooding");
    let store = || {
        loop {
            _ = enqueue(&sqlite, vec![task(b"x")]);
        }
    };
    thread::scope(|scope| (0..CALLERS).for_each(|_| _ = scope.spawn(store)));
}

/// A child process, killed when the test is over.
struct Flooder(Child);

impl Flooder {
    fn start(folder: &Folder) -> Self {
        Self(start_child("backend::sqlite::tests::flood::child", CHILD, folder, "flooding"))
    }
}

impl Drop for Flooder {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn a_single_call_is_answered_soon_though_other_processes_flood() {
    for flooders in [1, 2] {
        let folder = Folder::new();
        let sqlite = folder.open();
        let _flooders: Vec<_> = (0..flooders).map(|_| Flooder::start(&folder)).collect();
        let (begun, mut waits) = (Instant::now(), Vec::new());
        while begun.elapsed() < Duration::from_millis(2_500) {
            let called = Instant::now();
            enqueue(&sqlite, vec![task(b"single")]).unwrap();
            waits.push(called.elapsed());
            thread::sleep(Duration::from_millis(5));
        }
        waits.sort_unstable();
        let (usual, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
        println!(
            "{flooders} flooders: {} calls, {usual:.1?} as a rule, {longest:.1?} at most",
            waits.len()
        );
        // A machine that is busy with other tests delays single calls, but not half of them; the
        // bench checks all bounds.
        assert!(usual < Duration::from_millis(150), "{usual:?} beside {flooders}");
        assert!(longest < Duration::from_millis(1_500), "{longest:?} beside {flooders}");
    }
}

/// Asserts that `work` shows other processes that it waits while one of them has a transaction, and
/// then has its turn.
fn assert_waits_its_turn(folder: &Folder, watcher: &Turn, work: impl FnOnce() + Send) {
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(!watcher.has_next());
    thread::scope(|scope| {
        let working = scope.spawn(work);
        let begun = Instant::now();
        while !watcher.has_next() {
            assert!(
                begun.elapsed() < Duration::from_secs(4),
                "the waiting writer does not show that it waits"
            );
        }
        other.execute_batch("COMMIT").unwrap();
        working.join().unwrap();
    });
    assert!(!watcher.has_next(), "the writer has had its turn");
}

#[test]
fn who_waits_for_another_transaction_is_the_next() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let watcher = turn(&sqlite);
    assert_waits_its_turn(&folder, &watcher, || _ = enqueue(&sqlite, vec![task(b"x")]).unwrap());
    lease(&sqlite, at(100), 1);
    assert_waits_its_turn(&folder, &watcher, || drop(sqlite));
    assert!(!folder.names().iter().any(|name| name.ends_with(".lock")), "the session has ended");
}

#[test]
fn a_writer_steps_aside_for_the_next_one_but_not_for_ever() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let mut other = turn(&sqlite);
    let claim = other.claim();
    for _ in 0..3 {
        thread::sleep(SPELL);
        let begun = Instant::now();
        enqueue(&sqlite, vec![task(b"x")]).unwrap();
        assert!(begun.elapsed() >= COURTESY, "the writer did not step aside");
    }
    drop(claim);
}

/// Like a process that was stopped while it waited.
#[test]
fn the_next_one_keeps_nobody_from_writing_that_never_comes() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let mut stopped = turn(&sqlite);
    let claim = stopped.claim();
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    thread::scope(|scope| {
        let (reply, answer) = mpsc::channel();
        let sqlite = &sqlite;
        scope.spawn(move || reply.send(enqueue(sqlite, vec![task(b"x")])));
        assert!(answer.recv_timeout(Duration::from_millis(50)).is_err(), "the writer waits");
        other.execute_batch("COMMIT").unwrap();
        let answer = answer.recv_timeout(Duration::from_secs(4));
        drop(claim);
        assert!(answer.is_ok_and(|answer| answer.is_ok()), "the writer waits for ever");
    });
}

#[test]
fn a_writer_steps_aside_once_in_a_while_only_and_only_while_one_waits() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let (mut one, mut other) = (turn(&sqlite), turn(&sqlite));
    let took = |turn: &mut Turn| {
        let begun = Instant::now();
        turn.step_aside();
        begun.elapsed()
    };
    let claim = other.claim();
    thread::sleep(SPELL);
    assert!(took(&mut one) >= COURTESY);
    let at_once = (0..100).any(|_| took(&mut one) < COURTESY);
    assert!(at_once, "a new spell has just begun");
    drop(claim);
    let at_once = (0..100).any(|_| {
        thread::sleep(SPELL);
        took(&mut one) < COURTESY
    });
    assert!(at_once, "nobody waits any more");
}

fn turn(sqlite: &Sqlite) -> Turn {
    Turn::new(sqlite.writer.opened())
}
