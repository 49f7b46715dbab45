//! Tasks that are made due by hand: they run while their queue is paused, and before its others.

use std::collections::HashMap;

use super::stage::{LEASE, Stage, at, ids, permanent, queue, refuse, retry, secs, stored};
use crate::backend::{DeleteQueue, Lease, NewTask, Purged, Room, Standing, TaskFilter, Verdict};
use crate::task::TaskId;
use crate::time::{Now, Schedule};

/// Stores a task, pauses its queue, and makes the task due.
async fn make_due(on: &Stage) -> TaskId {
    let id = on.store(at(0), on.task()).await;
    on.pause("q", true).await;
    on.run_now(at(1), id).await.expect("the task waits");
    id
}

pub(super) async fn a_task_made_due_is_leased_though_its_queue_is_paused(on: Stage) {
    let id = make_due(&on).await;
    let others = on.store_plain(at(0), 2).await;
    assert_eq!(ids(&on.lease_all(at(1)).await), [id], "the others wait");
    on.pause("q", false).await;
    assert_eq!(ids(&on.lease_all(at(1)).await), others);
}

pub(super) async fn a_task_made_due_is_leased_though_its_queue_is_paused_afterwards(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    on.run_now(at(0), id).await.expect("the task waits");
    on.pause("q", true).await;
    assert_eq!(on.lease_one(at(0)).await.lease.id, id);
}

pub(super) async fn a_task_made_due_comes_before_the_backlog_of_its_queue(on: Stage) {
    let backlog = on.store_plain(at(0), 5).await;
    let later = NewTask { schedule: Schedule::After(secs(500)), ..on.task() };
    let last = on.store(at(100), later).await;
    on.run_now(at(100), last).await.expect("the task waits");
    let one = Lease { room: Room::new(1), ..on.leasing(at(100)) };
    assert_eq!(ids(&on.lease(one).await.tasks), [last]);
    assert_eq!(ids(&on.lease_all(at(100)).await), backlog);
}

pub(super) async fn a_task_can_be_made_due_twice(on: Stage) {
    let id = make_due(&on).await;
    on.run_now(at(2), id).await.expect("the task waits");
    assert_eq!(on.lease_one(at(2)).await.lease.id, id);
    assert_eq!(on.lease_all(at(2)).await, []);
}

pub(super) async fn a_task_made_due_that_fails_waits_with_its_queue(on: Stage) {
    let id = make_due(&on).await;
    on.attempt(at(1), retry()).await;
    assert_eq!(on.lease_all(at(9999)).await, [], "the queue is paused");
    on.pause("q", false).await;
    let leased = on.lease_one(at(9999)).await;
    assert_eq!((leased.lease.id, leased.attempts), (id, 1));
}

pub(super) async fn a_task_made_due_that_is_released_is_still_due(on: Stage) {
    let id = make_due(&on).await;
    on.attempt(at(1), Verdict::Release).await;
    assert_eq!(on.lease_one(at(1)).await.lease.id, id);
}

pub(super) async fn a_task_made_due_that_loses_its_worker_is_still_due(on: Stage) {
    let id = make_due(&on).await;
    let now = on.lose(at(1)).await;
    let leased = on.lease_one(now).await;
    assert_eq!((leased.lease.id, leased.standing), (id, Standing::Marked));
}

pub(super) async fn a_task_made_due_that_a_reader_refuses_pauses_for_this_reader(on: Stage) {
    let id = make_due(&on).await;
    on.attempt(at(1), refuse("what")).await;
    assert_eq!(on.lease_all(at(60)).await, []);
    assert_eq!(on.lease_one(at(61)).await.lease.id, id, "no attempt was made yet");
}

pub(super) async fn a_replayed_task_waits_with_its_queue(on: Stage) {
    let id = make_due(&on).await;
    on.attempt(at(1), permanent()).await;
    on.replay(at(2), id).await.expect("it is dead");
    assert_eq!(on.lease_all(at(2)).await, []);
    on.run_now(at(2), id).await.expect("it waits");
    assert_eq!(on.lease_one(at(2)).await.lease.id, id);
}

pub(super) async fn a_bound_holds_for_a_task_made_due(on: Stage) {
    make_due(&on).await;
    let bounds = HashMap::from([(queue("q"), 0)]);
    assert_eq!(on.lease(Lease { bounds, ..on.leasing(at(1)) }).await.tasks, []);
    assert_eq!(on.lease_all(at(1)).await.len(), 1);
}

pub(super) async fn a_task_made_due_is_shown_and_counted_beside_its_like(on: Stage) {
    let id = make_due(&on).await;
    let other = on.store(at(1), on.task()).await;
    assert_eq!(on.record(id).await.schedule_time, at(0));
    let listed = on.list(TaskFilter::new().queue(queue("q"))).await;
    assert_eq!(stored(&listed), [id, other]);
    let lines = on.stats(at(1)).await;
    assert_eq!((lines.len(), lines[0].stats.scheduled, lines[0].stats.due), (1, 2, 2));
}

pub(super) async fn a_task_made_due_is_deleted_purged_and_goes_with_its_queue(on: Stage) {
    let id = make_due(&on).await;
    assert!(on.delete(at(1), id).await);
    make_due(&on).await;
    assert_eq!(on.purge(at(1), "q").await, Purged::new(1, 0));
    make_due(&on).await;
    let request = DeleteQueue::new(Now::At(at(1)), queue("q")).with_tasks();
    let deleted = on.backend.delete_queue(request).await.expect("the queue is deleted");
    assert_eq!(deleted, Purged::new(1, 0));
    assert_eq!(on.sweep(at(1).plus(LEASE), 100).await.recovered, 0);
    assert_eq!(on.all().await, []);
}
