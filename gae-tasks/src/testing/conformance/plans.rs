//! Plans: configurations that are replaced, so that a second plan finds nothing to change.

use std::sync::Arc;

use super::stage::{Stage, at, queue, secs};
use crate::backend::{QueueRecord, ReplaceQueue};
use crate::client::{Client, QueuePlan};
use crate::error::Error;
use crate::queue::{QueueConfig, Queues, RetryConfig};
use crate::registry::Registry;

/// Every limit, and retries.
fn limited() -> QueueConfig {
    let retry = RetryConfig::new()
        .with_max_attempts(Some(7))
        .with_max_retry_duration(Some(secs(9)))
        .with_min_backoff(std::time::Duration::from_nanos(1_234_567_891))
        .with_max_backoff(secs(90))
        .with_max_doublings(3);
    QueueConfig::new()
        .with_retry(retry)
        .with_max_dispatches_per_second(0.000_001)
        .with_max_burst_size(u32::MAX)
        .with_max_concurrent_dispatches(u32::MAX)
}

/// What a plan leaves alone where it is not set.
fn kept() -> QueueConfig {
    QueueConfig::new()
        .with_dead_letter_retention(secs(7))
        .with_tombstone_retention(secs(8))
        .with_max_lost_attempts(2)
}

async fn replace(on: &Stage, name: &str, config: QueueConfig) {
    let request = ReplaceQueue::new(queue(name), config);
    on.backend.replace_queue(request).await.expect("replace_queue answers");
}

async fn queues(on: &Stage) -> Vec<QueueRecord> {
    on.backend.queues().await.expect("queues answers")
}

/// Returns a plan of a client without tasks, so that no task names a queue.
async fn plan(on: &Stage, queues: impl Into<Queues>) -> QueuePlan {
    let builder = Client::builder().registry(Registry::new());
    let client = builder.build(Arc::clone(&on.backend)).expect("the client is built");
    client.plan_queues(queues).await.expect("the queues are planned")
}

pub(super) async fn a_replaced_queue_has_exactly_the_given_retries_and_limits(on: Stage) {
    replace(&on, "q", limited()).await;
    assert_eq!(on.config("q").await, limited());
    let slow = QueueConfig::new().with_max_dispatches_per_second(1.0);
    replace(&on, "q", slow.clone()).await;
    assert_eq!(on.config("q").await, slow);
    replace(&on, "q", QueueConfig::new()).await;
    assert_eq!(on.config("q").await, QueueConfig::new());
}

pub(super) async fn a_replaced_queue_keeps_its_retention_and_its_pause(on: Stage) {
    on.configure("q", kept()).await;
    on.pause("q", true).await;
    replace(&on, "q", limited()).await;
    replace(&on, "q", QueueConfig::new()).await;
    assert_eq!(on.config("q").await, kept());
    replace(&on, "q", QueueConfig::new().with_max_lost_attempts(9)).await;
    assert_eq!(on.config("q").await, kept().with_max_lost_attempts(9));
    assert!(queues(&on).await[0].paused);
}

pub(super) async fn what_is_stored_already_is_not_replaced(on: Stage) {
    let request = ReplaceQueue::new(queue("q"), limited()).stored();
    on.backend.replace_queue(request.clone()).await.expect("replace_queue answers");
    assert_eq!(queues(&on).await, [], "the caller knows that there is nothing to do");
    on.configure("q", kept()).await;
    on.backend.replace_queue(request).await.expect("replace_queue answers");
    assert_eq!(on.config("q").await, kept());
}

pub(super) async fn a_second_plan_is_empty(on: Stage) {
    let configs = [
        ("all", limited()),
        ("for-ever", QueueConfig::new().with_retry(RetryConfig::new().with_max_attempts(None))),
        ("kept", kept()),
        ("none", QueueConfig::new()),
    ];
    on.configure("all", QueueConfig::new().with_max_concurrent_dispatches(1)).await;
    on.configure("none", limited()).await;
    let first = plan(&on, configs.clone()).await;
    assert!(!first.is_empty());
    first.apply().await.expect("the plan is applied");
    let second = plan(&on, configs.clone()).await;
    assert!(second.is_empty(), "{second}");
    for (name, config) in configs {
        assert_eq!(on.config(name).await, config, "{name}");
    }
    second.apply().await.expect("an empty plan is applied");
    assert_eq!(queues(&on).await.len(), 4);
}

pub(super) async fn a_plan_changes_nothing_until_it_is_applied(on: Stage) {
    on.configure("q", QueueConfig::new()).await;
    let told = plan(&on, [("q", limited()), ("r", limited())]).await.to_string();
    assert!(told.contains("update `q`") && told.contains("create `r`"), "{told}");
    assert_eq!((queues(&on).await.len(), on.config("q").await), (1, QueueConfig::new()));
}

pub(super) async fn a_plan_pauses_and_resumes_queues(on: Stage) {
    on.configure("goes-on", QueueConfig::new()).await;
    on.configure("stays", QueueConfig::new()).await;
    on.pause("goes-on", true).await;
    on.pause("stays", true).await;
    let names = ["goes-on", "new", "stays"];
    let mut wanted: Queues = names.map(|name| (name, limited())).into();
    wanted.wanted[0].paused = Some(false);
    wanted.wanted[1].paused = Some(true);
    plan(&on, wanted.clone()).await.apply().await.expect("the plan is applied");
    let paused: Vec<_> = queues(&on).await.iter().map(|queue| queue.paused).collect();
    assert_eq!(paused, [false, true, true]);
    let again = plan(&on, wanted).await;
    assert!(again.is_empty(), "{again}");
}

pub(super) async fn extra_queues_are_deleted_only_if_that_is_asked_for(on: Stage) {
    for name in ["extra", "q"] {
        on.configure(name, limited()).await;
    }
    let reported = plan(&on, [("q", limited())]).await;
    assert_eq!((reported.is_empty(), reported.extra()), (true, &[queue("extra")][..]));
    reported.apply().await.expect("the plan is applied");
    assert_eq!(queues(&on).await.len(), 2);
    let deletes = plan(&on, [("q", limited())]).await.delete_extra();
    deletes.apply().await.expect("the plan is applied");
    let names: Vec<_> = queues(&on).await.into_iter().map(|record| record.name).collect();
    assert_eq!(names, [queue("q")]);
}

pub(super) async fn an_extra_queue_with_tasks_is_not_deleted(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    let deletes = plan(&on, [("r", limited())]).await.delete_extra();
    let refused = deletes.apply().await.expect_err("the queue has a task");
    assert!(matches!(&refused, Error::QueueInUse { queue, .. } if queue == "q"), "{refused:?}");
    assert!(on.find(id).await.is_some());
    assert_eq!(on.config("r").await, limited(), "what came before stays made");
}
