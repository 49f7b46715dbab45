//! Which thread makes a transaction: the writer's, or that of a caller that blocks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::super::Sqlite;
use super::super::call::Request;
use super::super::connection::Durability;
use super::super::database::Database;
use super::super::error::{Fault, Problem};
use super::super::turn::Turn;
use super::{Busy, Folder, Panics, wait};

/// Returns the thread that performs the request.
struct WhoIs;

impl Request for WhoIs {
    type Output = ThreadId;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, _: &mut Database) -> Result<ThreadId, Fault> {
        Ok(thread::current().id())
    }
}

/// Whether a call that blocks is performed on the caller's own thread.
fn is_here(sqlite: &Sqlite) -> bool {
    sqlite.writer.call_here(WhoIs).unwrap() == thread::current().id()
}

/// Waits until the writer's thread, which has answered, has left the committer too.
fn until_here(sqlite: &Sqlite) {
    let begun = Instant::now();
    while !is_here(sqlite) {
        assert!(begun.elapsed() < Duration::from_secs(20), "the writer never becomes idle");
    }
}

#[test]
fn a_caller_that_blocks_makes_its_transaction_itself() {
    let folder = Folder::new();
    let sqlite = folder.open();
    until_here(&sqlite);
    let before = sqlite.writer.transactions();
    assert!(is_here(&sqlite) && is_here(&sqlite));
    assert_eq!(sqlite.writer.transactions() - before, 2);
    assert_ne!(
        wait(sqlite.writer.call(WhoIs)).unwrap(),
        thread::current().id(),
        "a call that does not block runs on the writer's thread"
    );
}

#[test]
fn while_the_writer_is_busy_a_caller_that_blocks_waits_with_the_others() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let ((enter, entered), (go, gone)) = (mpsc::channel(), mpsc::channel());
    let busy = sqlite.writer.call(Busy(enter, gone));
    entered.recv().unwrap();
    thread::scope(|scope| {
        let caller = scope.spawn(|| is_here(&sqlite));
        while sqlite.writer.inbox().is_empty() {
            thread::yield_now();
        }
        go.send(()).unwrap();
        assert!(!caller.join().unwrap());
    });
    wait(busy).unwrap();
}

#[test]
fn while_another_process_writes_a_caller_that_blocks_waits_with_the_others() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let turn = Turn::new(sqlite.writer.opened());
    thread::scope(|scope| {
        let caller = scope.spawn(|| is_here(&sqlite));
        // The writer's thread waits for its turn.
        while !turn.has_next() {
            thread::yield_now();
        }
        other.execute_batch("COMMIT").unwrap();
        assert!(!caller.join().unwrap());
    });
}

#[test]
fn callers_that_come_together_share_transactions_though_they_block() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let ((enter, entered), (go, gone)) = (mpsc::channel(), mpsc::channel());
    let busy = sqlite.writer.call(Busy(enter, gone));
    entered.recv().unwrap();
    let calls: Vec<_> = (0..10).map(|_| sqlite.writer.call(WhoIs)).collect();
    go.send(()).unwrap();
    wait(busy).unwrap();
    calls.into_iter().for_each(|call| _ = wait(call).unwrap());
    assert!(!is_here(&sqlite), "the other callers may call again");
    until_here(&sqlite);
}

#[test]
fn a_panic_at_the_desk_is_told_to_all_that_come_and_frees_the_file() {
    let panics: [fn(&Sqlite); 2] = [
        |sqlite| {
            assert!(catch_unwind(AssertUnwindSafe(|| sqlite.writer.call_here(Panics))).is_err())
        },
        |sqlite| assert!(wait(sqlite.writer.call(Panics)).is_err()),
    ];
    for panic in panics {
        let folder = Folder::new();
        let sqlite = folder.open();
        until_here(&sqlite);
        panic(&sqlite);
        assert!(sqlite.writer.call_here(WhoIs).is_err());
        assert!(wait(sqlite.writer.call(WhoIs)).is_err());
        Connection::open(folder.file()).unwrap().execute_batch("BEGIN IMMEDIATE; COMMIT").unwrap();
        assert!(until_opened(&folder).is_ok());
    }
}

/// Opens the file once more, as the error message advises.
fn until_opened(folder: &Folder) -> Result<ThreadId, Problem> {
    wait(folder.open().writer.call(WhoIs))
}

#[test]
fn a_caller_that_blocks_takes_no_turn_that_another_process_waits_for() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let (mut this, mut other) =
        (Turn::new(sqlite.writer.opened()), Turn::new(sqlite.writer.opened()));
    let claim = other.claim();
    let begun = Instant::now();
    while !this.is_owed() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the spell never ends");
    }
    assert!(this.is_owed(), "the turn is owed as long as the other process waits");
    drop(claim);
    assert!(!this.is_owed());
}

#[test]
fn a_caller_that_blocks_leaves_the_turn_to_another_process_that_waits() {
    let folder = Folder::new();
    let sqlite = folder.open();
    until_here(&sqlite);
    let mut other = Turn::new(sqlite.writer.opened());
    let _claim = other.claim();
    let begun = Instant::now();
    while is_here(&sqlite) {
        assert!(begun.elapsed() < Duration::from_secs(20), "the caller keeps writing");
    }
}
