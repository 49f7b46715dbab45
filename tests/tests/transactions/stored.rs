//! What commits is stored, and what is rolled back is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use gae_tasks::{Client, Error, RetryConfig, Timestamp, deferred};
use rusqlite::TransactionBehavior;

use crate::stage::{Stage, begin, number, until};

#[derive(Clone, Default)]
struct Sum(Arc<AtomicU64>);

#[deferred(queue = "sums", deadline = "7s")]
async fn add(number: u64, #[state] sum: &Sum) {
    sum.0.fetch_add(number, Ordering::SeqCst);
}

#[deferred(queue = "secrets")]
async fn pay(#[sensitive] card: String) {
    _ = card;
}

#[tokio::test]
async fn a_task_exists_when_its_transaction_commits() {
    let stage = Stage::new().await;
    let mut application = stage.application();
    let tx = begin(&mut application);
    let kept = add::defer(1).on(&stage.tasks).in_tx(&tx).unwrap();
    assert!(kept.created);
    assert_eq!(stage.open_tasks().await, 0);
    tx.commit().unwrap();
    let record = stage.tasks.get(kept.id).await.unwrap().unwrap();
    assert_eq!((record.spec.queue.as_str(), record.attempts), ("sums", 0));

    let tx = begin(&mut application);
    let gone = add::defer(2).on(&stage.tasks).in_tx(&tx).unwrap();
    tx.rollback().unwrap();
    assert!(stage.tasks.get(gone.id).await.unwrap().is_none());
    assert_eq!(stage.open_tasks().await, 1);
}

/// All fields are written as `defer` writes them.
#[tokio::test]
async fn a_task_in_a_transaction_is_stored_as_any_other() {
    let stage = Stage::new().await;
    let at = Timestamp::from(SystemTime::now() + Duration::from_secs(3_600));
    let retry = RetryConfig::new().with_max_attempts(Some(3));
    let call = |name: &str| {
        let call = add::defer(7).at(at).max_attempts(2).deadline(Duration::from_secs(3));
        call.retry(retry.clone()).priority(7).named(name).queue("other").on(&stage.tasks)
    };
    let plain = call("plain").await.unwrap();
    let mut application = stage.application();
    let tx = begin(&mut application);
    let own = call("own").in_tx(&tx).unwrap();
    let now = add::defer(8).queue("other").on(&stage.tasks).in_tx(&tx).unwrap();
    tx.commit().unwrap();
    let plain = stage.tasks.get(plain.id).await.unwrap().unwrap();
    let own = stage.tasks.get(own.id).await.unwrap().unwrap();
    assert_eq!(own.schedule_time, at);
    assert_eq!((own.spec.name.as_ref().unwrap().as_str(), own.spec.priority), ("own", 7));
    assert_eq!(own.payload, plain.payload);
    let mut spec = own.spec.clone();
    (spec.id, spec.name) = (plain.spec.id, plain.spec.name.clone());
    assert_eq!(spec, plain.spec);
    // The earlier of two times is that of the lane.
    let due = "SELECT count(*) FROM gae_tasks_ready WHERE due = -9223372036854775808";
    assert_eq!(number(&application, due), 1, "{now:?}");
}

#[tokio::test]
async fn a_worker_runs_what_commits_soon_after_the_commit() {
    let sum = Sum::default();
    let stage = Stage::of(Client::builder().state(sum.clone())).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = stage.tasks.worker().queues(["sums"]);
    let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
    let worker = tokio::spawn(worker.into_future());
    let mut application = stage.application();
    let mut slowest = Duration::ZERO;
    for round in 1..=20 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let tx = begin(&mut application);
        add::defer(1).on(&stage.tasks).in_tx(&tx).unwrap();
        tx.commit().unwrap();
        let begun = Instant::now();
        until("the task", async || sum.0.load(Ordering::SeqCst) == round).await;
        slowest = slowest.max(begun.elapsed());
    }
    println!("at most {slowest:?} from the commit to the handler");
    assert!(slowest < Duration::from_secs(5));
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_savepoint_of_the_application_takes_its_tasks_with_it() {
    let stage = Stage::new().await;
    let mut application = stage.application();
    let mut tx = begin(&mut application);
    add::defer(1).on(&stage.tasks).in_tx(&tx).unwrap();
    let savepoint = tx.savepoint().unwrap();
    add::defer(2).on(&stage.tasks).in_tx(&savepoint).unwrap();
    drop(savepoint);
    let savepoint = tx.savepoint().unwrap();
    stage.tasks.defer_many_in_tx(&savepoint, [3, 4].map(add::defer)).unwrap();
    savepoint.commit().unwrap();
    tx.commit().unwrap();
    assert_eq!(stage.open_tasks().await, 3);
}

#[tokio::test]
async fn a_name_is_taken_when_its_transaction_commits() {
    let stage = Stage::new().await;
    let named = || add::defer(1).named("once").on(&stage.tasks);
    let mut application = stage.application();
    let tx = begin(&mut application);
    assert!(named().in_tx(&tx).unwrap().created);
    assert!(!named().in_tx(&tx).unwrap().created, "in the same transaction");
    tx.rollback().unwrap();

    let tx = begin(&mut application);
    let first = named().in_tx(&tx).unwrap();
    assert!(first.created, "the name was rolled back");
    tx.commit().unwrap();
    let again = named().await.unwrap();
    assert_eq!((again.id, again.created), (first.id, false));

    let tx = begin(&mut application);
    let taken = named().must_be_new().in_tx(&tx).unwrap_err();
    assert!(matches!(taken, Error::NameTaken { .. }), "{taken}");
    let tasks = [add::defer(2), add::defer(3).named("once").must_be_new()];
    let taken = stage.tasks.defer_many_in_tx(&tx, tasks).unwrap_err();
    assert!(matches!(taken, Error::NameTaken { .. }), "{taken}");
    tx.commit().unwrap();
    assert_eq!(stage.open_tasks().await, 1, "half of the many was stored");

    // A tombstone blocks a name, for as long as it is meant to.
    stage.tasks.delete(first.id).await.unwrap();
    let tx = begin(&mut application);
    let blocked = named().in_tx(&tx).unwrap();
    assert_eq!((blocked.id, blocked.created), (first.id, false));
    tx.execute("UPDATE gae_tasks_name SET until = 1", []).unwrap();
    assert!(named().in_tx(&tx).unwrap().created);
    tx.commit().unwrap();
}

#[tokio::test]
async fn a_shape_that_was_rolled_back_is_stored_with_the_next_task() {
    let stage = Stage::new().await;
    let mut application = stage.application();
    let tx = begin(&mut application);
    pay::defer("4242").on(&stage.tasks).in_tx(&tx).unwrap();
    tx.rollback().unwrap();
    let count =
        |table: &str| number(&stage.application(), &format!("SELECT count(*) FROM {table}"));
    assert_eq!(count("gae_tasks_lane"), 0);

    // By the queue's own connection, and by the application's.
    let stored = pay::defer("4242").on(&stage.tasks).await.unwrap();
    let described = stage.tasks.describe(stored.id).await.unwrap().unwrap();
    assert!(!format!("{described:?}").contains("4242"), "{described:?}");
    let shapes = "gae_tasks_schemas";
    assert_eq!((count(shapes), count("gae_tasks_sensitive"), count("gae_tasks_queue")), (1, 1, 1));
    let tx = begin(&mut application);
    add::defer(1).on(&stage.tasks).in_tx(&tx).unwrap();
    tx.rollback().unwrap();
    let tx = begin(&mut application);
    add::defer(1).on(&stage.tasks).in_tx(&tx).unwrap();
    tx.commit().unwrap();
    assert_eq!((count(shapes), count("gae_tasks_queue"), count("gae_tasks_lane")), (2, 2, 2));
    let orphans = "SELECT count(*) FROM gae_tasks_task t JOIN gae_tasks_lane l ON l.id = t.lane \
                   WHERE l.shape NOT IN (SELECT shape FROM gae_tasks_schemas)";
    assert_eq!(number(&application, orphans), 0, "a task without its schema");
}

#[tokio::test]
async fn a_schema_that_is_damaged_is_mended_by_the_next_task() {
    let stage = Stage::new().await;
    let mut application = stage.application();
    let stored = add::defer(1).on(&stage.tasks).await.unwrap();
    application.execute("UPDATE gae_tasks_schemas SET schema = x'00'", []).unwrap();
    let tx = begin(&mut application);
    add::defer(2).on(&stage.tasks).in_tx(&tx).unwrap();
    tx.commit().unwrap();
    let described = stage.other().await.describe(stored.id).await.unwrap().unwrap();
    assert_eq!(described.args.unwrap(), r#"{"number":1}"#);
}

#[tokio::test]
async fn many_tasks_are_stored_in_order_of_the_call() {
    let sum = Sum::default();
    let stage = Stage::of(Client::builder().state(sum.clone())).await;
    let mut application = stage.application();
    let tx = begin(&mut application);
    let later = add::defer(1_000).after(Duration::from_secs(3_600));
    let tasks = std::iter::once(later).chain((1..=100).map(add::defer));
    let stored = stage.tasks.defer_many_in_tx(&tx, tasks).unwrap();
    tx.commit().unwrap();
    assert_eq!(stored.len(), 101);
    assert!(stored.iter().all(|stored| stored.created));
    stage.tasks.drain().await.unwrap();
    assert_eq!(sum.0.load(Ordering::SeqCst), 5_050);
    assert_eq!(stage.open_tasks().await, 1);
}

/// Two programs, each with a client, share the file; the second has read its lanes before.
#[tokio::test]
async fn a_new_lane_is_known_to_other_programs_after_the_commit() {
    let sum = Sum::default();
    let stage = Stage::of(Client::builder().state(sum.clone())).await;
    let other = stage.other().await;
    pay::defer("x").on(&other).await.unwrap();
    let mut application = stage.application();
    let tx = begin(&mut application);
    add::defer(1).on(&stage.tasks).in_tx(&tx).unwrap();
    tx.rollback().unwrap();
    // The number of the lane that was rolled back is another's now.
    pay::defer("x").queue("more").on(&other).await.unwrap();
    let tx = begin(&mut application);
    add::defer(2).on(&stage.tasks).in_tx(&tx).unwrap();
    tx.commit().unwrap();
    add::defer(4).on(&other).await.unwrap();
    stage.tasks.drain().await.unwrap();
    assert_eq!(sum.0.load(Ordering::SeqCst), 6);
    assert_eq!(stage.open_tasks().await, 0);
}

/// A transaction that has not read yet cannot fail for what others write meanwhile: the first
/// statement of the call takes the write lock.
#[tokio::test]
async fn a_deferred_transaction_writes_beside_others() {
    let stage = Stage::of(Client::builder().state(Sum::default())).await;
    let mut other = stage.application();
    let ends = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&ends);
    let writes = std::thread::spawn(move || {
        while !ended.load(Ordering::Relaxed) {
            let tx = begin(&mut other);
            tx.execute("INSERT INTO orders (task) VALUES (hex(randomblob(8)))", []).unwrap();
            tx.commit().unwrap();
            // SQLite's lock is not fair: without a pause, nobody else would get it.
            std::thread::sleep(Duration::from_micros(100));
        }
    });
    let mut application = stage.application();
    // On a busy machine the unfair lock may be missed for longer than the default of 5 s.
    application.busy_timeout(Duration::from_secs(60)).unwrap();
    for number in 0..300 {
        let deferred = TransactionBehavior::Deferred;
        let tx = application.transaction_with_behavior(deferred).unwrap();
        add::defer(number).on(&stage.tasks).in_tx(&tx).unwrap();
        tx.commit().unwrap();
    }
    ends.store(true, Ordering::Relaxed);
    writes.join().unwrap();
    assert_eq!(stage.open_tasks().await, 300);
}
