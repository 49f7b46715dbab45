//! A file that is removed, replaced or moved while in use: no task that is lost with it is
//! acknowledged.
#![cfg(unix)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::super::Sqlite;
use super::{Folder, at, chain, enqueue, finish, lease, open, task, wait};
use crate::backend::{Backend, Lease, List, Pull, Room, Routes, TaskFilter, TaskRecord};
use crate::error::Error;
use crate::queue::QueueName;
use crate::time::Now;

/// The database in use, its log, and the log's index.
fn files(folder: &Folder) -> [PathBuf; 3] {
    ["tasks.db", "tasks.db-wal", "tasks.db-shm"].map(|name| folder.0.join(name))
}

fn store(sqlite: &Sqlite) -> Result<(), Error> {
    enqueue(sqlite, vec![task(b"s3cret")]).map(|_| ())
}

fn stored(sqlite: &Sqlite) -> Result<Vec<TaskRecord>, Error> {
    wait(sqlite.list(List::new(TaskFilter::new(), 100)))
}

/// Leases from a queue that has no tasks, which needs no transaction.
fn look(sqlite: &Sqlite) -> Result<usize, Error> {
    let (queues, routes) = (Arc::new([QueueName::from_static("empty")].into()), Routes::Any);
    let duration = Duration::from_secs(30);
    let now = Now::At(at(0));
    let request = Lease::new(now, queues, routes, Room::new(9), duration);
    wait(sqlite.lease(request)).map(|leased| leased.tasks.len())
}

/// Asserts that every kind of call fails and names the file.
fn assert_cut_off(sqlite: &Sqlite, path: &str, what: &str) {
    let errors = [
        store(sqlite).unwrap_err(),
        look(sqlite).unwrap_err(),
        stored(sqlite).unwrap_err(),
        wait(sqlite.get(task(b"x").spec.id)).unwrap_err(),
    ];
    for text in errors.iter().map(chain) {
        assert!(
            text.contains(path) && text.contains(what) && text.contains("the same file back"),
            "{text}"
        );
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn a_task_in_a_file_that_was_removed_is_not_answered_as_stored() {
    let folder = Folder::new();
    let sqlite = folder.open();
    store(&sqlite).unwrap();
    for file in files(&folder) {
        fs::remove_file(file).unwrap();
    }
    let text = chain(&store(&sqlite).unwrap_err());
    assert!(
        text.contains("tasks.db` was removed or moved")
            && text.contains("may be in the file that is gone"),
        "{text}"
    );
    assert_cut_off(&sqlite, "tasks.db", "was removed or moved");
    drop(sqlite);
    store(&folder.open()).unwrap();
}

#[test]
fn each_caller_of_a_commit_into_a_removed_file_is_told() {
    let folder = Folder::new();
    let sqlite = folder.open();
    fs::remove_file(folder.file()).unwrap();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..20).map(|_| scope.spawn(|| store(&sqlite))).collect();
        assert!(callers.into_iter().all(|caller| caller.join().unwrap().is_err()));
    });
}

#[test]
fn a_look_at_a_removed_file_is_an_error_though_nothing_was_written() {
    let folder = Folder::new();
    let sqlite = folder.open();
    assert_eq!(look(&sqlite).unwrap(), 0);
    fs::remove_file(folder.file()).unwrap();
    assert!(chain(&look(&sqlite).unwrap_err()).contains("was removed or moved"));
}

#[test]
fn a_read_of_a_removed_file_is_an_error() {
    let folder = Folder::new();
    let sqlite = folder.open();
    store(&sqlite).unwrap();
    let id = stored(&sqlite).unwrap()[0].spec.id;
    assert!(wait(sqlite.get(id)).unwrap().is_some());
    fs::remove_file(folder.file()).unwrap();
    // The open connection reads the first, new connections read the others.
    for text in [
        wait(sqlite.get(id)).unwrap_err(),
        stored(&sqlite).unwrap_err(),
        stored(&sqlite).unwrap_err(),
    ] {
        assert!(chain(&text).contains("was removed or moved"), "{}", chain(&text));
    }
    assert!(!folder.file().exists(), "no new file is created in its place");
}

#[test]
fn a_file_that_another_database_replaced_is_neither_written_nor_read() {
    let folder = Folder::new();
    let (sqlite, elsewhere) = (folder.open(), folder.0.join("elsewhere"));
    store(&sqlite).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    for file in files(&folder) {
        fs::rename(&file, elsewhere.join(file.file_name().unwrap())).unwrap();
    }
    let other = folder.open();
    store(&other).unwrap();
    let text = chain(&store(&sqlite).unwrap_err());
    assert!(text.contains("tasks.db` was replaced by another file"), "{text}");
    assert_cut_off(&sqlite, "tasks.db", "was replaced");
    let log = fs::metadata(&files(&folder)[1]).unwrap().len();
    drop(sqlite);
    assert_eq!(
        fs::metadata(&files(&folder)[1]).unwrap().len(),
        log,
        "the log of the other database is left alone"
    );
    assert_eq!(stored(&other).unwrap().len(), 1);
    drop(other);
    assert_eq!(stored(&folder.open()).unwrap().len(), 1);
    let all = stored(&open(elsewhere.join("tasks.db")).unwrap()).unwrap();
    assert!(!all.is_empty(), "the acknowledged tasks are in the moved file");
}

#[test]
fn a_folder_that_is_moved_away_and_back_is_gone_on_with() {
    let folder = Folder::new();
    let place = folder.0.join("place");
    fs::create_dir(&place).unwrap();
    let sqlite = open(place.join("tasks.db")).unwrap();
    enqueue(&sqlite, vec![task(b"before")]).unwrap();
    let held = lease(&sqlite, at(100), 1);
    let away = folder.0.join("away");
    fs::rename(&place, &away).unwrap();
    let unsure = task(b"unsure");
    assert!(enqueue(&sqlite, vec![unsure.clone()]).is_err());
    let refused: Vec<_> = (0..3).map(|_| task(b"refused")).collect();
    for task in &refused {
        assert!(enqueue(&sqlite, vec![task.clone()]).is_err());
    }
    assert_cut_off(&sqlite, "tasks.db", "was removed or moved");
    fs::rename(&away, &place).unwrap();
    assert_eq!(finish(&sqlite, &held), [crate::backend::Settled::Done]);
    enqueue(&sqlite, vec![task(b"after")]).unwrap();
    assert_eq!(look(&sqlite).unwrap(), 0);
    let ids: Vec<_> = stored(&sqlite).unwrap().iter().map(|task| task.spec.id).collect();
    assert!(
        refused.iter().all(|task| !ids.contains(&task.spec.id)),
        "calls after the first error change nothing"
    );
    assert_eq!(ids.iter().filter(|id| **id != unsure.spec.id).count(), 1);
    drop(sqlite);
    assert_eq!(stored(&open(place.join("tasks.db")).unwrap()).unwrap().len(), ids.len());
}

#[test]
fn a_log_that_alone_is_removed_takes_no_task_along() {
    let folder = Folder::new();
    let sqlite = folder.open();
    store(&sqlite).unwrap();
    fs::remove_file(&files(&folder)[1]).unwrap();
    let text = chain(&store(&sqlite).unwrap_err());
    assert!(text.contains("tasks.db-wal` was removed or moved"), "{text}");
    assert_cut_off(&sqlite, "tasks.db-wal", "was removed or moved");
    drop(sqlite);
    assert!(
        !stored(&folder.open()).unwrap().is_empty(),
        "the last connection copies the log into the file when it closes"
    );
}

/// The kernel's name of the opened log alone is not sufficient evidence.
#[test]
fn a_log_that_is_put_back_under_its_name_is_gone_on_with() {
    let folder = Folder::new();
    let sqlite = folder.open();
    store(&sqlite).unwrap();
    let (log, kept) = (&files(&folder)[1], folder.0.join("kept"));
    fs::hard_link(log, &kept).unwrap();
    fs::remove_file(log).unwrap();
    assert!(store(&sqlite).is_err());
    fs::hard_link(&kept, log).unwrap();
    store(&sqlite).unwrap();
}

#[test]
fn a_file_that_is_named_by_a_link_is_in_its_own_place() {
    let folder = Folder::new();
    let link = folder.0.join("link.db");
    std::os::unix::fs::symlink(folder.file(), &link).unwrap();
    drop(folder.open());
    let sqlite = open(&link).unwrap();
    store(&sqlite).unwrap();
    fs::remove_file(&link).unwrap();
    store(&sqlite).unwrap();
    assert_eq!(stored(&sqlite).unwrap().len(), 2);
}

/// Each connection counts commits in its own way: equal numbers of two connections mean nothing.
#[test]
fn a_count_of_commits_is_never_that_of_an_earlier_connection() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let before = sqlite.commits().unwrap();
    assert_eq!(sqlite.commits(), Some(before), "nobody has committed");
    let away = folder.0.join("away.db");
    fs::rename(folder.file(), &away).unwrap();
    assert_eq!(sqlite.commits(), None);
    fs::rename(&away, folder.file()).unwrap();
    let again = sqlite.commits().unwrap();
    assert_ne!(again, before);
    store(&sqlite).unwrap();
    assert_ne!(sqlite.commits(), Some(again));
}
