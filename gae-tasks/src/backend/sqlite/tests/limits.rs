//! Limits of queues: the rows behind them, and what another process frees.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::super::catalogue::Catalogue;
use super::super::connection::create;
use super::super::news::{Found, News};
use super::{Folder, Sqlite, at, enqueue, lease, settle_all, spoil, task, wait};
use crate::backend::{Backend, Lease, NewTask, Pull, Room, Routes, Sweep, TaskRequest, Verdict};
use crate::queue::{QueueConfig, QueueName};
use crate::time::Now;

const OTHER: QueueName = QueueName::from_static("other");

const RATE: QueueConfig =
    QueueConfig::new().with_max_dispatches_per_second(1.0).with_max_burst_size(2);

const PLACES: QueueConfig = QueueConfig::new().with_max_concurrent_dispatches(2);

fn configure(sqlite: &Sqlite, config: QueueConfig) {
    wait(sqlite.put_queue(QueueName::DEFAULT, config)).unwrap();
}

/// Stores this many tasks in the default queue and in another one without limits.
fn store(sqlite: &Sqlite, tasks: usize) {
    let other = || task(b"x").with(|task| task.spec.queue = OTHER);
    let both = |_| [task(b"x"), other()];
    enqueue(sqlite, (0..tasks).flat_map(both).collect::<Vec<NewTask>>()).unwrap();
}

/// Leases all that both queues give.
fn lease_both(sqlite: &Sqlite, seconds: i64) -> usize {
    let queues = Arc::new(BTreeSet::from([QueueName::DEFAULT, OTHER]));
    let (now, room) = (Now::At(at(seconds)), Room::new(1_000));
    let request = Lease::new(now, queues, Routes::Any, room, Duration::from_secs(30));
    wait(sqlite.lease(request)).unwrap().tasks.len()
}

/// The rows of leases: how many tasks each has, whether it names a queue, and whether its leases
/// took tokens; in the order of the first two.
fn rows(folder: &Folder) -> Vec<(i64, bool, bool)> {
    let file = Connection::open(folder.file()).unwrap();
    let query = "SELECT length(tasks) / 24, queue IS NOT NULL, paid FROM gae_tasks_lease ORDER BY \
                 1, 2";
    let mut statement = file.prepare(query).unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

fn buckets(folder: &Folder) -> i64 {
    let file = Connection::open(folder.file()).unwrap();
    file.query_row("SELECT count(*) FROM gae_tasks_bucket", [], |row| row.get(0)).unwrap()
}

#[test]
fn queues_without_limits_share_rows_and_have_no_bucket() {
    let folder = Folder::new();
    let sqlite = folder.open();
    store(&sqlite, 3);
    assert_eq!(lease_both(&sqlite, 100), 6);
    assert_eq!((rows(&folder), buckets(&folder)), (vec![(6, false, false)], 0));
}

#[test]
fn tasks_of_a_queue_with_limits_are_leased_in_rows_of_their_own() {
    for (config, row, of_rate) in [(RATE, (2, false, true), 1), (PLACES, (2, true, false), 0)] {
        let folder = Folder::new();
        let sqlite = folder.open();
        store(&sqlite, 3);
        configure(&sqlite, config);
        assert_eq!(lease_both(&sqlite, 100), 5);
        assert_eq!((rows(&folder), buckets(&folder)), (vec![row, (3, false, false)], of_rate));
    }
}

#[test]
fn a_task_that_is_run_by_hand_took_no_token() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let forced = task(b"x");
    enqueue(&sqlite, vec![forced.clone(), task(b"y"), task(b"z")]).unwrap();
    configure(&sqlite, RATE);
    wait(sqlite.run_now(TaskRequest::new(Now::At(at(100)), forced.spec.id))).unwrap();
    assert_eq!(lease(&sqlite, at(100), 10).tasks.len(), 3);
    assert_eq!(rows(&folder), [(1, false, false), (2, false, true)]);
}

#[test]
fn a_queue_that_gets_a_limit_has_its_leases_in_rows_of_their_own() {
    let folder = Folder::new();
    let sqlite = folder.open();
    store(&sqlite, 3);
    assert_eq!(lease_both(&sqlite, 100), 6);
    configure(&sqlite, RATE);
    assert_eq!(rows(&folder), [(6, false, false)], "a rate counts no leases");
    for _ in 0..2 {
        configure(&sqlite, PLACES);
        assert_eq!(rows(&folder), [(3, false, false), (3, true, false)]);
    }
}

#[test]
fn a_bucket_that_cannot_be_read_is_empty_and_replaced() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, (0..9).map(|_| task(b"x")).collect()).unwrap();
    configure(&sqlite, RATE);
    assert_eq!(lease(&sqlite, at(100), 1).tasks.len(), 1);
    let file = Connection::open(folder.file()).unwrap();
    file.execute("UPDATE gae_tasks_bucket SET millionths = 'many'", []).unwrap();
    let closed = lease(&sqlite, at(100), 10);
    assert_eq!((closed.tasks.len(), closed.next), (0, Some(Duration::from_secs(1))));
    assert_eq!(lease(&sqlite, at(101), 10).tasks.len(), 1);
}

/// A worker of another process, which looks for news.
struct Watcher {
    connection: Connection,
    catalogue: Catalogue,
    news: News,
    /// Kept, as a worker does.
    _queues: Arc<BTreeSet<QueueName>>,
}

impl Watcher {
    fn of(folder: &Folder) -> Self {
        let (_, connection) = create(&folder.file()).unwrap();
        let (mut catalogue, news) = (Catalogue::default(), News::default());
        let queues = Arc::new(BTreeSet::from([QueueName::DEFAULT]));
        catalogue.refresh(&connection).unwrap();
        _ = catalogue.runnable(&connection, &queues, &Routes::Any).unwrap();
        Self { connection, catalogue, news, _queues: queues }
    }

    fn look(&mut self, seconds: i64) -> Found {
        self.news.look(&self.connection, &mut self.catalogue, at(seconds)).unwrap()
    }
}

#[test]
fn what_waits_for_a_place_is_news_when_the_place_is_free() {
    let folder = Folder::new();
    let other = folder.open();
    let mut watcher = Watcher::of(&folder);
    configure(&other, PLACES);
    enqueue(&other, (0..4).map(|_| task(b"x")).collect()).unwrap();
    assert_eq!(watcher.look(100), Found::Sooner);
    let leased = lease(&other, at(100), 10).tasks;
    assert_eq!((leased.len(), watcher.look(100)), (2, Found::Irrelevant));
    enqueue(&other, vec![task(b"x")]).unwrap();
    assert_eq!(watcher.look(100), Found::Irrelevant, "one more that waits for a place");
    settle_all(&other, at(100), &leased[..1], &Verdict::Done);
    assert_eq!(watcher.look(100), Found::Sooner);
}

#[test]
fn what_waits_for_a_token_is_news_when_there_is_one() {
    let folder = Folder::new();
    let other = folder.open();
    let mut watcher = Watcher::of(&folder);
    configure(&other, RATE);
    enqueue(&other, (0..9).map(|_| task(b"x")).collect()).unwrap();
    assert_eq!(watcher.look(100), Found::Sooner);
    let leased = lease(&other, at(100), 10).tasks;
    assert_eq!((leased.len(), watcher.look(100)), (2, Found::Irrelevant));
    settle_all(&other, at(100), &leased[..1], &Verdict::Release);
    assert_eq!(watcher.look(100), Found::Sooner);
    assert_eq!(lease(&other, at(100), 10).tasks.len(), 1);
    assert_eq!(watcher.look(100), Found::Irrelevant);
    configure(&other, RATE.with_max_dispatches_per_second(1_000_000.0));
    assert_eq!(watcher.look(100), Found::Sooner, "the new rate");
}

#[test]
fn a_worker_that_waits_for_a_place_is_woken_by_another_process() {
    let folder = Folder::new();
    let (worker, other) = (folder.open(), folder.open());
    configure(&other, PLACES);
    enqueue(&other, (0..4).map(|_| task(b"x")).collect()).unwrap();
    let leased = lease(&other, at(100), 10).tasks;
    let mut wakeups = worker.wakeups();
    let queues = Arc::new(BTreeSet::from([QueueName::DEFAULT]));
    let duration = Duration::from_secs(30);
    let (routes, room) = (Routes::Any, Room::new(1));
    let request = Lease::new(Now::Storage, Arc::clone(&queues), routes, room, duration);
    let closed = wait(worker.lease(request)).unwrap();
    assert_eq!((closed.tasks.len(), closed.next), (0, None));
    wakeups.mark_unchanged();
    settle_all(&other, at(100), &leased[..1], &Verdict::Done);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let woken = async { tokio::time::timeout(Duration::from_secs(20), wakeups.changed()).await };
    runtime.block_on(woken).expect("the worker is woken").unwrap();
}

#[test]
fn the_place_of_a_lost_task_that_was_over_wakes() {
    let folder = Folder::new();
    let sqlite = folder.open();
    configure(&sqlite, PLACES);
    enqueue(&sqlite, (0..3).map(|_| task(b"x")).collect()).unwrap();
    let leased = lease(&sqlite, at(100), 10).tasks;
    // As a transaction of the application leaves the task that it completes.
    spoil(&folder, "DELETE FROM gae_tasks_task WHERE id = ?1", leased[0].lease.id);
    let sweep = |lost| wait(sqlite.sweep(Sweep::new(Now::At(at(131)), lost, 100))).unwrap();
    let held = sweep(Vec::new()).held;
    let lost = held.into_iter().filter(|held| held.lease == leased[0].lease).collect();
    let mut wakeups = sqlite.wakeups();
    wakeups.mark_unchanged();
    assert_eq!((sweep(lost).recovered, wakeups.has_changed().unwrap()), (0, true));
    assert_eq!(lease(&sqlite, at(131), 10).tasks.len(), 1);
}
