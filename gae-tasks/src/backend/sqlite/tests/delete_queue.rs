//! Deleting a queue beside other programs, and a queue that a newer program wrote.

use rusqlite::{Connection, params};

use super::super::delete_queue::RemoveRow;
use super::{Folder, Sqlite, at, enqueue, finish, lease, spoil, task, wait};
use crate::backend::{Backend, DeleteQueue, Purged};
use crate::error::Error;
use crate::queue::{QueueConfig, QueueName};
use crate::time::Now;
use crate::version;

fn request() -> DeleteQueue {
    DeleteQueue::new(Now::At(at(100)), QueueName::DEFAULT)
}

fn queues(sqlite: &Sqlite) -> Vec<String> {
    wait(sqlite.queues()).unwrap().into_iter().map(|queue| queue.name.to_string()).collect()
}

#[test]
fn a_large_queue_is_deleted_in_many_transactions() {
    let folder = Folder::new();
    let sqlite = folder.open();
    for _ in 0..10 {
        enqueue(&sqlite, (0..1_000).map(|_| task(b"x")).collect()).unwrap();
    }
    let before = sqlite.writer.transactions();
    assert_eq!(wait(sqlite.delete_queue(request().with_tasks())).unwrap(), Purged::new(10_000, 0));
    let transactions = sqlite.writer.transactions() - before;
    assert!(transactions >= 5, "{transactions} transactions");
    assert!(queues(&sqlite).is_empty());
}

#[test]
fn a_program_that_knows_a_queue_makes_it_anew_after_another_has_deleted_it() {
    let folder = Folder::new();
    let (one, other) = (folder.open(), folder.open());
    enqueue(&one, vec![task(b"x")]).unwrap();
    assert_eq!(finish(&one, &lease(&one, at(100), 1)).len(), 1);
    wait(other.delete_queue(request())).unwrap();
    assert!(queues(&one).is_empty());
    enqueue(&one, vec![task(b"x")]).unwrap();
    assert_eq!((queues(&one).len(), queues(&other).len()), (1, 1));
    assert_eq!(lease(&other, at(100), 1).tasks.len(), 1);
}

#[test]
fn a_queue_that_a_newer_program_configured_stays() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    let newer = Connection::open(folder.file()).unwrap();
    newer
        .execute("UPDATE gae_tasks_queue SET config = ?1", params![[version::KNOWN + 1, 7]])
        .unwrap();
    for request in [request(), request().with_tasks()] {
        let refused = wait(sqlite.delete_queue(request)).unwrap_err();
        assert!(matches!(refused, Error::NewerQueue { .. }), "{refused}");
    }
    assert_eq!(
        (queues(&sqlite).len(), wait(sqlite.stats(Now::At(at(100)))).unwrap().len()),
        (1, 1)
    );
}

#[test]
fn a_queue_that_a_newer_program_configures_meanwhile_stays() {
    let folder = Folder::new();
    let sqlite = folder.open();
    wait(sqlite.put_queue(QueueName::DEFAULT, QueueConfig::new())).unwrap();
    let newer = Connection::open(folder.file()).unwrap();
    newer
        .execute("UPDATE gae_tasks_queue SET config = ?1", params![[version::KNOWN + 1, 7]])
        .unwrap();
    let refused = wait(sqlite.writer.call(RemoveRow(QueueName::DEFAULT))).unwrap().unwrap_err();
    assert!(matches!(refused, Error::NewerQueue { .. }), "{refused}");
    assert_eq!(queues(&sqlite).len(), 1);
}

#[test]
fn a_queue_that_gets_a_task_meanwhile_stays() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    let held = wait(sqlite.writer.call(RemoveRow(QueueName::DEFAULT))).unwrap().unwrap();
    assert_eq!((held.map(|held| held.tasks), queues(&sqlite).len()), (Some(1), 1));
}

/// The task neither waits nor is leased: a sweep puts it back.
#[test]
fn a_stray_task_is_a_task_of_its_queue() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let stray = task(b"x");
    enqueue(&sqlite, vec![stray.clone()]).unwrap();
    spoil(&folder, "DELETE FROM gae_tasks_waiting WHERE task = ?1", stray.spec.id);
    let refused = wait(sqlite.delete_queue(request())).unwrap_err();
    assert!(matches!(refused, Error::QueueInUse { tasks: 1, dead_letters: 0, .. }), "{refused}");
    assert_eq!(queues(&sqlite).len(), 1);
    assert_eq!(wait(sqlite.delete_queue(request().with_tasks())).unwrap(), Purged::new(1, 0));
    assert!(queues(&sqlite).is_empty() && wait(sqlite.get(stray.spec.id)).unwrap().is_none());
}

#[test]
fn rows_by_which_no_task_waits_keep_no_queue() {
    for bad in ["x'0102'", "'text'", "zeroblob(16)"] {
        for with_tasks in [false, true] {
            let folder = Folder::new();
            let sqlite = folder.open();
            let (spoilt, good) = (task(b"x"), task(b"y"));
            enqueue(&sqlite, vec![spoilt.clone(), good]).unwrap();
            spoil(
                &folder,
                &format!("UPDATE gae_tasks_waiting SET task = {bad} WHERE task = ?1"),
                spoilt.spec.id,
            );
            if with_tasks {
                assert_eq!(
                    wait(sqlite.delete_queue(request().with_tasks())).unwrap(),
                    Purged::new(2, 0),
                    "{bad}"
                );
            } else {
                spoil(&folder, "DELETE FROM gae_tasks_task WHERE id = ?1", spoilt.spec.id);
                assert_eq!(finish(&sqlite, &lease(&sqlite, at(100), 1)).len(), 1);
                wait(sqlite.delete_queue(request())).unwrap();
            }
            let rows = "SELECT (SELECT count(*) FROM gae_tasks_waiting) + (SELECT count(*) FROM \
                        gae_tasks_ready)";
            let left: i64 = Connection::open(folder.file())
                .unwrap()
                .query_row(rows, [], |row| row.get(0))
                .unwrap();
            assert_eq!((left, queues(&sqlite).len()), (0, 0), "{bad}");
        }
    }
}

#[test]
fn tasks_whose_ids_cannot_be_read_are_left_with_their_queue() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    let garbage = "INSERT INTO gae_tasks_task (id, lane, created, schedule_time, died, payload)
                       VALUES (x'00', 1, 0, 0, NULL, x'00'), ('text', 1, 0, 0, 7, x'00')";
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch(garbage).unwrap();
    let refused = wait(sqlite.delete_queue(request())).unwrap_err();
    assert!(matches!(refused, Error::QueueInUse { tasks: 2, dead_letters: 1, .. }), "{refused}");
    assert_eq!(wait(sqlite.delete_queue(request().with_tasks())).unwrap(), Purged::new(1, 2));
    assert_eq!(queues(&sqlite).len(), 1);
    other.execute("DELETE FROM gae_tasks_task", []).unwrap();
    wait(sqlite.delete_queue(request())).unwrap();
    assert!(queues(&sqlite).is_empty());
}
