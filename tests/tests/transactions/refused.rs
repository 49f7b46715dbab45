//! Calls that are refused leave the transaction as it was.

use gae_tasks::backend::memory::Memory;
use gae_tasks::payload_store::{PayloadStore, Stored};
use gae_tasks::{Client, Error, TaskContext, Timestamp, deferred};
use rusqlite::{Connection, TransactionBehavior};

use crate::stage::{Stage, begin, number};

#[deferred]
async fn note(text: String) {
    _ = text;
}

fn problem(refused: Result<impl Sized, Error>) -> String {
    match refused.err().expect("it was not refused") {
        Error::InTransaction { call, problem, .. } => format!("`{call}` {problem}"),
        Error::Storage { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

/// A transaction goes on after `refuses`, and commits.
async fn goes_on(
    stage: &Stage,
    refuses: impl FnOnce(&rusqlite::Transaction<'_>) -> String,
) -> String {
    let mut application = stage.application();
    let before = number(&application, "SELECT count(*) FROM orders");
    let tx = begin(&mut application);
    tx.execute("INSERT INTO orders (task) VALUES (hex(randomblob(8)))", []).unwrap();
    let problem = refuses(&tx);
    tx.commit().unwrap();
    assert_eq!(number(&application, "SELECT count(*) FROM orders"), before + 1);
    assert_eq!(number(&application, "SELECT count(*) FROM gae_tasks_task"), 0);
    problem
}

#[tokio::test]
async fn a_client_without_a_file_stores_nothing_in_transactions() {
    let stage = Stage::new().await;
    let memory = Client::builder().build(Memory::new()).unwrap();
    let text = goes_on(&stage, |tx| problem(note::defer("x").on(&memory).in_tx(tx))).await;
    assert!(text.contains("`in_tx`") && text.contains("`memory`"), "{text}");
    let text = goes_on(&stage, |tx| problem(memory.defer_many_in_tx(tx, [note::defer("x")]))).await;
    assert!(text.contains("`defer_many_in_tx`"), "{text}");
}

#[tokio::test]
async fn a_transaction_in_another_file_is_refused() {
    let (stage, other) = (Stage::new().await, Stage::new().await);
    let text = goes_on(&stage, |tx| problem(note::defer("x").on(&other.tasks).in_tx(tx))).await;
    assert!(text.contains(&stage.file().display().to_string()), "{text}");
    assert!(text.contains(&other.file().display().to_string()), "{text}");

    let mut memory = Connection::open_in_memory().unwrap();
    let text = problem(note::defer("x").on(&stage.tasks).in_tx(&begin(&mut memory)));
    assert!(text.contains("is memory"), "{text}");

    // The file is attached, and not the one that the tasks are meant for.
    memory.execute("ATTACH ?1 AS shop", [stage.file().display().to_string()]).unwrap();
    let text = problem(note::defer("x").on(&stage.tasks).in_tx(&begin(&mut memory)));
    assert!(text.contains("is memory"), "{text}");
}

/// The file is the same whatever it is called.
#[cfg(unix)]
#[tokio::test]
async fn a_file_under_another_name_is_the_same_file() {
    let stage = Stage::new().await;
    let link = stage.folder.path().join("link.db");
    std::os::unix::fs::symlink(stage.file(), &link).unwrap();
    let mut application = Connection::open(link).unwrap();
    let tx = begin(&mut application);
    note::defer("x").on(&stage.tasks).in_tx(&tx).unwrap();
    tx.commit().unwrap();
    assert_eq!(stage.open_tasks().await, 1);
}

/// SQLite keeps the log of a file beside the name under which the file was opened.
#[cfg(unix)]
#[tokio::test]
async fn a_hard_link_is_another_database() {
    let stage = Stage::new().await;
    // Otherwise everything is in the log, and the file itself is empty.
    assert_eq!(number(&stage.application(), "PRAGMA wal_checkpoint(FULL)"), 0);
    let link = stage.folder.path().join("link.db");
    std::fs::hard_link(stage.file(), &link).unwrap();
    let mut application = Connection::open(link).unwrap();
    let text = problem(note::defer("x").on(&stage.tasks).in_tx(&begin(&mut application)));
    assert!(text.contains("needs a transaction in the file of the client's tasks"), "{text}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_took_the_place_of_the_clients_is_refused() {
    let stage = Stage::new().await;
    let other = Stage::new().await;
    std::fs::rename(stage.file(), stage.folder.path().join("away.db")).unwrap();
    std::fs::copy(other.file(), stage.file()).unwrap();
    let mut application = Connection::open(stage.file()).unwrap();
    let text = problem(note::defer("x").on(&stage.tasks).in_tx(&begin(&mut application)));
    assert!(text.contains("needs a transaction in the file of the client's tasks"), "{text}");
}

#[tokio::test]
async fn tables_that_are_missing_or_of_another_version_are_refused() {
    let stage = Stage::new().await;
    let mut application = stage.application();
    application.execute("UPDATE gae_tasks_version SET version = 99", []).unwrap();
    let tx = begin(&mut application);
    let text = problem(note::defer("x").on(&stage.tasks).in_tx(&tx));
    assert!(text.contains("tables of another version"), "{text}");
    tx.rollback().unwrap();
    application.execute("DROP TABLE gae_tasks_waiting", []).unwrap();
    let tx = begin(&mut application);
    let text = problem(note::defer("x").on(&stage.tasks).in_tx(&tx));
    assert!(text.contains("has no tables"), "{text}");
}

#[tokio::test]
async fn a_payload_for_the_payload_store_is_refused() {
    let builder = Client::builder().payload_store(Closed).inline_payload(100);
    let stage = Stage::of(builder).await;
    let large = || note::defer("p4yload ".repeat(100)).on(&stage.tasks);
    let text = goes_on(&stage, |tx| problem(large().in_tx(tx))).await;
    assert!(text.contains("payload store") && text.contains("note"), "{text}");
    assert!(!text.contains("p4yload"), "{text}");
    let text = goes_on(&stage, |tx| {
        problem(stage.tasks.defer_many_in_tx(tx, [note::defer("x"), large()]))
    });
    assert!(text.await.contains("payload store"));
}

/// A payload store that no test here reaches.
#[derive(Debug)]
struct Closed;

impl PayloadStore for Closed {
    fn name(&self) -> String {
        "closed".to_owned()
    }

    fn put<'a>(&'a self, _: &'a str, _: Vec<u8>) -> Stored<'a, ()> {
        panic!("a payload was put while a transaction was open")
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

#[tokio::test]
async fn a_transaction_that_read_before_others_wrote_is_told_to_begin_otherwise() {
    let stage = Stage::new().await;
    let mut application = stage.application();
    let deferred = application.transaction_with_behavior(TransactionBehavior::Deferred).unwrap();
    assert_eq!(number(&deferred, "SELECT count(*) FROM orders"), 0);
    note::defer("x").on(&stage.tasks).await.unwrap();
    let text = problem(note::defer("y").on(&stage.tasks).in_tx(&deferred));
    assert!(text.contains("BEGIN IMMEDIATE"), "{text}");
    assert_eq!(number(&deferred, "SELECT count(*) FROM orders"), 0, "it can go on reading");
    drop(deferred);

    // One that has read nothing yet may write, whoever wrote before.
    let deferred = application.transaction_with_behavior(TransactionBehavior::Deferred).unwrap();
    note::defer("z").on(&stage.tasks).await.unwrap();
    note::defer("y").on(&stage.tasks).in_tx(&deferred).unwrap();
    deferred.commit().unwrap();
    assert_eq!(stage.open_tasks().await, 3);
}

#[tokio::test]
async fn a_file_that_another_connection_has_locked_is_told() {
    let stage = Stage::new().await;
    let (mut first, mut second) = (stage.application(), stage.application());
    second.busy_timeout(std::time::Duration::from_millis(50)).unwrap();
    let _locked = begin(&mut first);
    let tx = second.transaction_with_behavior(TransactionBehavior::Deferred).unwrap();
    let text = problem(note::defer("x").on(&stage.tasks).in_tx(&tx));
    assert!(text.contains("another connection holds its write lock"), "{text}");
}

#[tokio::test]
async fn a_database_that_refuses_a_row_takes_back_the_whole_call() {
    let stage = Stage::new().await;
    let rule = "CREATE TRIGGER no_more AFTER INSERT ON gae_tasks_task WHEN (SELECT count(*) FROM \
                gae_tasks_task) > 2 BEGIN SELECT raise(ABORT, 'no more'); END";
    stage.application().execute_batch(rule).unwrap();
    let text = goes_on(&stage, |tx| {
        let tasks = ["a", "b", "c"].map(note::defer);
        problem(stage.tasks.defer_many_in_tx(tx, tasks))
    });
    let text = text.await;
    assert!(text.contains("`defer_many_in_tx` changed nothing"), "{text}");
    assert_eq!(number(&stage.application(), "SELECT count(*) FROM gae_tasks_lane"), 0);
}

#[tokio::test]
async fn an_error_that_ends_the_whole_transaction_says_so() {
    let stage = Stage::new().await;
    let rule = "CREATE TRIGGER the_end AFTER INSERT ON gae_tasks_task \
                BEGIN SELECT raise(ROLLBACK, 'the end'); END";
    let mut application = stage.application();
    application.execute_batch(rule).unwrap();
    let tx = begin(&mut application);
    tx.execute("INSERT INTO orders (task) VALUES ('x')", []).unwrap();
    let text = problem(note::defer("x").on(&stage.tasks).in_tx(&tx));
    assert!(text.contains("cannot go on with this transaction"), "{text}");
    drop(tx);
    assert_eq!(number(&application, "SELECT count(*) FROM orders"), 0);
}

/// An application may ask for the number of its row after it has stored the task.
#[tokio::test]
async fn the_number_of_the_applications_last_row_stays_what_it_was() {
    let stage = Stage::new().await;
    let mut application = stage.application();
    application.execute_batch("CREATE TABLE numbered (n INTEGER PRIMARY KEY)").unwrap();
    let tx = begin(&mut application);
    tx.execute("INSERT INTO numbered VALUES (77)", []).unwrap();
    note::defer("the first of its shape").on(&stage.tasks).named("once").in_tx(&tx).unwrap();
    assert_eq!(tx.last_insert_rowid(), 77);
}

#[test]
fn a_task_that_is_not_stored_cannot_be_completed() {
    let mut memory = Connection::open_in_memory().unwrap();
    let tx = begin(&mut memory);
    let text = problem(TaskContext::for_test().complete_in(&tx));
    assert!(text.contains("`complete_in`") && text.contains("not stored"), "{text}");
}
