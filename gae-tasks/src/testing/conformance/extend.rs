//! Extending leases: only the holder of a lease can extend it.

use super::stage::{LEASE, Stage, at, just_before, secs};
use crate::backend::{LeaseRef, LeaseToken, Settled, Verdict};
use crate::task::TaskId;

pub(super) async fn a_held_lease_is_extended(on: Stage) {
    on.store(at(0), on.task()).await;
    let task = on.lease_one(at(0)).await;
    assert_eq!(on.extend(at(20), vec![task.lease], LEASE).await, [true]);
}

pub(super) async fn an_extended_lease_lasts_from_the_extension_on(on: Stage) {
    on.store(at(0), on.task()).await;
    let task = on.lease_one(at(0)).await;
    on.extend(at(20), vec![task.lease], LEASE).await;
    assert_eq!(on.sweep(just_before(at(20).plus(LEASE)), 100).await.recovered, 0);
    assert_eq!(on.sweep(at(20).plus(LEASE), 100).await.recovered, 1);
}

pub(super) async fn a_lease_can_be_shortened(on: Stage) {
    on.store(at(0), on.task()).await;
    let task = on.lease_one(at(0)).await;
    on.extend(at(1), vec![task.lease], secs(1)).await;
    assert_eq!(on.sweep(at(2), 100).await.recovered, 1);
}

pub(super) async fn a_wrong_token_extends_nothing(on: Stage) {
    on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    let wrong = LeaseRef::new(lease.id, LeaseToken::from_bits(lease.token.to_bits() ^ 1));
    assert_eq!(on.extend(at(20), vec![wrong], LEASE).await, [false]);
    assert_eq!(on.sweep(at(0).plus(LEASE), 100).await.recovered, 1);
}

pub(super) async fn an_unknown_task_has_no_lease_to_extend(on: Stage) {
    let unknown = LeaseRef::new(TaskId::from_bytes([9; 16]), LeaseToken::from_bits(1));
    assert_eq!(on.extend(at(0), vec![unknown], LEASE).await, [false]);
}

pub(super) async fn an_expired_lease_that_nobody_recovered_is_held_on(on: Stage) {
    on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    assert_eq!(on.extend(at(1).plus(LEASE), vec![lease], LEASE).await, [true]);
    assert_eq!(on.sweep(at(1).plus(LEASE), 100).await.recovered, 0);
}

pub(super) async fn a_recovered_lease_is_not_extended(on: Stage) {
    on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    on.sweep(at(0).plus(LEASE), 100).await;
    assert_eq!(on.extend(at(0).plus(LEASE), vec![lease], LEASE).await, [false]);
}

pub(super) async fn a_lease_that_another_got_is_not_extended(on: Stage) {
    on.store(at(0), on.task()).await;
    let stale = on.lease_one(at(0)).await.lease;
    on.sweep(at(0).plus(LEASE), 100).await;
    let fresh = on.lease_one(at(0).plus(LEASE)).await.lease;
    assert_eq!(on.extend(at(1).plus(LEASE), vec![stale, fresh], LEASE).await, [false, true]);
}

pub(super) async fn a_settled_lease_is_not_extended(on: Stage) {
    on.store_plain(at(0), 2).await;
    let tasks = on.lease_all(at(0)).await;
    assert_eq!(on.settle(at(1), tasks[0].lease, Verdict::Done).await, Settled::Done);
    on.settle(at(1), tasks[1].lease, Verdict::Release).await;
    assert_eq!(on.extend(at(1), vec![tasks[0].lease, tasks[1].lease], LEASE).await, [false, false]);
}

pub(super) async fn several_leases_are_answered_in_order(on: Stage) {
    on.store_plain(at(0), 3).await;
    let mut leases: Vec<_> = on.lease_all(at(0)).await.iter().map(|task| task.lease).collect();
    leases[1].token = LeaseToken::from_bits(leases[1].token.to_bits() ^ 1);
    leases.reverse();
    assert_eq!(on.extend(at(20), leases, LEASE).await, [true, false, true]);
    assert_eq!(on.sweep(at(0).plus(LEASE), 100).await.recovered, 1);
}

pub(super) async fn no_leases_have_no_answers(on: Stage) {
    on.store(at(0), on.task()).await;
    on.lease_one(at(0)).await;
    let before = on.all().await;
    assert!(on.extend(at(1), Vec::new(), LEASE).await.is_empty());
    assert_eq!(on.all().await, before);
}
