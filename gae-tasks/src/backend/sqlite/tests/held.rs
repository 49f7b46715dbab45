//! Rows of leases: each lease behaves as if it had its own row.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use rusqlite::Connection;

use super::super::held::{self, Held, Terms};
use super::super::members::{Members, Waited};
use super::super::schema;
use super::{Folder, at, enqueue, finish, ids, lease, settle_all, sweep, task, wait};
use crate::backend::{Backend, Extend, LeaseRef, LeasedTask, Pull, Settled, TaskRequest, Verdict};
use crate::task::TaskId;
use crate::time::{Now, Timestamp};

fn rows(folder: &Folder) -> i64 {
    let other = Connection::open(folder.file()).unwrap();
    other.query_row("SELECT count(*) FROM gae_tasks_lease", [], |row| row.get(0)).unwrap()
}

fn touch(id: TaskId) -> TaskRequest {
    TaskRequest::new(Now::At(at(100)), id)
}

#[test]
fn tasks_that_are_leased_together_share_rows_of_a_page() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, (0..held::MOST + 1).map(|_| task(b"x")).collect()).unwrap();
    let leased = lease(&sqlite, at(100), 1_000);
    assert_eq!(rows(&folder), 2);
    let other = Connection::open(folder.file()).unwrap();
    let overflown =
        "SELECT count(*) FROM dbstat WHERE name = 'gae_tasks_lease' AND pagetype = 'overflow'";
    // `dbstat` is not compiled into every SQLite.
    if let Ok(overflown) = other.query_row(overflown, [], |row| row.get::<_, i64>(0)) {
        assert_eq!(overflown, 0);
    }
    assert!(finish(&sqlite, &leased).iter().all(|settled| *settled == Settled::Done));
    assert_eq!(rows(&folder), 0);
}

#[test]
fn the_order_of_the_tasks_in_a_row_does_not_matter() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, (0..3).map(|_| task(b"x")).collect()).unwrap();
    let leased = lease(&sqlite, at(100), 10);
    let other = Connection::open(folder.file()).unwrap();
    let tasks: Vec<u8> =
        other.query_row("SELECT tasks FROM gae_tasks_lease", [], |row| row.get(0)).unwrap();
    let turned: Vec<u8> = tasks.rchunks(24).flatten().copied().collect();
    assert_ne!(turned, tasks);
    other.execute("UPDATE gae_tasks_lease SET tasks = ?1", [turned]).unwrap();
    assert_eq!(finish(&sqlite, &leased), vec![Settled::Done; 3]);
}

#[test]
fn a_task_that_has_lost_leases_has_a_row_of_its_own() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, (0..3).map(|_| task(b"x")).collect()).unwrap();
    assert_eq!(lease(&sqlite, at(100), 10).tasks.len(), 3);
    assert_eq!((rows(&folder), sweep(&sqlite, at(200)).recovered), (1, 3));
    let marked = lease(&sqlite, at(200), 10).tasks;
    let mut tokens: Vec<_> = marked.iter().map(|task| task.lease.token).collect();
    tokens.dedup();
    assert_eq!((rows(&folder), tokens.len()), (3, 3));
}

#[test]
fn what_is_not_extended_runs_out_though_its_neighbours_go_on() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, (0..3).map(|_| task(b"x")).collect()).unwrap();
    let leased = lease(&sqlite, at(100), 10).tasks;
    let leases = vec![leased[0].lease, leased[2].lease];
    let extend = Extend::new(Now::At(at(110)), leases, Duration::from_secs(30));
    assert_eq!(wait(sqlite.extend(extend)).unwrap(), [true, true]);
    assert_eq!(sweep(&sqlite, at(131)).recovered, 1);
    assert_eq!(ids(&lease(&sqlite, at(131), 10).tasks), [leased[1].lease.id]);
    let settled = settle_all(&sqlite, at(132), &leased, &Verdict::Done);
    assert_eq!(
        settled,
        [Settled::Done, Settled::LeaseLost, Settled::Done],
        "each task keeps its token"
    );
}

#[test]
fn a_deleted_task_takes_its_lease_along() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let again = task(b"x");
    enqueue(&sqlite, vec![again.clone(), task(b"y")]).unwrap();
    let stale: Vec<_> = lease(&sqlite, at(100), 10)
        .tasks
        .into_iter()
        .filter(|task| task.spec.id == again.spec.id)
        .collect();
    assert!(wait(sqlite.delete(touch(again.spec.id))).unwrap());
    enqueue(&sqlite, vec![again]).unwrap();
    let leased = lease(&sqlite, at(100), 10).tasks;
    let extend = Extend::new(Now::At(at(100)), vec![stale[0].lease], Duration::from_secs(30));
    assert_eq!(wait(sqlite.extend(extend)).unwrap(), [false]);
    assert_eq!(settle_all(&sqlite, at(100), &stale, &Verdict::Done), [Settled::LeaseLost]);
    assert_eq!(settle_all(&sqlite, at(100), &leased, &Verdict::Done), [Settled::Done]);
}

#[test]
fn a_purge_ends_the_leases_of_what_it_deletes() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, (0..200).map(|_| task(b"x")).collect()).unwrap();
    lease(&sqlite, at(100), 170);
    let purged = wait(sqlite.purge(crate::queue::QueueName::DEFAULT, Now::At(at(100)))).unwrap();
    assert_eq!((purged.deleted, rows(&folder)), (200, 0));
}

/// An operation on leases.
#[derive(Debug, Clone)]
enum Step {
    Give(Vec<Waited>),
    Extend(Vec<usize>, u64),
    End(usize),
    EndOf(usize),
    Cancel(usize),
}

fn waited() -> impl Strategy<Value = Waited> {
    let since = prop_oneof![
        Just(None),
        (0..1_000_i64).prop_map(|since| Some(Timestamp::from_micros(since)))
    ];
    prop_oneof![Just((false, None)), since.prop_map(|since| (true, since))]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop::collection::vec(waited(), 1..8).prop_map(Step::Give),
        (prop::collection::vec(0..20_usize, 1..8), 1..1_000_u64)
            .prop_map(|(which, until)| Step::Extend(which, until)),
        (0..20_usize).prop_map(Step::End),
        (0..20_usize).prop_map(Step::EndOf),
        (0..20_usize).prop_map(Step::Cancel),
    ]
}

/// The model: each lease by itself, with its expiry, and whether its task was cancelled.
type Model = BTreeMap<TaskId, (LeaseRef, Waited, Timestamp, bool)>;

fn perform(connection: &Connection, model: &mut Model, step: Step, next: &mut u64) {
    let nth = |model: &Model, n: usize| {
        model.values().nth(n % model.len().max(1)).map(|(lease, ..)| *lease)
    };
    let mut held = Held::new(connection);
    match step {
        Step::Give(waited) => {
            let (token, expires, mut members) = (held::token(), at(100), Vec::new());
            for how in waited {
                *next += 1;
                let id = TaskId::from_bytes(u128::from(*next).to_be_bytes());
                members.push((id, how));
                model.insert(id, (LeaseRef { id, token }, how, expires, false));
            }
            let (duration, alone, cancelled) = (Duration::from_secs(1), false, false);
            let (queue, paid) = (None, false);
            let terms = Terms { expires, duration, session: 1, alone, cancelled, queue, paid };
            held::give(connection, token, terms, &Members::new(members)).unwrap();
        }
        Step::Extend(which, until) => {
            let leases: Vec<_> = which.into_iter().filter_map(|n| nth(model, n)).collect();
            let extended = held.extend(&leases, at(until as i64), Duration::from_secs(2)).unwrap();
            assert_eq!(extended, vec![true; leases.len()]);
            leases.iter().for_each(|lease| model.get_mut(&lease.id).unwrap().2 = at(until as i64));
        }
        Step::End(n) => {
            let Some(lease) = nth(model, n) else { return };
            held.end(lease).unwrap();
            assert!(held.find(lease).unwrap().is_none());
            model.remove(&lease.id);
        }
        Step::EndOf(n) => {
            let Some(lease) = nth(model, n) else { return };
            held.end_of(lease.id).unwrap();
            assert!(held.find(lease).unwrap().is_none());
            model.remove(&lease.id);
        }
        Step::Cancel(n) => {
            let Some(lease) = nth(model, n) else { return };
            assert!(held.cancel(lease.id).unwrap());
            model.get_mut(&lease.id).unwrap().3 = true;
        }
    }
    held.write().unwrap();
}

proptest! {
    #[test]
    fn each_lease_is_as_if_it_had_a_row_of_its_own(steps in prop::collection::vec(step(), 1..30)) {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::ensure(&mut connection).unwrap();
        let (mut model, mut next) = (Model::new(), 0);
        for step in steps {
            perform(&connection, &mut model, step, &mut next);
            let mut stored: Vec<_> =
                held::leases(&connection).unwrap().into_iter().map(|(held, _)| held).collect();
            stored.sort_unstable_by_key(|held| held.lease.id);
            let stored: Vec<_> =
                stored.into_iter().map(|held| (held.lease, held.expires)).collect();
            let expected: Vec<_> =
                model.values().map(|(lease, _, expires, _)| (*lease, *expires)).collect();
            prop_assert_eq!(stored, expected);
            for (lease, waited, _, cancelled) in model.values() {
                let found = Held::new(&connection).find(*lease).unwrap();
                let found = found.map(|(waited, terms)| (waited, terms.cancelled));
                prop_assert_eq!(found, Some((*waited, *cancelled)));
            }
            let mut cancelled = held::cancelled(&connection).unwrap();
            cancelled.sort_unstable_by_key(|lease| lease.id);
            let expected: Vec<_> =
                model.values().filter(|of| of.3).map(|(lease, ..)| *lease).collect();
            prop_assert_eq!(cancelled, expected);
        }
    }
}

#[test]
fn every_task_of_a_row_can_be_split_off() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, (0..held::MOST).map(|_| task(b"x")).collect()).unwrap();
    let leased: Vec<LeasedTask> = lease(&sqlite, at(100), 1_000).tasks;
    for (number, task) in leased.iter().enumerate() {
        let duration = Duration::from_secs(30 + number as u64);
        let extend = Extend::new(Now::At(at(100)), vec![task.lease], duration);
        assert_eq!(wait(sqlite.extend(extend)).unwrap(), [true]);
    }
    assert_eq!(rows(&folder), held::MOST as i64);
    assert_eq!(sweep(&sqlite, at(140)).recovered, 11);
    let settled = settle_all(&sqlite, at(140), &leased, &Verdict::Done);
    assert_eq!(
        settled.iter().filter(|settled| **settled == Settled::Done).count(),
        held::MOST - 11
    );
}

#[test]
fn a_row_is_split_beside_one_that_cannot_be_read() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, (0..3).map(|_| task(b"x")).collect()).unwrap();
    let leased = lease(&sqlite, at(100), 10).tasks;
    let other = Connection::open(folder.file()).unwrap();
    // Only the second row of the token can be read.
    other.execute_batch("UPDATE gae_tasks_lease SET id = id + 1").unwrap();
    let spoilt = "INSERT INTO gae_tasks_lease SELECT id - 1, expires, duration, 'x', alone, \
                  cancelled, tasks, queue, paid FROM gae_tasks_lease";
    other.execute_batch(spoilt).unwrap();
    let extend = Extend::new(Now::At(at(110)), vec![leased[1].lease], Duration::from_secs(30));
    assert_eq!(wait(sqlite.extend(extend)).unwrap(), [true]);
    assert_eq!(sweep(&sqlite, at(131)).recovered, 2);
    assert_eq!(settle_all(&sqlite, at(132), &leased[1..2], &Verdict::Done), [Settled::Done]);
}

#[test]
fn a_row_that_is_mended_after_its_tasks_were_put_back_gives_nothing() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    let stale = lease(&sqlite, at(100), 10).tasks;
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("UPDATE gae_tasks_lease SET expires = 'x'").unwrap();
    assert_eq!(sweep(&sqlite, at(100)).recovered, 1);
    other.execute_batch("UPDATE gae_tasks_lease SET expires = 1").unwrap();
    assert_eq!(lease(&sqlite, at(100), 10).tasks.len(), 1);
    assert_eq!(settle_all(&sqlite, at(100), &stale, &Verdict::Done), [Settled::LeaseLost]);
    assert_eq!(rows(&folder), 1);
}
