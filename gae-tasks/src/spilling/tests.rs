//! Remembered keys of leased tasks are forgotten, however their leases end.

use std::sync::Arc;
use std::time::Duration;

use super::Spilling;
use crate::backend::memory::Memory;
use crate::backend::{
    Backend, Enqueue, Extend, HeldLease, Lease, LeasedTask, NewTask, Pull, Room, Routes, Settle,
    Settlement, Sweep, TaskRequest, Verdict,
};
use crate::clock::SystemClock;
use crate::payload_store::{PayloadStore, Shelf, Stored};
use crate::queue::QueueName;
use crate::task::{Kind, Shape, TaskId, TaskSpec};
use crate::time::{Now, Timestamp};

/// A store that keeps nothing.
#[derive(Debug)]
struct Void;

impl PayloadStore for Void {
    fn name(&self) -> String {
        "void".to_owned()
    }

    fn put<'a>(&'a self, _: &'a str, _: Vec<u8>) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn get<'a>(&'a self, _: &'a str) -> Stored<'a, Option<Vec<u8>>> {
        Box::pin(async { Ok(None) })
    }

    fn delete<'a>(&'a self, _: &'a str) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn put_before(&self, _: Timestamp) -> Stored<'_, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

const LEASE: Duration = Duration::from_secs(30);

fn at(second: i64) -> Now {
    Now::At(Timestamp::from_micros(second * 1_000_000))
}

fn wait<T>(answer: impl Future<Output = T>) -> T {
    pollster::block_on(answer)
}

fn spilling() -> Spilling<Memory> {
    Spilling::new(Memory::new(), Shelf::new(Arc::new(Void), Arc::new(SystemClock)), 4)
}

/// A leased task with a spilled payload.
fn leased(spilling: &Spilling<Memory>) -> LeasedTask {
    let spec = TaskSpec::new(
        TaskId::generate(),
        Kind::from_static("shop/send"),
        Shape::from_bits(7),
        QueueName::DEFAULT,
    );
    wait(spilling.enqueue(Enqueue::new(at(0), vec![NewTask::new(spec, vec![7; 100], [])])))
        .unwrap();
    let queues = Arc::new([QueueName::DEFAULT].into());
    let leased =
        wait(spilling.lease(Lease::new(at(0), queues, Routes::Any, Room::new(1), LEASE))).unwrap();
    assert_eq!(spilling.leased().len(), 1);
    leased.tasks.into_iter().next().unwrap()
}

#[test]
fn a_lease_that_is_lost_by_an_extension_is_forgotten() {
    let spilling = spilling();
    let task = leased(&spilling);
    assert!(wait(spilling.delete(TaskRequest::new(at(0), task.lease.id))).unwrap());
    assert_eq!(
        wait(spilling.extend(Extend::new(at(1), vec![task.lease], LEASE))).unwrap(),
        [false]
    );
    assert_eq!(spilling.leased().len(), 0);
}

#[test]
fn a_lease_that_a_sweep_calls_lost_is_forgotten() {
    let spilling = spilling();
    let task = leased(&spilling);
    let sweep = |limit| {
        let lost = HeldLease::new(task.lease, Timestamp::from_micros(30_000_000), LEASE);
        wait(spilling.sweep(Sweep::new(at(30), vec![lost], limit))).unwrap().recovered
    };
    assert_eq!((sweep(0), spilling.leased().len()), (0, 1), "the lease is still held");
    assert_eq!((sweep(9), spilling.leased().len()), (1, 0));
}

#[test]
fn a_lease_that_is_settled_is_forgotten_whatever_the_verdict() {
    for verdict in [Verdict::Done, Verdict::Release, Verdict::Permanent { error: String::new() }] {
        let spilling = spilling();
        let task = leased(&spilling);
        wait(spilling.settle(Settle::new(at(1), vec![Settlement::new(task.lease, verdict)])))
            .unwrap();
        assert_eq!(spilling.leased().len(), 0);
    }
}
