//! Administration: run now, replay, delete, purge, pause and configure.

use super::stage::{LEASE, Stage, TOMBSTONES, at, name, permanent, queue, retry, secs};
use crate::backend::{DeleteQueue, NewTask, Purged, Standing, TaskFilter, TaskState, Verdict};
use crate::error::Error;
use crate::queue::{QueueConfig, RetryConfig};
use crate::retention::Retention;
use crate::task::TaskId;
use crate::time::{Now, Schedule};

fn assert_refused(answer: Result<(), Error>, of: TaskId) {
    assert!(matches!(&answer, Err(Error::NoSuchTask { id, .. }) if *id == of), "{answer:?}");
}

async fn store_later(on: &Stage) -> TaskId {
    on.store(at(0), NewTask { schedule: Schedule::After(secs(500)), ..on.task() }).await
}

async fn bury(on: &Stage) -> TaskId {
    let id = on.store(at(0), on.task()).await;
    on.attempt(at(0), permanent()).await;
    id
}

pub(super) async fn a_waiting_task_can_be_made_due(on: Stage) {
    let id = store_later(&on).await;
    on.run_now(at(5), id).await.expect("the task waits");
    assert_eq!(on.record(id).await.schedule_time, at(5));
    assert_eq!(on.lease_one(at(5)).await.lease.id, id);
}

pub(super) async fn a_due_task_made_due_keeps_its_place(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    on.run_now(at(5), id).await.expect("the task waits");
    assert_eq!(on.record(id).await.schedule_time, at(0));
}

pub(super) async fn a_failed_task_can_be_made_due_and_keeps_its_past(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    on.attempt(at(0), retry()).await;
    on.run_now(at(0), id).await.expect("the task waits");
    let leased = on.lease_one(at(0)).await;
    assert_eq!((leased.lease.id, leased.attempts), (id, 1));
}

pub(super) async fn a_leased_task_cannot_be_made_due(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    on.lease_one(at(0)).await;
    assert_refused(on.run_now(at(1), id).await, id);
    assert_eq!(on.record(id).await.state, TaskState::Leased);
}

pub(super) async fn a_dead_letter_cannot_be_made_due(on: Stage) {
    let id = bury(&on).await;
    assert_refused(on.run_now(at(1), id).await, id);
    assert_eq!(on.record(id).await.state, TaskState::Dead);
}

pub(super) async fn an_unknown_task_can_neither_be_made_due_nor_replayed(on: Stage) {
    let id = TaskId::from_bytes([9; 16]);
    assert_refused(on.run_now(at(0), id).await, id);
    assert_refused(on.replay(at(0), id).await, id);
}

pub(super) async fn a_replayed_dead_letter_has_a_new_life(on: Stage) {
    let id = on.store(at(0), on.named("n")).await;
    let now = on.lose(at(0)).await;
    on.attempt(now, permanent()).await;
    let dead = on.record(id).await;
    on.replay(at(100), id).await.expect("the dead letter is replayed");
    let record = on.record(id).await;
    assert_eq!(
        (record.state, record.died, record.schedule_time),
        (TaskState::Scheduled, None, at(100))
    );
    assert_eq!((record.attempts, record.lost_leases, record.first_attempt), (0, 0, None));
    assert_eq!(
        (record.errors, record.spec.name, record.payload),
        (dead.errors, dead.spec.name, dead.payload)
    );
    assert_eq!(record.created, dead.created);
}

pub(super) async fn a_replayed_dead_letter_is_leased_like_a_new_task(on: Stage) {
    let id = bury(&on).await;
    on.replay(at(100), id).await.expect("the dead letter is replayed");
    let leased = on.lease_one(at(100)).await;
    assert_eq!((leased.lease.id, leased.attempts, leased.standing), (id, 0, Standing::Clear));
}

pub(super) async fn a_replayed_dead_letter_has_all_its_attempts_again(on: Stage) {
    let id = on.store(at(0), on.task().with(|task| task.spec.max_attempts = Some(2))).await;
    for now in [at(0), at(60)] {
        on.attempt(now, retry()).await;
    }
    on.replay(at(100), id).await.expect("the dead letter is replayed");
    on.attempt(at(100), retry()).await;
    let record = on.record(id).await;
    assert_eq!(
        (record.state, record.attempts, record.first_attempt),
        (TaskState::Scheduled, 1, Some(at(100)))
    );
    assert_eq!(record.errors.len(), 3);
}

pub(super) async fn a_live_task_cannot_be_replayed(on: Stage) {
    let (waits, later) = (on.store(at(0), on.task()).await, store_later(&on).await);
    assert_refused(on.replay(at(1), waits).await, waits);
    assert_refused(on.replay(at(1), later).await, later);
    on.lease_one(at(1)).await;
    assert_refused(on.replay(at(1), waits).await, waits);
    assert_eq!(on.record(waits).await.state, TaskState::Leased);
}

pub(super) async fn a_task_can_be_deleted_in_every_state(on: Stage) {
    let dead = bury(&on).await;
    let leased = on.store(at(0), on.task()).await;
    on.lease_one(at(0)).await;
    let waits = on.store(at(0), on.task()).await;
    for id in [dead, leased, waits] {
        assert!(on.delete(at(1), id).await);
        assert_eq!(on.find(id).await, None);
    }
    assert!(on.lease_all(at(999)).await.is_empty());
    assert_eq!(on.sweep(at(0).plus(LEASE), 100).await.recovered, 0);
}

pub(super) async fn a_task_is_deleted_once(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    assert!(on.delete(at(1), id).await);
    assert!(!on.delete(at(1), id).await);
    assert!(!on.delete(at(1), TaskId::from_bytes([9; 16])).await);
}

pub(super) async fn deleting_twice_does_not_shorten_nor_prolong_a_tombstone(on: Stage) {
    let id = on.store(at(0), on.named("n")).await;
    on.delete(at(0), id).await;
    on.delete(at(1000), id).await;
    let again =
        on.offer(at(0).plus(TOMBSTONES), on.task().with(|task| task.spec.name = name("n"))).await;
    assert!(again.created);
}

pub(super) async fn a_purge_deletes_what_waits_and_what_is_leased(on: Stage) {
    let dead = bury(&on).await;
    on.store(at(0), on.task()).await;
    on.lease_one(at(0)).await;
    on.store(at(0), on.task()).await;
    store_later(&on).await;
    let other = on.store(at(0), on.task().with(|task| task.spec.queue = queue("r"))).await;
    assert_eq!(on.purge(at(1), "q").await, Purged::new(3, 0));
    let left: Vec<_> = on.all().await.into_iter().map(|record| record.spec.id).collect();
    assert_eq!(left, [dead, other]);
}

pub(super) async fn a_purge_of_an_empty_or_unknown_queue_deletes_nothing(on: Stage) {
    on.configure("empty", QueueConfig::new()).await;
    on.store(at(0), on.task()).await;
    assert_eq!(on.purge(at(1), "empty").await, Purged::new(0, 0));
    assert_eq!(on.purge(at(1), "unknown").await, Purged::new(0, 0));
    assert_eq!(on.all().await.len(), 1);
}

pub(super) async fn a_purged_queue_goes_on(on: Stage) {
    on.store(at(0), on.task()).await;
    on.pause("q", true).await;
    on.purge(at(1), "q").await;
    assert!(on.backend.queues().await.expect("queues answers")[0].paused);
    on.pause("q", false).await;
    let id = on.store(at(1), on.task()).await;
    assert_eq!(on.lease_one(at(1)).await.lease.id, id);
}

pub(super) async fn a_queue_configuration_is_kept(on: Stage) {
    let retry = RetryConfig::new()
        .with_max_attempts(None)
        .with_max_retry_duration(Some(secs(7)))
        .with_min_backoff(std::time::Duration::from_nanos(1_234_567_891))
        .with_max_backoff(secs(u64::MAX))
        .with_max_doublings(u32::MAX);
    let config = QueueConfig::new().with_retry(retry);
    on.configure("q", config.clone()).await;
    assert_eq!(on.config("q").await, config);
    on.configure("q", QueueConfig::new()).await;
    assert_eq!(on.config("q").await, config, "no field is set, so no field changes");
}

pub(super) async fn only_the_fields_that_are_set_are_changed(on: Stage) {
    let retry = RetryConfig::new().with_max_attempts(Some(9));
    on.configure(
        "q",
        QueueConfig::new().with_retry(retry.clone()).with_dead_letter_retention(secs(7)),
    )
    .await;
    on.configure(
        "q",
        QueueConfig::new().with_tombstone_retention(secs(8)).with_max_lost_attempts(2),
    )
    .await;
    on.configure("q", QueueConfig::new().with_dead_letter_retention(secs(3))).await;
    let config = on.config("q").await;
    assert_eq!((config.retry(), config.max_lost_attempts()), (&retry, 2));
    assert_eq!((config.dead_letter_retention(), config.tombstone_retention()), (secs(3), secs(8)));
}

pub(super) async fn a_stated_retention_is_raised_and_never_shortened(on: Stage) {
    let raise = async |days: u64| {
        let mut stated = Retention::new();
        stated.dead_letters = Some(secs(days * 24 * 3600));
        on.backend.raise_retention(queue("q"), stated).await.expect("raise_retention answers");
    };
    for (stated, kept) in [(7, 7), (90, 90), (7, 90)] {
        raise(stated).await;
        assert_eq!(on.config("q").await.dead_letter_retention(), secs(kept * 24 * 3600));
        assert_eq!(
            on.config("q").await.tombstone_retention(),
            TOMBSTONES,
            "the retention of tombstones was not stated"
        );
    }
    on.configure("q", QueueConfig::new().with_dead_letter_retention(secs(1))).await;
    assert_eq!(on.config("q").await.dead_letter_retention(), secs(1));
}

pub(super) async fn raising_a_retention_keeps_all_else(on: Stage) {
    let config = QueueConfig::new().with_retry(RetryConfig::new().with_max_attempts(Some(9)));
    on.configure("q", config.clone()).await;
    on.pause("q", true).await;
    let mut stated = Retention::new();
    stated.tombstones = Some(secs(7));
    on.backend.raise_retention(queue("q"), stated).await.expect("raise_retention answers");
    assert_eq!(on.config("q").await, config.with_tombstone_retention(secs(7)));
    assert!(on.backend.queues().await.expect("queues answers")[0].paused);
}

pub(super) async fn a_configured_queue_stays_paused(on: Stage) {
    on.configure("q", QueueConfig::new()).await;
    on.pause("q", true).await;
    on.configure("q", QueueConfig::new().with_retry(RetryConfig::new().with_max_attempts(Some(9))))
        .await;
    let queues = on.backend.queues().await.expect("queues answers");
    assert_eq!((queues.len(), queues[0].paused), (1, true));
}

pub(super) async fn pausing_keeps_the_configuration(on: Stage) {
    let config = QueueConfig::new().with_retry(RetryConfig::new().with_max_attempts(Some(9)));
    on.configure("q", config.clone()).await;
    for paused in [true, true, false, false] {
        on.pause("q", paused).await;
        let queues = on.backend.queues().await.expect("queues answers");
        assert_eq!((queues[0].config.as_ref(), queues[0].paused), (Some(&config), paused));
    }
}

pub(super) async fn pausing_a_missing_queue_is_refused(on: Stage) {
    let refused = async |paused| {
        let error =
            on.backend.set_paused(queue("q"), paused).await.expect_err("the queue does not exist");
        assert!(matches!(&error, Error::NoSuchQueue { queue, .. } if queue == "q"), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("`q`") && text.contains("put_queue"), "{text}");
        assert!(
            on.backend.queues().await.expect("queues answers").is_empty(),
            "no queue is created"
        );
    };
    for paused in [true, false] {
        refused(paused).await;
    }
    on.configure("q", QueueConfig::new()).await;
    on.pause("q", true).await;
    let id = on.store(at(0), on.task()).await;
    assert!(on.lease_all(at(0)).await.is_empty());
    on.pause("q", false).await;
    on.settle(at(0), on.lease_one(at(0)).await.lease, Verdict::Done).await;
    assert_eq!(on.find(id).await, None);
    on.backend
        .delete_queue(DeleteQueue::new(Now::At(at(0)), queue("q")))
        .await
        .expect("delete_queue answers");
    refused(false).await;
}

pub(super) async fn a_queue_is_paused_before_its_first_task(on: Stage) {
    on.configure("fresh", QueueConfig::new()).await;
    on.pause("fresh", true).await;
    let queues = on.backend.queues().await.expect("queues answers");
    assert_eq!((&queues[0].name, queues[0].paused), (&queue("fresh"), true));
    assert_eq!(queues[0].config, Some(QueueConfig::new()));
    on.store(at(0), on.task().with(|task| task.spec.queue = queue("fresh"))).await;
    assert_eq!(on.list(TaskFilter::new().queue(queue("fresh"))).await.len(), 1);
}

pub(super) async fn queues_are_told_by_name(on: Stage) {
    for name in ["m", "a", "z", "B", "a-1"] {
        on.configure(name, QueueConfig::new()).await;
    }
    let queues = on.backend.queues().await.expect("queues answers");
    let names: Vec<_> = queues.iter().map(|queue| queue.name.as_str()).collect();
    assert_eq!(names, ["B", "a", "a-1", "m", "z"]);
}
