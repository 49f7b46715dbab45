//! The spilling wrapper: when payloads are in the payload store, on any backend.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{
    Backend, Cancelled, CopyTask, DeleteQueue, Enqueue, Extend, HeldLease, Lease, LeasedTask, List,
    NewTask, Pull, ReaderId, Room, Routes, Settle, Settled, Settlement, Sweep, TaskFilter,
    TaskRequest, Verdict,
};
use gae_tasks::testing::conformance::spilling;
use gae_tasks::testing::{Fault, Faulty, ManualClock, Operation};
use gae_tasks::{Error, Kind, Now, QueueName, Shape, TaskId, TaskName, TaskSpec, Timestamp};

use super::shelf::Shelf;

const LEASE: Duration = Duration::from_secs(30);

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn now() -> Now {
    Now::At(at(0))
}

struct World {
    shelf: Shelf,
    storage: Faulty<Memory>,
    backend: Arc<dyn Pull>,
}

impl World {
    fn new() -> Self {
        let (shelf, storage) = (Shelf::default(), Faulty::new(Memory::new()));
        let backend = Arc::new(spilling(storage.clone(), shelf.clone(), ManualClock::new(), 4));
        Self { shelf, storage, backend }
    }

    async fn store(&self, tasks: impl IntoIterator<Item = NewTask>) -> Vec<TaskId> {
        let answers =
            self.backend.enqueue(Enqueue::new(now(), tasks.into_iter().collect())).await.unwrap();
        answers.into_iter().map(|answer| answer.unwrap().id).collect()
    }

    async fn lease(&self) -> Vec<LeasedTask> {
        let queues = Arc::new(BTreeSet::from([QueueName::DEFAULT]));
        let request = Lease::new(now(), queues, Routes::Any, Room::new(100), LEASE);
        self.backend.lease(request).await.unwrap().tasks
    }

    async fn settle(&self, task: &LeasedTask, verdict: Verdict) -> Result<Vec<Settled>, Error> {
        self.backend.settle(Settle::new(now(), vec![Settlement::new(task.lease, verdict)])).await
    }

    async fn die(&self) {
        for task in self.lease().await {
            self.settle(&task, Verdict::Permanent { error: "over".to_owned() }).await.unwrap();
        }
    }
}

/// Returns a task whose payload is put into the store.
fn large(number: u8) -> NewTask {
    small(number).with(|task| task.payload = vec![number; 100])
}

fn small(number: u8) -> NewTask {
    let (id, kind) = (TaskId::from_bytes([number; 16]), Kind::new("shop/send").unwrap());
    NewTask::new(
        TaskSpec::new(id, kind, Shape::from_bits(7), QueueName::DEFAULT),
        vec![number; 4],
        *b"schema",
    )
}

fn keys(numbers: impl IntoIterator<Item = u8>) -> Vec<String> {
    numbers
        .into_iter()
        .map(|number| format!("{}.gae-tasks", TaskId::from_bytes([number; 16])))
        .collect()
}

#[tokio::test]
async fn payloads_above_the_limit_are_put_first_and_the_others_travel() {
    let world = World::new();
    world.store([small(1), large(2), small(3), large(4)]).await;
    assert_eq!(world.shelf.keys(), keys([2, 4]));
    assert_eq!(world.shelf.kept()[&keys([2])[0]], vec![2; 100]);
    let leased: Vec<_> = world.lease().await.into_iter().map(|task| task.payload.len()).collect();
    assert_eq!(leased, [4, 0, 4, 0]);
    let listed = world.backend.list(List::new(TaskFilter::new(), 9).with_payloads()).await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|record| record.payload.unwrap().len()).collect();
    assert_eq!(listed, [4, 0, 4, 0]);
}

#[tokio::test]
async fn the_payload_of_a_copy_is_put_first_and_taken_back_if_the_copy_is_certainly_refused() {
    let world = World::new();
    let copy = |task| world.backend.copy(CopyTask::new(now(), task, 1));
    // The storage has no copies.
    assert!(matches!(copy(large(1)).await, Err(Error::Unsupported { .. })));
    assert!(world.shelf.keys().is_empty(), "no task needs it");
    world.store([small(2)]).await;
    assert!(matches!(copy(large(2)).await, Err(Error::Unsupported { .. })));
    assert_eq!(world.shelf.keys(), keys([2]), "a task of the same id may need it");
    _ = world.storage.clone().with(Operation::Copy, 1, Fault::Fail);
    assert!(matches!(copy(large(3)).await, Err(Error::Storage { .. })));
    assert_eq!(world.shelf.keys(), keys([2, 3]), "the copy may be stored");
    assert!(copy(small(4)).await.is_err());
    assert_eq!(world.shelf.keys(), keys([2, 3]), "a small payload travels");
}

#[tokio::test]
async fn a_lease_is_answered_though_the_store_hangs() {
    let world = World::new();
    world.store([large(1), small(2)]).await;
    world.shelf.hang();
    assert_eq!(world.lease().await.len(), 2);
    let (get, all) = (
        world.backend.get(TaskId::from_bytes([1; 16])),
        List::new(TaskFilter::new(), 9).with_payloads(),
    );
    assert!(get.await.unwrap().is_some());
    assert_eq!(world.backend.list(all).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_payload_is_deleted_after_the_answer_that_its_task_is_done() {
    let world = World::new();
    world.store([large(1), large(2)]).await;
    let tasks = world.lease().await;
    _ = world.storage.clone().with(Operation::Settle, 1, Fault::Fail);
    assert!(world.settle(&tasks[0], Verdict::Done).await.is_err());
    assert_eq!(world.shelf.keys(), keys([1, 2]), "the task may run again");
    assert_eq!(world.settle(&tasks[0], Verdict::Done).await.unwrap(), [Settled::Done]);
    assert_eq!(world.shelf.keys(), keys([2]));
    _ = world.storage.clone().with(Operation::Settle, 1, Fault::LoseAnswer);
    assert!(world.settle(&tasks[1], Verdict::Done).await.is_err());
    assert_eq!(world.settle(&tasks[1], Verdict::Done).await.unwrap(), [Settled::LeaseLost]);
    assert_eq!(
        world.shelf.keys(),
        keys([2]),
        "the outcome is unknown, so the payload is left to a sweep"
    );
}

#[tokio::test]
async fn the_payload_of_a_locked_task_is_deleted_once_the_task_is_done() {
    let world = World::new();
    world.store([large(1), large(2)]).await;
    let tasks = world.lease().await;
    world.storage.lock(tasks[0].lease.id);
    for _ in 0..2 {
        let settled = world.settle(&tasks[0], Verdict::Done).await.unwrap();
        assert_eq!((settled, world.shelf.keys()), (vec![Settled::Locked], keys([1, 2])));
    }
    world.storage.unlock(tasks[0].lease.id);
    assert_eq!(world.settle(&tasks[0], Verdict::Done).await.unwrap(), [Settled::Done]);
    assert_eq!(world.shelf.keys(), keys([2]));
}

#[tokio::test]
async fn a_payload_outlives_all_other_ends_of_an_attempt() {
    let world = World::new();
    let retry = Verdict::Retry {
        error: "it failed".to_owned(),
        after: Some(Duration::ZERO),
        max_attempts: None,
    };
    world.store([large(1)]).await;
    let verdicts = [
        Verdict::Release,
        retry,
        Verdict::Unreadable { error: String::new(), reader: ReaderId::from_bits(7) },
        Verdict::Permanent { error: String::new() },
    ];
    for verdict in verdicts {
        let task = world.lease().await.remove(0);
        world.settle(&task, verdict.clone()).await.unwrap();
        assert_eq!(world.shelf.keys(), keys([1]), "{verdict:?}");
        world.backend.run_now(TaskRequest::new(now(), task.lease.id)).await.ok();
    }
}

#[tokio::test]
async fn a_cancelled_task_that_waits_takes_its_payload_along_and_one_that_runs_keeps_it() {
    let world = World::new();
    let leased = world.store([large(1)]).await[0];
    let task = world.lease().await.remove(0);
    let waits = world.store([large(2)]).await[0];
    for (id, expected) in [(leased, Cancelled::Requested), (waits, Cancelled::Removed)] {
        let cancelled = world.backend.cancel(TaskRequest::new(now(), id)).await.unwrap();
        assert_eq!(cancelled, expected);
    }
    assert_eq!(world.shelf.keys(), keys([1]));
    let settled = world.settle(&task, Verdict::Release).await.unwrap();
    assert_eq!((settled, world.shelf.keys()), (vec![Settled::Dead], keys([1])));
}

#[tokio::test]
async fn who_has_lost_a_lease_deletes_no_payload() {
    let world = World::new();
    world.store([large(1)]).await;
    let late = world.lease().await.remove(0);
    let lost = vec![HeldLease::new(late.lease, at(30), LEASE)];
    assert_eq!(
        world.backend.sweep(Sweep::new(Now::At(at(30)), lost, 9)).await.unwrap().recovered,
        1
    );
    let task = world.lease().await.remove(0);
    assert_eq!(world.settle(&late, Verdict::Done).await.unwrap(), [Settled::LeaseLost]);
    assert_eq!(world.shelf.keys(), keys([1]));
    assert_eq!(world.settle(&task, Verdict::Done).await.unwrap(), [Settled::Done]);
    assert!(world.shelf.keys().is_empty());
}

#[tokio::test]
async fn what_was_not_stored_leaves_no_payload() {
    let world = World::new();
    let named =
        |number| large(number).with(|task| task.spec.name = Some(TaskName::new("n").unwrap()));
    world.store([named(1)]).await;
    assert_eq!(
        world.store([named(2), large(3)]).await,
        [1, 3].map(|number| TaskId::from_bytes([number; 16]))
    );
    assert_eq!(world.shelf.keys(), keys([1, 3]));
}

#[tokio::test]
async fn a_task_that_may_be_stored_keeps_its_payload() {
    let world = World::new();
    for fault in [Fault::Fail, Fault::LoseAnswer] {
        _ = world.storage.clone().with(Operation::Enqueue, 1, fault);
        assert!(world.backend.enqueue(Enqueue::new(now(), vec![large(1)])).await.is_err());
        assert_eq!(world.shelf.keys(), keys([1]));
    }
}

#[tokio::test]
async fn a_stored_task_that_is_enqueued_again_keeps_its_payload_though_the_store_refuses() {
    let world = World::new();
    world.store([large(1)]).await;
    world.shelf.refuse(true);
    let refused = world.backend.enqueue(Enqueue::new(now(), vec![large(1), large(2)])).await;
    assert!(matches!(refused, Err(Error::PayloadStore { .. })), "{refused:?}");
    assert_eq!(world.shelf.keys(), keys([1]));
    world.shelf.refuse(false);
    world.store([large(1), large(2)]).await;
    assert_eq!(world.shelf.keys(), keys([1, 2]));
}

#[tokio::test]
async fn tasks_that_are_deleted_take_their_payloads_along() {
    let world = World::new();
    world.store([large(1), large(2)]).await;
    world.die().await;
    world.store([large(3), large(4), small(5)]).await;
    assert!(
        world.backend.delete(TaskRequest::new(now(), TaskId::from_bytes([3; 16]))).await.unwrap()
    );
    assert_eq!(world.shelf.keys(), keys([1, 2, 4]));
    assert_eq!(world.backend.purge(QueueName::DEFAULT, now()).await.unwrap().deleted, 2);
    assert_eq!(world.shelf.keys(), keys([1, 2]), "dead letters stay");
    let refused = world.backend.delete_queue(DeleteQueue::new(now(), QueueName::DEFAULT)).await;
    assert!(matches!(refused, Err(Error::QueueInUse { dead_letters: 2, .. })), "{refused:?}");
    assert_eq!(world.shelf.keys(), keys([1, 2]));
    let request = DeleteQueue::new(now(), QueueName::DEFAULT).with_tasks();
    assert_eq!(world.backend.delete_queue(request).await.unwrap().deleted, 2);
    assert!(world.shelf.keys().is_empty());
}

#[tokio::test]
async fn dead_letters_that_are_forgotten_take_their_payloads_along() {
    let world = World::new();
    world.store([large(1)]).await;
    world.die().await;
    world.store([large(2)]).await;
    let later = Now::At(at(30 * 24 * 3600));
    assert_eq!(world.backend.sweep(Sweep::new(later, Vec::new(), 9)).await.unwrap().forgotten, 1);
    while world.shelf.keys() != keys([2]) {
        // In parallel with the sweep, which waits only for the storage.
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_extension_beside_the_end_of_a_task_leaves_no_payload() {
    let world = World::new();
    world.store([large(1)]).await;
    let task = world.lease().await.remove(0);
    _ = world.storage.clone().with(Operation::Settle, 1, Fault::Late);
    let mut settled = std::pin::pin!(world.settle(&task, Verdict::Done));
    std::future::poll_fn(|cx| {
        assert!(settled.as_mut().poll(cx).is_pending(), "the settlement's answer is late");
        std::task::Poll::Ready(())
    })
    .await;
    assert_eq!(
        world.backend.extend(Extend::new(now(), vec![task.lease], LEASE)).await.unwrap(),
        [false]
    );
    world.storage.let_go();
    assert_eq!(settled.await.unwrap(), [Settled::Done]);
    assert!(world.shelf.keys().is_empty());
}

#[tokio::test]
async fn a_task_whose_attributes_cannot_be_read_keeps_its_payload() {
    let world = World::new();
    world.store([large(1).with(|task| task.spec.attributes = Some(vec![250, 1]))]).await;
    assert!(world.shelf.keys().is_empty());
    let stored = world.backend.get(TaskId::from_bytes([1; 16])).await.unwrap().unwrap();
    assert_eq!((stored.payload, stored.spec.attributes), (Some(vec![1; 100]), Some(vec![250, 1])));
}

#[tokio::test]
async fn only_tasks_whose_payloads_may_have_been_put_are_asked_for_after_a_refusal() {
    let world = World::new();
    world.shelf.refuse(true);
    assert!(
        world.backend.enqueue(Enqueue::new(now(), (0..100).map(large).collect())).await.is_err()
    );
    assert_eq!(world.storage.calls(Operation::Get), 32, "32 payloads are put at the same time");
}
