//! Priorities in the file: damaged ones, those of tasks that cannot be read, and a step that
//! another process stores.

use std::time::Duration;

use rusqlite::Connection;

use super::{Folder, at, enqueue, ids, lease, settle_all, spoil, task, wait};
use crate::backend::{Backend, Enqueue, NewTask, ReaderId, TaskRequest, Verdict};
use crate::queue::{QueueConfig, QueueName};
use crate::time::Now;

fn of(priority: i8) -> NewTask {
    task(b"x").with(|task| task.spec.priority = priority)
}

#[test]
fn a_lane_whose_priority_cannot_be_read_stops_no_other() {
    for bad in ["200", "'text'"] {
        let folder = Folder::new();
        let (plain, urgent) = (of(0), of(5));
        enqueue(&folder.open(), vec![plain.clone(), urgent.clone()]).unwrap();
        let other = Connection::open(folder.file()).unwrap();
        let damage = format!("UPDATE gae_tasks_lane SET priority = {bad} WHERE priority = 5");
        assert_eq!(other.execute(&damage, []).unwrap(), 1);
        let sqlite = folder.open();
        assert_eq!(ids(&lease(&sqlite, at(100), 9).tasks), [plain.spec.id], "{bad}");
        assert!(wait(sqlite.get(urgent.spec.id)).is_err(), "{bad}");
        let touch = TaskRequest::new(Now::At(at(100)), urgent.spec.id);
        assert!(wait(sqlite.delete(touch)).unwrap(), "{bad}");
    }
}

#[test]
fn a_refused_task_that_cannot_be_read_keeps_its_priority() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let urgent = of(5);
    enqueue(&sqlite, vec![of(0), urgent.clone()]).unwrap();
    let leased = lease(&sqlite, at(100), 1).tasks;
    assert_eq!(ids(&leased), [urgent.spec.id]);
    let reader = ReaderId::from_bits(2);
    let refused = Verdict::Unreadable { error: "what".to_owned(), reader };
    settle_all(&sqlite, at(100), &leased, &refused);
    spoil(&folder, "UPDATE gae_tasks_task SET payload = 'text' WHERE id = ?1", urgent.spec.id);
    assert_eq!(lease(&sqlite, at(100), 9).tasks.len(), 1, "it is put off");
    spoil(&folder, "UPDATE gae_tasks_task SET payload = x'01' WHERE id = ?1", urgent.spec.id);
    let record = wait(sqlite.get(urgent.spec.id)).unwrap().unwrap();
    assert_eq!((record.spec.priority, record.schedule_time), (5, at(3_700)));
}

#[test]
fn a_step_that_another_process_stores_counts_for_the_next_lease() {
    let folder = Folder::new();
    let (sqlite, other) = (folder.open(), folder.open());
    let (plain, urgent) = (of(0), of(1));
    let (first, second) = (plain.spec.id, urgent.spec.id);
    for (task, seconds) in [(plain, 80), (urgent, 100)] {
        let request = Enqueue::new(Now::At(at(seconds)), vec![task]);
        assert!(wait(sqlite.enqueue(request)).unwrap()[0].is_ok());
    }
    let order = || {
        let leased = lease(&sqlite, at(100), 9).tasks;
        settle_all(&sqlite, at(100), &leased, &Verdict::Release);
        ids(&leased)
    };
    assert_eq!(order(), [second, first]);
    let step = QueueConfig::new().with_priority_step(Duration::from_secs(1));
    wait(other.put_queue(QueueName::DEFAULT, step)).unwrap();
    assert_eq!(order(), [first, second]);
}
