//! Deleting a queue beside other programs, and one that a newer program wrote.

use rusqlite::{Connection, params};

use super::{Folder, Sqlite, at, enqueue, finish, lease, task, wait};
use crate::backend::{Backend, DeleteQueue, Purged};
use crate::error::Error;
use crate::queue::QueueName;
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
    newer.execute("UPDATE gae_tasks_queue SET config = ?1", params![[version::KNOWN + 1, 7]]).unwrap();
    for request in [request(), request().with_tasks()] {
        let refused = wait(sqlite.delete_queue(request)).unwrap_err();
        assert!(matches!(refused, Error::NewerQueue { .. }), "{refused}");
    }
    assert_eq!((queues(&sqlite).len(), wait(sqlite.stats(Now::At(at(100)))).unwrap().len()), (1, 1));
}
