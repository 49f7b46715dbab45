//! Rows of lanes with waiting tasks, and changes by other processes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::super::catalogue::Catalogue;
use super::super::connection::create;
use super::super::news::{Found, News};
use super::super::ready::Turns;
use super::{Folder, at, enqueue, lease, settle_all, sweep, task, wait};
use crate::backend::{Backend, Enqueue, Lease, NewTask, Pull, Room, Routes, TaskRequest, Verdict};
use crate::queue::QueueName;
use crate::task::Shape;
use crate::time::{Now, Schedule};

fn rows(folder: &Folder) -> Vec<(i64, i64)> {
    let other = Connection::open(folder.file()).unwrap();
    let mut statement =
        other.prepare("SELECT standing, due FROM gae_tasks_ready ORDER BY standing, lane").unwrap();
    statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn a_lane_has_a_row_while_it_has_tasks_waiting() {
    let folder = Folder::new();
    let sqlite = folder.open();
    assert_eq!(rows(&folder), []);
    enqueue(&sqlite, vec![task(b"a"), task(b"b")]).unwrap();
    assert_eq!(rows(&folder), [(0, i64::MIN)]);
    lease(&sqlite, at(100), 1);
    assert_eq!(rows(&folder), [(0, i64::MIN)]);
    let leased = lease(&sqlite, at(100), 1).tasks;
    assert_eq!(rows(&folder), []);
    settle_all(&sqlite, at(100), &leased, &Verdict::Release);
    assert_eq!(rows(&folder), [(0, i64::MIN)]);
}

#[test]
fn the_row_of_a_lane_tells_when_its_first_task_is_due() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let later = |seconds| NewTask { schedule: Schedule::At(at(seconds)), ..task(b"x") };
    for (seconds, first) in [(300, 300), (200, 200), (400, 200)] {
        enqueue(&sqlite, vec![later(seconds)]).unwrap();
        assert_eq!(rows(&folder), [(0, at(first).as_micros())]);
    }
    assert_eq!(lease(&sqlite, at(300), 1).tasks.len(), 1);
    assert_eq!(rows(&folder), [(0, at(300).as_micros())]);
}

#[test]
fn a_deleted_task_leaves_no_row_behind() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let (one, other) = (task(b"a"), task(b"b"));
    enqueue(&sqlite, vec![one.clone(), other]).unwrap();
    let touch = TaskRequest::new(Now::At(at(100)), one.spec.id);
    assert!(wait(sqlite.delete(touch)).unwrap());
    assert_eq!(rows(&folder), [(0, i64::MIN)]);
    wait(sqlite.purge(QueueName::DEFAULT, Now::At(at(100)))).unwrap();
    assert_eq!(rows(&folder), []);
    let only = task(b"c");
    enqueue(&sqlite, vec![only.clone()]).unwrap();
    assert!(wait(sqlite.delete(TaskRequest { now: Now::At(at(100)), id: only.spec.id })).unwrap());
    assert_eq!(rows(&folder), []);
}

#[test]
fn a_sweep_finds_tasks_that_no_lease_would_find() {
    let folder = Folder::new();
    enqueue(&folder.open(), vec![task(b"a")]).unwrap();
    Connection::open(folder.file()).unwrap().execute("DELETE FROM gae_tasks_ready", []).unwrap();
    let sqlite = folder.open();
    assert!(lease(&sqlite, at(100), 1).tasks.is_empty());
    sweep(&sqlite, at(100));
    assert_eq!(lease(&sqlite, at(100), 1).tasks.len(), 1);
}

#[test]
fn what_is_left_of_a_task_that_is_gone_is_taken_out_of_the_order() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"a")]).unwrap();
    let other = Connection::open(folder.file()).unwrap();
    other.execute("DELETE FROM gae_tasks_task", []).unwrap();
    assert!(lease(&sqlite, at(100), 1).tasks.is_empty());
    let waiting: i64 =
        other.query_row("SELECT count(*) FROM gae_tasks_waiting", [], |row| row.get(0)).unwrap();
    assert_eq!((waiting, rows(&folder)), (0, Vec::new()));
}

#[test]
fn a_task_that_cannot_be_read_is_tried_again_after_an_hour() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"a")]).unwrap();
    Connection::open(folder.file())
        .unwrap()
        .execute("UPDATE gae_tasks_task SET payload = 'text'", [])
        .unwrap();
    assert!(lease(&sqlite, at(100), 1).tasks.is_empty());
    assert_eq!(rows(&folder), [(0, at(100 + 3600).as_micros())]);
}

/// A worker's side of the file: the state that it has read, and the news that it has seen.
struct Side {
    queues: Arc<BTreeSet<QueueName>>,
    connection: Connection,
    catalogue: Catalogue,
    news: News,
}

impl Side {
    fn of(folder: &Folder) -> Self {
        let (_, connection) = create(&folder.file()).unwrap();
        let mut catalogue = Catalogue::default();
        catalogue.refresh(&connection).unwrap();
        let queues = Arc::new([QueueName::DEFAULT].into());
        catalogue.runnable(&connection, &queues, &Routes::Any).unwrap().unwrap();
        Self { queues, connection, catalogue, news: News::default() }
    }

    fn look(&mut self, seconds: i64) -> Found {
        self.news.look(&self.connection, &mut self.catalogue, at(seconds)).unwrap()
    }
}

#[test]
fn a_task_that_another_process_makes_due_is_news_once() {
    let folder = Folder::new();
    let other = folder.open();
    let mut side = Side::of(&folder);
    assert_eq!(side.look(100), Found::Irrelevant, "a first look");
    assert_eq!(side.look(100), Found::Unchanged);
    enqueue(&other, vec![task(b"a")]).unwrap();
    assert_eq!(side.look(0), Found::Sooner, "whatever the clock says, and in a queue that is new");
    assert_eq!(side.look(0), Found::Unchanged, "nothing has changed since");
    enqueue(&other, vec![task(b"b")]).unwrap();
    assert_eq!(side.look(0), Found::StillDue, "the worker may have left the first one alone");
}

#[test]
fn a_task_that_becomes_due_sooner_than_any_that_is_known_is_news() {
    let folder = Folder::new();
    let other = folder.open();
    let mut side = Side::of(&folder);
    let store = |seconds| {
        let later = NewTask { schedule: Schedule::At(at(seconds)), ..task(b"x") };
        wait(other.enqueue(Enqueue::new(Now::At(at(0)), vec![later]))).unwrap();
    };
    let plan = [
        (300, Found::Sooner),
        (400, Found::Irrelevant),
        (200, Found::Sooner),
        (250, Found::Irrelevant),
    ];
    for (seconds, found) in plan {
        store(seconds);
        assert_eq!(side.look(0), found, "{seconds}");
    }
    store(500);
    assert_eq!(side.look(200), Found::StillDue, "the first task is due by now");
}

#[test]
fn what_a_lease_has_left_is_what_a_worker_knows() {
    let folder = Folder::new();
    let other = folder.open();
    let mut side = Side::of(&folder);
    let store = |task| wait(other.enqueue(Enqueue::new(Now::At(at(0)), vec![task]))).unwrap();
    store(task(b"a"));
    assert_eq!(side.look(0), Found::Sooner);
    lease(&other, at(0), 1);
    side.news.note(&side.queues, None, true);
    store(NewTask { schedule: Schedule::At(at(50)), ..task(b"b") });
    assert_eq!(side.look(0), Found::Sooner, "later than the task that is leased by now");
}

#[test]
fn a_worker_that_has_ended_is_looked_for_no_more() {
    let folder = Folder::new();
    let other = folder.open();
    let mut side = Side::of(&folder);
    side.queues = Arc::default();
    enqueue(&other, vec![task(b"a")]).unwrap();
    assert_eq!(side.look(100), Found::Irrelevant);
}

#[test]
fn each_queue_has_one_turn_with_all_of_its_lanes() {
    const QUEUES: usize = 200;
    let folder = Folder::new();
    let other = folder.open();
    // More lanes than are read at a time, with a queue's lanes on both sides of the cut.
    let names: Vec<_> =
        (0..QUEUES).map(|number| QueueName::new(format!("queue-{number}")).unwrap()).collect();
    let tasks = names.iter().flat_map(|name| (0..3).map(move |shape| (name, shape))).map(
        |(name, shape)| {
            task(b"x").with(|task| {
                (task.spec.queue, task.spec.shape) = (name.clone(), Shape::from_bits(shape))
            })
        },
    );
    enqueue(&other, tasks.collect()).unwrap();
    let Side { connection, mut catalogue, .. } = Side::of(&folder);
    let queues = Arc::new(names.iter().cloned().collect());
    let runnable = catalogue.runnable(&connection, &queues, &Routes::Any).unwrap().unwrap();
    for last in
        [None, Some(&names[0]), Some(&names[84]), Some(&names[85]), Some(&names[QUEUES - 1])]
    {
        let turn = last.and_then(|last| catalogue.turn_of(last));
        let mut turns = Turns::after(&connection, &runnable, turn, at(0)).unwrap();
        let mut seen = Vec::new();
        while let Some(lanes) = turns.next().unwrap() {
            assert_eq!(lanes.len(), 3, "of {}", lanes[0].queue);
            seen.push(lanes[0].queue.clone());
        }
        let first = last.map_or(0, |last| names.iter().position(|name| name == last).unwrap() + 1);
        let expected: Vec<_> = names.iter().cycle().skip(first).take(QUEUES).cloned().collect();
        assert_eq!(seen, expected, "after {last:?}");
    }
}

#[test]
fn what_happens_in_queues_that_are_not_served_is_no_news() {
    let folder = Folder::new();
    let other = folder.open();
    let mut side = Side::of(&folder);
    let elsewhere = task(b"x").with(|task| task.spec.queue = QueueName::from_static("elsewhere"));
    enqueue(&other, vec![elsewhere]).unwrap();
    assert_eq!(side.look(100), Found::Irrelevant);
}

#[test]
fn an_idle_worker_is_woken_by_another_process() {
    let folder = Folder::new();
    let (worker, other) = (folder.open(), folder.open());
    let mut wakeups = worker.wakeups();
    let queues = Arc::new([QueueName::DEFAULT].into());
    let duration = Duration::from_secs(30);
    let request =
        Lease::new(Now::Storage, Arc::clone(&queues), Routes::Any, Room::new(1), duration);
    assert!(wait(worker.lease(request)).unwrap().tasks.is_empty());
    enqueue(&other, vec![task(b"a")]).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let woken = async { tokio::time::timeout(Duration::from_secs(20), wakeups.changed()).await };
    runtime.block_on(woken).expect("the worker is woken").unwrap();
}
