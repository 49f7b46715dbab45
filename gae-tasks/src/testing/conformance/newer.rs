//! Tasks and queues stored by a newer version of this crate: they wait and keep all their data.

use super::stage::{DEAD_LETTERS, Stage, at, ids, queue};
use crate::backend::{Bury, Purged, TaskState};
use crate::queue::RetryConfig;
use crate::time::Now;
use crate::version;

pub(super) async fn a_newer_task_is_not_leased(on: Stage) {
    let newer = on.store(at(0), on.newer()).await;
    let own = on.store(at(0), on.task()).await;
    assert_eq!(ids(&on.lease_all(at(0)).await), [own]);
    assert_eq!(on.record(newer).await.state, TaskState::Scheduled);
}

pub(super) async fn a_task_of_this_version_is_leased_with_all_it_carries(on: Stage) {
    let task = on.task().with(|task| {
        task.spec.attributes = Some(vec![version::KNOWN]);
        task.spec.retry = Some(RetryConfig::new());
    });
    let id = on.store(at(0), task).await;
    assert_eq!(on.lease_one(at(0)).await.lease.id, id);
}

pub(super) async fn a_newer_task_is_counted_by_itself(on: Stage) {
    on.store(at(0), on.newer()).await;
    on.store_plain(at(0), 2).await;
    let lines = on.stats(at(0)).await;
    let counted: Vec<_> = lines.iter().map(|line| (line.is_newer, line.stats.scheduled)).collect();
    assert_eq!(counted, [(false, 2), (true, 1)]);
    assert_eq!(lines[0].route, lines[1].route);
}

pub(super) async fn a_newer_task_can_be_deleted(on: Stage) {
    let id = on.store(at(0), on.newer()).await;
    assert!(on.delete(at(0), id).await);
    assert_eq!(on.find(id).await, None);
}

pub(super) async fn a_purge_leaves_newer_tasks(on: Stage) {
    let newer = on.store(at(0), on.newer()).await;
    on.store_plain(at(0), 2).await;
    on.store(at(0), on.newer().with(|task| task.spec.queue = queue("r"))).await;
    assert_eq!(on.purge(at(0), "q").await, Purged::new(2, 1));
    assert!(on.find(newer).await.is_some());
}

pub(super) async fn a_newer_dead_letter_is_not_forgotten(on: Stage) {
    let task = on.newer();
    let id = task.spec.id;
    let bury = Bury::new(Now::At(at(0)), task, 1, None, "over".to_owned());
    on.backend.bury(bury).await.expect("bury answers");
    assert_eq!(on.sweep(at(0).plus(DEAD_LETTERS), 100).await.forgotten, 0);
    assert_eq!(on.record(id).await.state, TaskState::Dead);
}
