//! Unusable files, files shared with other programs, and sessions.

use std::fs;
use std::process::{Command, Stdio};

use rusqlite::Connection;

use super::super::session::locked_or_removed;
use super::{Folder, at, chain, enqueue, finish, lease, open, task, wait};
use crate::backend::{Backend, Bury, List, Standing, Swept, TaskFilter};
use crate::time::Now;

fn sweep(sqlite: &super::Sqlite) -> Swept {
    super::sweep(sqlite, at(100))
}

/// Returns the error of opening `file`.
fn refusal(file: impl AsRef<std::path::Path>) -> String {
    chain(&open(file).unwrap_err())
}

#[test]
fn a_file_that_cannot_serve_is_refused_with_the_fix() {
    let folder = Folder::new();
    let missing = refusal(folder.0.join("no/such/tasks.db"));
    assert!(
        missing.contains("its folder does not exist; create it first")
            && missing.contains("no/such/tasks.db")
    );
    assert!(refusal(&folder.0).contains("it is a folder; name a file in it"));
    fs::write(folder.0.join("text.db"), "this is some text and no database at all".repeat(100))
        .unwrap();
    let text = refusal(folder.0.join("text.db"));
    assert!(
        text.contains("it is not a SQLite database; name another file") && text.contains("text.db"),
        "{text}"
    );
    let below = refusal(folder.0.join("text.db/tasks.db"));
    assert!(below.contains("a part of its path is a file, not a folder"), "{below}");
    assert_eq!(folder.names(), ["text.db"], "nothing is left behind");
}

#[test]
fn a_damaged_file_is_named() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, (0..500).map(|_| task(&[7; 500])).collect()).unwrap();
    drop(sqlite);
    let mut bytes = fs::read(folder.file()).unwrap();
    bytes[4096..].fill(0x5a);
    fs::write(folder.file(), bytes).unwrap();
    let text = refusal(folder.file());
    assert!(
        text.contains("damaged: restore it from a backup") && text.contains("tasks.db"),
        "{text}"
    );
}

#[test]
fn a_newer_file_is_refused_untouched() {
    let folder = Folder::new();
    drop(folder.open());
    let connection = Connection::open(folder.file()).unwrap();
    connection.execute("UPDATE gae_tasks_version SET version = 99", []).unwrap();
    let text = refusal(folder.file());
    assert!(
        text.contains("of version 99, this program knows version 1: update gae-tasks"),
        "{text}"
    );
    connection.execute("UPDATE gae_tasks_version SET version = 1", []).unwrap();
    assert!(open(folder.file()).is_ok());
}

/// Asserts that a file, as another development version made it by `change`, is refused.
#[track_caller]
fn assert_of_another_version(change: &str) {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    drop(sqlite);
    let connection = Connection::open(folder.file()).unwrap();
    connection.execute_batch(change).unwrap();
    let text = refusal(folder.file());
    assert!(
        text.contains("tasks.db") && text.contains("another development version of gae-tasks"),
        "{text}"
    );
    assert!(text.contains("drain it with the program that wrote it, or delete it"), "{text}");
    assert!(!text.contains("CREATE TABLE") && text.len() < 500, "{text}");
    let tasks: i64 =
        connection.query_row("SELECT count(*) FROM gae_tasks_task", [], |row| row.get(0)).unwrap();
    assert_eq!(tasks, 1, "nothing in the file has changed");
}

#[test]
fn a_file_whose_version_is_not_known_is_refused_in_a_few_words() {
    assert_of_another_version("UPDATE gae_tasks_version SET digest = digest + 1");
    assert_of_another_version("UPDATE gae_tasks_version SET version = 0");
    assert_of_another_version("UPDATE gae_tasks_version SET version = 'one'");
    assert_of_another_version("DELETE FROM gae_tasks_version");
    assert_of_another_version("INSERT INTO gae_tasks_version SELECT * FROM gae_tasks_version");
    assert_of_another_version("DROP TABLE gae_tasks_version");
    // As the first development versions wrote the table.
    assert_of_another_version(
        "DROP TABLE gae_tasks_version; CREATE TABLE gae_tasks_version (version INTEGER NOT NULL); \
         INSERT INTO gae_tasks_version VALUES (1)",
    );
}

#[test]
fn the_tables_stand_beside_those_of_an_application() {
    let folder = Folder::new();
    let connection = Connection::open(folder.file()).unwrap();
    connection
        .execute_batch(
            "PRAGMA user_version = 7; CREATE TABLE task (mine); CREATE TABLE schema (mine)",
        )
        .unwrap();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    let version: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 7);
    let ours = "SELECT count(*) FROM sqlite_schema WHERE tbl_name NOT LIKE 'gae_tasks_%' AND name \
                <> 'task' AND name <> 'schema'";
    assert_eq!(connection.query_row(ours, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[test]
fn a_buried_task_survives_the_end_of_its_process() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let task = task(b"x").with(|task| task.spec.attributes = Some(vec![1, 2, 3]));
    let now = Now::At(at(1));
    let bury = Bury::new(now, task.clone(), 3, Some(at(0)), "over".to_owned());
    wait(sqlite.bury(bury.clone())).unwrap();
    let before = wait(sqlite.get(task.spec.id)).unwrap().unwrap();
    drop(sqlite);
    let sqlite = folder.open();
    wait(sqlite.bury(bury)).unwrap();
    assert_eq!(wait(sqlite.get(task.spec.id)).unwrap().unwrap(), before);
    assert_eq!(
        (before.attempts, before.spec.attributes, before.errors.len()),
        (3, task.spec.attributes, 1)
    );
}

#[test]
fn a_locked_file_is_an_error_in_time_and_works_again_later() {
    let folder = Folder::new();
    let sqlite = folder.open();
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let text = chain(&enqueue(&sqlite, vec![task(b"s3cret")]).unwrap_err());
    assert!(
        text.contains("another connection holds it locked") && text.contains("tasks.db"),
        "{text}"
    );
    assert!(!text.contains("s3cret"));
    other.execute_batch("ROLLBACK").unwrap();
    assert!(enqueue(&sqlite, vec![task(b"x")]).is_ok());
}

#[test]
fn two_handles_on_one_file_see_each_other() {
    let folder = Folder::new();
    let (one, other) = (folder.open(), folder.open());
    enqueue(&one, vec![task(b"x")]).unwrap();
    let leased = lease(&other, at(100), 10);
    assert_eq!(leased.tasks.len(), 1);
    assert_eq!(sweep(&one), Swept::default(), "the other session lives");
    assert_eq!(lease(&one, at(100), 10).tasks.len(), 0);
    finish(&other, &leased);
    let mut another = task(b"y");
    another.spec.kind = crate::task::Kind::from_static("shop/later");
    enqueue(&other, vec![another]).unwrap();
    assert_eq!(
        lease(&one, at(100), 10).tasks[0].spec.kind.as_str(),
        "shop/later",
        "a lane that the other made"
    );
    wait(other.set_paused(crate::queue::QueueName::DEFAULT, true)).unwrap();
    enqueue(&one, vec![task(b"z")]).unwrap();
    assert_eq!(lease(&one, at(100), 10).tasks.len(), 0, "a pause by the other");
}

/// Closing any descriptor of a file drops all locks of the process on it. Without the lock, another
/// process that ends takes itself for the last one, and removes the log that is in use.
#[cfg(target_os = "linux")]
#[test]
fn opening_a_file_again_keeps_the_locks_of_the_first_handle() {
    use std::os::unix::fs::MetadataExt;
    let folder = Folder::new();
    let inode = |folder: &Folder| format!(":{} ", fs::metadata(folder.file()).unwrap().ino());
    // `/proc/locks` is read piece by piece, and a lock can fall between two pieces while others
    // come and go. So only a lock that is missing again and again is gone.
    let is_locked = |folder: &Folder| {
        (0..200).any(|look| {
            std::thread::sleep(std::time::Duration::from_millis(look.min(5)));
            fs::read_to_string("/proc/locks")
                .unwrap()
                .lines()
                .any(|line| line.contains(&inode(folder)))
        })
    };
    let one = folder.open();
    enqueue(&one, vec![task(b"x")]).unwrap();
    assert!(is_locked(&folder), "a handle holds a lock");
    drop(Connection::open(folder.0.join("other.db")).unwrap());
    let _other = folder.open();
    _ = refusal(folder.0.join("tasks.db/below"));
    assert!(is_locked(&folder), "the first handle still holds a lock");
    drop(one);
    assert!(is_locked(&folder), "the other handle holds a lock too");
}

#[test]
fn a_clean_end_leaves_only_the_database() {
    let folder = Folder::new();
    let sqlite = folder.open();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
    lease(&sqlite, at(100), 1);
    assert!(folder.names().iter().any(|name| name.ends_with(".lock")));
    drop(sqlite);
    assert_eq!(folder.names(), ["tasks.db"]);
    assert_eq!(lease(&folder.open(), at(100), 1).tasks.len(), 1, "the leased task is free at once");
}

#[test]
fn a_session_without_its_file_is_not_taken_for_dead() {
    let folder = Folder::new();
    let (one, other) = (folder.open(), folder.open());
    enqueue(&one, vec![task(b"x")]).unwrap();
    let leased = lease(&one, at(100), 1);
    for name in folder.names().iter().filter(|name| name.ends_with(".lock")) {
        fs::remove_file(folder.0.join(name)).unwrap();
    }
    assert_eq!(sweep(&other), Swept::default());
    assert_eq!(finish(&one, &leased), [crate::backend::Settled::Done]);
}

#[test]
fn a_file_whose_lock_cannot_be_had_is_not_left_behind() {
    let folder = Folder::new();
    let path = folder.0.join("tasks.db-session-1.lock");
    let refuse = |_: &fs::File| Err(std::io::Error::other("no locks here"));
    let refused =
        locked_or_removed(fs::File::create_new(&path).unwrap(), &path, refuse).unwrap_err();
    assert_eq!(refused.to_string(), "no locks here");
    let again =
        locked_or_removed(fs::File::create_new(&path).unwrap(), &path, |lock| Ok(lock.try_lock()?));
    assert!(again.is_ok() && path.exists());
}

#[test]
fn files_without_a_session_are_removed_unless_somebody_holds_them() {
    let folder = Folder::new();
    let stray = |id: i64| folder.0.join(format!("tasks.db-session-{id:016x}.lock"));
    let (one, other) = (folder.open(), folder.open());
    enqueue(&one, vec![task(b"x")]).unwrap();
    lease(&one, at(100), 1);
    let before = folder.names();
    fs::write(stray(5), "").unwrap();
    let being_born = fs::File::create_new(stray(6)).unwrap();
    being_born.lock().unwrap();
    fs::write(folder.0.join("other.db-session-0000000000000007.lock"), "").unwrap();
    assert_eq!(sweep(&other), Swept::default());
    assert!(!stray(5).exists() && stray(6).exists(), "{:?}", folder.names());
    assert_eq!(
        folder.names().len(),
        before.len() + 2,
        "nothing else is touched: {:?}",
        folder.names()
    );
}

/// The environment variable of the kill test's child process: the database.
const CHILD: &str = "GAE_TASKS_TEST_KILL";

/// Not a test: the work of the child process until it is killed.
#[test]
fn child() {
    let Ok(file) = std::env::var(CHILD) else { return };
    let sqlite = open(&file).unwrap();
    let first: Vec<_> = (0..100).map(|_| task(b"x")).collect();
    enqueue(&sqlite, first).unwrap();
    assert_eq!(lease(&sqlite, at(100), 5).tasks.len(), 5);
    println!("leased");
    loop {
        let new = task(b"x");
        println!("next {}", new.spec.id);
        if enqueue(&sqlite, vec![new]).is_ok() {
            println!("stored");
        }
    }
}

#[test]
fn a_killed_process_loses_nothing_and_its_leases_are_free_at_once() {
    use std::io::{BufRead, BufReader};
    let folder = Folder::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["backend::sqlite::tests::file::child", "--exact", "--nocapture"])
        .env(CHILD, folder.file())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.ends_with("leased")).unwrap();
    let before: Vec<_> = lines.by_ref().take(60).collect();
    let survivor = folder.open();
    assert_eq!(sweep(&survivor), Swept::default(), "the survivor's session lives");
    child.kill().unwrap();
    child.wait().unwrap();
    let after: Vec<_> = lines.collect();
    let printed: Vec<_> = before.into_iter().chain(after).collect();
    let stored: Vec<_> =
        printed.windows(2).filter(|pair| pair[1] == "stored").map(|pair| pair[0].clone()).collect();
    assert_eq!(sweep(&survivor).recovered, 5);
    assert_eq!(
        lease(&survivor, at(100), 5)
            .tasks
            .iter()
            .filter(|task| task.standing == Standing::Marked)
            .count(),
        5
    );
    let list = List::new(TaskFilter::new(), usize::MAX);
    let ids: Vec<_> = wait(survivor.list(list))
        .unwrap()
        .iter()
        .map(|task| format!("next {}", task.spec.id))
        .collect();
    assert!(
        stored.len() > 10 && stored.iter().all(|id| ids.contains(id)),
        "{} of {}",
        stored.len(),
        ids.len()
    );
    let locks = folder.names().iter().filter(|name| name.ends_with(".lock")).count();
    assert_eq!(locks, 1, "the survivor's own");
}

#[test]
fn tables_that_cannot_be_made_are_not_printed() {
    let folder = Folder::new();
    let connection = Connection::open(folder.file()).unwrap();
    connection.execute_batch("CREATE VIEW gae_tasks_lane AS SELECT 1").unwrap();
    let text = refusal(folder.file());
    assert!(text.contains("gae_tasks_lane") && text.contains("tasks.db"), "{text}");
    assert!(!text.contains("CREATE TABLE") && text.len() < 300, "{text}");
}

/// The environment variable of child processes that open a fresh file at the same time: the
/// database, and the file that starts them.
const OPENS: &str = "GAE_TASKS_TEST_OPEN";

/// Not a test: the work of those child processes.
#[test]
fn opening_child() {
    let Ok(folder) = std::env::var(OPENS).map(std::path::PathBuf::from) else { return };
    println!("ready");
    while !folder.join("begin").exists() {
        std::thread::yield_now();
    }
    let sqlite = open(folder.join("tasks.db")).unwrap();
    enqueue(&sqlite, vec![task(b"x")]).unwrap();
}

#[test]
fn processes_that_open_a_fresh_file_at_the_same_time_all_make_do_with_it() {
    use std::io::{BufRead, BufReader};
    for _ in 0..5 {
        let folder = Folder::new();
        let child = || {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["backend::sqlite::tests::file::opening_child", "--exact", "--nocapture"])
                .env(OPENS, &folder.0)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            (child, lines)
        };
        let mut children: Vec<_> = (0..4).map(|_| child()).collect();
        for (_, lines) in &mut children {
            lines.map(Result::unwrap).find(|line| line.ends_with("ready")).unwrap();
        }
        fs::write(folder.0.join("begin"), "").unwrap();
        for (mut child, lines) in children {
            assert!(lines.count() > 0 && child.wait().unwrap().success());
        }
        let list = List::new(TaskFilter::new(), 100);
        assert_eq!(wait(folder.open().list(list)).unwrap().len(), 4);
    }
}
