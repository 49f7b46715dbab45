//! A backup is taken while processes use the file, and the backup is opened.

use std::path::Path;

use gae_tasks::{Client, Defer, TaskId};
use gae_tasks_tests::chaos::{hold, obey};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::place::Place;
use super::stage::{Process, SECOND, Stage};

async fn defer(tasks: &Client, calls: impl Iterator<Item = Defer>) -> Vec<TaskId> {
    tasks.defer_many(calls).await.unwrap().into_iter().map(|deferred| deferred.id).collect()
}

#[tokio::test]
async fn a_backup_taken_in_full_use_is_whole_and_goes_on_by_itself() {
    let stage = Stage::new().await;
    let orders = stage.orders("orders");
    // Attempts in progress at the moment of the backup: in the copy, their leases must expire
    // before they are retried.
    let held = defer(&stage.tasks, (0..5).map(|_| obey::defer(orders.file()))).await;
    let waiting = defer(&stage.tasks, (0..300).map(|_| hold::defer(0_u64).queue("waiting"))).await;
    let workers = [2.0, 5.0].map(|lease| stage.worker().lease(lease).start());
    stage.until_begun(&held, held.len()).await;
    let producers: Vec<_> =
        (0..2).map(|_| stage.producer().option("callers", 10_usize).start()).collect();
    tokio::time::sleep(SECOND).await;
    let stored: Vec<_> = producers.iter().flat_map(Process::stored).collect();
    let copied = tempfile::tempdir().unwrap();
    take(&stage.place.database(), &copied.path().join("tasks.db"));
    tokio::time::sleep(SECOND).await;
    assert!(
        !stored.is_empty() && producers.iter().all(|producer| producer.stored().len() > 100),
        "workers and producers used the file"
    );
    drop(producers);

    let copy = Stage::on(Place::in_folder(copied.path())).await;
    let open = copy.tasks.stats().await.unwrap().open();
    orders.done();
    let _worker = copy.worker().queues(&["chaos", "waiting"]).lease(2.0).start();
    copy.until_open(0, 30 * SECOND).await;
    println!("{} tasks acknowledged before the backup, {open} in the copy", stored.len());
    assert_eq!(copy.dead().await, 0);
    let (there, here) = (copy.history(), stage.history());
    assert!(held.iter().chain(&waiting).all(|task| there.over(*task) == (1, 0)), "{there:?}");
    assert!(
        stored.iter().all(|task| here.begun(*task) + there.begun(*task) > 0),
        "missing in the backup"
    );
    assert_eq!(
        there.attempts.values().map(Vec::len).sum::<usize>() as u64,
        open,
        "each task is stored once"
    );

    stage.until_open(waiting.len() as u64, 30 * SECOND).await;
    let _other = stage.worker().queues(&["waiting"]).start();
    stage.until_open(0, 30 * SECOND).await;
    let history = stage.history();
    let once = |attempts: &Vec<_>| attempts.len() == 1;
    assert!(
        history.attempts.values().all(once) && stage.dead().await == 0,
        "the original is disturbed"
    );
    drop(workers);
}

/// Takes a backup with SQLite's backup API, and checks its integrity.
fn take(from: &Path, into: &Path) {
    let source = Connection::open(from).unwrap();
    let mut target = Connection::open(into).unwrap();
    let backup = Backup::new(&source, &mut target).unwrap();
    // In one step, because a backup in several steps restarts when another process writes.
    while backup.step(-1).unwrap() != StepResult::Done {
        std::thread::sleep(SECOND / 100);
    }
    drop(backup);
    let check: String = target.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}
