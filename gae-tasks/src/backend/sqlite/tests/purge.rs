//! A purge of many tasks: slice by slice, so that others have their turn in between.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::super::admin::{Most, PurgeSlice, SLICE, Sliced, open_tasks};
use super::{Folder, Sqlite, at, enqueue, finish, lease, settle_all, task, wait};
use crate::backend::{Backend, NewTask, Purged, Stats, Verdict};
use crate::queue::QueueName;
use crate::task::TaskId;
use crate::time::Now;

fn now() -> Now {
    Now::At(at(100))
}

fn store(sqlite: &Sqlite, count: usize) {
    for _ in 0..count / 1_000 {
        enqueue(sqlite, (0..1_000).map(|_| task(b"x")).collect()).unwrap();
    }
}

fn count(sqlite: &Sqlite) -> Stats {
    wait(sqlite.stats(now())).unwrap().iter().map(|line| line.stats).sum()
}

fn purge(sqlite: &Sqlite) -> Purged {
    wait(sqlite.purge(QueueName::DEFAULT, now())).unwrap()
}

/// Returns the tasks that a purge finds now.
fn found(sqlite: &Sqlite) -> Arc<[TaskId]> {
    wait(sqlite.reader.scan(|file| open_tasks(file, &QueueName::DEFAULT))).unwrap().into()
}

fn slice(sqlite: &Sqlite, ids: &Arc<[TaskId]>, done: usize, most: Most) -> Sliced {
    wait(sqlite.writer.call(PurgeSlice {
        now: now(),
        ids: Arc::clone(ids),
        with_dead: false,
        done,
        most,
    }))
    .unwrap()
}

#[test]
fn a_large_queue_is_purged_in_many_transactions() {
    let folder = Folder::new();
    let sqlite = folder.open();
    store(&sqlite, 10_000);
    let before = sqlite.writer.transactions();
    assert_eq!(purge(&sqlite), Purged::new(10_000, 0));
    let transactions = sqlite.writer.transactions() - before;
    assert!(transactions >= 5, "{transactions} transactions");
    assert_eq!(count(&sqlite), Stats::default());
}

#[test]
fn a_purge_deletes_only_what_was_stored_when_it_began() {
    let folder = Folder::new();
    let sqlite = folder.open();
    store(&sqlite, 3_000);
    let ids = found(&sqlite);
    let first = slice(&sqlite, &ids, 0, SLICE);
    assert!((1..3_000).contains(&first.done), "a slice is only a part");
    store(&sqlite, 1_000);
    let mut done = first.done;
    while done < ids.len() {
        done = slice(&sqlite, &ids, done, SLICE).done;
    }
    assert_eq!(count(&sqlite).scheduled, 1_000);
}

#[test]
fn a_slice_ends_with_its_time_or_with_its_tasks() {
    let folder = Folder::new();
    let sqlite = folder.open();
    store(&sqlite, 1_000);
    let ids = found(&sqlite);
    let out_of_time = slice(&sqlite, &ids, 0, Most { time: Duration::ZERO, tasks: 1_000 });
    assert_eq!(out_of_time.done, 1, "at least one, however slow the disk is");
    let out_of_tasks = slice(&sqlite, &ids, 1, Most { time: Duration::MAX, tasks: 10 });
    assert_eq!((out_of_tasks.done, out_of_tasks.purged), (11, Purged::new(10, 0)));
    assert_eq!(count(&sqlite).scheduled, 989);
}

#[test]
fn a_purge_that_was_interrupted_can_be_repeated() {
    let folder = Folder::new();
    let sqlite = folder.open();
    store(&sqlite, 10_000);
    let mut interrupted = sqlite.purge(QueueName::DEFAULT, now());
    let mut cx = Context::from_waker(Waker::noop());
    while count(&sqlite).scheduled == 10_000 {
        assert!(matches!(interrupted.as_mut().poll(&mut cx), Poll::Pending));
    }
    drop(interrupted);
    // An abandoned slice may still be under way.
    let rest = purge(&sqlite);
    assert!(rest.deleted > 0, "the purge was not interrupted");
    assert_eq!(count(&sqlite), Stats::default());
}

#[test]
fn what_became_of_a_task_meanwhile_decides() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let tasks: Vec<NewTask> = (0..3).map(|_| task(b"x")).collect();
    enqueue(&sqlite, tasks).unwrap();
    let ids = found(&sqlite);
    assert_eq!(ids.len(), 3);
    finish(&sqlite, &lease(&sqlite, at(100), 1));
    settle_all(
        &sqlite,
        at(100),
        &lease(&sqlite, at(100), 1).tasks,
        &Verdict::Permanent { error: String::new() },
    );
    let slice = slice(&sqlite, &ids, 0, SLICE);
    assert_eq!((slice.done, slice.purged), (3, Purged::new(1, 0)));
    assert_eq!(count(&sqlite).dead, 1);
}
