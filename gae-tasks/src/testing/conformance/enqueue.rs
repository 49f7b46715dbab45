//! Storing tasks: every field is kept, each task is stored once and is due at its schedule time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::stage::{Stage, at, kind, name, permanent, queue, secs, stored};
use crate::backend::{Enqueue, NewTask, TaskState, Verdict};
use crate::queue::{QueueConfig, QueueName, RetryConfig};
use crate::task::{Deferred, Shape};
use crate::time::{Now, Schedule, Timestamp};

pub(super) async fn what_was_given_is_stored(on: Stage) {
    let task = on.task().with(|task| {
        task.spec.kind = kind("shop.emails/send_welcome");
        task.spec.shape = Shape::from_bits(0x0123_4567_89ab_cdef);
        task.spec.queue = queue("emails");
        task.spec.name = name("welcome-42_x");
        task.spec.max_attempts = Some(7);
        task.spec.retry =
            Some(RetryConfig::new().with_max_doublings(3).with_max_retry_duration(Some(secs(99))));
        task.spec.deadline = Some(Duration::from_millis(1500));
        task.spec.attributes = Some(vec![0, 1, 255]);
        task.payload = (0..=255).collect();
        task.schedule = Schedule::After(secs(60));
    });
    on.store(at(5), task.clone()).await;
    let record = on.record(task.spec.id).await;
    assert_eq!(
        (record.spec.id, record.spec.kind, record.spec.shape),
        (task.spec.id, task.spec.kind, task.spec.shape)
    );
    assert_eq!((record.payload, record.spec.queue), (Some(task.payload), task.spec.queue));
    assert_eq!(record.spec.name, task.spec.name);
    assert_eq!((record.created, record.schedule_time), (at(5), at(65)));
    assert_eq!(
        (record.spec.max_attempts, record.spec.retry),
        (task.spec.max_attempts, task.spec.retry)
    );
    assert_eq!(
        (record.spec.deadline, record.spec.attributes),
        (task.spec.deadline, task.spec.attributes)
    );
}

pub(super) async fn a_new_task_has_no_past(on: Stage) {
    let record = on.store(at(0), on.task()).await;
    let record = on.record(record).await;
    assert_eq!(record.state, TaskState::Scheduled);
    assert_eq!((record.attempts, record.lost_leases, record.errors.len()), (0, 0, 0));
    assert_eq!((record.first_attempt, record.died), (None, None));
    assert_eq!((record.spec.name, record.spec.max_attempts, record.spec.retry), (None, None, None));
    assert_eq!((record.spec.deadline, record.spec.attributes), (None, None));
}

pub(super) async fn an_empty_payload_is_stored(on: Stage) {
    let id = on.store(at(0), NewTask { payload: Vec::new(), ..on.task() }).await;
    assert_eq!(on.record(id).await.payload, Some(Vec::new()));
    assert!(on.lease_one(at(0)).await.payload.is_empty());
}

pub(super) async fn a_large_payload_is_stored(on: Stage) {
    let payload: Vec<u8> =
        (0..100 * 1024).map(|i: u32| i.to_le_bytes()[0] ^ i.to_le_bytes()[1]).collect();
    let id = on.store(at(0), NewTask { payload: payload.clone(), ..on.task() }).await;
    assert!(on.record(id).await.payload.as_ref() == Some(&payload));
    assert!(on.lease_one(at(0)).await.payload == payload);
}

pub(super) async fn the_longest_names_are_stored(on: Stage) {
    let (queue, name) = (queue(&"q".repeat(100)), name(&"n".repeat(500)));
    let kind = kind(&["long.module.path"; 60].join("/"));
    let task = on.task().with(|task| {
        task.spec.queue = queue.clone();
        task.spec.name = name.clone();
        task.spec.kind = kind.clone();
    });
    let record = on.store(at(0), task).await;
    let record = on.record(record).await;
    assert_eq!((record.spec.queue, record.spec.name, record.spec.kind), (queue, name, kind));
}

pub(super) async fn every_shape_is_stored(on: Stage) {
    for bits in [0, 1, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX] {
        let shape = Shape::from_bits(bits);
        let id = on.store(at(0), on.task().with(|task| task.spec.shape = shape)).await;
        assert_eq!(on.record(id).await.spec.shape, shape);
        assert_eq!(on.lease_one(at(0)).await.spec.shape, shape);
    }
}

pub(super) async fn the_largest_numbers_are_stored(on: Stage) {
    let retry = RetryConfig::new()
        .with_max_attempts(Some(u32::MAX))
        .with_max_retry_duration(Some(Duration::MAX))
        .with_max_backoff(Duration::MAX)
        .with_max_doublings(u32::MAX);
    let task = on.task().with(|task| {
        task.spec.max_attempts = Some(u32::MAX);
        task.spec.retry = Some(retry.clone());
    });
    let record = on.store(at(0), task).await;
    let record = on.record(record).await;
    assert_eq!((record.spec.max_attempts, record.spec.retry), (Some(u32::MAX), Some(retry)));
}

pub(super) async fn empty_attributes_are_not_missing_ones(on: Stage) {
    let empty =
        on.store(at(0), on.task().with(|task| task.spec.attributes = Some(Vec::new()))).await;
    assert_eq!(on.record(empty).await.spec.attributes, Some(Vec::new()));
}

pub(super) async fn an_empty_batch_stores_nothing(on: Stage) {
    assert!(on.enqueue(at(0), Vec::new()).await.is_empty());
    assert!(on.all().await.is_empty());
}

pub(super) async fn several_tasks_are_answered_in_order(on: Stage) {
    on.store(at(0), on.named("taken")).await;
    let mut tasks = vec![on.task(), on.named("taken"), on.named("free"), on.task()];
    tasks.swap(0, 3);
    let answers = on.enqueue(at(0), tasks.clone()).await;
    let created: Vec<_> = answers.iter().map(|answer| answer.created).collect();
    assert_eq!(created, [true, false, true, true]);
    for (task, answer) in tasks.iter().zip(&answers).filter(|(_, answer)| answer.created) {
        assert_eq!(answer.id, task.spec.id);
    }
}

pub(super) async fn a_caller_that_blocks_stores_its_tasks(on: Stage) {
    let (backend, tasks) = (Arc::clone(&on.backend), vec![on.named("n"), on.named("n"), on.task()]);
    let [first, _, last] = [0, 1, 2].map(|place: usize| tasks[place].clone());
    let request = Enqueue::new(Now::At(at(3)), tasks);
    let stored = tokio::task::spawn_blocking(move || backend.enqueue_blocking(request));
    let answers = stored.await.expect("it does not panic").expect("enqueue answers");
    let answers: Vec<_> =
        answers.into_iter().map(|answer| answer.expect("the task is stored")).collect();
    let (first, last) = (first.spec.id, last.spec.id);
    assert_eq!(
        answers,
        [Deferred::new(first, true), Deferred::new(first, false), Deferred::new(last, true)]
    );
    assert_eq!((on.record(last).await.created, on.all().await.len()), (at(3), 2));
    assert_eq!(on.lease_all(at(3)).await.len(), 2);
}

pub(super) async fn one_task_twice_in_a_batch_is_stored_once(on: Stage) {
    let task = on.named("once");
    let answers = on.enqueue(at(0), vec![task.clone(), task.clone()]).await;
    assert_eq!(answers, [Deferred::new(task.spec.id, true); 2]);
    assert_eq!(stored(&on.all().await), [task.spec.id]);
}

pub(super) async fn the_same_task_again_is_a_no_op(on: Stage) {
    let task = NewTask { schedule: Schedule::After(secs(10)), ..on.task() };
    on.store(at(0), task.clone()).await;
    let before = on.record(task.spec.id).await;
    on.store(at(5), task.clone()).await;
    assert_eq!(on.record(task.spec.id).await, before);
}

pub(super) async fn the_same_task_again_is_a_no_op_while_it_is_leased(on: Stage) {
    let task = on.named("once");
    on.store(at(0), task.clone()).await;
    let leased = on.lease_one(at(0)).await;
    on.store(at(1), task.clone()).await;
    assert!(on.lease_all(at(1)).await.is_empty());
    assert_eq!(on.extend(at(1), vec![leased.lease], secs(30)).await, [true]);
}

pub(super) async fn the_same_task_again_is_a_no_op_when_it_is_dead(on: Stage) {
    let task = on.named("once");
    on.store(at(0), task.clone()).await;
    on.attempt(at(0), permanent()).await;
    on.store(at(1), task.clone()).await;
    assert_eq!(on.record(task.spec.id).await.state, TaskState::Dead);
}

pub(super) async fn the_same_named_task_again_is_a_no_op_when_it_is_over(on: Stage) {
    let task = on.named("once");
    on.store(at(0), task.clone()).await;
    on.attempt(at(0), Verdict::Done).await;
    // The caller repeats the request, because the first answer was lost.
    on.store(at(1), task.clone()).await;
    assert_eq!(on.find(task.spec.id).await, None);
}

pub(super) async fn a_refused_task_again_is_refused_again(on: Stage) {
    let holder = on.store(at(0), on.named("taken")).await;
    let late = on.named("taken");
    for _ in 0..2 {
        assert_eq!(on.offer(at(0), late.clone()).await, Deferred::new(holder, false));
    }
    assert_eq!(on.find(late.spec.id).await, None);
}

pub(super) async fn a_queue_is_made_on_demand(on: Stage) {
    on.store(at(0), on.task().with(|task| task.spec.queue = queue("fresh"))).await;
    let queues = on.backend.queues().await.expect("queues answers");
    assert_eq!(queues.len(), 1);
    assert_eq!((&queues[0].name, &queues[0].config), (&queue("fresh"), &Some(QueueConfig::new())));
    assert!(!queues[0].paused);
}

pub(super) async fn a_known_queue_stays_as_it_is(on: Stage) {
    let config = QueueConfig::new().with_retry(RetryConfig::new().with_max_attempts(Some(2)));
    on.configure("q", config.clone()).await;
    on.pause("q", true).await;
    on.store(at(0), on.task()).await;
    let queues = on.backend.queues().await.expect("queues answers");
    assert_eq!((queues[0].config.as_ref(), queues[0].paused), (Some(&config), true));
}

pub(super) async fn a_task_without_a_schedule_is_due_at_once(on: Stage) {
    let id = on.store(at(3), on.task()).await;
    assert_eq!(on.record(id).await.schedule_time, at(3));
}

pub(super) async fn a_delay_counts_from_the_moment_of_storing(on: Stage) {
    let schedule = Schedule::After(Duration::from_micros(1));
    let id = on.store(at(3), NewTask { schedule, ..on.task() }).await;
    assert_eq!(on.record(id).await.schedule_time, at(3).plus(Duration::from_micros(1)));
}

pub(super) async fn a_schedule_time_is_kept_to_the_microsecond(on: Stage) {
    let time = Timestamp::from_micros(at(9).as_micros() + 123_457);
    let id = on.store(at(3), NewTask { schedule: Schedule::At(time), ..on.task() }).await;
    assert_eq!(on.record(id).await.schedule_time, time);
}

pub(super) async fn a_schedule_time_in_the_past_is_now(on: Stage) {
    let id = on.store(at(3), NewTask { schedule: Schedule::At(at(1)), ..on.task() }).await;
    assert_eq!(on.record(id).await.schedule_time, at(3));
}

pub(super) async fn fifty_concurrent_callers_store_all_their_tasks(on: Stage) {
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let (backend, task) =
            (Arc::clone(&on.backend), on.task().with(|task| task.spec.queue = QueueName::DEFAULT));
        callers.spawn(async move {
            let id = task.spec.id;
            let answers = backend.enqueue(Enqueue::new(Now::At(at(0)), vec![task])).await;
            let answers = answers.expect("enqueue answers");
            assert!(
                matches!(answers[..], [Ok(answer)] if answer == Deferred::new(id, true)),
                "{answers:?}"
            );
            id
        });
    }
    let returned: BTreeSet<_> = callers.join_all().await.into_iter().collect();
    let kept: BTreeSet<_> = stored(&on.all().await).into_iter().collect();
    assert_eq!(returned.len(), 50);
    assert_eq!(returned, kept);
}

pub(super) async fn concurrent_callers_with_one_name_create_one_task(on: Stage) {
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let (backend, task) = (Arc::clone(&on.backend), on.named("only-one"));
        callers.spawn(async move {
            let answers = backend.enqueue(Enqueue::new(Now::At(at(0)), vec![task])).await;
            answers.expect("enqueue answers").remove(0).expect("the name is looked at")
        });
    }
    let answers = callers.join_all().await;
    let kept = stored(&on.all().await);
    assert_eq!(kept.len(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.created).count(), 1);
    assert!(answers.iter().all(|answer| answer.id == kept[0]));
}
