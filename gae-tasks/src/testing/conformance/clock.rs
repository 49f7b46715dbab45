//! A wall clock that is set back, or was ahead: due tasks stay due, and no task runs early.

use std::time::Duration;

use super::stage::{DEAD_LETTERS, LEASE, Stage, at, permanent, queue, refuse, retry, secs};
use crate::backend::lifecycle::refusal_pause;
use crate::backend::{NewTask, Settled, TaskState, Verdict};
use crate::queue::{QueueConfig, RetryConfig};
use crate::time::Schedule;

pub(super) async fn a_task_without_a_delay_is_due_whatever_the_clock_says(on: Stage) {
    let id = on.store(at(3600), on.task()).await;
    let none = NewTask { schedule: Schedule::After(Duration::ZERO), ..on.task() };
    let none = on.store(at(3600), none).await;
    let stats = on.stats(at(0)).await[0].stats;
    assert_eq!((stats.scheduled, stats.due), (2, 2));
    let leased = on.lease_all(at(0)).await;
    assert_eq!(super::stage::ids(&leased), [id, none]);
}

pub(super) async fn a_task_with_a_time_of_its_own_is_never_early(on: Stage) {
    // Deferred while the wall clock was an hour ahead.
    for schedule in [Schedule::After(secs(60)), Schedule::At(at(3660)), Schedule::At(at(3000))] {
        on.store(at(3600), NewTask { schedule, ..on.task() }).await;
    }
    assert_eq!(on.lease_all(at(100)).await.len(), 0);
    on.sweep(at(100), 100).await;
    assert_eq!(on.lease_all(at(2999)).await.len(), 0);
    let stats = on.stats(at(2999)).await[0].stats;
    assert_eq!((stats.scheduled, stats.due), (3, 0));
    assert_eq!(on.lease_all(at(3660)).await.len(), 3);
}

pub(super) async fn a_task_that_goes_back_waits_as_it_did_before(on: Stage) {
    // Leased while the wall clock was an hour ahead, and never started.
    let timed = on.store(at(0), NewTask { schedule: Schedule::At(at(3600)), ..on.task() }).await;
    on.attempt(at(3600), Verdict::Release).await;
    assert!(on.lease_all(at(3599)).await.is_empty());
    on.lose(at(3600)).await;
    assert!(on.lease_all(at(3599)).await.is_empty());
    assert_eq!(on.lease_one(at(3600)).await.lease.id, timed);
    let plain = on.store(at(3600), on.task()).await;
    on.attempt(at(3600), Verdict::Release).await;
    on.lose(at(0)).await;
    assert_eq!(on.lease_one(at(0)).await.lease.id, plain);
}

pub(super) async fn a_retry_that_goes_back_waits_no_longer_than_its_pause_when_the_clock_is_set_back(
    on: Stage,
) {
    let id = on.store(at(3600), on.task()).await;
    let verdict =
        Verdict::Retry { error: String::new(), after: Some(secs(10)), max_attempts: None };
    on.attempt(at(3600), verdict).await;
    on.attempt(at(3610), Verdict::Release).await;
    assert!(on.lease_all(at(0)).await.is_empty());
    assert_eq!(on.sweep(at(0), 100).await.shortened, 1);
    assert_eq!(on.lease_one(at(10)).await.lease.id, id);
}

pub(super) async fn a_retry_waits_no_longer_than_its_pause_when_the_clock_is_set_back(on: Stage) {
    let retries = RetryConfig::new().with_min_backoff(secs(10)).with_max_backoff(secs(10));
    on.configure("q", QueueConfig::new().with_retry(retries)).await;
    let id = on.store(at(3600), on.task()).await;
    assert_eq!(on.attempt(at(3600), retry()).await, Settled::Scheduled(at(3610)));
    on.sweep(at(3605), 100).await;
    assert_eq!(on.record(id).await.schedule_time, at(3610), "the clock runs on");
    on.sweep(at(100), 100).await;
    assert_eq!(on.record(id).await.schedule_time, at(110));
    on.sweep(at(105), 100).await;
    assert_eq!(on.lease_all(at(109)).await.len(), 0);
    assert_eq!(on.lease_one(at(110)).await.lease.id, id);
}

pub(super) async fn a_pause_that_the_handler_asked_for_lasts_as_long_when_the_clock_is_set_back(
    on: Stage,
) {
    let id = on.store(at(9000), on.task()).await;
    let verdict =
        Verdict::Retry { error: String::new(), after: Some(secs(7200)), max_attempts: None };
    on.attempt(at(9000), verdict).await;
    on.sweep(at(0), 100).await;
    assert_eq!(on.record(id).await.schedule_time, at(7200));
}

pub(super) async fn a_sweep_shortens_every_pause_of_the_future(on: Stage) {
    on.store_plain(at(3600), 3).await;
    for task in on.lease_all(at(3600)).await {
        on.settle(at(3600), task.lease, retry()).await;
    }
    let waiting = on.store(at(0), NewTask { schedule: Schedule::At(at(9999)), ..on.task() }).await;
    on.sweep(at(0), 100).await;
    let times: Vec<_> = on.all().await.iter().map(|record| record.schedule_time).collect();
    assert!(times[..3].iter().all(|time| *time <= at(60)), "{times:?}");
    assert_eq!(on.record(waiting).await.schedule_time, at(9999));
}

pub(super) async fn a_task_that_is_made_due_or_replayed_is_due_whatever_the_clock_says(on: Stage) {
    let made_due = on.store(at(0), NewTask { schedule: Schedule::At(at(9000)), ..on.task() }).await;
    on.run_now(at(3600), made_due).await.expect("it waits");
    assert_eq!(on.lease_one(at(0)).await.lease.id, made_due);
    let dead = on.store(at(3600), on.task()).await;
    on.attempt(at(3600), permanent()).await;
    on.replay(at(3600), dead).await.expect("it is dead");
    assert_eq!(on.lease_one(at(0)).await.lease.id, dead);
}

pub(super) async fn dead_letters_of_the_future_are_kept(on: Stage) {
    let id = on.store(at(3600), on.task()).await;
    on.attempt(at(3600), permanent()).await;
    assert_eq!(on.sweep(at(0), 100).await.forgotten, 0);
    assert_eq!(on.record(id).await.state, TaskState::Dead);
    assert_eq!(on.sweep(at(3600).plus(DEAD_LETTERS), 100).await.forgotten, 1);
}

pub(super) async fn a_task_that_cannot_be_read_goes_back_for_a_while(on: Stage) {
    let unreadable = || refuse("what");
    let id = on.store(at(0), on.task().with(|task| task.spec.max_attempts = Some(1))).await;
    let mut now = at(10);
    for (refusals, wait) in (1..).zip([60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]) {
        assert_eq!(on.attempt(now, unreadable()).await, Settled::Scheduled(now.plus(secs(wait))));
        assert_eq!(refusal_pause(refusals), secs(wait));
        let record = on.record(id).await;
        assert_eq!(
            (record.attempts, record.first_attempt, record.state, record.refusals),
            (0, None, TaskState::Scheduled, refusals)
        );
        assert_eq!(record.errors.last().expect("the error is kept").message, "what");
        now = now.plus(secs(wait));
    }
}

pub(super) async fn a_task_that_cannot_be_read_keeps_its_standing(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    let now = on.lose(at(0)).await;
    on.attempt(now, refuse("")).await;
    assert_eq!(on.record(id).await.lost_leases, 1);
}

pub(super) async fn the_next_time_regards_only_what_waits_for_a_time(on: Stage) {
    on.store(at(3600), on.task().with(|task| task.spec.queue = queue("q"))).await;
    on.lease_one(at(3600)).await;
    on.sweep(at(3600).plus(LEASE), 100).await;
    on.store(at(0), NewTask { schedule: Schedule::After(secs(10)), ..on.task() }).await;
    let leased = on.lease(on.leasing(at(0))).await;
    assert_eq!((leased.tasks.len(), leased.next), (1, Some(secs(10))));
}
