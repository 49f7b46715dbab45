//! What is refused: options that Google lacks, workers beside a relay, and a relay that cannot be.

use std::time::Duration;

use gae_tasks::{Client, Error, RetryConfig};
use rusqlite::{Connection, TransactionBehavior::Immediate};

use super::stage::{Running, Stage, builder, mail, patient, report};

const BACKOFF: Duration = Duration::from_secs(30);

fn own_backoff() -> RetryConfig {
    RetryConfig::new().with_min_backoff(BACKOFF)
}

fn problem<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    answer.unwrap_err().to_string()
}

#[tokio::test]
async fn options_that_google_lacks_are_refused_once_the_queue_is_known_to_be_relayed() {
    let stage = Stage::open().await;
    let tasks = &stage.tasks;
    let large = || mail::defer("x".repeat(1_048_000));
    large().on(tasks).await.unwrap();
    report::defer().on(tasks).await.unwrap();
    patient::defer().on(tasks).await.unwrap();
    assert!(matches!(
        mail::defer("a").header("X-A", "1").on(tasks).await,
        Err(Error::UnsupportedOption { .. })
    ));
    stage.relay().declare().unwrap();
    let refused = large().on(tasks).await;
    assert!(matches!(refused, Err(Error::PayloadTooLarge { .. })), "{refused:?}");
    let refused = report::defer().on(tasks).await;
    assert!(matches!(refused, Err(Error::DeadlineOutOfRange { .. })), "{refused:?}");
    let refused = patient::defer().on(tasks).wait();
    assert!(matches!(refused, Err(Error::UnsupportedBackoff { .. })), "{refused:?}");
    let refused = mail::defer("a").retry(own_backoff()).on(tasks).await;
    assert!(matches!(refused, Err(Error::UnsupportedBackoff { .. })), "{refused:?}");
    let refused = tasks.defer_many([mail::defer("a"), report::defer()]).await;
    assert!(matches!(refused, Err(Error::DeadlineOutOfRange { .. })), "{refused:?}");
    let refused = mail::defer("a").priority(3).on(tasks).await;
    assert!(matches!(refused, Err(Error::UnsupportedPriority { .. })), "{refused:?}");
    let refused = mail::defer("a").target("other").on(tasks).await;
    assert!(matches!(refused, Err(Error::UnsupportedOption { .. })), "{refused:?}");
    mail::defer("a").header("X-A", "1").on(tasks).await.unwrap();
    mail::defer("a").after(Duration::from_secs(90 * 24 * 3600)).on(tasks).await.unwrap();
    report::defer().queue("own").on(tasks).await.unwrap();
    let refused = mail::defer("a").header("X-A", "1").queue("own").on(tasks).await;
    assert!(matches!(refused, Err(Error::UnsupportedOption { .. })), "{refused:?}");
    assert_eq!(tasks.stats().await.unwrap().open(), 6);
}

#[tokio::test]
async fn they_are_refused_in_a_transaction() {
    let stage = Stage::open().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let tasks = Client::open(&format!("sqlite:{}", file.display())).await.unwrap();
    tasks.relay_to(&stage.google).queues(["emails"]).declare().unwrap();
    let mut shop = Connection::open(&file).unwrap();
    let tx = shop.transaction_with_behavior(Immediate).unwrap();
    let refused = report::defer().on(&tasks).in_tx(&tx);
    assert!(matches!(refused, Err(Error::DeadlineOutOfRange { .. })), "{refused:?}");
    let refused = mail::defer("x".repeat(1_048_000)).on(&tasks).in_tx(&tx);
    assert!(matches!(refused, Err(Error::PayloadTooLarge { .. })), "{refused:?}");
    let refused = tasks.defer_many_in_tx(&tx, [mail::defer("a"), patient::defer()]);
    assert!(matches!(refused, Err(Error::UnsupportedBackoff { .. })), "{refused:?}");
    mail::defer("hello").on(&tasks).in_tx(&tx).unwrap();
    tx.commit().unwrap();
    let relay = Running::start(tasks.relay_to(&stage.google).queues(["emails"]));
    stage.until(async || stage.created().len() == 1).await;
    stage.until(async || tasks.stats().await.unwrap().open() == 0).await;
    relay.stop().await;
}

#[tokio::test]
async fn a_queue_has_workers_or_relays() {
    let stage = Stage::open().await;
    let relay = Running::start(stage.relay());
    let text = problem(stage.tasks.worker().queues(["emails", "own"]).await);
    assert!(text.contains("the queue `emails` is relayed") && !text.contains("`own`"), "{text}");
    let both = Running::start(stage.relay());
    both.stop().await;
    relay.stop().await;

    let stage = Stage::open().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    mail::defer("hello").on(&stage.tasks).await.unwrap();
    let worker = stage.tasks.worker().queues(["own", "emails"]);
    let worker = worker.with_graceful_shutdown(async move { _ = stopped.await });
    let worker = tokio::spawn(worker.into_future());
    stage.all_relayed().await; // That is, done.
    assert!(stage.relay().declare().is_err());
    let text = problem(stage.relay().await);
    assert!(text.contains("a worker of this program serves the queue `emails`"), "{text}");
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    stage.relay().declare().unwrap();
}

#[tokio::test]
async fn two_clients_of_one_file_are_one_storage() {
    let stage = Stage::open().await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("shop.db").display());
    let (tasks, others) =
        (builder().open(&url).await.unwrap(), builder().open(&url).await.unwrap());
    let relay = Running::start(tasks.relay_to(&stage.google).queues(["emails"]));
    let text = problem(others.worker().queues(["emails"]).await);
    assert!(text.contains("the queue `emails` is relayed"), "{text}");
    relay.stop().await;
    let soon = tokio::time::sleep(Duration::from_millis(1));
    others.worker().queues(["emails"]).with_graceful_shutdown(soon).await.unwrap();
}

#[tokio::test]
async fn a_relay_that_cannot_be_says_why() {
    let stage = Stage::open().await;
    let (tasks, google) = (&stage.tasks, &stage.google);
    let text = problem(tasks.relay_to(google).await);
    assert!(text.contains("the relay has no queues"), "{text}");
    let text = problem(tasks.relay_to(google).queues(["a b", "c"]).concurrency(0).await);
    assert!(
        text.contains("`a b` is not a valid queue name") && text.contains(".concurrency(0)"),
        "{text}"
    );
    assert!(matches!(google.relay_to(google).queues(["a"]).await, Err(Error::Unsupported { .. })));
    assert!(matches!(tasks.relay_to(tasks).queues(["a"]).await, Err(Error::Unsupported { .. })));
    let with_store = Client::builder().payload_store("memory:").open("memory:").await.unwrap();
    let text = problem(with_store.relay_to(google).queues(["a"]).await);
    assert!(
        text.contains("is relayed to has no payload store")
            || text.contains("has no payload store"),
        "{text}"
    );
    report::defer().queue("c").on(tasks).await.expect("nothing became known");
}
