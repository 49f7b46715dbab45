//! Settling: an outcome is recorded once, and only by the holder of the lease.

use super::stage::{LEASE, ROOM, Stage, at, permanent, queue, retry, secs, settlement};
use crate::backend::{Lease, LeaseRef, LeaseToken, Room, Settled, TaskState, Verdict};
use crate::task::TaskId;

fn every_verdict() -> [Verdict; 4] {
    [Verdict::Done, Verdict::Release, retry(), permanent()]
}

/// Settles with every verdict under a lease that is no longer held, and checks that nothing
/// changes.
async fn assert_lost(on: &Stage, lease: LeaseRef) {
    let before = on.all().await;
    for verdict in every_verdict() {
        assert_eq!(on.settle(at(1).plus(LEASE), lease, verdict).await, Settled::LeaseLost);
    }
    assert_eq!(on.all().await, before);
}

pub(super) async fn a_done_task_is_deleted(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    assert_eq!(on.attempt(at(0), Verdict::Done).await, Settled::Done);
    assert_eq!(on.find(id).await, None);
    assert!(on.lease_all(at(9999)).await.is_empty());
}

pub(super) async fn a_task_may_be_done_after_failures(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    on.attempt(at(0), retry()).await;
    on.lose(at(60)).await;
    assert_eq!(on.attempt(at(120), Verdict::Done).await, Settled::Done);
    assert_eq!(on.find(id).await, None);
}

pub(super) async fn a_wrong_token_changes_nothing(on: Stage) {
    on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    assert_lost(&on, LeaseRef::new(lease.id, LeaseToken::from_bits(lease.token.to_bits() ^ 1)))
        .await;
    assert_eq!(on.settle(at(1), lease, Verdict::Done).await, Settled::Done);
}

pub(super) async fn a_token_of_one_lease_is_of_no_use_for_another(on: Stage) {
    on.store(at(0), on.task()).await;
    let one = on.lease_one(at(0)).await.lease;
    on.store(at(0), on.task()).await;
    let two = on.lease_one(at(0)).await.lease;
    assert_lost(&on, LeaseRef::new(one.id, two.token)).await;
}

pub(super) async fn an_unknown_task_cannot_be_settled(on: Stage) {
    assert_lost(&on, LeaseRef::new(TaskId::from_bytes([9; 16]), LeaseToken::from_bits(0))).await;
}

pub(super) async fn a_waiting_task_cannot_be_settled(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    assert_lost(&on, LeaseRef::new(id, LeaseToken::from_bits(0))).await;
}

pub(super) async fn an_outcome_is_recorded_once(on: Stage) {
    for verdict in every_verdict() {
        on.store(at(0), on.task().with(|task| task.spec.queue = queue("r"))).await;
        let lease =
            on.lease(Lease { room: Room { total: 1, ..ROOM }, ..on.leasing(at(0)) }).await.tasks[0]
                .lease;
        assert_ne!(on.settle(at(0), lease, verdict).await, Settled::LeaseLost);
        assert_lost(&on, lease).await;
        on.delete(at(0), lease.id).await;
    }
}

pub(super) async fn an_outcome_is_recorded_once_in_one_batch_too(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    let twice = vec![settlement(lease, None, permanent()), settlement(lease, None, Verdict::Done)];
    assert_eq!(on.settle_all(at(0), twice).await, [Settled::Dead, Settled::LeaseLost]);
    assert_eq!(on.record(id).await.state, TaskState::Dead);
}

pub(super) async fn a_deleted_task_cannot_be_settled(on: Stage) {
    let id = on.store(at(0), on.named("n")).await;
    let lease = on.lease_one(at(0)).await.lease;
    assert!(on.delete(at(0), id).await);
    assert_lost(&on, lease).await;
}

pub(super) async fn a_purged_task_cannot_be_settled(on: Stage) {
    on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    assert_eq!(on.purge(at(0), "q").await.deleted, 1);
    assert_lost(&on, lease).await;
}

pub(super) async fn a_recovered_task_cannot_be_settled(on: Stage) {
    on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    on.sweep(at(0).plus(LEASE), 100).await;
    assert_lost(&on, lease).await;
}

pub(super) async fn a_task_that_another_got_cannot_be_settled(on: Stage) {
    on.store(at(0), on.task()).await;
    let stale = on.lease_one(at(0)).await.lease;
    on.sweep(at(0).plus(LEASE), 100).await;
    let fresh = on.lease_one(at(0).plus(LEASE)).await.lease;
    assert_lost(&on, stale).await;
    assert_eq!(on.settle(at(1).plus(LEASE), fresh, Verdict::Done).await, Settled::Done);
}

pub(super) async fn an_expired_lease_that_nobody_recovered_still_settles(on: Stage) {
    on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    assert_eq!(on.settle(at(0).plus(LEASE * 2), lease, Verdict::Done).await, Settled::Done);
}

pub(super) async fn a_lost_lease_does_not_harm_its_neighbours(on: Stage) {
    on.retry_briefly("q").await;
    on.store_plain(at(0), 5).await;
    let leases: Vec<_> = on.lease_all(at(0)).await.iter().map(|task| task.lease).collect();
    on.delete(at(0), leases[1].id).await;
    let verdicts = [Verdict::Done, Verdict::Done, permanent(), Verdict::Release, retry()];
    let batch = leases
        .iter()
        .zip(verdicts)
        .map(|(lease, verdict)| settlement(*lease, None, verdict))
        .collect();
    let backoff = at(0).plus(std::time::Duration::from_millis(100));
    let expected = [
        Settled::Done,
        Settled::LeaseLost,
        Settled::Dead,
        Settled::Scheduled(at(0)),
        Settled::Scheduled(backoff),
    ];
    assert_eq!(on.settle_all(at(0), batch).await, expected);
    let left: Vec<_> =
        on.all().await.into_iter().map(|record| (record.spec.id, record.state)).collect();
    let (dead, waits) = (TaskState::Dead, TaskState::Scheduled);
    assert_eq!(left, [(leases[2].id, dead), (leases[3].id, waits), (leases[4].id, waits)]);
}

pub(super) async fn no_settlements_have_no_answers(on: Stage) {
    on.store(at(0), on.task()).await;
    on.lease_one(at(0)).await;
    let before = on.all().await;
    assert!(on.settle_all(at(1), Vec::new()).await.is_empty());
    assert_eq!(on.all().await, before);
}

pub(super) async fn hundreds_of_outcomes_fit_one_batch(on: Stage) {
    on.store_plain(at(0), 700).await;
    let leased = on
        .lease(Lease { room: Room { total: 1000, starting: 1000, ..ROOM }, ..on.leasing(at(0)) })
        .await
        .tasks;
    let batch = leased.iter().map(|task| settlement(task.lease, None, Verdict::Done)).collect();
    assert_eq!(on.settle_all(at(0), batch).await, vec![Settled::Done; 700]);
    assert!(on.all().await.is_empty());
}

pub(super) async fn a_released_task_goes_back_as_it_was(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    on.attempt(at(0), retry()).await;
    let before = on.record(id).await;
    assert_eq!(
        on.attempt(at(60), Verdict::Release).await,
        Settled::Scheduled(before.schedule_time)
    );
    assert_eq!(on.record(id).await, before);
}

pub(super) async fn a_released_task_is_due_at_once(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    on.attempt(at(0), Verdict::Release).await;
    assert_eq!(on.lease_one(at(0)).await.lease.id, id);
}

pub(super) async fn a_released_task_may_be_released_for_ever(on: Stage) {
    let id = on.store(at(0), on.task().with(|task| task.spec.max_attempts = Some(1))).await;
    for second in 0..20 {
        let lease = on.lease_one(at(second)).await.lease;
        // The attempt started, and was stopped so that another worker can run the task.
        let released = settlement(lease, Some(at(second)), Verdict::Release);
        assert_eq!(on.settle_all(at(second), vec![released]).await, [Settled::Scheduled(at(0))]);
    }
    let record = on.record(id).await;
    assert_eq!((record.attempts, record.first_attempt, record.errors.len()), (0, None, 0));
}

pub(super) async fn a_task_that_cannot_be_delivered_is_a_dead_letter_without_an_attempt(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(1)).await.lease;
    let refused = Verdict::Undeliverable { error: "it is too large".to_owned() };
    assert_eq!(on.settle(at(3), lease, refused).await, Settled::Dead);
    let record = on.record(id).await;
    assert_eq!((record.state, record.died, record.attempts), (TaskState::Dead, Some(at(3)), 0));
    assert_eq!((record.first_attempt, record.errors.len()), (None, 1));
    assert_eq!((record.errors[0].attempt, &*record.errors[0].message), (0, "it is too large"));
}

pub(super) async fn a_permanent_failure_makes_a_dead_letter(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(1)).await.lease;
    let failed = settlement(lease, Some(at(2)), permanent());
    assert_eq!(on.settle_all(at(3), vec![failed]).await, [Settled::Dead]);
    let record = on.record(id).await;
    assert_eq!((record.state, record.died, record.attempts), (TaskState::Dead, Some(at(3)), 1));
    assert_eq!(record.first_attempt, Some(at(2)));
    assert_eq!(record.errors.len(), 1);
    let error = &record.errors[0];
    assert_eq!((error.attempt, error.at, error.message.as_str()), (1, at(3), "it failed for good"));
}

pub(super) async fn a_dead_letter_is_not_leased(on: Stage) {
    on.store(at(0), on.task()).await;
    on.attempt(at(0), permanent()).await;
    let leased = on.lease(on.leasing(at(9999))).await;
    assert!(leased.tasks.is_empty());
    assert_eq!(leased.next, None);
    assert_eq!(on.sweep(at(0).plus(secs(60)), 100).await.recovered, 0);
}
