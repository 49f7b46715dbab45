//! Ticks whose tasks the database refuses, and schedules that cannot be read.

use rusqlite::Connection;

use super::{Folder, at, chain, task, wait};
use crate::backend::{
    Backend, DueSchedules, NewSchedule, Pull, PutSchedules, SchedulePut, Tick, TickMove,
};
use crate::time::Now;

#[test]
fn a_tick_that_the_database_refuses_fails_alone_and_leaves_its_schedule() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let schedules = ["a", "b", "c"].map(|name| NewSchedule::new(name, "x", vec![1])).into();
    wait(sqlite.put_schedules(PutSchedules::new(Now::At(at(0)), "shop", schedules))).unwrap();
    let other = Connection::open(folder.file()).unwrap();
    let rule = "CREATE TRIGGER rule BEFORE INSERT ON gae_tasks_task WHEN length(new.payload) > 5 \
                BEGIN SELECT raise(ABORT, 'against the rule'); END";
    other.execute_batch(rule).unwrap();
    let read = wait(sqlite.schedules(None)).unwrap();
    let payloads: [&[u8]; 3] = [b"a", b"s3cret", b"c"];
    let moves = read.iter().zip(payloads).map(|(schedule, payload)| TickMove {
        since: at(10),
        last_tick: Some(at(10)),
        // The first one of a move is stored before the database refuses the second.
        tasks: vec![task(b"ok"), task(payload)],
        ..TickMove::new(schedule, Some(at(20)))
    });
    let answers = wait(sqlite.tick(Tick::new(Now::At(at(10)), moves.collect()))).unwrap();
    let made: Vec<_> = answers.iter().map(|answer| matches!(answer, Ok(true))).collect();
    assert_eq!(made, [true, false, true]);
    let text = chain(answers[1].as_ref().unwrap_err());
    assert!(text.contains("`b` of `shop`") && text.contains("against the rule"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    let since: Vec<_> =
        wait(sqlite.schedules(None)).unwrap().iter().map(|schedule| schedule.since).collect();
    assert_eq!(since, [at(10), at(0), at(10)]);
    let count = "SELECT count(*) FROM gae_tasks_task";
    let stored: i64 = other.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(stored, 4, "nothing of the refused move is left");
}

#[test]
fn schedules_that_cannot_be_read_hide_no_others_and_are_replaced() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let put = |names: &[&str]| {
        let schedules = names.iter().map(|name| NewSchedule::new(*name, "x", vec![1])).collect();
        let request = PutSchedules::new(Now::At(at(0)), "shop", schedules);
        wait(sqlite.put_schedules(request)).unwrap().schedules
    };
    put(&["a", "b", "c", "d"]);
    let other = Connection::open(folder.file()).unwrap();
    let spoil = "UPDATE gae_tasks_schedule SET cron = x'ff' WHERE name IN ('a', 'b', 'd')";
    assert_eq!(other.execute(spoil, []).unwrap(), 3);
    let due = wait(sqlite.due_schedules(DueSchedules::new(Now::At(at(9)), 1))).unwrap();
    let names: Vec<_> = due.schedules.iter().map(|schedule| schedule.key.name.as_str()).collect();
    assert_eq!(names, ["c"], "a page has as many as can be read");
    assert_eq!(wait(sqlite.schedules(None)).unwrap().len(), 1);
    assert_eq!(put(&["a", "c"]), [SchedulePut::Created, SchedulePut::Kept]);
    let due = wait(sqlite.due_schedules(DueSchedules::new(Now::At(at(9)), 9))).unwrap();
    assert_eq!(due.schedules.len(), 2);
}
