//! Tasks that a newer version of this crate stored in the same file: they are left to programs that
//! can read them.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::{Folder, at, enqueue, lease, settle_all, sweep, task, wait};
use crate::backend::{
    Backend, List, Purged, ReplaceQueue, Settled, TaskFilter, TaskRecord, TaskState, Verdict,
};
use crate::error::Error;
use crate::queue::{QueueConfig, QueueName};
use crate::retention::Retention;
use crate::task::{TaskId, TaskName};
use crate::time::Now;

/// Changes the file as a newer program does.
fn update(folder: &Folder, sql: &str) {
    let changed = Connection::open(folder.file()).unwrap().execute(sql, []).unwrap();
    assert!(changed > 0, "{sql}");
}

/// Configures the queue as a newer program does.
fn configure_newer(folder: &Folder) {
    update(folder, "UPDATE gae_tasks_queue SET config = x'02aabbcc' WHERE name = 'default'");
}

fn config(folder: &Folder) -> Vec<u8> {
    let connection = Connection::open(folder.file()).unwrap();
    connection
        .query_row("SELECT config FROM gae_tasks_queue WHERE name = 'default'", [], |row| {
            row.get(0)
        })
        .unwrap()
}

fn record(sqlite: &super::Sqlite, id: TaskId) -> TaskRecord {
    wait(sqlite.get(id)).unwrap().unwrap()
}

fn settle(sqlite: &super::Sqlite, task: &crate::backend::LeasedTask, verdict: Verdict) -> Settled {
    settle_all(sqlite, at(100), std::slice::from_ref(task), &verdict).remove(0)
}

#[test]
fn a_newer_queue_takes_tasks_and_none_of_them_is_leased() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    configure_newer(&folder);
    enqueue(&sqlite, vec![task(b"y")]).unwrap();
    assert_eq!(lease(&sqlite, at(100), 10).tasks.len(), 0);
    let lines = wait(sqlite.stats(Now::At(at(100)))).unwrap();
    assert_eq!(
        lines.iter().map(|line| (line.is_newer, line.stats.due)).collect::<Vec<_>>(),
        [(true, 2)]
    );
    assert_eq!(wait(sqlite.queues()).unwrap()[0].config, None);
}

#[test]
fn a_newer_queue_is_not_changed() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    configure_newer(&folder);
    let before = config(&folder);
    let refused =
        wait(sqlite.put_queue(QueueName::DEFAULT, QueueConfig::new().with_max_lost_attempts(1)));
    assert!(
        matches!(&refused, Err(Error::NewerQueue { queue, .. }) if queue == "default"),
        "{refused:?}"
    );
    let replace = ReplaceQueue::new(QueueName::DEFAULT, QueueConfig::new());
    let refused = wait(sqlite.replace_queue(replace));
    assert!(matches!(&refused, Err(Error::NewerQueue { .. })), "{refused:?}");
    let stated = Retention { dead_letters: Some(Duration::from_secs(9)), tombstones: None };
    wait(sqlite.raise_retention(QueueName::DEFAULT, stated)).unwrap();
    wait(sqlite.set_paused(QueueName::DEFAULT, true)).unwrap();
    assert_eq!(config(&folder), before);
    assert!(wait(sqlite.queues()).unwrap()[0].paused);
}

#[test]
fn a_purge_leaves_the_tasks_of_a_newer_queue() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x"), task(b"y")]).unwrap();
    configure_newer(&folder);
    assert_eq!(
        wait(sqlite.purge(QueueName::DEFAULT, Now::At(at(100)))).unwrap(),
        Purged::new(0, 2)
    );
}

#[test]
fn a_failure_in_a_queue_that_became_newer_is_left_to_a_newer_program() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let id = task(b"x").spec.id;
    enqueue(
        &sqlite,
        vec![task(b"x").with(|task| {
            task.spec.id = id;
            task.spec.max_attempts = Some(1);
        })],
    )
    .unwrap();
    let leased = lease(&sqlite, at(100), 10).tasks.remove(0);
    configure_newer(&folder);
    let verdict = Verdict::Retry { error: "it failed".to_owned(), after: None, max_attempts: None };
    assert!(matches!(settle(&sqlite, &leased, verdict), Settled::Scheduled(_)));
    let record = record(&sqlite, id);
    assert_eq!((record.state, record.attempts, record.errors.len()), (TaskState::Scheduled, 1, 1));
}

#[test]
fn a_name_in_a_queue_that_became_newer_stays_blocked() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let named = || task(b"x").with(|task| task.spec.name = Some(TaskName::new("n").unwrap()));
    enqueue(&sqlite, vec![named()]).unwrap();
    let leased = lease(&sqlite, at(100), 10).tasks.remove(0);
    configure_newer(&folder);
    assert_eq!(settle(&sqlite, &leased, Verdict::Done), Settled::Done);
    sweep(&sqlite, at(1_000_000));
    assert!(!enqueue(&sqlite, vec![named()]).unwrap()[0].as_ref().unwrap().created);
}

#[test]
fn dead_letters_of_a_newer_queue_are_kept() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    let leased = lease(&sqlite, at(100), 10).tasks.remove(0);
    assert_eq!(
        settle(&sqlite, &leased, Verdict::Permanent { error: String::new() }),
        Settled::Dead
    );
    configure_newer(&folder);
    assert_eq!(sweep(&sqlite, at(100_000_000)).forgotten, 0);
}

/// Stores a task as a newer program that was killed while it ran the task.
fn newer_and_lost(folder: &Folder, sqlite: &super::Sqlite) -> TaskId {
    let new = task(b"x").with(|task| task.spec.max_attempts = Some(1));
    let id = new.spec.id;
    enqueue(sqlite, vec![new]).unwrap();
    for seconds in [100, 200] {
        assert_eq!(lease(sqlite, at(seconds), 1).tasks.len(), 1);
        sweep(sqlite, at(seconds + 30));
    }
    assert_eq!(lease(sqlite, at(300), 1).tasks.len(), 1, "alone");
    update(folder, "UPDATE gae_tasks_lane SET version = 2");
    id
}

#[test]
fn a_lost_lease_of_a_newer_task_is_counted_and_no_death() {
    let folder = Folder::new();
    let newer = folder.open();
    let id = newer_and_lost(&folder, &newer);
    let older = folder.open();
    sweep(&older, at(400));
    let record = record(&older, id);
    assert_eq!((record.state, record.lost_leases, record.attempts), (TaskState::Scheduled, 3, 1));
    assert_eq!(lease(&older, at(400), 1).tasks.len(), 0);
    assert_eq!(
        lease(&newer, at(400), 1).tasks.len(),
        1,
        "a program that can read the task runs it"
    );
}

#[test]
fn own_retry_settings_of_this_version_make_a_lane_of_this_version() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(
        &sqlite,
        vec![task(b"x").with(|task| task.spec.retry = Some(crate::queue::RetryConfig::new()))],
    )
    .unwrap();
    let connection = Connection::open(folder.file()).unwrap();
    let version: u8 = connection
        .query_row("SELECT version FROM gae_tasks_lane", params![], |row| row.get(0))
        .unwrap();
    assert_eq!(version, crate::version::KNOWN);
    let all = List::new(TaskFilter::new(), 10);
    assert_eq!(wait(sqlite.list(all)).unwrap().len(), 1);
}
