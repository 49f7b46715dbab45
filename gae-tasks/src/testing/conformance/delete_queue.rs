//! Deleting queues, empty or with all their tasks.

use super::stage::{
    DEAD_LETTERS, LEASE, Stage, TOMBSTONES, at, ids, just_before, permanent, queue, secs,
};
use crate::backend::{Bury, DeleteQueue, Purged, Settled, TaskFilter, Verdict};
use crate::error::Error;
use crate::queue::QueueConfig;
use crate::time::{Now, Timestamp};

async fn delete_empty(on: &Stage, name: &str) -> Result<Purged, Error> {
    on.backend.delete_queue(DeleteQueue::new(Now::At(at(0)), queue(name))).await
}

async fn delete_all(on: &Stage, now: Timestamp, name: &str) -> Purged {
    let request = DeleteQueue::new(Now::At(now), queue(name)).with_tasks();
    on.backend.delete_queue(request).await.expect("delete_queue answers")
}

async fn names(on: &Stage) -> Vec<String> {
    let queues = on.backend.queues().await.expect("queues answers");
    queues.into_iter().map(|queue| queue.name.to_string()).collect()
}

fn assert_in_use(answer: Result<Purged, Error>, held: (u64, u64)) {
    match answer {
        Err(Error::QueueInUse { queue, tasks, dead_letters }) => {
            assert_eq!((queue.as_str(), (tasks, dead_letters)), ("q", held));
        }
        other => panic!("the queue is in use: {other:?}"),
    }
}

pub(super) async fn an_empty_queue_is_deleted_with_its_configuration(on: Stage) {
    on.configure("q", QueueConfig::new().with_max_lost_attempts(9)).await;
    on.pause("q", true).await;
    assert_eq!(delete_empty(&on, "q").await.expect("it is empty"), Purged::new(0, 0));
    assert!(names(&on).await.is_empty());
    on.configure("q", QueueConfig::new()).await;
    assert_eq!(on.config("q").await, QueueConfig::new());
}

pub(super) async fn a_queue_that_is_not_stored_is_deleted_already(on: Stage) {
    assert_eq!(
        delete_empty(&on, "unknown").await.expect("the queue does not exist"),
        Purged::new(0, 0)
    );
    assert_eq!(delete_all(&on, at(0), "unknown").await, Purged::new(0, 0));
    assert!(names(&on).await.is_empty());
}

pub(super) async fn a_queue_with_tasks_is_refused_and_stays_as_it_is(on: Stage) {
    let config = QueueConfig::new().with_max_lost_attempts(9);
    on.configure("q", config.clone()).await;
    on.store_plain(at(0), 2).await;
    assert_in_use(delete_empty(&on, "q").await, (2, 0));
    assert_eq!((on.all().await.len(), on.config("q").await), (2, config));
}

pub(super) async fn a_queue_with_dead_letters_is_refused(on: Stage) {
    on.store_plain(at(0), 3).await;
    for task in on.lease_all(at(0)).await {
        on.settle(at(0), task.lease, permanent()).await;
    }
    assert_in_use(delete_empty(&on, "q").await, (0, 3));
    assert_eq!(on.all().await.len(), 3);
}

pub(super) async fn a_queue_with_leased_tasks_is_refused(on: Stage) {
    on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    assert_in_use(delete_empty(&on, "q").await, (1, 0));
    assert_eq!(on.settle(at(0), lease, Verdict::Done).await, Settled::Done);
}

pub(super) async fn a_queue_whose_tasks_are_over_is_deleted(on: Stage) {
    let id = on.store(at(0), on.named("n")).await;
    on.attempt(at(0), Verdict::Done).await;
    on.delete(at(0), id).await;
    assert_eq!(delete_empty(&on, "q").await.expect("it is empty"), Purged::new(0, 0));
    assert!(names(&on).await.is_empty());
}

pub(super) async fn all_tasks_of_a_queue_are_deleted_where_that_is_asked_for(on: Stage) {
    on.store(at(0), on.task()).await;
    on.attempt(at(0), permanent()).await;
    on.store(at(0), on.task()).await;
    on.lease_one(at(0)).await;
    on.store_plain(at(0), 2).await;
    assert_eq!(delete_all(&on, at(0), "q").await, Purged::new(4, 0));
    assert!(
        on.all().await.is_empty()
            && names(&on).await.is_empty()
            && on.stats(at(0)).await.is_empty()
    );
    assert!(on.lease_all(at(999)).await.is_empty());
    let swept = on.sweep(at(0).plus(DEAD_LETTERS), 100).await;
    assert_eq!((swept.recovered, swept.forgotten), (0, 0));
}

pub(super) async fn a_lease_of_a_deleted_queue_is_lost(on: Stage) {
    on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    delete_all(&on, at(1), "q").await;
    assert_eq!(on.extend(at(1), vec![lease], LEASE).await, [false]);
    assert_eq!(on.settle(at(1), lease, Verdict::Done).await, Settled::LeaseLost);
}

pub(super) async fn a_deleted_queue_leaves_others_alone(on: Stage) {
    let other = on.store(at(0), on.task().with(|task| task.spec.queue = queue("r"))).await;
    let buried = on.task().with(|task| task.spec.queue = queue("r"));
    let bury = Bury::new(Now::At(at(0)), buried, 1, None, "over".to_owned());
    on.backend.bury(bury).await.expect("bury answers");
    on.store_plain(at(0), 2).await;
    assert_eq!(delete_all(&on, at(0), "q").await, Purged::new(2, 0));
    assert_eq!((names(&on).await, on.all().await.len()), (vec!["r".to_owned()], 2));
    assert_eq!(ids(&on.lease_all(at(0)).await), [other]);
}

pub(super) async fn a_deleted_queues_names_stay_blocked_for_as_long_as_it_said(on: Stage) {
    on.configure("q", QueueConfig::new().with_tombstone_retention(secs(50))).await;
    let holder = on.store(at(0), on.named("n")).await;
    on.store(at(0), on.named("dead")).await;
    for task in on.lease_all(at(0)).await.into_iter().skip(1) {
        on.settle(at(0), task.lease, permanent()).await;
    }
    assert_eq!(delete_all(&on, at(5), "q").await, Purged::new(2, 0));
    for name in ["n", "dead"] {
        assert!(!on.offer(just_before(at(55)), on.named(name)).await.created, "{name}");
    }
    assert_eq!(on.offer(at(6), on.named("n")).await.id, holder);
    for name in ["n", "dead"] {
        assert!(on.offer(at(55), on.named(name)).await.created, "{name}");
    }
    assert_eq!(
        on.config("q").await.tombstone_retention(),
        TOMBSTONES,
        "the queue's configuration is gone"
    );
}

pub(super) async fn a_deleted_queue_is_made_anew_by_its_next_task(on: Stage) {
    on.configure("q", QueueConfig::new().with_max_lost_attempts(9)).await;
    on.store(at(0), on.task()).await;
    on.attempt(at(0), Verdict::Done).await;
    delete_empty(&on, "q").await.expect("it is empty");
    let id = on.store(at(0), on.task()).await;
    assert_eq!(
        (names(&on).await, on.config("q").await),
        (vec!["q".to_owned()], QueueConfig::new())
    );
    assert_eq!(ids(&on.lease_all(at(0)).await), [id]);
}

pub(super) async fn a_refused_name_makes_no_queue(on: Stage) {
    on.store(at(0), on.named("n")).await;
    on.attempt(at(0), Verdict::Done).await;
    delete_empty(&on, "q").await.expect("it is empty");
    assert!(!on.offer(at(0), on.named("n")).await.created);
    assert!(names(&on).await.is_empty());
}

pub(super) async fn a_queue_with_newer_tasks_stays(on: Stage) {
    let newer = on.store(at(0), on.newer()).await;
    on.store_plain(at(0), 2).await;
    assert_in_use(delete_empty(&on, "q").await, (3, 0));
    assert_eq!(delete_all(&on, at(0), "q").await, Purged::new(2, 1));
    assert_eq!((names(&on).await, on.all().await.len()), (vec!["q".to_owned()], 1));
    on.delete(at(0), newer).await;
    assert_eq!(delete_all(&on, at(0), "q").await, Purged::new(0, 0));
    assert!(names(&on).await.is_empty());
}

pub(super) async fn thousands_of_tasks_are_deleted_with_their_queue(on: Stage) {
    on.enqueue(at(0), (0..5_000).map(|_| on.task()).collect()).await;
    assert_eq!(delete_all(&on, at(0), "q").await, Purged::new(5_000, 0));
    assert!(
        on.list(TaskFilter::new().queue(queue("q"))).await.is_empty()
            && names(&on).await.is_empty()
    );
}
