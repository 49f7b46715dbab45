//! Conditions that must hold for files left by a loss of power.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{Hash, Hasher};

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::super::{Folder, at, finish, lease, sweep, wait};
use super::disk::{Image, beside};
use crate::backend::sqlite::Sqlite;
use crate::backend::{Backend, List, Pull, TaskFilter, TaskState};
use crate::task::TaskId;

/// The promises made to callers.
#[derive(Clone, Default)]
pub(super) struct Promises {
    /// Stored tasks that no caller has seen end.
    pub(super) stored: BTreeSet<TaskId>,
    /// Tasks that were deleted by hand.
    pub(super) deleted: BTreeSet<TaskId>,
    /// Leased tasks whose cancellation was requested, and that were not replayed since.
    pub(super) cancelled: BTreeSet<TaskId>,
}

impl Promises {
    /// Returns the promises made before a step that the step does not take back.
    pub(super) fn still_true_with(&self, later: &Self) -> Self {
        Self {
            stored: self.stored.intersection(&later.stored).copied().collect(),
            deleted: self.deleted.clone(),
            cancelled: self.cancelled.intersection(&later.cancelled).copied().collect(),
        }
    }
}

/// Queries that count rows that contradict others.
const CONTRADICTIONS: [(&str, &str); 5] = [
    (
        "a task that is not dead is in exactly one of two tables",
        "SELECT count(*) FROM gae_tasks_task t WHERE died IS NULL AND 1 <> \
         (SELECT count(*) FROM gae_tasks_waiting w WHERE w.task = t.id) + \
         (SELECT count(*) FROM gae_tasks_lease l WHERE instr(l.tasks, t.id))",
    ),
    (
        "a waiting row belongs to a task",
        "SELECT count(*) FROM gae_tasks_waiting w LEFT JOIN gae_tasks_task t ON t.id = w.task AND \
         t.lane = w.lane AND t.schedule_time = w.due AND t.died IS NULL WHERE t.id IS NULL",
    ),
    (
        "a lease belongs to a task",
        "WITH RECURSIVE place(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM place WHERE n < 160) \
         SELECT count(*) FROM gae_tasks_lease l JOIN place ON n * 24 < length(l.tasks) LEFT JOIN \
         gae_tasks_task t \
         ON t.id = substr(l.tasks, n * 24 + 1, 16) AND t.died IS NULL WHERE t.id IS NULL",
    ),
    (
        "a task that has a name holds the name",
        "SELECT count(*) FROM gae_tasks_task t LEFT JOIN gae_tasks_name n ON n.task = t.id AND \
         n.name = t.name AND n.until IS NULL WHERE t.name IS NOT NULL AND n.task IS NULL",
    ),
    (
        "an error belongs to a task",
        "SELECT count(*) FROM gae_tasks_error e LEFT JOIN gae_tasks_task t ON t.id = e.task WHERE \
         t.id IS NULL",
    ),
];

impl Image {
    pub(super) fn check(&self, promises: &Promises, place: &str) {
        let folder = Folder::new();
        fs::write(folder.file(), &self.files.database).unwrap();
        fs::write(beside(&folder.file(), "-wal"), &self.files.log).unwrap();
        if let Some(shared) = &self.shared {
            fs::write(beside(&folder.file(), "-shm"), shared).unwrap();
        }
        let sqlite = folder.open();
        let connection = Connection::open(folder.file()).unwrap();
        let found: String =
            connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(found, "ok", "{place}");
        for (rule, contradictions) in CONTRADICTIONS {
            let count: i64 = connection.query_row(contradictions, [], |row| row.get(0)).unwrap();
            assert_eq!(count, 0, "{place}: {rule}");
        }
        if let Some(states) = &self.states {
            assert!(
                states.contains(&state(&connection)),
                "{place}: the file has the state of no step since the last sync"
            );
        }
        kept(&sqlite, promises, place);
        if self.is_drained {
            drained(&sqlite, place);
        }
    }
}

fn records(sqlite: &Sqlite) -> BTreeMap<TaskId, TaskState> {
    let all = List::new(TaskFilter::new(), usize::MAX);
    wait(sqlite.list(all))
        .unwrap()
        .into_iter()
        .map(|record| (record.spec.id, record.state))
        .collect()
}

fn kept(sqlite: &Sqlite, promises: &Promises, place: &str) {
    let found = records(sqlite);
    let lost: Vec<_> = promises.stored.iter().filter(|id| !found.contains_key(id)).collect();
    assert!(lost.is_empty(), "{place}: {lost:?} were acknowledged and are lost");
    let back: Vec<_> = promises.deleted.iter().filter(|id| found.contains_key(id)).collect();
    assert!(back.is_empty(), "{place}: {back:?} were deleted and are back");
    let leases = wait(sqlite.cancelled()).unwrap();
    let requested: BTreeSet<_> = leases.into_iter().map(|lease| lease.id).collect();
    let is_forgotten = |id: &TaskId| {
        !requested.contains(id) && found.get(id).is_some_and(|state| *state != TaskState::Dead)
    };
    let again: Vec<_> = promises.cancelled.iter().filter(|id| is_forgotten(id)).collect();
    assert!(again.is_empty(), "{place}: {again:?} were cancelled and are attempted again");
}

/// Asserts that a worker gets every task done except tasks that become dead letters because their
/// leases were lost too often.
fn drained(sqlite: &Sqlite, place: &str) {
    let before = open(sqlite);
    let later = at(1_000_000);
    while sweep(sqlite, later).recovered > 0 {}
    let dead = dead(sqlite);
    let expected: BTreeSet<_> = before.into_iter().filter(|id| !dead.contains(id)).collect();
    let mut done = BTreeSet::new();
    loop {
        // Isolated tasks are leased one at a time.
        let leased = lease(sqlite, later, 100_000);
        if leased.tasks.is_empty() {
            break;
        }
        done.extend(leased.tasks.iter().map(|task| task.lease.id));
        finish(sqlite, &leased);
    }
    assert_eq!(
        (done, open(sqlite)),
        (expected, BTreeSet::new()),
        "{place}: a worker gets every task done"
    );
}

fn open(sqlite: &Sqlite) -> BTreeSet<TaskId> {
    records(sqlite)
        .into_iter()
        .filter(|(_, state)| *state != TaskState::Dead)
        .map(|(id, _)| id)
        .collect()
}

fn dead(sqlite: &Sqlite) -> BTreeSet<TaskId> {
    records(sqlite)
        .into_iter()
        .filter(|(_, state)| *state == TaskState::Dead)
        .map(|(id, _)| id)
        .collect()
}

/// Returns all rows of all tables as one hash.
pub(super) fn state(connection: &Connection) -> u64 {
    const TABLES: [&str; 7] = ["queue", "lane", "task", "waiting", "lease", "error", "name"];
    let mut hasher = DefaultHasher::new();
    for table in TABLES {
        let mut rows = connection
            .prepare_cached(&format!("SELECT * FROM gae_tasks_{table} ORDER BY 1, 2"))
            .unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            table.hash(&mut hasher);
            (0..columns).for_each(|column| add(&mut hasher, row.get_ref(column).unwrap()));
        }
    }
    hasher.finish()
}

fn add(hasher: &mut DefaultHasher, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => 0.hash(hasher),
        ValueRef::Integer(number) => number.hash(hasher),
        ValueRef::Real(number) => number.to_bits().hash(hasher),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.hash(hasher),
    }
}
