//! Values that a reader refuses: only this reader pauses, others may have the task at once.

use std::sync::Arc;

use super::readers::{Program, of_shape, shape};
use super::stage::{LEASE, Stage, at, ids, just_before, permanent, queue, retry, secs};
use crate::backend::{
    DeleteQueue, LeasedTask, NewTask, ReaderId, Routes, Settled, Standing, TaskFilter, TaskState,
    Verdict,
};
use crate::queue::QueueConfig;
use crate::task::TaskId;
use crate::time::{Now, Timestamp};

/// The number of the shape of the tasks' payloads.
const WRITER: u64 = 1;

/// Returns a program with this function, which reads the tasks.
fn program(reader: u64) -> Arc<Program> {
    Program::new(reader, &[WRITER])
}

fn refuse(reader: u64) -> Verdict {
    Verdict::Unreadable { error: "what".to_owned(), reader: ReaderId::from_bits(reader) }
}

async fn store(on: &Stage) -> TaskId {
    on.store(at(0), of_shape(on, WRITER)).await
}

async fn lease(on: &Stage, now: Timestamp, reader: u64) -> Vec<LeasedTask> {
    on.lease(program(reader).leasing(on.leasing(now))).await.tasks
}

/// Whether the task is leased to this reader; if so, it goes back.
async fn may_lease(on: &Stage, now: Timestamp, reader: u64) -> bool {
    let leased = lease(on, now, reader).await;
    for task in &leased {
        on.settle(now, task.lease, Verdict::Release).await;
    }
    !leased.is_empty()
}

/// Leases the only due task as this reader, which cannot read the value.
async fn refused(on: &Stage, now: Timestamp, reader: u64) -> Settled {
    end(on, now, reader, refuse(reader)).await
}

/// Leases the only due task as this reader, and settles it.
async fn end(on: &Stage, now: Timestamp, reader: u64, verdict: Verdict) -> Settled {
    let leased = lease(on, now, reader).await;
    assert_eq!(leased.len(), 1, "one task is due for {reader} at {now:?}");
    on.settle(now, leased[0].lease, verdict).await
}

pub(super) async fn an_old_worker_that_refuses_first_keeps_no_other_from_the_task(on: Stage) {
    let id = store(&on).await;
    let (old, new) = (program(2), program(3));
    let lease =
        async |now, program: &Arc<Program>| on.lease(program.leasing(on.leasing(now))).await.tasks;
    let leased = lease(at(0), &old).await;
    assert_eq!(on.settle(at(0), leased[0].lease, refuse(2)).await, Settled::Scheduled(at(60)));
    assert!(lease(at(0), &old).await.is_empty(), "the old worker pauses");
    let leased = lease(at(0), &new).await;
    assert_eq!(ids(&leased), [id], "the new worker does not");
    assert_eq!(leased[0].attempts, 0);
    assert_eq!(on.settle(at(0), leased[0].lease, Verdict::Done).await, Settled::Done);
}

pub(super) async fn a_reader_that_refused_has_the_task_again_after_a_minute(on: Stage) {
    store(&on).await;
    assert_eq!(refused(&on, at(0), 2).await, Settled::Scheduled(at(60)));
    assert!(!may_lease(&on, just_before(at(60)), 2).await);
    assert!(may_lease(&on, at(60), 2).await);
    assert_eq!(end(&on, at(60), 2, Verdict::Done).await, Settled::Done);
}

pub(super) async fn two_readers_that_refuse_in_turn_both_pause(on: Stage) {
    store(&on).await;
    refused(&on, at(0), 2).await;
    assert_eq!(refused(&on, at(1), 3).await, Settled::Scheduled(at(121)));
    for reader in [2, 3, 2] {
        assert!(!may_lease(&on, just_before(at(121)), reader).await, "{reader}");
    }
    assert!(may_lease(&on, at(1), 4).await);
    assert_eq!(refused(&on, at(121), 2).await, Settled::Scheduled(at(361)));
    assert!(!may_lease(&on, at(360), 3).await);
    assert!(may_lease(&on, at(361), 3).await);
}

pub(super) async fn each_refusal_doubles_the_pause_of_all_who_refused(on: Stage) {
    store(&on).await;
    let mut now = at(0);
    for (reader, pause) in (0..).zip([60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]) {
        let until = now.plus(secs(pause));
        assert_eq!(refused(&on, now, 2 + reader % 2).await, Settled::Scheduled(until));
        now = until;
    }
}

pub(super) async fn one_reader_in_two_processes_pauses_in_both(on: Stage) {
    store(&on).await;
    refused(&on, at(0), 2).await;
    // Another process, of the same version of the program.
    assert!(lease(&on, at(59), 2).await.is_empty());
    // The function counts, whatever else it reads.
    let other = Program::new(2, &[WRITER, 7, 8]);
    assert!(on.lease(other.leasing(on.leasing(at(59)))).await.tasks.is_empty());
}

pub(super) async fn where_routes_are_listed_the_own_shape_of_a_route_reads_it(on: Stage) {
    let task = of_shape(&on, WRITER);
    let only = Routes::Only(Arc::new([task.spec.route()].into()));
    on.store(at(0), task).await;
    let listed = async |now, routes: &Routes| {
        let mut request = on.leasing(now);
        request.routes = routes.clone();
        let leased = on.lease(request).await.tasks;
        for task in &leased {
            on.settle(now, task.lease, Verdict::Release).await;
        }
        leased.len()
    };
    let listed_reader = ReaderId::of_shape(shape(WRITER)).to_bits();
    refused(&on, at(0), listed_reader).await;
    for routes in [&only, &Routes::Any] {
        assert_eq!([listed(at(59), routes).await, listed(at(60), routes).await], [0, 1]);
    }
    on.attempt(at(60), retry()).await;
    on.run_now(at(60), on.all().await[0].spec.id).await.expect("it waits");
    refused(&on, at(60), 2).await;
    for routes in [&only, &Routes::Any] {
        assert_eq!(listed(at(60), routes).await, 1, "another reader refused");
    }
}

pub(super) async fn after_eight_readers_every_reader_pauses(on: Stage) {
    let id = store(&on).await;
    for reader in 11..=18 {
        refused(&on, at(0), reader).await;
    }
    assert!(may_lease(&on, at(0), 10).await);
    refused(&on, at(0), 10).await;
    let record = on.record(id).await;
    assert_eq!((record.refusals, record.schedule_time), (9, at(3600)));
    assert_eq!(record.refused_by, (11..=18).map(ReaderId::from_bits).collect::<Vec<_>>());
    for reader in [9, 10, 11, 99] {
        assert!(!may_lease(&on, just_before(at(3600)), reader).await, "{reader}");
        assert!(may_lease(&on, at(3600), reader).await, "{reader}");
    }
}

pub(super) async fn a_record_shows_who_refused(on: Stage) {
    let id = store(&on).await;
    let record = on.record(id).await;
    assert_eq!((record.refusals, record.refused_by), (0, vec![]));
    for reader in [9, u64::MAX, 2] {
        refused(&on, at(0), reader).await;
    }
    let readers = [2, 9, u64::MAX].map(ReaderId::from_bits);
    for record in [on.record(id).await, on.all().await.remove(0)] {
        assert_eq!((record.refusals, &record.refused_by[..]), (3, &readers[..]));
        assert_eq!((record.state, record.attempts), (TaskState::Scheduled, 0));
        assert_eq!((record.schedule_time, record.errors.len()), (at(240), 3));
        assert_eq!((record.errors[2].attempt, record.errors[2].message.as_str()), (0, "what"));
    }
    let leased = lease(&on, at(0), 3).await;
    let record = on.record(id).await;
    assert_eq!((record.state, record.refusals), (TaskState::Leased, 3));
    assert_eq!(leased[0].spec.shape, shape(WRITER));
}

pub(super) async fn a_failed_attempt_forgets_who_refused(on: Stage) {
    let id = store(&on).await;
    refused(&on, at(0), 2).await;
    let verdict = Verdict::Retry { error: String::new(), after: Some(secs(9)), max_attempts: None };
    assert_eq!(end(&on, at(0), 3, verdict).await, Settled::Scheduled(at(9)));
    let record = on.record(id).await;
    assert_eq!((record.refusals, record.refused_by, record.attempts), (0, vec![], 1));
    for reader in [2, 3, 4] {
        assert!(!may_lease(&on, at(8), reader).await, "the pause after a failure is for all");
        assert!(may_lease(&on, at(9), reader).await);
    }
    assert_eq!(refused(&on, at(9), 2).await, Settled::Scheduled(at(69)), "the pauses begin anew");
}

pub(super) async fn a_released_task_is_still_refused_by_the_same(on: Stage) {
    let id = store(&on).await;
    refused(&on, at(0), 2).await;
    for _ in 0..3 {
        assert!(may_lease(&on, at(1), 3).await);
    }
    assert!(!may_lease(&on, at(59), 2).await);
    assert!(may_lease(&on, at(60), 2).await);
    let record = on.record(id).await;
    assert_eq!((record.refusals, record.refused_by), (1, vec![ReaderId::from_bits(2)]));
}

pub(super) async fn a_lost_lease_leaves_the_task_refused_by_the_same(on: Stage) {
    let id = store(&on).await;
    refused(&on, at(0), 2).await;
    assert_eq!(lease(&on, at(1), 3).await.len(), 1);
    assert_eq!(on.sweep(at(1).plus(LEASE), 100).await.recovered, 1);
    assert_eq!((on.record(id).await.refusals, on.record(id).await.lost_leases), (1, 1));
    assert!(!may_lease(&on, at(59), 2).await);
    let leased = lease(&on, at(59), 3).await;
    assert_eq!((leased.len(), leased[0].standing), (1, Standing::Marked));
}

pub(super) async fn a_refused_task_keeps_its_standing(on: Stage) {
    let id = store(&on).await;
    let now = on.lose(at(0)).await;
    refused(&on, now, 2).await;
    assert_eq!(on.record(id).await.lost_leases, 1);
    assert!(!may_lease(&on, now, 2).await);
    assert_eq!(lease(&on, now, 3).await[0].standing, Standing::Marked);
}

pub(super) async fn a_refused_task_can_be_made_due_for_all(on: Stage) {
    let ids = [store(&on).await, store(&on).await];
    for task in lease(&on, at(0), 2).await {
        on.settle(at(0), task.lease, refuse(2)).await;
    }
    on.run_now(at(1), ids[0]).await.expect("it waits");
    let record = on.record(ids[0]).await;
    assert_eq!((record.refusals, record.refused_by, record.schedule_time), (0, vec![], at(1)));
    let leased = lease(&on, at(1), 2).await;
    assert_eq!(leased.iter().map(|task| task.lease.id).collect::<Vec<_>>(), ids[..1]);
    assert_eq!(on.settle(at(1), leased[0].lease, refuse(2)).await, Settled::Scheduled(at(61)));
    assert_eq!(lease(&on, at(60), 2).await[0].lease.id, ids[1], "the other waits as before");
}

pub(super) async fn a_dead_letter_is_replayed_for_all_readers(on: Stage) {
    let id = store(&on).await;
    refused(&on, at(0), 2).await;
    assert_eq!(end(&on, at(0), 3, permanent()).await, Settled::Dead);
    let record = on.record(id).await;
    assert_eq!((record.state, record.refusals, record.refused_by), (TaskState::Dead, 0, vec![]));
    on.replay(at(1), id).await.expect("it is dead");
    assert!(may_lease(&on, at(1), 2).await);
    // A task that dies as a suspect was not read.
    refused(&on, at(1), 2).await;
    on.configure("q", QueueConfig::new().with_max_lost_attempts(1)).await;
    let mut now = at(1);
    while on.record(id).await.state != TaskState::Dead {
        let mut request = on.leasing(now);
        request.room.suspects = 1;
        assert_eq!(on.lease(program(3).leasing(request)).await.tasks.len(), 1);
        now = now.plus(LEASE);
        on.sweep(now, 100).await;
    }
    assert_eq!(on.record(id).await.refusals, 1);
    on.replay(now, id).await.expect("it is dead");
    assert_eq!(on.record(id).await.refused_by, []);
    assert!(may_lease(&on, now, 2).await);
}

pub(super) async fn a_refusal_of_nothing_changes_nothing(on: Stage) {
    let id = store(&on).await;
    let leased = lease(&on, at(0), 2).await;
    assert_eq!(on.settle(at(0), leased[0].lease, refuse(2)).await, Settled::Scheduled(at(60)));
    let before = on.record(id).await;
    assert_eq!(on.settle(at(1), leased[0].lease, refuse(3)).await, Settled::LeaseLost);
    assert_eq!(on.record(id).await, before);
}

pub(super) async fn a_refused_task_is_found_listed_counted_and_deleted(on: Stage) {
    let named = on.named("once");
    let task = NewTask { spec: named.spec.clone(), ..of_shape(&on, WRITER) }
        .with(|task| task.spec.shape = shape(WRITER));
    let id = on.store(at(0), task).await;
    store(&on).await;
    for task in lease(&on, at(0), 2).await {
        if task.lease.id == id {
            on.settle(at(0), task.lease, refuse(2)).await;
        } else {
            on.settle(at(0), task.lease, Verdict::Release).await;
        }
    }
    assert_eq!(on.find_named("q", "once").await.map(|record| record.refusals), Some(1));
    assert_eq!(on.list(TaskFilter::new().state(TaskState::Scheduled)).await.len(), 2);
    let lines = on.stats(at(0)).await;
    assert_eq!(lines.len(), 1, "one line for each route: {lines:?}");
    assert_eq!((lines[0].stats.scheduled, lines[0].stats.due), (2, 1));
    assert_eq!(on.stats(at(60)).await[0].stats.due, 2);
    assert!(on.delete(at(0), id).await);
    assert!(on.find(id).await.is_none());
    assert_eq!(on.stats(at(60)).await[0].stats.scheduled, 1);
    assert!(!on.offer(at(1), on.named("once")).await.created, "its name is blocked");
}

pub(super) async fn a_refused_task_is_purged_and_goes_with_its_queue(on: Stage) {
    for with_queue in [false, true] {
        store(&on).await;
        refused(&on, at(0), 2).await;
        if with_queue {
            let request = DeleteQueue::new(Now::At(at(0)), queue("q"));
            assert!(on.backend.delete_queue(request.clone()).await.is_err(), "it holds a task");
            let deleted = on.backend.delete_queue(request.with_tasks()).await;
            assert_eq!(deleted.expect("delete_queue answers").deleted, 1);
        } else {
            assert_eq!(on.purge(at(0), "q").await.deleted, 1);
        }
        assert!(on.all().await.is_empty());
        for reader in [2, 3] {
            assert!(!may_lease(&on, at(60), reader).await);
        }
    }
    let id = store(&on).await;
    assert_eq!(lease(&on, at(0), 2).await[0].lease.id, id, "a new queue remembers no refusals");
}

pub(super) async fn refused_tasks_hold_up_nobody(on: Stage) {
    let tasks: Vec<_> = (0..300).map(|_| of_shape(&on, WRITER)).collect();
    on.enqueue(at(0), tasks).await;
    loop {
        let leased = lease(&on, at(0), 2).await;
        if leased.is_empty() {
            break;
        }
        let settlement = |task: &LeasedTask| super::stage::settlement(task.lease, None, refuse(2));
        on.settle_all(at(0), leased.iter().map(settlement).collect()).await;
    }
    let id = on.store(at(1), of_shape(&on, WRITER)).await;
    let for_old = lease(&on, at(1), 2).await;
    assert_eq!(ids(&for_old), [id]);
    on.settle(at(1), for_old[0].lease, Verdict::Release).await;
    let mut seen = 0;
    loop {
        let leased = lease(&on, at(1), 3).await;
        if leased.is_empty() {
            break;
        }
        seen += leased.len();
        let settlement =
            |task: &LeasedTask| super::stage::settlement(task.lease, None, Verdict::Done);
        on.settle_all(at(1), leased.iter().map(settlement).collect()).await;
    }
    assert_eq!((seen, on.all().await.len()), (301, 0));
}

pub(super) async fn a_refused_task_stands_before_the_backlog_of_its_queue(on: Stage) {
    let refused = store(&on).await;
    end(&on, at(0), 2, refuse(2)).await;
    // All of these are due before the pause of the reader that refused ends.
    let backlog: Vec<_> = (0..500).map(|_| of_shape(&on, WRITER)).collect();
    on.enqueue(at(1), backlog).await;
    let elsewhere = of_shape(&on, WRITER).with(|task| task.spec.queue = queue("r"));
    on.store(at(1), elsewhere).await;
    let few = async |reader, most| {
        let mut request = program(reader).leasing(on.leasing(at(2)));
        request.room = crate::backend::Room::new(most);
        let leased = on.lease(request).await.tasks;
        for task in &leased {
            on.settle(at(2), task.lease, Verdict::Release).await;
        }
        ids(&leased)
    };
    assert_eq!(few(3, 1).await, [refused]);
    let first = few(3, 200).await;
    assert_eq!((first.len(), first[0]), (200, refused));
    assert!(!few(2, 502).await.contains(&refused), "the reader that refused still pauses");
    // A second reader that refuses pauses too; a third has the task at once.
    end_of(&on, at(2), 3, refused, refuse(3)).await;
    assert_eq!(few(4, 1).await, [refused]);
    assert!(!few(3, 502).await.contains(&refused));
}

/// Leases as this reader, and settles one of the tasks; the others go back.
async fn end_of(on: &Stage, now: Timestamp, reader: u64, id: TaskId, verdict: Verdict) {
    for task in lease(on, now, reader).await {
        let verdict = if task.lease.id == id { verdict.clone() } else { Verdict::Release };
        on.settle(now, task.lease, verdict).await;
    }
}

pub(super) async fn marked_tasks_that_others_refused_come_first(on: Stage) {
    let refused = store(&on).await;
    let lost = on.lose(at(0)).await;
    end(&on, lost, 2, refuse(2)).await;
    let other = on.store(lost, of_shape(&on, WRITER)).await;
    assert_eq!(ids(&lease(&on, lost, 2).await), [other]);
    let now = lost.plus(LEASE);
    assert_eq!(on.sweep(now, 100).await.recovered, 1);
    let leased = lease(&on, now, 3).await;
    assert_eq!(ids(&leased), [refused, other]);
    assert!(leased.iter().all(|task| task.standing == Standing::Marked));
}

pub(super) async fn the_next_time_is_that_of_the_reader(on: Stage) {
    store(&on).await;
    refused(&on, at(0), 2).await;
    let next = async |now, reader| {
        let mut request = program(reader).leasing(on.leasing(now));
        request.room = crate::backend::Room::new(0);
        on.lease(request).await.next
    };
    assert_eq!(next(at(10), 2).await, Some(secs(50)));
    assert_eq!(next(at(60), 2).await, None, "it is due");
    assert_eq!(next(at(10), 3).await, None, "it is due at once");
    assert_eq!(lease(&on, at(10), 3).await.len(), 1);
    assert_eq!(next(at(10), 2).await, None, "it is leased");
}

pub(super) async fn other_readers_take_refused_tasks_by_turns(on: Stage) {
    let mut stored = Vec::new();
    for name in ["q", "q", "r"] {
        let task = of_shape(&on, WRITER).with(|task| task.spec.queue = queue(name));
        stored.push(on.store(at(0), task).await);
    }
    for task in lease(&on, at(0), 2).await {
        if task.lease.id == stored[1] {
            on.settle(at(0), task.lease, Verdict::Release).await;
        } else {
            on.settle(at(0), task.lease, refuse(2)).await;
        }
    }
    assert_eq!(ids(&lease(&on, at(0), 2).await), [stored[1]]);
    on.sweep(at(30), 100).await;
    let mut leased = ids(&lease(&on, at(30), 3).await);
    leased.sort();
    assert_eq!(leased, stored);
    assert!(lease(&on, at(60), 2).await.is_empty());
}

pub(super) async fn a_pause_of_readers_is_shortened_when_the_clock_is_set_back(on: Stage) {
    store(&on).await;
    assert_eq!(refused(&on, at(3600), 2).await, Settled::Scheduled(at(3660)));
    assert!(may_lease(&on, at(0), 3).await, "whatever the clock says");
    assert_eq!(on.sweep(at(0), 100).await.shortened, 1);
    assert!(!may_lease(&on, at(59), 2).await);
    assert!(may_lease(&on, at(60), 2).await);
}
