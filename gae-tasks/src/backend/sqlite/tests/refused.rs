//! Lanes of tasks that readers refused: found among any number of lanes, by every process, and made
//! again after a rollback.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::super::catalogue::Catalogue;
use super::super::connection::create;
use super::super::lane::Runnable;
use super::super::news::{Found, News};
use super::super::ready::{self, Turns};
use super::{Folder, FullDisk, at, enqueue, ids, lease, settle_all, task, wait};
use crate::backend::memory::Memory;
use crate::backend::{
    Backend, Enqueue, Lease, Leased, NewTask, Pull, ReaderId, ReadsRoutes, Room, Routes, Settle,
    Settled, Settlement, Standing, TaskState, Verdict,
};
use crate::queue::QueueName;
use crate::task::{Route, TaskId};
use crate::time::{Now, Timestamp};

/// A function that reads everything.
#[derive(Debug)]
struct ReadsAll(ReaderId);

impl ReadsRoutes for ReadsAll {
    fn reader(&self, _: &Route, _: Option<&[u8]>) -> Option<ReaderId> {
        Some(self.0)
    }
}

const OLD: ReaderId = ReaderId::from_bits(2);
const NEW: ReaderId = ReaderId::from_bits(3);

fn refuse(reader: ReaderId) -> Verdict {
    Verdict::Unreadable { error: "what".to_owned(), reader }
}

fn routes(reader: ReaderId) -> Routes {
    Routes::Read(Arc::new(ReadsAll(reader)))
}

/// The lanes of a worker, which is asked about the routes that are not known yet.
fn runnable(
    catalogue: &mut Catalogue,
    connection: &Connection,
    queues: &Arc<BTreeSet<QueueName>>,
    routes: &Routes,
) -> Arc<Runnable> {
    loop {
        match catalogue.runnable(connection, queues, routes).unwrap() {
            Ok(runnable) => return runnable,
            Err(questions) => catalogue.learn(routes, &routes.answer(questions)),
        }
    }
}

fn lease_as(
    backend: &dyn Pull,
    queues: &Arc<BTreeSet<QueueName>>,
    now: Timestamp,
    reader: ReaderId,
    limit: usize,
) -> Leased {
    let (queues, duration) = (Arc::clone(queues), Duration::from_secs(30));
    let request = Lease::new(Now::At(now), queues, routes(reader), Room::new(limit), duration);
    wait(backend.lease(request)).unwrap()
}

/// Settles every task by what the callback returns for its number in the lease.
fn settle(backend: &dyn Pull, now: Timestamp, leased: &Leased, how: impl Fn(usize) -> Verdict) {
    let settlements = leased.tasks.iter().enumerate();
    let settlements =
        settlements.map(|(number, task)| Settlement::new(task.lease, how(number))).collect();
    wait(backend.settle(Settle::new(Now::At(now), settlements))).unwrap();
}

fn names(queues: usize) -> Vec<QueueName> {
    (0..queues).map(|number| QueueName::new(format!("queue-{number}")).unwrap()).collect()
}

/// What the readers see, step by step, where the old one refuses every third task.
type Seen = Vec<(Vec<TaskId>, Option<Duration>)>;

fn life(backend: &dyn Pull, queues: &Arc<BTreeSet<QueueName>>, tasks: Vec<NewTask>) -> Seen {
    let (mut seen, count) = (Vec::new(), tasks.len());
    wait(backend.enqueue(Enqueue::new(Now::At(at(100)), tasks))).unwrap();
    let leased = lease_as(backend, queues, at(100), OLD, count);
    let how = |number: usize| if number.is_multiple_of(3) { refuse(OLD) } else { Verdict::Release };
    settle(backend, at(100), &leased, how);
    for (now, reader, limit) in [
        (at(101), OLD, 0),
        (at(101), NEW, 0),
        (at(101), OLD, 5),
        (at(101), NEW, 7),
        (at(101), NEW, count),
        (at(101), OLD, count),
        (at(159), OLD, count),
        (at(160), OLD, count),
    ] {
        let leased = lease_as(backend, queues, now, reader, limit);
        settle(backend, now, &leased, |_| Verdict::Release);
        seen.push((ids(&leased.tasks), leased.next));
    }
    seen
}

#[test]
fn among_any_number_of_lanes_readers_find_what_they_find_in_memory() {
    // Lanes are looked up one by one, read by due time, or read in the order of turns.
    for count in [3, 12, 40, 300] {
        let folder = Folder::new();
        let sqlite = folder.open();
        let names = names(count);
        let queues = Arc::new(names.iter().cloned().collect());
        let of_queue = |name: &QueueName| task(b"x").with(|task| task.spec.queue = name.clone());
        let tasks: Vec<_> = names.iter().chain(&names).map(of_queue).collect();
        let expected = life(&Memory::new(), &queues, tasks.clone());
        assert_eq!(life(&sqlite, &queues, tasks), expected, "{count} queues");
        assert_eq!(expected[4].0.len(), 2 * count, "the new reader has all of them at once");
        assert_eq!(expected[5].0.len(), 2 * count - (2 * count).div_ceil(3));
        assert_eq!(expected[7].0.len(), 2 * count, "and the old one after a minute");
    }
}

#[test]
fn a_queue_whose_tasks_all_wait_for_other_readers_has_no_turn() {
    for count in [10, 40, 300] {
        let folder = Folder::new();
        let names = names(count);
        let queues = Arc::new(names.iter().cloned().collect());
        let of_queue = |name: &QueueName| task(b"x").with(|task| task.spec.queue = name.clone());
        let refused: Vec<_> = names.iter().map(of_queue).collect();
        let due = [&names[count / 3], &names[count / 2]].repeat(20);
        let due: Vec<_> = due.into_iter().map(of_queue).collect();
        let lease = |backend: &dyn Pull| {
            wait(backend.enqueue(Enqueue::new(Now::At(at(100)), refused.clone()))).unwrap();
            let leased = lease_as(backend, &queues, at(100), OLD, count);
            settle(backend, at(100), &leased, |_| refuse(OLD));
            wait(backend.enqueue(Enqueue::new(Now::At(at(100)), due.clone()))).unwrap();
            let leased = lease_as(backend, &queues, at(101), OLD, 8).tasks;
            leased.into_iter().map(|task| task.spec.queue).collect::<Vec<_>>()
        };
        let expected = lease(&Memory::new());
        assert_eq!(expected.len(), 8);
        assert_eq!(lease(&folder.open()), expected, "{count} queues");
    }
}

/// Enqueues a task in each queue, all of which the old reader refuses.
fn refused_in(folder: &Folder, names: &[QueueName]) -> Arc<BTreeSet<QueueName>> {
    let sqlite = folder.open();
    let queues = Arc::new(names.iter().cloned().collect());
    let of_queue = |name: &QueueName| task(b"x").with(|task| task.spec.queue = name.clone());
    enqueue(&sqlite, names.iter().map(of_queue).collect()).unwrap();
    let leased = lease_as(&sqlite, &queues, at(100), OLD, names.len());
    assert_eq!(leased.tasks.len(), names.len());
    settle(&sqlite, at(100), &leased, |_| refuse(OLD));
    queues
}

#[test]
fn the_first_refused_task_is_due_at_once_for_others_and_later_for_who_refused() {
    for count in [1, 40, 300] {
        let folder = Folder::new();
        let queues = refused_in(&folder, &names(count));
        let (_, connection) = create(&folder.file()).unwrap();
        let mut catalogue = Catalogue::default();
        catalogue.refresh(&connection).unwrap();
        for (reader, first, later) in
            [(OLD, at(160), Some(at(160))), (NEW, Timestamp::from_micros(i64::MIN), None)]
        {
            let runnable = runnable(&mut catalogue, &connection, &queues, &routes(reader));
            assert_eq!(
                ready::first(&connection, &runnable, &|_, due| Some(due)).unwrap(),
                Some(first),
                "{reader}"
            );
            assert_eq!(ready::later(&connection, &runnable, at(101)).unwrap(), later, "{reader}");
        }
    }
}

#[test]
fn lanes_whose_tasks_wait_for_other_readers_are_not_looked_at() {
    for count in [8, 40, 900] {
        let folder = Folder::new();
        let names = names(count);
        refused_in(&folder, &names[..count / 2]);
        let sqlite = folder.open();
        // One task was refused by another reader, the others by none.
        let of_queue = |name: &QueueName| task(b"x").with(|task| task.spec.queue = name.clone());
        enqueue(&sqlite, names[count / 2..].iter().map(of_queue).collect()).unwrap();
        let all = Arc::new(names.iter().cloned().collect());
        let last = Arc::new(names[count - 1..].iter().cloned().collect());
        let leased = lease_as(&sqlite, &last, at(100), NEW, 1);
        settle(&sqlite, at(100), &leased, |_| refuse(NEW));
        let (_, connection) = create(&folder.file()).unwrap();
        let mut catalogue = Catalogue::default();
        catalogue.refresh(&connection).unwrap();
        let runnable = runnable(&mut catalogue, &connection, &all, &routes(OLD));
        let due = ready::due_lanes(&connection, &runnable, Standing::Clear, at(101)).unwrap();
        assert_eq!(due.len(), count - count / 2);
        let mut turns = Turns::after(&connection, &runnable, None, at(101)).unwrap();
        let mut seen = Vec::new();
        while let Some(lanes) = turns.next().unwrap() {
            assert_eq!(lanes.len(), 1, "of {}", lanes[0].queue);
            seen.push(lanes[0].queue.clone());
        }
        assert_eq!(seen, names[count / 2..]);
    }
}

#[test]
fn a_refusal_by_another_process_is_news_for_the_readers_that_may_have_the_task() {
    for (reader, due) in [(OLD, false), (NEW, true)] {
        let folder = Folder::new();
        let other = folder.open();
        enqueue(&other, vec![task(b"x")]).unwrap();
        let leased = lease(&other, at(100), 1);
        let (_, connection) = create(&folder.file()).unwrap();
        let (mut catalogue, mut news) = (Catalogue::default(), News::default());
        catalogue.refresh(&connection).unwrap();
        let queues = Arc::new([QueueName::DEFAULT].into());
        runnable(&mut catalogue, &connection, &queues, &routes(reader));
        assert_eq!(news.look(&connection, &mut catalogue, at(100)).unwrap(), Found::Irrelevant);
        settle_all(&other, at(100), &leased.tasks, &refuse(OLD));
        assert_eq!(news.look(&connection, &mut catalogue, at(100)).unwrap(), Found::Sooner);
        enqueue(&other, vec![task(b"y").with(|task| task.spec.queue = names(1)[0].clone())])
            .unwrap();
        let again = news.look(&connection, &mut catalogue, at(100)).unwrap();
        assert_eq!(again, if due { Found::StillDue } else { Found::Irrelevant });
    }
}

#[test]
fn a_route_that_another_process_stores_is_news_for_a_worker_that_must_be_asked() {
    let folder = Folder::new();
    let other = folder.open();
    let (_, connection) = create(&folder.file()).unwrap();
    let (mut catalogue, mut news) = (Catalogue::default(), News::default());
    catalogue.refresh(&connection).unwrap();
    let (queues, reader) = (Arc::new([QueueName::DEFAULT].into()), routes(NEW));
    runnable(&mut catalogue, &connection, &queues, &reader);
    enqueue(&other, vec![task(b"x")]).unwrap();
    assert_eq!(news.look(&connection, &mut catalogue, at(100)).unwrap(), Found::Sooner);
    assert!(catalogue.runnable(&connection, &queues, &reader).unwrap().is_err(), "not asked yet");
    runnable(&mut catalogue, &connection, &queues, &reader);
    enqueue(&other, vec![task(b"y")]).unwrap();
    assert_eq!(news.look(&connection, &mut catalogue, at(100)).unwrap(), Found::Sooner);
    enqueue(&other, vec![task(b"z")]).unwrap();
    assert_eq!(news.look(&connection, &mut catalogue, at(100)).unwrap(), Found::StillDue);
}

#[test]
fn a_lane_of_refusals_that_were_rolled_back_is_made_again() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, (0..100).map(|_| task(b"x")).collect()).unwrap();
    let leased = lease(&sqlite, at(100), 100);
    wait(sqlite.writer.call(FullDisk(true))).unwrap();
    let long = || Verdict::Unreadable { error: "x".repeat(2_000), reader: OLD };
    let settlements = || leased.tasks.iter().map(|task| Settlement::new(task.lease, long()));
    let request = || Settle::new(Now::At(at(100)), settlements().collect());
    wait(sqlite.settle(request())).unwrap_err();
    wait(sqlite.writer.call(FullDisk(false))).unwrap();
    let record = wait(sqlite.get(leased.tasks[0].lease.id)).unwrap().unwrap();
    assert_eq!((record.state, record.refusals), (TaskState::Leased, 0));
    let settled = wait(sqlite.settle(request())).unwrap();
    assert_eq!(settled, vec![Settled::Scheduled(at(160)); 100]);
    drop(sqlite);
    let sqlite = folder.open();
    let record = wait(sqlite.get(leased.tasks[0].lease.id)).unwrap().unwrap();
    assert_eq!((record.refusals, record.refused_by), (1, vec![OLD]));
    let queues = Arc::new([QueueName::DEFAULT].into());
    assert_eq!(lease_as(&sqlite, &queues, at(100), OLD, 100).tasks.len(), 0);
    assert_eq!(lease_as(&sqlite, &queues, at(100), NEW, 100).tasks.len(), 100);
}

#[test]
fn a_refused_task_that_cannot_be_read_waits_for_every_reader() {
    let folder = Folder::new();
    let queues = refused_in(&folder, &names(1));
    let other = Connection::open(folder.file()).unwrap();
    other.execute("UPDATE gae_tasks_task SET payload = 'text'", []).unwrap();
    let sqlite = folder.open();
    assert!(lease_as(&sqlite, &queues, at(100), NEW, 9).tasks.is_empty());
    let rows = "SELECT count(*), min(due) FROM gae_tasks_ready WHERE refused = 0";
    let row = || other.query_row(rows, [], |row| Ok((row.get(0)?, row.get(1)?)));
    assert_eq!(row().unwrap(), (1_i64, Some(at(3_700).as_micros())));
    let before = sqlite.writer.transactions();
    assert!(lease_as(&sqlite, &queues, at(101), NEW, 9).tasks.is_empty());
    assert_eq!(sqlite.writer.transactions(), before, "no lease meets it again");
    other.execute("UPDATE gae_tasks_task SET payload = x'01'", []).unwrap();
    assert_eq!(lease_as(&sqlite, &queues, at(3_700), NEW, 9).tasks.len(), 1);
}

#[test]
fn a_lane_whose_refusers_cannot_be_read_stops_no_other() {
    let folder = Folder::new();
    let queues = refused_in(&folder, &names(2));
    let other = Connection::open(folder.file()).unwrap();
    let spoil =
        "UPDATE gae_tasks_lane SET refusers = x'0102' WHERE refusers <> x'' AND queue = 'queue-0'";
    assert_eq!(other.execute(spoil, []).unwrap(), 1);
    let sqlite = folder.open();
    let leased = lease_as(&sqlite, &queues, at(100), NEW, 9).tasks;
    assert_eq!(leased.iter().map(|task| task.spec.queue.as_str()).collect::<Vec<_>>(), ["queue-1"]);
}

#[test]
fn an_emptied_lane_of_refused_tasks_leaves_no_row() {
    let folder = Folder::new();
    let queues = refused_in(&folder, &names(1));
    let sqlite = folder.open();
    let leased = lease_as(&sqlite, &queues, at(100), NEW, 9);
    settle(&sqlite, at(100), &leased, |_| refuse(NEW));
    let other = Connection::open(folder.file()).unwrap();
    let count = "SELECT count(*) FROM gae_tasks_ready";
    let rows = || other.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(rows(), 1, "one for both readers, none for the first alone");
    let id = leased.tasks[0].lease.id;
    wait(sqlite.run_now(crate::backend::TaskRequest::new(Now::At(at(100)), id))).unwrap();
    assert_eq!(rows(), 1, "the lane that it has left is empty");
    assert_eq!(lease_as(&sqlite, &queues, at(100), OLD, 9).tasks.len(), 1);
    assert_eq!(rows(), 0);
}

/// A program that reads nothing any more.
#[derive(Debug)]
struct ReadsNothing;

impl ReadsRoutes for ReadsNothing {
    fn reader(&self, _: &Route, _: Option<&[u8]>) -> Option<ReaderId> {
        None
    }
}

#[test]
fn what_a_worker_could_read_before_is_no_news() {
    let folder = Folder::new();
    let other = folder.open();
    let (_, connection) = create(&folder.file()).unwrap();
    let (mut catalogue, mut news) = (Catalogue::default(), News::default());
    catalogue.refresh(&connection).unwrap();
    let queues = Arc::new([QueueName::DEFAULT].into());
    let nothing = Routes::Read(Arc::new(ReadsNothing));
    for routes in [routes(OLD), nothing.clone()] {
        runnable(&mut catalogue, &connection, &queues, &routes);
    }
    enqueue(&other, vec![task(b"x")]).unwrap();
    assert_eq!(news.look(&connection, &mut catalogue, at(100)).unwrap(), Found::Sooner);
    runnable(&mut catalogue, &connection, &queues, &nothing);
    enqueue(&other, vec![task(b"y")]).unwrap();
    assert_eq!(news.look(&connection, &mut catalogue, at(100)).unwrap(), Found::Irrelevant);
}
