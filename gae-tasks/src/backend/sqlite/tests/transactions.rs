//! Which calls share a transaction, what a commit survives, and what happens to the members of a
//! failed transaction.

use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use super::super::admin;
use super::super::call::Request;
use super::super::connection::{Access, Durability, PRAGMAS, create, open};
use super::super::database::Database;
use super::super::enqueue::Storing;
use super::super::error::Fault;
use super::super::lease::Leasing;
use super::{Busy, Folder, at, bury_due, chain, enqueue, finish, lease, sweep, task, wait};
use crate::backend::{
    Backend, Enqueue, Extend, LeaseRef, LeaseToken, List, NewTask, Pull, Settle, Settled,
    Settlement, Sweep, TaskFilter, TaskRequest, TaskState, Verdict,
};
use crate::queue::QueueName;
use crate::task::{Kind, TaskId};
use crate::time::{Now, Schedule};

#[test]
fn every_connection_has_its_pragmas() {
    let folder = Folder::new();
    let (opened, first) = create(&folder.file()).unwrap();
    let more =
        [Access::Write, Access::Read].map(|access| (access, open(opened.file(), access).unwrap()));
    for (access, connection) in [(Access::Write, first)].into_iter().chain(more) {
        let value = |name: &str| {
            connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap()
        };
        for (pragma, expected) in PRAGMAS {
            assert_eq!(value(pragma), expected, "{pragma} for {access:?}");
        }
        assert_eq!(value("synchronous"), Durability::Full.level());
        assert_eq!(value("query_only"), i64::from(access == Access::Read));
        let mode: String =
            connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    }
}

#[test]
fn what_was_promised_survives_a_power_loss_and_the_rest_a_kill() {
    const { assert!(matches!(Storing::DURABILITY, Durability::Full)) };
    const { assert!(matches!(admin::Replay::DURABILITY, Durability::Full)) };
    const { assert!(matches!(admin::Delete::DURABILITY, Durability::Full)) };
    const { assert!(matches!(admin::PurgeSlice::DURABILITY, Durability::Full)) };
    const { assert!(matches!(Leasing::DURABILITY, Durability::Normal)) };
    const { assert!(matches!(Settle::DURABILITY, Durability::Normal)) };
    const { assert!(matches!(Extend::DURABILITY, Durability::Normal)) };
    const { assert!(matches!(Sweep::DURABILITY, Durability::Normal)) };
}

/// Runs statements on the connection that writes, and returns the recorded notes.
struct Noted(&'static str);

impl Request for Noted {
    type Output = Vec<(String, i64)>;
    const DURABILITY: Durability = Durability::Normal;

    fn perform(&mut self, database: &mut Database) -> Result<Self::Output, Fault> {
        database.connection.execute_batch(self.0)?;
        let mut notes = database
            .connection
            .prepare("SELECT what, level FROM temp.note GROUP BY what, level ORDER BY what")?;
        let notes =
            notes.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        database.connection.execute_batch("DELETE FROM temp.note")?;
        Ok(notes)
    }
}

/// Records within each transaction, at the moment of a write, what the commit will survive.
const NOTE_LEVELS: &str = "CREATE TEMP TABLE note (what, level); \
    CREATE TEMP TRIGGER a AFTER INSERT ON main.gae_tasks_task \
    BEGIN INSERT INTO note SELECT 'task stored', synchronous FROM pragma_synchronous; END; \
    CREATE TEMP TRIGGER b AFTER UPDATE ON main.gae_tasks_task WHEN new.died IS NULL AND old.died \
    IS NOT NULL BEGIN INSERT INTO note SELECT 'task replayed', synchronous FROM \
    pragma_synchronous; END; CREATE TEMP TRIGGER c AFTER DELETE ON main.gae_tasks_task \
    BEGIN INSERT INTO note SELECT 'task gone', synchronous FROM pragma_synchronous; END; \
    CREATE TEMP TRIGGER d AFTER INSERT ON main.gae_tasks_lease \
    BEGIN INSERT INTO note SELECT 'lease given', synchronous FROM pragma_synchronous; END; \
    CREATE TEMP TRIGGER e AFTER DELETE ON main.gae_tasks_lease \
    BEGIN INSERT INTO note SELECT 'lease gone', synchronous FROM pragma_synchronous; END;";

#[test]
fn the_levels_are_those_of_sqlite() {
    assert_eq!(
        [Durability::Normal, Durability::Full].map(Durability::level),
        [1, 2],
        "NORMAL and FULL"
    );
}

#[test]
fn each_commit_runs_at_the_level_its_promise_needs() {
    let folder = Folder::new();
    let sqlite = folder.open();
    wait(sqlite.writer.call(Noted(NOTE_LEVELS))).unwrap();
    let noted = |expected: &[(&str, Durability)]| {
        let expected: Vec<_> =
            expected.iter().map(|(what, level)| ((*what).to_owned(), level.level())).collect();
        assert_eq!(wait(sqlite.writer.call(Noted("SELECT 1"))).unwrap(), expected);
    };
    enqueue(&sqlite, (0..40).map(|_| task(b"x")).collect()).unwrap();
    noted(&[("task stored", Durability::Full)]);
    let leased = lease(&sqlite, at(100), 10);
    noted(&[("lease given", Durability::Normal)]);
    finish(&sqlite, &leased);
    noted(&[("lease gone", Durability::Normal), ("task gone", Durability::Normal)]);
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    noted(&[("task stored", Durability::Full)]);
    let dead = lease(&sqlite, at(100), 1).tasks[0].lease;
    let settlements =
        vec![Settlement::new(dead, Verdict::Permanent { error: "it failed".to_owned() })];
    wait(sqlite.settle(Settle::new(Now::At(at(100)), settlements))).unwrap();
    noted(&[("lease given", Durability::Normal), ("lease gone", Durability::Normal)]);
    let touch = TaskRequest::new(Now::At(at(100)), dead.id);
    wait(sqlite.replay(touch)).unwrap();
    noted(&[("task replayed", Durability::Full)]);
    wait(sqlite.delete(touch)).unwrap();
    noted(&[("task gone", Durability::Full)]);
}

#[test]
fn concurrent_callers_share_transactions() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let (callers, each) = (50, 20);
    let start = Barrier::new(callers);
    let before = sqlite.writer.transactions();
    thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                start.wait();
                for _ in 0..each {
                    assert!(
                        enqueue(&sqlite, vec![task(b"x")]).unwrap().pop().unwrap().unwrap().created
                    );
                }
            });
        }
    });
    let transactions = sqlite.writer.transactions() - before;
    assert!(
        transactions < (callers * each / 2) as u64,
        "{transactions} transactions for {} calls",
        callers * each
    );
    assert_eq!(open_tasks(&sqlite), callers * each);
}

#[test]
fn a_call_weighs_as_much_as_it_has_tasks() {
    let now = Now::At(at(100));
    assert_eq!(Storing::new(Enqueue::new(now, vec![task(b"x"), task(b"y")])).weight(), 2);
    let settlements = vec![
        Settlement::new(
            LeaseRef::new(TaskId::generate(), LeaseToken::from_bits(1)),
            Verdict::Done
        );
        3
    ];
    assert_eq!(Settle::new(now, settlements).weight(), 3);
    assert_eq!(Busy(mpsc::channel().0, mpsc::channel().1).weight(), 1);
}

/// New rows are gathered, and must be visible to later members of the same transaction.
#[test]
fn what_is_stored_is_seen_by_the_next_in_its_transaction() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let ((enter, entered), (go, gone)) = (mpsc::channel(), mpsc::channel());
    let busy = sqlite.writer.call(Busy(enter, gone));
    entered.recv().unwrap();
    let (new, now) = (task(b"x"), Now::At(at(100)));
    let touch = TaskRequest::new(now, new.spec.id);
    let stored = sqlite.writer.call(Storing::new(Enqueue::new(now, vec![new])));
    let deleted = sqlite.writer.call(admin::Delete(touch));
    let before = sqlite.writer.transactions();
    go.send(()).unwrap();
    wait(busy).unwrap();
    assert!(wait(stored).unwrap()[0].is_ok());
    assert!(wait(deleted).unwrap(), "the task is not there yet");
    assert_eq!(sqlite.writer.transactions() - before, 2, "both calls shared one");
    assert_eq!(open_tasks(&sqlite), 0);
}

#[test]
fn a_lease_that_finds_nothing_writes_nothing() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let later = NewTask { schedule: Schedule::At(at(100)), ..task(b"x") };
    wait(sqlite.enqueue(Enqueue::new(Now::At(at(0)), vec![later]))).unwrap();
    let before = sqlite.writer.transactions();
    let early = lease(&sqlite, at(99), 10);
    assert_eq!((early.tasks.len(), early.next), (0, Some(Duration::from_secs(1))));
    super::sweep(&sqlite, at(100));
    assert_eq!(sqlite.writer.transactions(), before);
    assert!(folder.names().iter().all(|name| !name.ends_with(".lock")), "no lease, no session");
}

#[test]
fn a_task_the_database_refuses_fails_alone() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let other = Connection::open(folder.file()).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER rule BEFORE INSERT ON gae_tasks_task WHEN new.attempts = 0 AND \
             new.attributes IS NOT NULL BEGIN SELECT raise(ABORT, 'against the rule'); END",
        )
        .unwrap();
    let mut bad = task(b"s3cret");
    bad.spec.attributes = Some(vec![1]);
    bad.spec.name = Some(crate::task::TaskName::new("bad").unwrap());
    bad.spec.kind = Kind::from_static("shop/new-lane");
    let answers = enqueue(&sqlite, vec![task(b"a"), bad.clone(), task(b"b")]).unwrap();
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    let text = chain(answers[1].as_ref().unwrap_err());
    assert!(text.contains("against the rule") && !text.contains("s3cret"), "{text}");
    other.execute_batch("DROP TRIGGER rule").unwrap();
    let answers = enqueue(&sqlite, vec![bad]).unwrap();
    assert!(
        answers[0].as_ref().unwrap().created,
        "the refused task left nothing behind, not even its name"
    );
}

/// Stores three tasks and returns their ids.
fn store_three(sqlite: &super::Sqlite) -> [TaskId; 3] {
    let tasks = [(); 3].map(|()| task(b"x"));
    let ids = [0, 1, 2].map(|index: usize| tasks[index].spec.id);
    enqueue(sqlite, tasks.into()).unwrap();
    ids
}

/// Makes the database refuse every change of a task.
fn forbid(folder: &Folder, id: TaskId) -> Connection {
    let other = Connection::open(folder.file()).unwrap();
    let id: String = id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let rules = ["UPDATE", "DELETE"].map(|change| {
        format!(
            "CREATE TRIGGER rule_{change} BEFORE {change} ON gae_tasks_task WHEN old.id = x'{id}' \
             BEGIN SELECT raise(ABORT, 'against the rule'); END;"
        )
    });
    other.execute_batch(&rules.concat()).unwrap();
    other
}

fn allow(other: &Connection) {
    other.execute_batch("DROP TRIGGER rule_UPDATE; DROP TRIGGER rule_DELETE").unwrap();
}

#[test]
fn an_outcome_the_database_refuses_keeps_no_other_from_being_recorded() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let [_, bad, _] = store_three(&sqlite);
    let leased = lease(&sqlite, at(100), 10);
    let other = forbid(&folder, bad);
    assert_eq!(finish(&sqlite, &leased), [Settled::Done, Settled::LeaseLost, Settled::Done]);
    let record = wait(sqlite.get(bad)).unwrap().unwrap();
    assert_eq!(
        (record.state, record.lost_leases),
        (TaskState::Leased, 0),
        "nothing of the task has changed"
    );
    allow(&other);
    assert_eq!(sweep(&sqlite, at(200)).recovered, 1, "the sweep continues when the rule is gone");
}

#[test]
fn a_task_the_database_keeps_as_it_is_stops_no_sweep() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let [bad, ..] = store_three(&sqlite);
    lease(&sqlite, at(100), 10);
    let other = forbid(&folder, bad);
    assert_eq!(sweep(&sqlite, at(200)).recovered, 2);
    assert_eq!(sweep(&sqlite, at(200)).recovered, 0);
    allow(&other);
    assert_eq!(sweep(&sqlite, at(200)).recovered, 1);
}

#[test]
fn a_dead_letter_the_database_keeps_stops_no_sweep() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let [bad, ..] = store_three(&sqlite);
    bury_due(&sqlite);
    let other = forbid(&folder, bad);
    let late = at(100 * 24 * 60 * 60);
    assert_eq!(sweep(&sqlite, late).forgotten, 2);
    assert_eq!(sweep(&sqlite, late).forgotten, 0);
    allow(&other);
    assert_eq!(sweep(&sqlite, late).forgotten, 1);
}

/// Makes every update fail, as on a disk without room for a single page.
struct Unwritable;

impl Request for Unwritable {
    type Output = ();
    const DURABILITY: Durability = Durability::Normal;

    fn perform(&mut self, database: &mut Database) -> Result<(), Fault> {
        let tables = ["version", "lease", "session", "task", "waiting"].map(|table| {
            format!(
                "CREATE TEMP TRIGGER full_{table} BEFORE UPDATE ON main.gae_tasks_{table} \
                 BEGIN SELECT raise(ABORT, 'no room'); END;"
            )
        });
        Ok(database.connection.execute_batch(&tables.concat())?)
    }
}

/// Otherwise a lease would seem abandoned while its holder cannot record an extension.
#[test]
fn no_lease_is_shown_while_nothing_can_be_written() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    let look = || wait(sqlite.sweep(Sweep::new(Now::At(at(100)), Vec::new(), 100)));
    let leased = lease(&sqlite, at(100), 1);
    assert_eq!(look().unwrap().held.len(), leased.tasks.len());
    wait(sqlite.writer.call(Unwritable)).unwrap();
    look().unwrap_err();
}

/// The commit writes the pages of large payloads, and every other process waits for it.
#[test]
fn a_sweep_forgets_no_more_than_some_mebibytes() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let payload = vec![0; 1024 * 1024];
    enqueue(&sqlite, (0..10).map(|_| task(&payload)).collect()).unwrap();
    bury_due(&sqlite);
    let late = at(100 * 24 * 60 * 60);
    let sweeps: Vec<_> =
        (0..4).map(|_| sweep(&sqlite, late)).map(|swept| (swept.forgotten, swept.more)).collect();
    assert_eq!(sweeps, [(4, true), (4, true), (2, false), (0, false)]);
}

#[test]
fn a_task_that_is_stored_already_leaves_its_neighbours_alone() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let first = task(b"first");
    enqueue(&sqlite, vec![first.clone()]).unwrap();
    assert_eq!(lease(&sqlite, at(100), 10).tasks.len(), 1);
    let mut tasks: Vec<_> = (0..40).map(|_| task(b"more")).collect();
    tasks[20] = first;
    tasks.push(tasks[0].clone());
    let answers = enqueue(&sqlite, tasks.clone()).unwrap();
    let answered: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().id).collect();
    assert_eq!(answered, tasks.iter().map(|task| task.spec.id).collect::<Vec<_>>());
    assert_eq!(open_tasks(&sqlite), 40);
    assert_eq!(
        lease(&sqlite, at(100), 100).tasks.len(),
        39,
        "leased tasks stay leased, and no task waits twice"
    );
}

#[test]
fn a_full_disk_fails_what_needs_room_and_nothing_else() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, (0..50).map(|_| task(&[7; 2_000])).collect()).unwrap();
    let leased = lease(&sqlite, at(100), 10);
    wait(sqlite.writer.call(super::FullDisk(true))).unwrap();
    thread::scope(|scope| {
        let big = || enqueue(&sqlite, (0..200).map(|_| task(&[7; 4_000])).collect());
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(big)).collect();
        let settled = scope.spawn(|| finish(&sqlite, &leased));
        for call in calls {
            let text = chain(&call.join().unwrap().unwrap_err());
            assert!(text.contains("finds no room for") && text.contains("tasks.db"), "{text}");
        }
        assert_eq!(settled.join().unwrap().len(), 10);
    });
    assert_eq!(open_tasks(&sqlite), 40, "nothing half written");
    wait(sqlite.writer.call(super::FullDisk(false))).unwrap();
    assert!(
        enqueue(&sqlite, vec![task(&[7; 4_000])]).is_ok(),
        "storing continues when there is room again"
    );
}

/// A lane that was created in a failed transaction is in no file.
#[test]
fn a_lane_of_a_transaction_that_was_rolled_back_is_made_again() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    finish(&sqlite, &lease(&sqlite, at(100), 1));
    let of_new_kind = |payload: &[u8]| {
        task(payload).with(|task| {
            task.spec.kind = Kind::from_static("shop/new");
            task.spec.queue = QueueName::from_static("new");
        })
    };
    wait(sqlite.writer.call(super::FullDisk(true))).unwrap();
    assert!(enqueue(&sqlite, (0..200).map(|_| of_new_kind(&[7; 4_000])).collect()).is_err());
    wait(sqlite.writer.call(super::FullDisk(false))).unwrap();
    enqueue(&sqlite, vec![of_new_kind(b"x")]).unwrap();
    drop(sqlite);
    let listed = wait(folder.open().list(List::new(TaskFilter::new(), 9))).unwrap();
    assert_eq!(
        listed
            .iter()
            .map(|task| (task.spec.kind.as_str(), task.spec.queue.as_str()))
            .collect::<Vec<_>>(),
        [("shop/new", "new")]
    );
    let queues = wait(folder.open().queues()).unwrap();
    assert!(queues.iter().any(|queue| queue.name.as_str() == "new"), "{queues:?}");
}

#[test]
fn a_read_sees_one_state_of_the_file() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let (looked, has_looked) = mpsc::channel();
    let (stored, has_stored) = mpsc::channel();
    let count = |file: &Connection| -> Result<i64, Fault> {
        Ok(file.query_row("SELECT count(*) FROM gae_tasks_task", [], |row| row.get(0))?)
    };
    let read = sqlite.reader.scan(move |file| {
        let before = count(file)?;
        looked.send(()).unwrap();
        has_stored.recv().unwrap();
        Ok((before, count(file)?))
    });
    has_looked.recv().unwrap();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    stored.send(()).unwrap();
    assert_eq!(wait(read).unwrap(), (0, 0));
}

#[test]
fn a_dead_writer_answers_everyone() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    for _ in 0..2 {
        let text = chain(&wait(sqlite.writer.call(super::Panics)).unwrap_err().into());
        assert!(text.contains("open it again"), "{text}");
        assert!(enqueue(&sqlite, vec![task(b"x")]).is_err());
    }
    assert_eq!(open_tasks(&sqlite), 1, "reading still works");
    drop(sqlite);
    assert_eq!(open_tasks(&folder.open()), 1);
}

#[test]
fn blocking_callers_need_no_runtime() {
    let folder = Folder::new();
    let sqlite = folder.open();
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                enqueue(&sqlite, vec![task(b"x")]).unwrap();
                let leased = lease(&sqlite, at(100), 2);
                finish(&sqlite, &leased);
            });
        }
    });
    let rest = lease(&sqlite, at(100), 100);
    finish(&sqlite, &rest);
    assert_eq!(open_tasks(&sqlite), 0);
}

fn open_tasks(sqlite: &super::Sqlite) -> usize {
    wait(sqlite.list(List::new(TaskFilter::new(), usize::MAX))).unwrap().len()
}
