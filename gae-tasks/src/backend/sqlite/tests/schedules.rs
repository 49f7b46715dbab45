//! Ticks whose tasks the database refuses.

use rusqlite::Connection;

use super::{Folder, at, chain, task, wait};
use crate::backend::{Backend, NewSchedule, Pull, PutSchedules, Tick, TickMove};
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
