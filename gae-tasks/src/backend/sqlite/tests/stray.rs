//! Tasks that neither wait nor are leased: a sweep finds them in turn, and puts them back.

use std::sync::mpsc;
use std::time::Duration;

use rusqlite::Connection;

use super::super::enqueue::Storing;
use super::super::stray::Strays;
use super::{Busy, Folder, at, enqueue, ids, lease, settle_all, spoil, sweep, task, wait};
use crate::backend::{Backend, Enqueue, Settled, Sweep, Swept, TaskFilter, TaskState, Verdict};
use crate::task::TaskId;
use crate::time::{Now, Schedule};

/// Returns the ids of leased tasks, as listed.
fn leased_ids(sqlite: &super::super::Sqlite) -> Vec<TaskId> {
    let filter = TaskFilter::new().state(TaskState::Leased);
    let listed = wait(sqlite.list(crate::backend::List::new(filter, 100))).unwrap();
    listed.into_iter().map(|record| record.spec.id).collect()
}

#[test]
fn a_task_whose_lease_is_gone_or_spoilt_is_put_back() {
    let ways = [
        "DELETE FROM gae_tasks_lease",
        "UPDATE gae_tasks_lease SET expires = 'x'",
        "UPDATE gae_tasks_lease SET tasks = x'00'",
        "UPDATE gae_tasks_lease SET tasks = 'text'",
    ];
    for way in ways {
        let folder = Folder::new();
        let sqlite = folder.open();
        enqueue(&sqlite, vec![task(b"x"), task(b"y")]).unwrap();
        let stale = lease(&sqlite, at(100), 1).tasks;
        Connection::open(folder.file()).unwrap().execute_batch(way).unwrap();
        assert_eq!(sweep(&sqlite, at(100)), Swept { recovered: 1, ..Swept::default() }, "{way}");
        assert_eq!(sweep(&sqlite, at(100)), Swept::default(), "{way}: once");
        let leased = lease(&sqlite, at(100), 10).tasks;
        assert!(leased.iter().any(|task| task.lease.id == stale[0].lease.id), "{way}");
        assert_eq!(
            settle_all(&sqlite, at(100), &stale, &Verdict::Done),
            [Settled::LeaseLost],
            "{way}"
        );
        assert!(leased_ids(&sqlite).contains(&stale[0].lease.id));
    }
}

#[test]
fn what_is_dead_waits_or_is_leased_is_not_astray() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, (0..5).map(|_| task(b"x")).collect()).unwrap();
    let leased = lease(&sqlite, at(100), 3).tasks;
    settle_all(&sqlite, at(100), &leased[..1], &Verdict::Permanent { error: String::new() });
    let retry = Verdict::Retry {
        error: String::new(),
        after: Some(Duration::from_secs(60)),
        max_attempts: None,
    };
    settle_all(&sqlite, at(100), &leased[1..2], &retry);
    for _ in 0..3 {
        assert_eq!(sweep(&sqlite, at(100)), Swept::default());
    }
    assert_eq!(leased_ids(&sqlite), [leased[2].lease.id]);
}

#[test]
fn a_dead_letter_is_not_astray() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    super::bury_due(&sqlite);
    let other = Connection::open(folder.file()).unwrap();
    assert_eq!(Strays::default().look(&other).unwrap(), []);
}

#[test]
fn all_tasks_are_looked_at_in_turn() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, (0..300).map(|_| task(b"x")).collect()).unwrap();
    let stray = task(b"x");
    enqueue(&sqlite, vec![stray.clone()]).unwrap();
    spoil(&folder, "DELETE FROM gae_tasks_waiting WHERE task = ?1", stray.spec.id);
    // Each look continues where the previous one ended; a sweep of these tests looks twice.
    let recovered: Vec<_> = (0..3).map(|_| sweep(&sqlite, at(100)).recovered).collect();
    assert_eq!(recovered.iter().sum::<u64>(), 1, "{recovered:?}");
}

#[test]
fn a_round_ends_though_new_tasks_come_all_the_time() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let early = task(b"x");
    enqueue(&sqlite, vec![early.clone()]).unwrap();
    let other = Connection::open(folder.file()).unwrap();
    let mut strays = Strays::default();
    let mut look = || {
        enqueue(&sqlite, (0..200).map(|_| task(b"x")).collect()).unwrap();
        let found = strays.look(&other).unwrap();
        strays.go_on();
        found
    };
    (0..2).for_each(|_| assert_eq!(look(), []));
    spoil(&folder, "DELETE FROM gae_tasks_waiting WHERE task = ?1", early.spec.id);
    assert!(
        (0..20).any(|_| look() == [early.spec.id]),
        "the stray is before the place that was reached"
    );
}

#[test]
fn what_was_found_is_found_again_until_it_is_dealt_with() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let stray = task(b"x");
    enqueue(&sqlite, vec![stray.clone()]).unwrap();
    spoil(&folder, "DELETE FROM gae_tasks_waiting WHERE task = ?1", stray.spec.id);
    let other = Connection::open(folder.file()).unwrap();
    let mut strays = Strays::default();
    (0..3).for_each(|_| assert_eq!(strays.look(&other).unwrap(), [stray.spec.id]));
}

#[test]
fn a_sweep_that_shares_its_transaction_looks_too() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let stray = task(b"x");
    enqueue(&sqlite, vec![stray.clone()]).unwrap();
    spoil(&folder, "DELETE FROM gae_tasks_waiting WHERE task = ?1", stray.spec.id);
    let ((enter, entered), (go, gone)) = (mpsc::channel(), mpsc::channel());
    let busy = sqlite.writer.call(Busy(enter, gone));
    entered.recv().unwrap();
    let now = Now::At(at(100));
    let stored = sqlite.writer.call(Storing::new(Enqueue::new(now, vec![task(b"y")])));
    let swept = sqlite.writer.call(Sweep::new(now, Vec::new(), 100));
    go.send(()).unwrap();
    wait(busy).unwrap();
    wait(stored).unwrap();
    assert_eq!(wait(swept).unwrap().recovered, 1);
}

#[test]
fn a_stray_that_a_rule_keeps_as_it_is_stops_no_other() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x"), task(b"y")]).unwrap();
    let rule = "DELETE FROM gae_tasks_waiting; CREATE TRIGGER rule BEFORE UPDATE ON gae_tasks_task \
                WHEN old.payload = x'78' BEGIN SELECT raise(ABORT, 'against the rule'); END";
    Connection::open(folder.file()).unwrap().execute_batch(rule).unwrap();
    assert_eq!(sweep(&sqlite, at(100)).recovered, 1);
    assert_eq!(lease(&sqlite, at(100), 10).tasks.len(), 1);
}

#[test]
fn a_stray_waits_for_its_schedule_time() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let later = task(b"x").with(|task| task.schedule = Schedule::At(at(1_000)));
    enqueue(&sqlite, vec![later.clone(), task(b"y")]).unwrap();
    Connection::open(folder.file())
        .unwrap()
        .execute_batch("DELETE FROM gae_tasks_waiting")
        .unwrap();
    assert_eq!(sweep(&sqlite, at(100)).recovered, 2);
    assert!(lease(&sqlite, at(999), 10).tasks.iter().all(|task| task.lease.id != later.spec.id));
    assert_eq!(ids(&lease(&sqlite, at(1_000), 10).tasks), [later.spec.id]);
}

#[test]
fn a_task_with_a_spoilt_number_is_not_astray() {
    for spoilt in ["schedule_time = 'x'", "lane = 'x'", "lane = 99"] {
        let folder = Folder::new();
        let sqlite = folder.open();
        let one = task(b"x");
        enqueue(&sqlite, vec![one.clone()]).unwrap();
        spoil(&folder, &format!("UPDATE gae_tasks_task SET {spoilt} WHERE id = ?1"), one.spec.id);
        (0..3).for_each(|_| assert_eq!(sweep(&sqlite, at(100)), Swept::default(), "{spoilt}"));
        let waiting = Connection::open(folder.file()).unwrap();
        let waiting: i64 = waiting
            .query_row("SELECT count(*) FROM gae_tasks_waiting", [], |row| row.get(0))
            .unwrap();
        assert_eq!(waiting, 1, "{spoilt}");
    }
}
