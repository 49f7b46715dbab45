//! Rows that cannot be read: none blocks another.

use std::time::Duration;

use rusqlite::Connection;

use super::{Folder, at, chain, enqueue, finish, ids, lease, settle_all, spoil, sweep, task, wait};
use crate::backend::{
    Backend, LeasedTask, List, NewTask, Pull, Settle, Settled, Settlement, Swept, TaskFilter,
    TaskRequest, Verdict,
};
use crate::queue::{QueueConfig, QueueName, RetryConfig};
use crate::retention::Retention;
use crate::task::{Kind, Shape, TaskId, TaskName};
use crate::time::{Now, Timestamp};

fn named(name: &str) -> NewTask {
    task(b"x").with(|task| task.spec.name = Some(TaskName::new(name).unwrap()))
}

fn listed(sqlite: &super::Sqlite, limit: usize) -> Vec<TaskId> {
    let list = List::new(TaskFilter::new(), limit).with_payloads();
    wait(sqlite.list(list)).unwrap().iter().map(|task| task.spec.id).collect()
}

fn fail(sqlite: &super::Sqlite, tasks: &[LeasedTask], now: Timestamp) -> Vec<Settled> {
    let verdict = Verdict::Retry { error: "it failed".to_owned(), after: None, max_attempts: None };
    settle_all(sqlite, now, tasks, &verdict)
}

#[test]
fn a_task_whose_name_cannot_be_read_is_unnamed() {
    for bad in ["'not a name!'", "x'ff00'", "cast(x'ff' AS TEXT)"] {
        let folder = Folder::new();
        let sqlite = folder.open();
        let (spoilt, good) = (named("one"), named("two"));
        enqueue(&sqlite, vec![spoilt.clone(), good.clone()]).unwrap();
        spoil(
            &folder,
            &format!("UPDATE gae_tasks_task SET name = {bad} WHERE id = ?1"),
            spoilt.spec.id,
        );
        assert_eq!(wait(sqlite.get(spoilt.spec.id)).unwrap().unwrap().spec.name, None);
        let leased = lease(&sqlite, at(100), 10);
        assert_eq!(ids(&leased.tasks), [spoilt.spec.id, good.spec.id]);
        assert_eq!(
            (&leased.tasks[0].spec.name, &leased.tasks[1].spec.name),
            (&None, &good.spec.name)
        );
        assert_eq!(finish(&sqlite, &leased), [Settled::Done; 2]);
        assert_eq!(
            sweep(&sqlite, at(100_000)).forgotten,
            2,
            "the unreadable task's name is released nevertheless"
        );
    }
}

#[test]
fn a_list_shows_a_task_whose_payload_cannot_be_read_where_nobody_asks_for_it() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let (spoilt, good) = (task(b"x"), task(b"x"));
    enqueue(&sqlite, vec![spoilt.clone(), good.clone()]).unwrap();
    spoil(&folder, "UPDATE gae_tasks_task SET payload = 'text' WHERE id = ?1", spoilt.spec.id);
    let all = wait(sqlite.list(List::new(TaskFilter::new(), 9))).unwrap();
    assert_eq!(
        all.iter().map(|task| task.spec.id).collect::<Vec<_>>(),
        [spoilt.spec.id, good.spec.id]
    );
    assert_eq!(listed(&sqlite, 9), [good.spec.id]);
}

#[test]
fn the_tasks_of_a_queue_whose_configuration_cannot_be_read_wait_until_it_is_put_again() {
    for bad in ["x''", "x'00'", "'text'", "7"] {
        let folder = Folder::new();
        let sqlite = folder.open();
        let strict = QueueConfig::new().with_retry(RetryConfig::new().with_max_attempts(Some(1)));
        wait(sqlite.put_queue(QueueName::DEFAULT, strict.clone())).unwrap();
        enqueue(&sqlite, vec![task(b"x")]).unwrap();
        let other = Connection::open(folder.file()).unwrap();
        other.execute(&format!("UPDATE gae_tasks_queue SET config = {bad}"), []).unwrap();
        let elsewhere =
            task(b"y").with(|task| task.spec.queue = QueueName::from_static("elsewhere"));
        assert!(enqueue(&sqlite, vec![elsewhere]).unwrap()[0].is_ok());
        let queues = wait(sqlite.queues()).unwrap();
        let configs: Vec<_> = queues.iter().map(|queue| queue.config.clone()).collect();
        assert_eq!(
            configs,
            [None, Some(QueueConfig::new())],
            "the configuration never falls back to the default"
        );
        assert_eq!(lease(&sqlite, at(100), 10).tasks.len(), 0);
        wait(sqlite.set_paused(QueueName::DEFAULT, true)).unwrap();
        wait(sqlite.raise_retention(QueueName::DEFAULT, stated())).unwrap();
        let kept = format!("SELECT config IS {bad} FROM gae_tasks_queue WHERE name = 'default'");
        assert!(
            other.query_row(&kept, [], |row| row.get::<_, bool>(0)).unwrap(),
            "nothing else replaces the configuration"
        );
        let workers = sqlite.wakeups();
        wait(sqlite.put_queue(QueueName::DEFAULT, strict.clone())).unwrap();
        assert!(workers.has_changed().unwrap(), "the queue's tasks can run again");
        let mended = wait(sqlite.queues()).unwrap();
        assert!(mended[0].config.as_ref() == Some(&strict) && mended[0].paused, "{mended:?}");
        wait(sqlite.set_paused(QueueName::DEFAULT, false)).unwrap();
        assert_eq!(lease(&sqlite, at(100), 10).tasks.len(), 1);
    }
}

fn stated() -> Retention {
    Retention { dead_letters: Some(Duration::from_secs(1)), tombstones: None }
}

#[test]
fn a_queue_or_lane_without_a_name_stops_no_other() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let lost = task(b"x").with(|task| {
        task.spec.kind = Kind::from_static("shop/lost");
        task.spec.name = Some(TaskName::new("n").unwrap());
    });
    let good = task(b"y");
    enqueue(&sqlite, vec![lost.clone(), good.clone()]).unwrap();
    let held = lease(&sqlite, at(100), 1);
    drop(sqlite);
    let other = Connection::open(folder.file()).unwrap();
    other.execute("INSERT INTO gae_tasks_queue VALUES ('not a name!', x'00', 0)", []).unwrap();
    other.execute("UPDATE gae_tasks_lane SET kind = '//' WHERE kind = 'shop/lost'", []).unwrap();
    let sqlite = folder.open();
    assert_eq!(ids(&held.tasks), [lost.spec.id]);
    assert!(enqueue(&sqlite, vec![task(b"z")]).unwrap()[0].is_ok());
    assert_eq!(ids(&lease(&sqlite, at(100), 1).tasks), [good.spec.id]);
    assert_eq!(wait(sqlite.queues()).unwrap().len(), 1);
    assert_eq!(wait(sqlite.stats(Now::At(at(100)))).unwrap().len(), 1);
    assert_eq!(listed(&sqlite, 10).len(), 2);
    let touch = TaskRequest::new(Now::At(at(100)), lost.spec.id);
    assert!(wait(sqlite.delete(touch)).unwrap(), "a task that cannot be read can be deleted");
}

#[test]
fn a_task_whose_retry_cannot_be_read_has_its_queues() {
    for bad in ["x'00'", "'text'", "x''"] {
        let folder = Folder::new();
        let sqlite = folder.open();
        let own = Some(RetryConfig::new().with_max_attempts(Some(1)));
        let (spoilt, good) = (
            task(b"x").with(|task| task.spec.retry = own.clone()),
            task(b"y").with(|task| task.spec.retry = own),
        );
        enqueue(&sqlite, vec![spoilt.clone(), good]).unwrap();
        spoil(
            &folder,
            &format!("UPDATE gae_tasks_task SET retry = {bad} WHERE id = ?1"),
            spoilt.spec.id,
        );
        let leased = lease(&sqlite, at(100), 10);
        let settled = fail(&sqlite, &leased.tasks, at(100));
        assert!(matches!(settled[..], [Settled::Scheduled(_), Settled::Dead]), "{settled:?}");
        let mut now = at(200);
        for attempts in [1, 1, 2] {
            assert_eq!(ids(&lease(&sqlite, now, 1).tasks), [spoilt.spec.id]);
            now = now.plus(Duration::from_secs(30));
            assert_eq!(sweep(&sqlite, now), Swept { recovered: 1, ..Swept::default() });
            assert_eq!(
                wait(sqlite.get(spoilt.spec.id)).unwrap().map_or(attempts, |task| task.attempts),
                attempts
            );
        }
    }
}

#[test]
fn a_task_that_cannot_be_read_stops_no_other() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let (spoilt, good) = (task(b"s3cret"), task(b"y"));
    enqueue(&sqlite, vec![spoilt.clone(), good.clone()]).unwrap();
    spoil(&folder, "UPDATE gae_tasks_task SET payload = 's3cret' WHERE id = ?1", spoilt.spec.id);
    assert_eq!(listed(&sqlite, 1), [good.spec.id], "a page is filled");
    let text = chain(&wait(sqlite.get(spoilt.spec.id)).unwrap_err());
    assert!(!text.contains("s3cret"), "{text}");
    assert_eq!(ids(&lease(&sqlite, at(100), 10).tasks), [good.spec.id]);
    let before = sqlite.writer.transactions();
    let again = lease(&sqlite, at(101), 10);
    assert!(again.tasks.is_empty() && again.next.is_some(), "the task is put off");
    assert_eq!(sqlite.writer.transactions(), before, "the task costs nothing in between");
    spoil(&folder, "UPDATE gae_tasks_task SET payload = x'01' WHERE id = ?1", spoilt.spec.id);
    assert_eq!(
        ids(&lease(&sqlite, at(100 + 3600), 10).tasks),
        [spoilt.spec.id],
        "the repaired task is leased"
    );
    let touch = TaskRequest::new(Now::At(at(100)), spoilt.spec.id);
    assert!(wait(sqlite.delete(touch)).unwrap());
}

#[test]
fn rows_of_no_task_stop_no_task() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let (one, other) = (task(b"x"), task(b"y").with(|task| task.spec.shape = Shape::from_bits(8)));
    enqueue(&sqlite, vec![one.clone(), other.clone()]).unwrap();
    let garbage = "INSERT INTO gae_tasks_waiting SELECT DISTINCT lane, 0, 0, 0, x'00', NULL \
                   FROM gae_tasks_waiting;
                   INSERT INTO gae_tasks_waiting SELECT DISTINCT lane, 0, 0, 0, zeroblob(16), \
                   NULL FROM gae_tasks_waiting;
                   INSERT INTO gae_tasks_lease VALUES (1, 0, 0, 0, 1, 0, x'00', NULL, 0), (2, 0, \
                   0, 0, 1, 0, 'text', NULL, 0);
                   INSERT INTO gae_tasks_name VALUES ('default', 'n', 'text', NULL);
                   INSERT INTO gae_tasks_task (id, lane, created, schedule_time, died, payload)
                       VALUES (x'00', 1, 0, 0, -1000000000000000, x'00')";
    Connection::open(folder.file()).unwrap().execute_batch(garbage).unwrap();
    assert!(enqueue(&sqlite, vec![named("n")]).unwrap()[0].as_ref().unwrap().created);
    assert_eq!(sweep(&sqlite, at(100)), Swept::default());
    let leased = lease(&sqlite, at(100), 10);
    assert_eq!(leased.tasks.len(), 3);
    assert_eq!(finish(&sqlite, &leased), [Settled::Done; 3]);
    assert!(lease(&sqlite, at(100), 10).tasks.is_empty());
    assert!(listed(&sqlite, 10).is_empty());
}

#[test]
fn numbers_that_cannot_be_read_stop_no_batch() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let (spoilt, good) = (task(b"x"), task(b"y"));
    enqueue(&sqlite, vec![spoilt.clone(), good]).unwrap();
    let leased = lease(&sqlite, at(100), 10);
    fail(&sqlite, &leased.tasks, at(100));
    let leased = lease(&sqlite, at(200), 10);
    spoil(
        &folder,
        "UPDATE gae_tasks_task SET attempts = -1, lost_leases = 'x', errors = 'x' WHERE id = ?1",
        spoilt.spec.id,
    );
    assert!(matches!(
        fail(&sqlite, &leased.tasks, at(200))[..],
        [Settled::Scheduled(_), Settled::Scheduled(_)]
    ));
    assert_eq!(lease(&sqlite, at(300), 10).tasks.len(), 2);
}

#[test]
fn no_pause_that_cannot_be_read_stops_a_sweep() {
    for column in ["lane", "standing", "due"] {
        let folder = Folder::new();
        let sqlite = folder.open();
        let (spoilt, good) = (task(b"x"), task(b"y"));
        enqueue(&sqlite, vec![spoilt.clone(), good]).unwrap();
        fail(&sqlite, &lease(&sqlite, at(1_000), 10).tasks, at(1_000));
        spoil(
            &folder,
            &format!("UPDATE gae_tasks_waiting SET {column} = 'x' WHERE task = ?1"),
            spoilt.spec.id,
        );
        // The clock is set back.
        let swept = sweep(&sqlite, at(500));
        assert_eq!(
            swept,
            Swept { shortened: 1, recovered: 1, ..Swept::default() },
            "{column}: one task is put back"
        );
        assert_eq!(sweep(&sqlite, at(500)), Swept::default(), "{column}");
    }
}

#[test]
fn no_value_that_cannot_be_read_stops_a_sweep() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let tasks: Vec<_> = (0..4).map(|_| task(b"x")).collect();
    let ids: Vec<_> = tasks.iter().map(|task| task.spec.id).collect();
    enqueue(&sqlite, tasks).unwrap();
    let leased = lease(&sqlite, at(100), 3);
    let verdicts = [Verdict::Permanent { error: String::new() }, Verdict::Release];
    let settlements = leased
        .tasks
        .iter()
        .zip(verdicts)
        .map(|(task, verdict)| Settlement::new(task.lease, verdict));
    wait(sqlite.settle(Settle::new(Now::At(at(100)), settlements.collect()))).unwrap();
    spoil(&folder, "UPDATE gae_tasks_task SET lane = 'x' WHERE id = ?1", ids[0]);
    spoil(&folder, "UPDATE gae_tasks_waiting SET timed = 1, since = 'x' WHERE task = ?1", ids[1]);
    spoil(&folder, "UPDATE gae_tasks_lease SET expires = 'x' WHERE instr(tasks, ?1)", ids[2]);
    let good = lease(&sqlite, at(100), 10);
    assert!(good.tasks.iter().any(|task| task.lease.id == ids[3]));
    assert_eq!(
        sweep(&sqlite, at(130)).recovered,
        good.tasks.len() as u64 + 1,
        "and the task whose lease is lost"
    );
    assert_eq!(
        lease(&sqlite, at(130), 10).tasks.iter().filter(|task| task.lease.id == ids[3]).count(),
        1
    );
}
