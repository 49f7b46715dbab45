//! Sensitive paths in the file, whatever becomes of the transaction that stores them.

use rusqlite::Connection;

use super::{Folder, FullDisk, Sqlite, enqueue, task, wait};
use crate::backend::{Backend, NewTask, SensitivePaths};

fn marked(payload: &[u8]) -> NewTask {
    NewTask { sensitive: [Box::from("pin")].into_iter().collect(), ..task(payload) }
}

fn paths(sqlite: &Sqlite) -> SensitivePaths {
    wait(sqlite.sensitive(vec![task(b"x").spec.kind])).unwrap().remove(0)
}

#[test]
fn paths_of_a_transaction_that_was_rolled_back_are_stored_again() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    wait(sqlite.writer.call(FullDisk(true))).unwrap();
    let large: Vec<_> = (0..200).map(|_| marked(&[7; 4_000])).collect();
    assert!(enqueue(&sqlite, large).is_err());
    assert!(paths(&sqlite).is_empty(), "the transaction left nothing");
    wait(sqlite.writer.call(FullDisk(false))).unwrap();
    enqueue(&sqlite, vec![marked(b"x")]).unwrap();
    assert_eq!(paths(&sqlite), marked(b"x").sensitive);
}

#[test]
fn paths_of_a_task_that_the_database_refuses_are_stored_with_the_next() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let other = Connection::open(folder.file()).unwrap();
    let rule = "CREATE TRIGGER rule BEFORE INSERT ON gae_tasks_task WHEN new.attributes IS NOT \
                NULL BEGIN SELECT raise(ABORT, 'against the rule'); END";
    other.execute_batch(rule).unwrap();
    let bad = marked(b"x").with(|task| task.spec.attributes = Some(vec![1]));
    let good = NewTask { sensitive: bad.sensitive.clone(), ..task(b"y") };
    let answers = enqueue(&sqlite, vec![task(b"a"), bad, good]).unwrap();
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(paths(&sqlite), marked(b"x").sensitive);
}

#[test]
fn paths_of_one_lane_do_not_pass_for_those_of_the_next_task() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let all =
        |paths: &[&str]| -> SensitivePaths { paths.iter().map(|path| (*path).into()).collect() };
    // The same lane each time, which is remembered.
    for paths in [&["pin"][..], &["card"], &[], &["note"]] {
        enqueue(&sqlite, vec![NewTask { sensitive: all(paths), ..task(b"x") }]).unwrap();
    }
    assert_eq!(paths(&sqlite), all(&["card", "note", "pin"]));
}

#[test]
fn a_path_that_cannot_be_read_is_the_one_that_hides_everything() {
    let folder = Folder::new();
    drop(folder.open());
    let file = Connection::open(folder.file()).unwrap();
    let insert = "INSERT INTO gae_tasks_sensitive (kind, path) VALUES (?1, x'ff00')";
    file.execute(insert, [task(b"x").spec.kind.as_str()]).unwrap();
    let sqlite = folder.open();
    assert_eq!(*paths(&sqlite), [Box::from("")]);
}
