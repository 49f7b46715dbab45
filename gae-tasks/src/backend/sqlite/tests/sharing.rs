//! A file that others use too: processes that lease, processes that lock the file, and the
//! application that owns it.

use std::process::Child;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::super::call::Request;
use super::super::connection::{Access, Durability, PRAGMAS, create, set};
use super::super::database::Database;
use super::super::error::Fault;
use super::{Folder, Sqlite, at, enqueue, finish, lease, open, start_child, task, wait};
use crate::backend::{Backend, Extend, List, Pull, Settled, Sweep, TaskFilter, TaskState};
use crate::queue::{QueueConfig, QueueName};
use crate::time::Now;

/// The environment variable of the child process that locks the file: the database.
const CHILD: &str = "GAE_TASKS_TEST_LOCK";

/// How long the child locks the file; real time, because SQLite waits in real time.
const LOCKED: Duration = Duration::from_secs(2);

/// Not a test: the work of the child process.
#[test]
fn child() {
    let Ok(file) = std::env::var(CHILD) else { return };
    let connection = Connection::open(file).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    println!("locked");
    thread::sleep(LOCKED);
    connection.execute_batch("COMMIT").unwrap();
}

/// Starts a process that locks the file, and waits until the file is locked.
fn lock_elsewhere(folder: &Folder) -> Child {
    start_child("backend::sqlite::tests::sharing::child", CHILD, folder, "locked")
}

#[test]
fn a_file_that_another_process_locks_for_two_seconds_is_waited_for_by_all() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"a"), task(b"b")]).unwrap();
    let held = lease(&sqlite, at(100), 1);
    let leases: Vec<_> = held.tasks.iter().map(|task| task.lease).collect();
    let begun = Instant::now();
    let mut locking = lock_elsewhere(&folder);
    thread::scope(|scope| {
        let stored = scope.spawn(|| enqueue(&sqlite, vec![task(b"c")]).unwrap().remove(0).unwrap());
        let leased = scope.spawn(|| lease(&sqlite, at(100), 1).tasks.len());
        let request = Extend::new(Now::At(at(100)), leases, Duration::from_secs(30));
        let extended = scope.spawn(|| wait(sqlite.extend(request)).unwrap());
        let request = Sweep::new(Now::At(at(100)), Vec::new(), 100);
        let swept = scope.spawn(|| wait(sqlite.sweep(request)).unwrap());
        let queue = scope.spawn(|| wait(sqlite.put_queue(QueueName::DEFAULT, QueueConfig::new())));
        // Reading does not wait at all.
        let list = List::new(TaskFilter::new().state(TaskState::Leased), 10);
        assert_eq!(wait(sqlite.list(list)).unwrap().len(), 1);
        // A program that starts now waits as well.
        let opened = scope.spawn(|| {
            open(folder.file()).map(|opened| enqueue(&opened, vec![task(b"d")]).unwrap().len())
        });
        assert!(stored.join().unwrap().created);
        assert_eq!((leased.join().unwrap(), extended.join().unwrap()), (1, vec![true]));
        assert_eq!(swept.join().unwrap().recovered, 0);
        assert!(queue.join().unwrap().is_ok());
        assert_eq!(opened.join().unwrap().unwrap(), 1);
    });
    assert_eq!(finish(&sqlite, &held), [Settled::Done]);
    assert!(
        begun.elapsed() >= LOCKED && locking.wait().unwrap().success(),
        "the file was not locked"
    );
}

/// Reads the pragmas of the connection in use.
struct Pragmas;

impl Request for Pragmas {
    type Output = Vec<i64>;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, database: &mut Database) -> Result<Vec<i64>, Fault> {
        pragmas(&database.connection)
    }
}

fn pragmas(connection: &Connection) -> Result<Vec<i64>, Fault> {
    let names = PRAGMAS.map(|(name, _)| name).into_iter().chain(["synchronous", "query_only"]);
    let value = |name| Ok(connection.pragma_query_value(None, name, |row| row.get(0))?);
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    assert_eq!(mode, "wal");
    names.map(value).collect()
}

#[test]
fn the_connections_in_use_have_their_pragmas() {
    let folder = Folder::new();
    let (one, other) = (folder.open(), folder.open());
    enqueue(&one, vec![task(b"x")]).unwrap();
    lease(&other, at(100), 1);
    let expected = |access| {
        let own = [Durability::Full.level(), i64::from(access == Access::Read)];
        PRAGMAS.map(|(_, value)| value).into_iter().chain(own).collect::<Vec<_>>()
    };
    for sqlite in [&one, &other] {
        assert_eq!(wait(sqlite.writer.call(Pragmas)).unwrap(), expected(Access::Write));
        assert_eq!(wait(sqlite.reader.get(pragmas)).unwrap(), expected(Access::Read));
    }
}

#[test]
fn a_misspelt_pragma_is_an_error() {
    let folder = Folder::new();
    let (_, connection) = create(&folder.file()).unwrap();
    assert!(set(&connection, "journal", 1).is_err(), "SQLite itself reports no error");
    assert!(set(&connection, "synchronous", 99).is_err());
    assert!(set(&connection, "synchronous", 1).is_ok());
}

#[test]
fn handles_with_the_same_settings_are_different_workers() {
    let folder = Folder::new();
    let (one, other) = (folder.open(), folder.open());
    enqueue(&one, vec![task(b"x"), task(b"y")]).unwrap();
    let (first, second) = (lease(&one, at(100), 1), lease(&other, at(100), 1));
    let locks: Vec<_> = folder.names().into_iter().filter(|name| name.ends_with(".lock")).collect();
    assert_eq!(locks.len(), 2, "{locks:?}");
    drop(one);
    assert_eq!(
        lease(&other, at(100), 10).tasks.len(),
        1,
        "the first process's task is free, though the other process lives"
    );
    assert_eq!(finish(&other, &first), [Settled::LeaseLost]);
    assert_eq!(finish(&other, &second), [Settled::Done]);
}

/// Like a program that waits for a locked file with a time limit, again and again.
#[cfg(target_os = "linux")]
#[test]
fn the_file_of_a_session_that_was_never_stored_is_removed() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let stray = "tasks.db-session-00000000000000ff.lock";
    std::fs::write(folder.0.join(stray), "").unwrap();
    super::sweep(&sqlite, at(100));
    assert!(!folder.names().iter().any(|name| name == stray), "{:?}", folder.names());
}

#[test]
fn a_session_whose_file_is_gone_and_that_leases_nothing_is_forgotten() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let other = Connection::open(folder.file()).unwrap();
    other.execute("INSERT INTO gae_tasks_session (id, started) VALUES (255, 0)", []).unwrap();
    super::sweep(&sqlite, at(100));
    let sessions: i64 =
        other.query_row("SELECT count(*) FROM gae_tasks_session", [], |row| row.get(0)).unwrap();
    assert_eq!(sessions, 0);
}

#[test]
fn an_opening_that_nobody_waits_for_leaves_nothing_open() {
    let folder = Folder::new();
    let locking = Connection::open(folder.file()).unwrap();
    locking.execute_batch("PRAGMA journal_mode = WAL; BEGIN EXCLUSIVE").unwrap();
    let open = || {
        let links = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| entry.ok()?.path().read_link().ok());
        links.filter(|link| link.starts_with(&folder.0)).count()
    };
    let until = |holds: &dyn Fn(usize) -> bool| {
        let begun = Instant::now();
        while !holds(open()) {
            assert!(begun.elapsed() < Duration::from_secs(30), "{} are open", open());
            thread::yield_now();
        }
    };
    let own = open();
    let mut opening = Box::pin(Sqlite::open(folder.file()));
    assert!(opening.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    until(&|open| open > own);
    drop(opening);
    locking.execute_batch("COMMIT").unwrap();
    drop(locking);
    until(&|open| open == 0);
}

/// An application's own tables, including migrations by another tool.
const APPLICATION: &str = "
    PRAGMA user_version = 7;
    PRAGMA application_id = 1234;
    CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL);
    INSERT INTO _sqlx_migrations VALUES (1, 'users'), (2, 'task');
    CREATE TABLE schema_migrations (version TEXT);
    CREATE TABLE task (id INTEGER PRIMARY KEY, payload TEXT);
    CREATE INDEX waiting ON task (payload);
    INSERT INTO task VALUES (1, 'mine');";

/// Returns everything that an application can see of its own data.
fn seen(connection: &Connection) -> Vec<String> {
    let query = "SELECT 'user_version ' || user_version FROM pragma_user_version
        UNION ALL SELECT 'application_id ' || application_id FROM pragma_application_id
        UNION ALL SELECT type || name || coalesce(sql, '') FROM sqlite_schema WHERE \
        tbl_name NOT LIKE 'gae\\_tasks\\_%' ESCAPE '\\'
        UNION ALL SELECT version || description FROM _sqlx_migrations UNION ALL SELECT id || \
        payload FROM task";
    let mut statement = connection.prepare(query).unwrap();
    let lines = statement.query_map([], |row| row.get(0)).unwrap();
    lines.collect::<Result<_, _>>().unwrap()
}

#[test]
fn the_database_of_an_application_keeps_its_tables_versions_and_migrations() {
    let folder = Folder::new();
    let application = Connection::open(folder.file()).unwrap();
    application.execute_batch(APPLICATION).unwrap();
    let before = seen(&application);
    assert!(before.len() > 8, "{before:?}");
    for _ in 0..2 {
        let sqlite = folder.open();
        enqueue(&sqlite, vec![task(b"x")]).unwrap();
        assert_eq!(finish(&sqlite, &lease(&sqlite, at(100), 10)).len(), 1);
    }
    assert_eq!(seen(&application), before);
    let sqlite = folder.open();
    let migration = "BEGIN; ALTER TABLE task ADD COLUMN more; INSERT INTO _sqlx_migrations VALUES \
                     (3, 'more'); PRAGMA user_version = 8; COMMIT";
    application.execute_batch(migration).unwrap();
    let after = seen(&application);
    enqueue(&sqlite, vec![task(b"y")]).unwrap();
    assert_eq!(lease(&sqlite, at(100), 10).tasks.len(), 1);
    drop(sqlite);
    drop(folder.open());
    assert_eq!(seen(&application), after, "the application continues with its own migrations");
}
