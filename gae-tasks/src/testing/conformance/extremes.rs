//! Extreme times: moments and durations out of range are clamped to the range, and nothing fails.

use std::time::Duration;

use super::stage::{LEASE, ROOM, Stage, at, name, permanent, retry, settlement};
use crate::backend::{Lease, NewTask, Room, Settled, Verdict};
use crate::queue::{QueueConfig, RetryConfig};
use crate::time::{Schedule, Timestamp};

const FIRST: Timestamp = Timestamp::from_micros(i64::MIN);

pub(super) async fn a_task_at_the_end_of_time_waits(on: Stage) {
    let last = Schedule::At(Timestamp::MAX);
    let id = on.store(at(0), NewTask { schedule: last, ..on.task() }).await;
    assert_eq!(on.record(id).await.schedule_time, Timestamp::MAX);
    let leased = on.lease(on.leasing(at(0))).await;
    assert!(leased.tasks.is_empty());
    assert_eq!(leased.next, Some(Timestamp::MAX.since(at(0))));
    assert_eq!(on.stats(at(0)).await[0].stats.oldest_due, Some(Timestamp::MAX));
}

pub(super) async fn a_task_at_the_end_of_time_is_leased_then(on: Stage) {
    let last = Schedule::At(Timestamp::MAX);
    let id = on.store(at(0), NewTask { schedule: last, ..on.task() }).await;
    assert_eq!(on.lease_one(Timestamp::MAX).await.lease.id, id);
    assert_eq!(on.sweep(Timestamp::MAX, 100).await.recovered, 1);
}

pub(super) async fn an_endless_delay_ends_with_time(on: Stage) {
    let id =
        on.store(at(0), NewTask { schedule: Schedule::After(Duration::MAX), ..on.task() }).await;
    assert_eq!(on.record(id).await.schedule_time, Timestamp::MAX);
}

pub(super) async fn moments_before_1970_are_moments(on: Stage) {
    on.retry_briefly("q").await;
    let now = Timestamp::from_micros(-1_500_001);
    let id = on.store(now, on.task()).await;
    let record = on.record(id).await;
    assert_eq!((record.created, record.schedule_time), (now, now));
    assert_eq!(
        on.attempt(now, retry()).await,
        Settled::Scheduled(now.plus(Duration::from_millis(100)))
    );
    assert_eq!(on.lease_one(Timestamp::from_micros(0)).await.lease.id, id);
}

pub(super) async fn the_first_moment_is_a_moment(on: Stage) {
    on.store(FIRST, on.task()).await;
    on.lease_one(FIRST).await;
    assert_eq!(on.sweep(FIRST, 100).await.recovered, 0);
    assert_eq!(on.sweep(FIRST.plus(LEASE), 100).await.recovered, 1);
    assert_eq!(on.attempt(FIRST.plus(LEASE), permanent()).await, Settled::Dead);
}

pub(super) async fn the_longest_wait_is_told(on: Stage) {
    on.store(FIRST, NewTask { schedule: Schedule::At(Timestamp::MAX), ..on.task() }).await;
    let next = on.lease(on.leasing(FIRST)).await.next;
    assert_eq!(next, Some(Timestamp::MAX.since(FIRST)));
}

pub(super) async fn an_endless_lease_is_not_lost(on: Stage) {
    on.store(at(0), on.task()).await;
    let request = Lease { duration: Duration::MAX, ..on.leasing(at(0)) };
    let lease = on.lease(request).await.tasks[0].lease;
    assert_eq!(on.sweep(at(1_000_000_000), 100).await.recovered, 0);
    assert_eq!(on.extend(at(1), vec![lease], Duration::MAX).await, [true]);
    assert_eq!(on.sweep(at(1_000_000_000), 100).await.recovered, 0);
}

pub(super) async fn an_endless_pause_ends_with_time(on: Stage) {
    on.store(at(0), on.task()).await;
    let verdict =
        Verdict::Retry { error: String::new(), after: Some(Duration::MAX), max_attempts: None };
    assert_eq!(on.attempt(at(0), verdict).await, Settled::Scheduled(Timestamp::MAX));
}

pub(super) async fn an_endless_backoff_ends_with_time(on: Stage) {
    let retry_config =
        RetryConfig::new().with_min_backoff(Duration::MAX).with_max_backoff(Duration::MAX);
    on.configure("q", QueueConfig::new().with_retry(retry_config)).await;
    on.store(at(0), on.task()).await;
    assert_eq!(on.attempt(at(0), retry()).await, Settled::Scheduled(Timestamp::MAX));
}

pub(super) async fn endless_tombstones_block_for_ever(on: Stage) {
    on.configure("q", QueueConfig::new().with_tombstone_retention(Duration::MAX)).await;
    on.store(at(0), on.named("done")).await;
    on.attempt(at(0), Verdict::Done).await;
    let id = on.store(at(0), on.named("deleted")).await;
    assert!(on.delete(at(0), id).await);
    on.store(at(0), on.named("purged")).await;
    assert_eq!(on.purge(at(0), "q").await.deleted, 1);
    on.sweep(at(1_000_000_000), 100).await;
    for text in ["done", "deleted", "purged"] {
        let again =
            on.offer(at(1_000_000_000), on.task().with(|task| task.spec.name = name(text))).await;
        assert!(!again.created, "{text}");
    }
}

pub(super) async fn dead_letters_can_be_kept_for_ever(on: Stage) {
    on.configure("q", QueueConfig::new().with_dead_letter_retention(Duration::MAX)).await;
    on.store(at(0), on.task()).await;
    on.attempt(at(0), permanent()).await;
    assert_eq!(on.sweep(at(1_000_000_000), usize::MAX).await.forgotten, 0);
    assert_eq!(on.all().await.len(), 1);
}

pub(super) async fn the_largest_limits_lease_all(on: Stage) {
    on.store_plain(at(0), 3).await;
    let request = Lease {
        room: Room { total: usize::MAX, starting: usize::MAX, ..ROOM },
        ..on.leasing(at(0))
    };
    assert_eq!(on.lease(request).await.tasks.len(), 3);
}

pub(super) async fn a_clock_that_goes_back_breaks_nothing(on: Stage) {
    on.retry_briefly("q").await;
    let id = on.store(at(100), on.task()).await;
    let lease = on.lease_one(at(100)).await.lease;
    let failed = settlement(lease, Some(at(100)), retry());
    let patience = at(50).plus(Duration::from_millis(100));
    assert_eq!(on.settle_all(at(50), vec![failed]).await, [Settled::Scheduled(patience)]);
    assert_eq!(on.lease_one(at(60)).await.lease.id, id);
}
