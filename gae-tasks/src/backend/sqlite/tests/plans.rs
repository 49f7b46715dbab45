//! SQLite's plans for frequent statements: none reads or sorts more rows than needed, at any depth.

use rusqlite::Connection;

use super::super::call::Request;
use super::super::connection::{Durability, create};
use super::super::database::Database;
use super::super::error::Fault;
use super::super::{
    admin, held, limits, merge, ready, row, sample, schedules, settle, stats, stray, sweep,
    task_rows, tick, waiting,
};
use super::{Folder, enqueue, lease as lease_some, task, wait};

/// Returns the plan of `query` in one line.
fn plan(connection: &Connection, query: &str) -> String {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
    let count = statement.parameter_count();
    let values = rusqlite::params_from_iter((0..count).map(|_| 1));
    let lines = statement.query_map(values, |row| row.get::<_, String>(3)).unwrap();
    lines.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
}

fn check(connection: &Connection, state: &str) {
    let head = "SEARCH gae_tasks_waiting USING PRIMARY KEY (lane=? AND standing=? AND timed=?";
    let expected = [
        (merge::READ, head),
        (merge::WITH_TASKS, "SEARCH w USING PRIMARY KEY (lane=? AND standing=? AND timed=?"),
        (task_rows::TASK, "SEARCH gae_tasks_task USING PRIMARY KEY (id=?)"),
        (ready::FIRST, "SEARCH gae_tasks_waiting USING PRIMARY KEY (lane=? AND standing=?)"),
        (
            ready::OF_LANE,
            "SEARCH gae_tasks_ready USING PRIMARY KEY (standing=? AND turn=? AND lane=?)",
        ),
        (
            ready::DUE,
            "SEARCH gae_tasks_ready USING INDEX gae_tasks_ready_due (standing=? AND due<?)",
        ),
        (
            ready::TURNS,
            "SEARCH gae_tasks_ready USING PRIMARY KEY (standing=? AND (turn,lane)>(?,?) AND \
             turn<?)",
        ),
        (
            ready::IS_THERE,
            "SEARCH gae_tasks_ready USING PRIMARY KEY (standing=? AND turn=? AND lane=?)",
        ),
        (
            ready::LATER,
            "SEARCH gae_tasks_ready USING INDEX gae_tasks_ready_due (standing=? AND due>?)",
        ),
        (
            ready::REFUSED,
            "SEARCH gae_tasks_ready USING INDEX gae_tasks_ready_refused (standing=? AND due>?)",
        ),
        (waiting::TAKE_UP_TO, head),
        (
            waiting::TAKE,
            "SEARCH gae_tasks_waiting USING PRIMARY KEY (lane=? AND standing=? AND timed=? AND \
             due=? AND task=?)",
        ),
        (
            waiting::HOW,
            "SEARCH gae_tasks_waiting USING PRIMARY KEY (lane=? AND standing=? AND timed=? AND \
             due=? AND task=?)",
        ),
        (settle::REMOVE, "SEARCH gae_tasks_task USING PRIMARY KEY (id=?)"),
        (held::ROW, "SEARCH gae_tasks_lease USING INTEGER PRIMARY KEY (rowid=?)"),
        (held::OF_TOKEN, "SEARCH gae_tasks_lease USING INTEGER PRIMARY KEY (rowid>?"),
        (held::ALL, "SCAN gae_tasks_lease"),
        (limits::BUCKET, "SEARCH gae_tasks_bucket USING INTEGER PRIMARY KEY (rowid=?)"),
        (limits::LIVE, "SEARCH gae_tasks_lease USING INDEX gae_tasks_limited (queue=?)"),
        (held::CANCELLED, "SCAN gae_tasks_lease"),
        (stray::LOOK, "SEARCH t USING PRIMARY KEY (id>? AND id<?)"),
        (admin::IS_OF_QUEUE, "SEARCH t USING PRIMARY KEY (id=?)"),
        (
            sweep::OLD_DEAD,
            "SEARCH gae_tasks_task USING INDEX gae_tasks_dead (lane=? AND died>? AND died<?)",
        ),
        (sweep::LANE_WITH_DEAD, "SEARCH gae_tasks_task USING INDEX gae_tasks_dead (lane>?)"),
        (sweep::LONG_PAUSES, "SEARCH gae_tasks_waiting USING INDEX gae_tasks_pause (since>?)"),
        (
            sweep::OLD_NAMES,
            "SEARCH gae_tasks_name USING INDEX gae_tasks_tombstone (until>? AND until<?)",
        ),
        (stats::WAITING, "SCAN gae_tasks_waiting"),
        (sample::WAITING, "SEARCH gae_tasks_waiting USING PRIMARY KEY (lane=?)"),
        (sample::DEAD, "SEARCH gae_tasks_task USING INDEX gae_tasks_dead (lane=? AND died>?)"),
        (schedules::DUE, "SEARCH gae_tasks_schedule USING INDEX gae_tasks_schedule_next ("),
        (schedules::NEXT, "SEARCH gae_tasks_schedule USING INDEX gae_tasks_schedule_next (next>?)"),
        (schedules::ONE, "SEARCH gae_tasks_schedule USING PRIMARY KEY (program=? AND name=?)"),
        (schedules::OF_PROGRAM, "SEARCH gae_tasks_schedule USING PRIMARY KEY (program=?)"),
        (
            schedules::OLDER,
            "SEARCH gae_tasks_schedule USING INDEX gae_tasks_schedule_declared (program=? AND \
             revision<?)",
        ),
        (tick::MOVE, "SEARCH gae_tasks_schedule USING PRIMARY KEY (program=? AND name=?)"),
    ];
    let strays = plan(connection, stray::LOOK);
    let point =
        "SEARCH w USING PRIMARY KEY (lane=? AND standing=? AND timed=? AND due=? AND task=?)";
    assert!(strays.contains(point), "{state}: a look for strays reads waiting rows: {strays}");
    let purge = plan(connection, admin::WAITING);
    assert!(
        !purge.contains("SCAN t") && !purge.contains("SCAN w"),
        "{state}: a purge reads every task: {purge}"
    );
    for (query, start) in expected {
        let plan = plan(connection, query);
        assert!(
            plan.replace("COVERING ", "").starts_with(start),
            "{state}: {query}\nhas the plan {plan}"
        );
        assert!(!plan.contains("TEMP B-TREE"), "{state}: {query}\nsorts: {plan}");
        assert!(
            !plan.contains("SCAN gae_tasks_task"),
            "{state}: {query}\nreads every task: {plan}"
        );
    }
}

/// Returns how often a lease's query was planned anew.
struct Replanned;

impl Request for Replanned {
    type Output = i32;
    const DURABILITY: Durability = Durability::Normal;

    fn perform(&mut self, database: &mut Database) -> Result<i32, Fault> {
        let planned = |query| -> Result<i32, Fault> {
            Ok(database
                .connection
                .prepare_cached(query)?
                .get_status(rusqlite::StatementStatus::RePrepare))
        };
        Ok(planned(merge::READ)?.max(planned(merge::WITH_TASKS)?))
    }
}

#[test]
fn a_lease_is_planned_once() {
    let folder = Folder::new();
    let sqlite = folder.open();
    for _ in 0..5 {
        enqueue(&sqlite, vec![task(b"x")]).unwrap();
        assert_eq!(lease_some(&sqlite, super::at(100), 10).tasks.len(), 1);
    }
    assert!(wait(sqlite.writer.call(Replanned)).unwrap() <= 1);
}

#[test]
fn nothing_is_sorted_or_read_in_vain() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let (_, connection) = create(&folder.file()).unwrap();
    check(&connection, "empty");
    for _ in 0..25 {
        enqueue(&sqlite, (0..4_000).map(|_| task(&[1; 70])).collect()).unwrap();
    }
    lease_some(&sqlite, super::at(100), 500);
    check(&connection, "100,000 tasks");
    connection.execute_batch("ANALYZE").unwrap();
    check(&create(&folder.file()).unwrap().1, "100,000 tasks, analysed");
}

/// Returns how often the program of `query` reads the column `name` of a task's row.
fn reads(connection: &Connection, query: &str, name: &str) -> usize {
    let column: i64 = {
        let mut columns = connection.prepare("PRAGMA table_info(gae_tasks_task)").unwrap();
        let named =
            columns.query_map([], |row| Ok((row.get::<_, String>(1)?, row.get(0)?))).unwrap();
        named.map(Result::unwrap).find(|(column, _)| column == name).unwrap().1
    };
    let root: i64 = {
        let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'gae_tasks_task'";
        connection.query_row(root, [], |row| row.get(0)).unwrap()
    };
    let mut program = connection.prepare(&format!("EXPLAIN {query}")).unwrap();
    let steps = program.query_map([], |row| {
        Ok((row.get::<_, String>(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
    });
    let steps: Vec<_> = steps.unwrap().map(Result::unwrap).collect();
    let cursor =
        steps.iter().find(|(step, _, page)| step == "OpenRead" && *page == root).unwrap().1;
    steps
        .iter()
        .filter(|(step, of, read)| step == "Column" && *of == cursor && *read == column)
        .count()
}

#[test]
fn a_list_reads_no_payloads_unless_they_are_asked_for() {
    let folder = Folder::new();
    drop(folder.open());
    let (_, connection) = create(&folder.file()).unwrap();
    for (with_payloads, expected) in [(false, 0), (true, 1)] {
        let query = format!("{} WHERE TRUE ORDER BY t.id", row::columns(with_payloads));
        assert_eq!(reads(&connection, &query, "payload"), expected, "{query}");
        assert_eq!(reads(&connection, &query, "attributes"), 1, "{query}");
    }
}

#[test]
fn a_list_neither_sorts_nor_reads_what_comes_before_it() {
    let folder = Folder::new();
    drop(folder.open());
    let (_, connection) = create(&folder.file()).unwrap();
    for (order, after) in [("t.id", "t.id > ?1"), ("t.id DESC", "t.id < ?1")] {
        let query = format!("{} WHERE TRUE AND {after} ORDER BY {order}", row::columns(false));
        let plan = plan(&connection, &query);
        assert!(
            plan.starts_with("SEARCH t USING PRIMARY KEY (id") && !plan.contains("TEMP B-TREE"),
            "{query}: {plan}"
        );
    }
}
