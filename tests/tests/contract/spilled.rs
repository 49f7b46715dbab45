//! Cases for spilled payloads, in place of the cases for payloads stored with their tasks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gae_tasks::backend::{
    Enqueue, HeldLease, Lease, LeasedTask, List, NewTask, Pull, Room, Routes, Sweep, TaskFilter,
    TaskRecord, TaskState,
};
use gae_tasks::{Kind, Now, QueueName, Shape, TaskId, TaskSpec, Timestamp};

const LEASE: Duration = Duration::from_secs(30);

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

/// Stores tasks with payloads of the given sizes.
async fn store(backend: &Arc<dyn Pull>, first: u8, sizes: &[usize]) -> Vec<TaskId> {
    let task = |(number, size): (u8, &usize)| {
        let (id, kind) = (TaskId::from_bytes([number; 16]), Kind::new("shop/send").unwrap());
        NewTask::new(
            TaskSpec::new(id, kind, Shape::from_bits(7), QueueName::DEFAULT),
            vec![7; *size],
            [],
        )
    };
    let tasks = (first..).zip(sizes).map(task).collect();
    let answers = backend.enqueue(Enqueue::new(Now::At(at(0)), tasks)).await.unwrap();
    answers.into_iter().map(|answer| answer.unwrap().id).collect()
}

async fn lease(backend: &Arc<dyn Pull>, now: Timestamp) -> Vec<LeasedTask> {
    let queues = Arc::new(BTreeSet::from([QueueName::DEFAULT]));
    let leased = backend
        .lease(Lease::new(Now::At(now), queues, Routes::Any, Room::new(100), LEASE))
        .await
        .unwrap();
    assert_eq!(leased.next, None);
    leased.tasks
}

fn ids(tasks: &[LeasedTask]) -> Vec<TaskId> {
    tasks.iter().map(|task| task.lease.id).collect()
}

/// A new task has no past, except attributes that name the payload's place.
pub(crate) async fn a_new_task_has_no_past(backend: Arc<dyn Pull>) {
    let id = store(&backend, 1, &[3]).await[0];
    let record = backend.get(id).await.unwrap().unwrap();
    let attributes = record.spec.attributes.clone();
    assert!(attributes.as_ref().is_some_and(|bytes| bytes.len() > 36), "{attributes:?}");
    let spec = TaskSpec::new(id, record.spec.kind.clone(), record.spec.shape, QueueName::DEFAULT);
    let mut expected = TaskRecord::new(spec, Some(Vec::new()), at(0));
    (expected.spec.attributes, expected.state) = (attributes, TaskState::Scheduled);
    assert_eq!(record, expected);
}

pub(crate) async fn a_large_payload_is_stored_apart(backend: Arc<dyn Pull>) {
    let id = store(&backend, 1, &[400_000]).await[0];
    let record = backend.get(id).await.unwrap().unwrap();
    let task = lease(&backend, at(0)).await.remove(0);
    assert_eq!((record.payload, task.payload), (Some(Vec::new()), Vec::new()));
    assert_eq!(
        (task.spec.attributes.is_some(), &task.spec.attributes),
        (true, &record.spec.attributes)
    );
}

pub(crate) async fn a_lease_brings_no_bytes(backend: Arc<dyn Pull>) {
    let stored = store(&backend, 1, &[1 << 20; 11]).await;
    assert_eq!(ids(&lease(&backend, at(0)).await), stored);
}

pub(crate) async fn no_bytes_are_counted_across_standings(backend: Arc<dyn Pull>) {
    let marked = store(&backend, 1, &[1 << 20; 7]).await;
    let lost = lease(&backend, at(0))
        .await
        .iter()
        .map(|task| HeldLease::new(task.lease, at(30), LEASE))
        .collect();
    assert_eq!(backend.sweep(Sweep::new(Now::At(at(30)), lost, 100)).await.unwrap().recovered, 7);
    let clear = store(&backend, 8, &[1 << 20; 3]).await;
    assert_eq!(ids(&lease(&backend, at(30)).await), [marked, clear].concat());
}

pub(crate) async fn payloads_are_listed_as_empty(backend: Arc<dyn Pull>) {
    let stored = store(&backend, 1, &[100_000, 0]).await;
    let listed = async |request| backend.list(request).await.unwrap();
    let request = List::new(TaskFilter::new(), 9);
    for (request, payload) in [(request.clone(), None), (request.with_payloads(), Some(Vec::new()))]
    {
        let records = listed(request).await;
        assert_eq!(records.iter().map(|record| record.spec.id).collect::<Vec<_>>(), stored);
        assert!(records.iter().all(|record| record.payload == payload), "{records:?}");
    }
}
