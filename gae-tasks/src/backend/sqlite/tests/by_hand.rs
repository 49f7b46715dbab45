//! Lanes of tasks that were made due by hand: found among any number of lanes, also of paused
//! queues, and by every process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Folder, at, ids, task, wait};
use crate::backend::memory::Memory;
use crate::backend::{Enqueue, Lease, NewTask, Pull, Room, Routes, TaskRequest};
use crate::queue::QueueName;
use crate::task::TaskId;
use crate::time::Now;

fn names(queues: usize) -> Vec<QueueName> {
    (0..queues).map(|number| QueueName::new(format!("queue-{number}")).unwrap()).collect()
}

/// Leases up to `limit` tasks of all these queues.
fn lease(backend: &dyn Pull, names: &[QueueName], limit: usize) -> Vec<TaskId> {
    let queues: Arc<BTreeSet<_>> = Arc::new(names.iter().cloned().collect());
    let (room, duration) = (Room::new(limit), Duration::from_secs(30));
    let request = Lease::new(Now::At(at(101)), queues, Routes::Any, room, duration);
    ids(&wait(backend.lease(request)).unwrap().tasks)
}

fn make_due(backend: &dyn Pull, id: TaskId) {
    wait(backend.run_now(TaskRequest::new(Now::At(at(101)), id))).unwrap();
}

/// Stores two tasks a queue, and pauses all queues.
fn pause_all(backend: &dyn Pull, names: &[QueueName], tasks: Vec<NewTask>) {
    wait(backend.enqueue(Enqueue::new(Now::At(at(100)), tasks))).unwrap();
    for name in names {
        wait(backend.set_paused(name.clone(), true)).unwrap();
    }
}

fn two_of_each(names: &[QueueName]) -> Vec<NewTask> {
    let of_queue = |name: &QueueName| task(b"x").with(|task| task.spec.queue = name.clone());
    names.iter().chain(names).map(of_queue).collect()
}

#[test]
fn among_any_number_of_paused_queues_the_tasks_made_due_are_found() {
    // Lanes are looked up one by one, read by due time, or read in the order of turns.
    for count in [3, 40, 300] {
        let (folder, names) = (Folder::new(), names(count));
        let tasks = two_of_each(&names);
        let by_hand: Vec<_> = tasks.iter().step_by(10).map(|task| task.spec.id).collect();
        let life = |backend: &dyn Pull| {
            pause_all(backend, &names, tasks.clone());
            by_hand.iter().for_each(|id| make_due(backend, *id));
            [lease(backend, &names, 1), lease(backend, &names, 900), lease(backend, &names, 900)]
        };
        let expected = life(&Memory::new());
        let found: BTreeSet<_> = expected.concat().into_iter().collect();
        assert_eq!(found, by_hand.iter().copied().collect(), "{count} queues");
        assert_eq!(life(&folder.open()), expected, "{count} queues");
    }
}

#[test]
fn what_one_process_makes_due_another_finds() {
    let (folder, names) = (Folder::new(), names(2));
    let (one, other) = (folder.open(), folder.open());
    let tasks = two_of_each(&names);
    let id = tasks[0].spec.id;
    pause_all(&one, &names, tasks);
    assert_eq!(lease(&other, &names, 9), []);
    make_due(&one, id);
    assert_eq!(lease(&other, &names, 9), [id]);
}
