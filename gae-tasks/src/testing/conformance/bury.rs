//! Burying: storing tasks that ended on another backend as dead letters.

use super::stage::{
    DEAD_LETTERS, Stage, TOMBSTONES, at, ids, just_before, name, permanent, queue, retry, secs,
    stored,
};
use crate::backend::{
    Bury, CopyTask, ForgottenTask, MAX_ERROR_BYTES, NewTask, Standing, TaskFilter, TaskState,
    Verdict,
};
use crate::error::Error;
use crate::queue::{QueueConfig, RetryConfig};
use crate::task::{Deferred, TaskId};
use crate::time::{Now, Schedule, Timestamp};

/// Buries a task after 3 attempts, the first of which began 90 seconds before the case.
async fn bury(on: &Stage, now: Timestamp, task: NewTask, error: &str) -> TaskId {
    let id = task.spec.id;
    let first_attempt = Some(at(-90));
    let request = Bury::new(Now::At(now), task, 3, first_attempt, error.to_owned());
    on.backend.bury(request).await.expect("bury answers");
    id
}

/// Returns a task with every optional field set.
fn full(on: &Stage) -> NewTask {
    on.task().with(|task| {
        task.spec.name = name("full");
        task.spec.max_attempts = Some(2);
        task.spec.retry =
            Some(RetryConfig::new().with_min_backoff(secs(7)).with_max_attempts(None));
        task.spec.deadline = Some(secs(77));
        task.spec.attributes = Some(vec![1, 2, 3]);
        task.payload = vec![0, 1, 2, 255];
        task.schedule = Schedule::At(at(-100));
    })
}

pub(super) async fn a_buried_task_is_a_dead_letter_with_all_its_data(on: Stage) {
    let task = full(&on);
    let id = bury(&on, at(5), task.clone(), "it failed elsewhere").await;
    let record = on.record(id).await;
    assert_eq!((record.state, record.died, record.created), (TaskState::Dead, Some(at(5)), at(5)));
    assert_eq!((record.attempts, record.first_attempt, record.lost_leases), (3, Some(at(-90)), 0));
    assert_eq!(
        (&record.spec.kind, record.spec.shape, record.payload),
        (&task.spec.kind, task.spec.shape, Some(task.payload))
    );
    assert_eq!(
        (&record.spec.queue, &record.spec.name, &record.spec.retry),
        (&task.spec.queue, &task.spec.name, &task.spec.retry)
    );
    assert_eq!(
        (record.spec.max_attempts, record.spec.deadline),
        (task.spec.max_attempts, task.spec.deadline)
    );
    assert_eq!(record.spec.attributes, task.spec.attributes);
    assert_eq!(record.errors.len(), 1);
    let error = &record.errors[0];
    assert_eq!(
        (error.attempt, error.at, error.message.as_str()),
        (3, at(5), "it failed elsewhere")
    );
}

pub(super) async fn workers_settle_with_a_time_so_no_task_is_copied(on: Stage) {
    let task = on.task();
    let id = task.spec.id;
    let refused = on.backend.copy(CopyTask::new(Now::At(at(0)), task, 1)).await;
    assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
    assert!(on.backend.get(id).await.expect("get answers").is_none());
}

pub(super) async fn a_task_that_never_began_can_be_buried(on: Stage) {
    let task = on.task();
    let id = task.spec.id;
    let request = Bury::new(Now::At(at(0)), task, 0, None, String::new());
    on.backend.bury(request).await.expect("bury answers");
    let record = on.record(id).await;
    assert_eq!((record.state, record.attempts, record.first_attempt), (TaskState::Dead, 0, None));
}

pub(super) async fn a_task_is_buried_once(on: Stage) {
    let task = full(&on);
    bury(&on, at(0), task.clone(), "the first").await;
    let before = on.all().await;
    bury(&on, at(50), NewTask { payload: vec![9], ..task }, "the second").await;
    assert_eq!((before.len(), on.all().await), (1, before));
}

pub(super) async fn a_stored_task_is_not_buried(on: Stage) {
    let (leased, waits) =
        (on.task(), NewTask { schedule: Schedule::After(secs(500)), ..on.task() });
    on.store(at(0), leased.clone()).await;
    let lease = on.lease_one(at(0)).await.lease;
    on.store(at(0), waits.clone()).await;
    let before = on.all().await;
    bury(&on, at(1), leased, "it runs here").await;
    bury(&on, at(1), waits, "it waits here").await;
    assert_eq!(on.all().await, before);
    on.settle(at(2), lease, Verdict::Done).await;
    assert_eq!(on.all().await.len(), 1);
}

pub(super) async fn a_buried_task_is_listed_and_counted_as_dead(on: Stage) {
    let id = bury(&on, at(0), on.task(), "over").await;
    on.store(at(0), on.task()).await;
    assert_eq!(stored(&on.list(TaskFilter::new().state(TaskState::Dead)).await), [id]);
    let stats = on.stats(at(0)).await[0].stats;
    assert_eq!((stats.dead, stats.scheduled, stats.due, stats.leased), (1, 1, 1, 0));
}

pub(super) async fn a_buried_task_is_not_leased(on: Stage) {
    bury(&on, at(0), on.task(), "over").await;
    let other = on.store(at(0), on.task()).await;
    assert_eq!(ids(&on.lease_all(at(9999)).await), [other]);
    assert_eq!(on.lease(on.leasing(at(9999))).await.next, None);
    assert_eq!(on.purge(at(9999), "q").await.deleted, 1);
}

pub(super) async fn a_buried_task_is_replayed_with_all_its_data(on: Stage) {
    let task = full(&on);
    let id = bury(&on, at(0), task.clone(), "over").await;
    on.replay(at(100), id).await.expect("the dead letter is replayed");
    let leased = on.lease_one(at(100)).await;
    assert_eq!((leased.lease.id, leased.attempts, leased.standing), (id, 0, Standing::Clear));
    assert_eq!(
        (&leased.spec.kind, leased.spec.shape, &leased.payload),
        (&task.spec.kind, task.spec.shape, &task.payload)
    );
    assert_eq!(
        (&leased.spec.name, leased.spec.deadline, &leased.spec.attributes),
        (&task.spec.name, task.spec.deadline, &task.spec.attributes)
    );
    on.settle(at(100), leased.lease, retry()).await;
    let record = on.record(id).await;
    assert_eq!(
        (record.schedule_time, record.errors.len()),
        (at(107), 2),
        "the task's own pauses apply again"
    );
    on.attempt(at(107), Verdict::Done).await;
    assert_eq!(on.find(id).await, None);
}

pub(super) async fn a_buried_task_can_be_deleted(on: Stage) {
    let id = bury(&on, at(0), full(&on), "over").await;
    assert!(on.delete(at(1), id).await && on.all().await.is_empty());
    let again = on.offer(at(2), on.named("full")).await;
    assert_eq!(again, Deferred::new(id, false), "a tombstone blocks the name");
}

pub(super) async fn a_buried_task_keeps_its_name_where_nobody_has_it(on: Stage) {
    on.store(at(0), on.named("n").with(|task| task.spec.queue = queue("r"))).await;
    let id = bury(&on, at(0), on.named("n"), "over").await;
    assert_eq!(on.record(id).await.spec.name, name("n"));
    assert_eq!(on.offer(at(1), on.named("n")).await, Deferred::new(id, false));
}

pub(super) async fn a_buried_task_drops_a_name_that_another_has(on: Stage) {
    let first = on.store(at(0), on.named("n")).await;
    let buried = bury(&on, at(0), on.named("n"), "over").await;
    assert_eq!(
        (on.record(first).await.spec.name, on.record(buried).await.spec.name),
        (name("n"), None)
    );
    on.delete(at(1), buried).await;
    assert_eq!(on.offer(at(2), on.named("n")).await, Deferred::new(first, false));
}

pub(super) async fn a_buried_task_drops_a_name_that_is_blocked(on: Stage) {
    let first = on.store(at(0), on.named("n")).await;
    on.attempt(at(0), Verdict::Done).await;
    let until = at(0).plus(TOMBSTONES);
    let early = bury(&on, just_before(until), on.named("n"), "over").await;
    assert_eq!(on.record(early).await.spec.name, None);
    assert_eq!(on.offer(just_before(until), on.named("n")).await, Deferred::new(first, false));
    let late = bury(&on, until, on.named("n"), "over").await;
    assert_eq!(on.record(late).await.spec.name, name("n"));
}

pub(super) async fn a_buried_task_is_forgotten_when_it_is_too_old(on: Stage) {
    let id = bury(&on, at(7), full(&on), "over").await;
    let until = at(7).plus(DEAD_LETTERS);
    assert_eq!(on.sweep(just_before(until), 100).await.forgotten, 0);
    assert_eq!(on.sweep(until, 100).await.forgotten, 1);
    assert_eq!(on.find(id).await, None);
}

pub(super) async fn a_sweep_tells_the_attributes_of_what_it_forgets(on: Stage) {
    let full = bury(&on, at(0), full(&on), "over").await;
    let plain = bury(&on, at(0), on.task(), "over").await;
    let died =
        on.store(at(0), on.task().with(|task| task.spec.attributes = Some(vec![1, 7]))).await;
    on.attempt(at(0), permanent()).await;
    on.store(at(0), on.task().with(|task| task.spec.attributes = Some(vec![1, 8]))).await;
    let mut swept = on.sweep(at(0).plus(DEAD_LETTERS), 100).await;
    swept.forgotten_tasks.sort_by_key(|task| task.id);
    let mut expected = vec![
        ForgottenTask::new(full, Some(vec![1, 2, 3])),
        ForgottenTask::new(plain, None),
        ForgottenTask::new(died, Some(vec![1, 7])),
    ];
    expected.sort_by_key(|task| task.id);
    assert_eq!((swept.forgotten, swept.forgotten_tasks), (3, expected));
    assert_eq!(on.sweep(at(0).plus(DEAD_LETTERS), 100).await.forgotten_tasks.len(), 0);
}

pub(super) async fn a_long_error_of_a_buried_task_is_cut(on: Stage) {
    let long = "ä".repeat(MAX_ERROR_BYTES);
    let id = bury(&on, at(0), on.task(), &long).await;
    assert_eq!(on.record(id).await.errors[0].message, long[..MAX_ERROR_BYTES]);
}

pub(super) async fn burying_makes_a_queue_and_leaves_a_known_one_as_it_is(on: Stage) {
    on.configure("r", QueueConfig::new()).await;
    on.pause("r", true).await;
    for name in ["fresh", "r"] {
        bury(&on, at(0), on.task().with(|task| task.spec.queue = queue(name)), "over").await;
    }
    let queues = on.backend.queues().await.expect("queues answers");
    let shown: Vec<_> = queues.iter().map(|queue| (queue.name.as_str(), queue.paused)).collect();
    assert_eq!(shown, [("fresh", false), ("r", true)]);
    assert_eq!(queues[0].config, Some(QueueConfig::new()));
}
