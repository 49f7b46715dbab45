//! Cancellation: what waits is deleted; what is leased ends with its lease.

use std::sync::Arc;

use super::stage::{
    LEASE, Stage, TOMBSTONES, at, ids, just_before, name, permanent, refuse, retry, secs,
};
use crate::backend::{
    Cancelled, LeaseRef, LeasedTask, NewTask, Settled, Settlement, TaskState, Verdict,
};
use crate::task::{Deferred, TaskId};
use crate::time::Schedule;

/// Stores a task, leases it, and cancels it.
async fn cancel_leased(on: &Stage) -> LeasedTask {
    on.store(at(0), on.named("n")).await;
    let leased = on.lease_one(at(0)).await;
    assert_eq!(on.cancel(at(1), leased.lease.id).await, Cancelled::Requested);
    leased
}

/// Checks that a task is a dead letter that was cancelled, of this error, and is attempted no more.
async fn assert_dead(on: &Stage, id: TaskId, error: &str) {
    let record = on.record(id).await;
    assert_eq!((record.state, record.died), (TaskState::Dead, Some(at(2))));
    let last = record.errors.last().expect("a dead letter has an error");
    assert!(last.message.starts_with("the task was cancelled"), "{last:?}");
    assert!(last.message.ends_with(error), "{last:?}");
    assert_eq!(on.lease_all(at(99_999)).await, []);
}

pub(super) async fn a_waiting_task_that_is_cancelled_is_deleted(on: Stage) {
    let due = on.store(at(0), on.task()).await;
    let later = NewTask { schedule: Schedule::After(secs(500)), ..on.task() };
    let later = on.store(at(0), later).await;
    for id in [due, later] {
        assert_eq!(on.cancel(at(1), id).await, Cancelled::Removed);
        assert_eq!(on.find(id).await, None);
    }
    assert_eq!(on.lease_all(at(999)).await, []);
}

pub(super) async fn a_failed_task_that_is_cancelled_is_deleted(on: Stage) {
    let failed = on.store(at(0), on.task()).await;
    on.attempt(at(0), retry()).await;
    let refused = on.store(at(0), on.task()).await;
    on.attempt(at(0), refuse("what")).await;
    let lost = on.store(at(0), on.task()).await;
    on.lose(at(0)).await;
    for id in [failed, refused, lost] {
        assert_eq!(on.cancel(at(1), id).await, Cancelled::Removed);
    }
    assert_eq!((on.lease_all(at(9999)).await, on.all().await), (vec![], vec![]));
}

pub(super) async fn a_cancelled_task_blocks_its_name_for_exactly_the_time_given(on: Stage) {
    let id = on.store(at(0), on.named("n")).await;
    assert_eq!(on.cancel(at(5), id).await, Cancelled::Removed);
    let again = || on.task().with(|task| task.spec.name = name("n"));
    let until = at(5).plus(TOMBSTONES);
    assert_eq!(on.offer(just_before(until), again()).await, Deferred::new(id, false));
    assert!(on.offer(until, again()).await.created);
}

pub(super) async fn a_leased_task_that_is_cancelled_keeps_its_lease(on: Stage) {
    let leased = cancel_leased(&on).await;
    assert_eq!(on.record(leased.lease.id).await.state, TaskState::Leased);
    assert_eq!(on.extend(at(1), vec![leased.lease], LEASE).await, [true]);
    assert_eq!(on.lease_all(at(1)).await, []);
}

pub(super) async fn a_cancelled_task_may_be_done(on: Stage) {
    let leased = cancel_leased(&on).await;
    assert_eq!(on.settle(at(2), leased.lease, Verdict::Done).await, Settled::Done);
    assert_eq!((on.find(leased.lease.id).await, on.cancelled().await), (None, vec![]));
    let unnamed = on.store(at(2), on.task()).await;
    let leased = on.lease_one(at(2)).await;
    assert_eq!(on.cancel(at(2), unnamed).await, Cancelled::Requested);
    assert_eq!(on.settle(at(2), leased.lease, Verdict::Done).await, Settled::Done);
}

pub(super) async fn a_cancelled_task_that_fails_is_a_dead_letter(on: Stage) {
    let leased = cancel_leased(&on).await;
    assert_eq!(on.settle(at(2), leased.lease, retry()).await, Settled::Dead);
    assert_dead(&on, leased.lease.id, "it failed").await;
    assert_eq!(on.record(leased.lease.id).await.attempts, 1);
    assert_eq!(on.cancelled().await, []);
}

pub(super) async fn a_cancelled_task_that_fails_for_good_says_that_it_was_cancelled(on: Stage) {
    let leased = cancel_leased(&on).await;
    assert_eq!(on.settle(at(2), leased.lease, permanent()).await, Settled::Dead);
    assert_dead(&on, leased.lease.id, "it failed for good").await;
}

pub(super) async fn a_cancelled_task_that_is_released_is_a_dead_letter(on: Stage) {
    let leased = cancel_leased(&on).await;
    assert_eq!(on.settle(at(2), leased.lease, Verdict::Release).await, Settled::Dead);
    assert_dead(&on, leased.lease.id, "").await;
    assert_eq!(on.record(leased.lease.id).await.attempts, 0);
}

pub(super) async fn a_cancelled_task_that_a_reader_refuses_is_a_dead_letter(on: Stage) {
    let leased = cancel_leased(&on).await;
    assert_eq!(on.settle(at(2), leased.lease, refuse("what")).await, Settled::Dead);
    assert_dead(&on, leased.lease.id, "what").await;
}

pub(super) async fn a_cancelled_task_whose_worker_is_lost_is_a_dead_letter(on: Stage) {
    let leased = cancel_leased(&on).await;
    let held = on.held(at(2)).await;
    let swept = on.sweep_of(at(2), held, 100).await;
    assert_eq!((swept.recovered, swept.died), (1, 1));
    assert_dead(&on, leased.lease.id, "").await;
    assert_eq!(on.record(leased.lease.id).await.lost_leases, 1);
    assert_eq!(on.cancelled().await, []);
}

pub(super) async fn a_cancelled_task_that_is_lost_and_made_due_before_is_a_dead_letter(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    on.run_now(at(0), id).await.expect("it waits");
    on.lease_one(at(0)).await;
    assert_eq!(on.cancel(at(1), id).await, Cancelled::Requested);
    let held = on.held(at(2)).await;
    on.sweep_of(at(2), held, 100).await;
    assert_dead(&on, id, "").await;
}

pub(super) async fn a_cancelled_dead_letter_that_is_replayed_has_a_new_life(on: Stage) {
    let leased = cancel_leased(&on).await;
    let id = leased.lease.id;
    on.settle(at(2), leased.lease, retry()).await;
    on.replay(at(3), id).await.expect("it is dead");
    let again = on.lease_one(at(3)).await;
    assert_eq!((again.lease.id, again.attempts, on.cancelled().await), (id, 0, vec![]));
    let settled = on.settle(at(3), again.lease, Verdict::Release).await;
    assert!(matches!(settled, Settled::Scheduled(_)), "{settled:?}");
    assert_eq!(on.attempt(at(3), Verdict::Done).await, Settled::Done);
}

pub(super) async fn a_cancelled_dead_letter_holds_its_name(on: Stage) {
    let leased = cancel_leased(&on).await;
    on.settle(at(2), leased.lease, retry()).await;
    let again = on.task().with(|task| task.spec.name = name("n"));
    let refused = on.offer(at(2).plus(TOMBSTONES).plus(TOMBSTONES), again).await;
    assert_eq!(refused, Deferred::new(leased.lease.id, false));
}

pub(super) async fn what_is_over_or_dead_cannot_be_cancelled(on: Stage) {
    let unknown = TaskId::from_bytes([9; 16]);
    let done = on.store(at(0), on.task()).await;
    on.attempt(at(0), Verdict::Done).await;
    let dead = on.store(at(0), on.task()).await;
    on.attempt(at(0), permanent()).await;
    let before = on.record(dead).await;
    for id in [unknown, done, dead] {
        assert_eq!(on.cancel(at(1), id).await, Cancelled::Gone);
    }
    assert_eq!(on.record(dead).await, before);
}

pub(super) async fn a_task_is_cancelled_once(on: Stage) {
    let leased = cancel_leased(&on).await;
    assert_eq!(on.cancel(at(1), leased.lease.id).await, Cancelled::Requested);
    on.settle(at(2), leased.lease, retry()).await;
    assert_eq!(on.cancel(at(3), leased.lease.id).await, Cancelled::Gone);
    let waits = on.store(at(3), on.task()).await;
    assert_eq!(on.cancel(at(3), waits).await, Cancelled::Removed);
    assert_eq!(on.cancel(at(3), waits).await, Cancelled::Gone);
}

pub(super) async fn only_the_cancelled_task_of_a_lease_ends(on: Stage) {
    let stored = on.store_plain(at(0), 5).await;
    let leased = on.lease_all(at(0)).await;
    assert_eq!(on.cancel(at(1), stored[2]).await, Cancelled::Requested);
    assert_eq!(on.cancelled().await, [leased[2].lease]);
    for task in &leased {
        on.settle(at(2), task.lease, Verdict::Release).await;
    }
    assert_dead_only(&on, stored[2]).await;
    let others = [stored[0], stored[1], stored[3], stored[4]];
    let waiting = on.all().await;
    let waiting = waiting.iter().filter(|record| record.state != TaskState::Dead);
    assert!(waiting.map(|record| record.spec.id).eq(others));
}

pub(super) async fn a_cancelled_task_stays_cancelled_while_its_lease_is_extended(on: Stage) {
    let stored = on.store_plain(at(0), 3).await;
    let leases: Vec<_> = on.lease_all(at(0)).await.iter().map(|task| task.lease).collect();
    assert_eq!(on.extend(at(1), leases[..2].to_vec(), LEASE).await, [true; 2]);
    assert_eq!(on.cancel(at(1), stored[1]).await, Cancelled::Requested);
    assert_eq!(on.extend(at(1), leases.clone(), LEASE).await, [true; 3]);
    assert_eq!(on.cancelled().await, [leases[1]]);
    assert_eq!(on.settle(at(2), leases[1], Verdict::Release).await, Settled::Dead);
    assert_dead_only(&on, stored[1]).await;
}

/// Checks that this task, and no other, is a dead letter.
async fn assert_dead_only(on: &Stage, id: TaskId) {
    let dead = on.all().await;
    let dead = dead.iter().filter(|record| record.state == TaskState::Dead);
    assert!(dead.map(|record| record.spec.id).eq([id]));
}

pub(super) async fn a_stale_token_ends_no_cancelled_task(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    let stale = on.lease_one(at(0)).await;
    on.sweep(at(0).plus(LEASE), 100).await;
    let leased = on.lease_one(at(0).plus(LEASE)).await;
    assert_eq!(on.cancel(at(1), id).await, Cancelled::Requested);
    assert_eq!(on.cancelled().await, [leased.lease]);
    assert_eq!(on.settle(at(2), stale.lease, retry()).await, Settled::LeaseLost);
    assert_eq!(on.settle(at(2), leased.lease, retry()).await, Settled::Dead);
}

pub(super) async fn a_cancelled_task_can_be_deleted_and_purged(on: Stage) {
    let leased = cancel_leased(&on).await;
    assert!(on.delete(at(2), leased.lease.id).await);
    assert_eq!(on.cancelled().await, []);
    on.store(at(2), on.task()).await;
    let leased = on.lease_one(at(2)).await;
    on.cancel(at(2), leased.lease.id).await;
    assert_eq!(on.purge(at(2), "q").await.deleted, 1);
    assert_eq!((on.cancelled().await, on.all().await), (vec![], vec![]));
    assert_eq!(on.settle(at(2), leased.lease, retry()).await, Settled::LeaseLost);
}

pub(super) async fn a_newer_task_can_be_cancelled(on: Stage) {
    let id = on.store(at(0), on.newer()).await;
    assert_eq!(on.cancel(at(1), id).await, Cancelled::Removed);
    assert_eq!(on.find(id).await, None);
}

pub(super) async fn a_task_of_a_paused_queue_can_be_cancelled(on: Stage) {
    let waits = on.store(at(0), on.task()).await;
    on.pause("q", true).await;
    assert_eq!(on.cancel(at(1), waits).await, Cancelled::Removed);
}

pub(super) async fn a_cancellation_of_a_leased_task_is_told(on: Stage) {
    let waits = on.store(at(0), on.task()).await;
    let mut told = on.backend.cancels();
    told.mark_unchanged();
    assert_eq!(on.cancel(at(1), waits).await, Cancelled::Removed);
    assert!(!told.has_changed().expect("the backend is there"), "no worker has the task");
    cancel_leased(&on).await;
    assert!(told.has_changed().expect("the backend is there"));
}

pub(super) async fn what_is_cancelled_while_it_is_settled_is_not_attempted_again(on: Stage) {
    let stored = on.store_plain(at(0), 60).await;
    let leased = on.lease_all(at(0)).await;
    assert_eq!(ids(&leased), stored);
    let on = Arc::new(on);
    let mut work = Vec::new();
    for LeasedTask { lease, .. } in leased {
        let (cancelling, settling) = (Arc::clone(&on), Arc::clone(&on));
        let cancel = tokio::spawn(async move { cancelling.cancel(at(1), lease.id).await });
        work.push((lease, cancel, tokio::spawn(async move { settle(&settling, lease).await })));
    }
    let mut ends = Vec::new();
    for (lease, cancel, settle) in work {
        let (cancelled, settled) = (cancel.await.expect("no panic"), settle.await);
        ends.push((lease, cancelled, settled.expect("no panic")));
    }
    assert_eq!(on.lease_all(at(99_999)).await, [], "all of them were cancelled");
    for (lease, cancelled, settled) in ends {
        let state = on.find(lease.id).await.map(|record| record.state);
        match cancelled {
            Cancelled::Requested => {
                assert_eq!((settled, state), (Settled::Dead, Some(TaskState::Dead)));
            }
            Cancelled::Removed => {
                assert!(matches!(settled, Settled::Scheduled(_)) && state.is_none());
            }
            Cancelled::Gone => panic!("the task was stored: {settled:?}"),
        }
    }
}

/// Settles a task that has failed, again while others have locked it.
async fn settle(on: &Stage, lease: LeaseRef) -> Settled {
    loop {
        let settled = on.settle_all(at(2), vec![Settlement::new(lease, retry())]).await;
        if settled != [Settled::Locked] {
            return settled[0];
        }
    }
}
