//! No task without its schema, whatever becomes of the transaction that stores both.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use super::{Folder, FullDisk, Sqlite, at, enqueue, task, wait};
use crate::backend::{Backend, Lease, NewTask, Pull, ReaderId, ReadsRoutes, Room, Routes};
use crate::queue::QueueName;
use crate::task::{Route, Shape};
use crate::time::Now;

/// The shape of the schema `new`.
fn new() -> Shape {
    Shape::of_schema(b"new")
}

fn of_new_shape(payload: &[u8]) -> NewTask {
    NewTask { schema: Arc::from(*b"new"), ..task(payload) }.with(|task| task.spec.shape = new())
}

fn schema(sqlite: &Sqlite) -> Option<Vec<u8>> {
    wait(sqlite.schemas(vec![new()])).unwrap().remove(0).map(|schema| schema.to_vec())
}

/// Counts the tasks without a schema.
fn without_schema(folder: &Folder) -> i64 {
    const WITHOUT: &str = "SELECT count(*) FROM gae_tasks_task t JOIN gae_tasks_lane l ON l.id = \
                           t.lane WHERE l.shape NOT IN (SELECT shape FROM gae_tasks_schemas)";
    let file = Connection::open(folder.file()).unwrap();
    file.query_row(WITHOUT, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_schema_of_a_transaction_that_was_rolled_back_is_stored_again() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    wait(sqlite.writer.call(FullDisk(true))).unwrap();
    let large: Vec<_> = (0..200).map(|_| of_new_shape(&[7; 4_000])).collect();
    assert!(enqueue(&sqlite, large).is_err());
    assert_eq!(schema(&sqlite), None, "the transaction left nothing");
    wait(sqlite.writer.call(FullDisk(false))).unwrap();
    enqueue(&sqlite, vec![of_new_shape(b"x")]).unwrap();
    assert_eq!(schema(&sqlite), Some(b"new".to_vec()));
    assert_eq!(without_schema(&folder), 0);
}

#[test]
fn a_schema_of_a_task_that_the_database_refuses_is_stored_with_the_next() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let other = Connection::open(folder.file()).unwrap();
    let rule = "CREATE TRIGGER rule BEFORE INSERT ON gae_tasks_task WHEN new.attributes IS NOT \
                NULL BEGIN SELECT raise(ABORT, 'against the rule'); END";
    other.execute_batch(rule).unwrap();
    let bad = of_new_shape(b"x").with(|task| task.spec.attributes = Some(vec![1]));
    // The bad task is the first of its shape, and its savepoint takes the schema with it.
    let answers = enqueue(&sqlite, vec![task(b"a"), bad.clone(), of_new_shape(b"b")]).unwrap();
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!((schema(&sqlite), without_schema(&folder)), (Some(b"new".to_vec()), 0));
    let five = Shape::of_schema(b"five");
    let bad = NewTask { schema: Arc::from(*b"five"), ..bad }.with(|task| task.spec.shape = five);
    assert!(enqueue(&sqlite, vec![bad]).unwrap()[0].is_err());
    let shapes = vec![five];
    assert_eq!(wait(sqlite.schemas(shapes)).unwrap(), [None], "nothing of a refused task is left");
}

#[test]
fn a_schema_that_the_database_refuses_refuses_its_task() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let other = Connection::open(folder.file()).unwrap();
    let rule = "CREATE TRIGGER rule BEFORE INSERT ON gae_tasks_schemas WHEN new.schema = x'6e6577' \
                BEGIN SELECT raise(ABORT, 'against the rule'); END";
    other.execute_batch(rule).unwrap();
    let answers = enqueue(&sqlite, vec![of_new_shape(b"x"), task(b"y")]).unwrap();
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true]);
    assert_eq!(without_schema(&folder), 0);
}

#[test]
fn callers_that_share_a_transaction_store_a_schema_once() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let start = Barrier::new(20);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                start.wait();
                enqueue(&sqlite, vec![of_new_shape(b"x")]).unwrap().remove(0).unwrap();
            });
        }
    });
    assert_eq!((schema(&sqlite), without_schema(&folder)), (Some(b"new".to_vec()), 0));
}

#[test]
fn a_schema_that_another_process_stored_is_found_and_not_replaced() {
    let folder = Folder::new();
    let (one, other) = (folder.open(), folder.open());
    enqueue(&one, vec![of_new_shape(b"x")]).unwrap();
    assert_eq!(schema(&other), Some(b"new".to_vec()));
    enqueue(&other, vec![NewTask { schema: Arc::from(*b"another"), ..of_new_shape(b"y") }])
        .unwrap();
    assert_eq!([schema(&one), schema(&other)], [(); 2].map(|()| Some(b"new".to_vec())));
}

#[test]
fn a_schema_that_was_rolled_back_here_is_written_although_another_process_has_its_lane() {
    let folder = Folder::new();
    let (one, other) = (folder.open(), folder.open());
    // The lane is known, but of a task without a schema.
    enqueue(&other, vec![NewTask { schema: Arc::default(), ..of_new_shape(b"x") }]).unwrap();
    assert_eq!(schema(&one), None);
    enqueue(&one, vec![of_new_shape(b"y"), of_new_shape(b"z")]).unwrap();
    assert_eq!(schema(&other), Some(b"new".to_vec()));
}

#[test]
fn a_row_that_is_not_its_schema_is_none_and_is_mended_by_the_next_task() {
    for row in ["'text'", "x'ff00ff'", "x''", "zeroblob(70000)"] {
        let folder = Folder::new();
        drop(folder.open());
        spoil(&folder, row);
        let sqlite = folder.open();
        assert_eq!(schema(&sqlite), None, "{row}");
        enqueue(&sqlite, vec![of_new_shape(b"x")]).unwrap();
        assert_eq!(schema(&sqlite), Some(b"new".to_vec()), "{row}");
    }
}

/// Puts `row` into the place of the schema.
fn spoil(folder: &Folder, row: &str) {
    let file = Connection::open(folder.file()).unwrap();
    let put =
        format!("INSERT OR REPLACE INTO gae_tasks_schemas (shape, schema) VALUES (?1, {row})");
    file.execute(&put, [new().to_bits().cast_signed()]).unwrap();
}

#[test]
fn tasks_of_a_schema_that_is_damaged_wait_and_hold_up_nobody_until_it_is_mended() {
    let folder = Folder::new();
    enqueue(&folder.open(), vec![of_new_shape(b"x")]).unwrap();
    spoil(&folder, "x'ff00ff'");
    let sqlite = folder.open();
    let (queues, routes) =
        (Arc::new([QueueName::DEFAULT].into()), Routes::Read(Arc::new(NeedsSchema)));
    let duration = Duration::from_secs(30);
    let request = Lease::new(Now::At(at(100)), queues, routes, Room::new(10), duration);
    let lease = || wait(sqlite.lease(request.clone())).unwrap().tasks;
    let other = NewTask { schema: Arc::from(*b"other"), ..task(b"other") }
        .with(|task| task.spec.shape = Shape::of_schema(b"other"));
    enqueue(&sqlite, vec![other]).unwrap();
    let payloads = lease().into_iter().map(|task| task.payload).collect::<Vec<_>>();
    assert_eq!(payloads, [b"other"], "the others wait");
    // A task that brings something else does not mend it.
    enqueue(&sqlite, vec![NewTask { schema: Arc::from(*b"wrong"), ..of_new_shape(b"y") }]).unwrap();
    assert_eq!((lease().len(), schema(&sqlite)), (0, None));
    enqueue(&sqlite, vec![of_new_shape(b"z")]).unwrap();
    assert_eq!((lease().len(), schema(&sqlite)), (3, Some(b"new".to_vec())));
}

/// Reads what has a schema.
#[derive(Debug)]
struct NeedsSchema;

impl ReadsRoutes for NeedsSchema {
    fn reader(&self, route: &Route, schema: Option<&[u8]>) -> Option<ReaderId> {
        schema.map(|_| ReaderId::of_shape(route.shape()))
    }
}

#[test]
fn a_worker_sees_a_schema_that_another_process_stores_later() {
    let folder = Folder::new();
    let (one, other) = (folder.open(), folder.open());
    let (queues, routes) =
        (Arc::new([QueueName::DEFAULT].into()), Routes::Read(Arc::new(NeedsSchema)));
    let duration = Duration::from_secs(30);
    let request = Lease::new(Now::At(at(100)), queues, routes, Room::new(10), duration);
    let lease = || wait(one.lease(request.clone())).unwrap().tasks.len();
    enqueue(&other, vec![NewTask { schema: Arc::default(), ..of_new_shape(b"x") }]).unwrap();
    assert_eq!((lease(), lease()), (0, 0));
    enqueue(&other, vec![of_new_shape(b"y")]).unwrap();
    assert_eq!((lease(), lease()), (2, 0), "the lane is old, its schema is new");
}
