//! Dead letters in a payload store, such as a bucket.

use std::sync::Arc;
use std::time::Duration;

use gae_tasks::payload_store::{ObjectPayloads, PayloadStore, Stored};
use gae_tasks::push::LetterStore;
use gae_tasks::testing::ManualClock;
use gae_tasks::{ClientBuilder, Error, TaskId, TaskState, Timestamp};
use tempfile::TempDir;

use super::payloads::{LARGE, files, with_a_folder};
use super::shop::{Shop, ShopSettings, flaky, refuse};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn store(folder: &TempDir) -> LetterStore {
    LetterStore::open(format!("file://{}", folder.path().display())).unwrap()
}

async fn shop(letters: &LetterStore) -> Shop {
    Shop::open(ShopSettings { letters: Some(letters.clone()), ..ShopSettings::http() }).await
}

#[tokio::test]
async fn a_dead_letter_is_an_object_with_all_that_is_known_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let letters = store(&folder);
    let shop = shop(&letters).await;
    flaky::defer(3, "x").max_attempts(2).named("once").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(2).await, [500, 200]);
    let ids = letters.ids().await.unwrap();
    let letter = letters.get(ids[0]).await.unwrap().unwrap();
    assert_eq!((ids.len(), letter.task.spec.id, letter.attempts), (1, ids[0], 2));
    assert_eq!(
        (letter.task.spec.kind.as_str(), letter.task.spec.queue.as_str()),
        ("shop/flaky", "emails")
    );
    assert_eq!(letter.task.spec.name.as_ref().map(|name| name.as_str()), Some("once"));
    assert_eq!(
        (letter.task.payload.as_slice(), letter.task.spec.max_attempts),
        (&b"\x03\x01x"[..], Some(2))
    );
    assert!(letter.error.contains("not yet") && letter.created <= Some(letter.died), "{letter:?}");
    assert_eq!(shop.waiting(), 0);
    letters.delete(ids[0]).await.unwrap();
    assert_eq!(
        (letters.ids().await.unwrap(), letters.get(ids[0]).await.unwrap().is_none()),
        (vec![], true)
    );
}

#[tokio::test]
async fn a_replayed_letter_is_a_new_task_of_the_same_id_in_its_queue() {
    let folder = tempfile::tempdir().unwrap();
    let letters = store(&folder);
    let shop = shop(&letters).await;
    let id = refuse::defer("x").on(&shop.tasks).await.unwrap().id;
    for count in 1..=3 {
        assert_eq!(
            shop.statuses(count).await,
            vec![200; count],
            "the task is refused, and dies again"
        );
        assert_eq!(letters.ids().await.unwrap(), [id]);
        shop.tasks.pause("emails").await.unwrap();
        letters.replay(id, &shop.tasks).await.unwrap();
        assert_eq!((letters.ids().await.unwrap(), shop.waiting()), (vec![], 1));
        assert_eq!(shop.tasks.get(id).await.unwrap().unwrap().attempts, 0);
        shop.tasks.resume("emails").await.unwrap();
    }
    let again = letters.replay(TaskId::from_bytes([7; 16]), &shop.tasks).await.unwrap_err();
    assert!(matches!(again, Error::NoSuchTask { .. }), "{again}");
}

#[tokio::test]
async fn a_letter_is_replayed_where_workers_lease_tasks_too() {
    let folder = tempfile::tempdir().unwrap();
    let letters = store(&folder);
    let shop = shop(&letters).await;
    flaky::defer(2, "x").max_attempts(1).named("once").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    let id = letters.ids().await.unwrap()[0];
    letters.replay(id, &shop.cemetery).await.unwrap();
    let task = shop.cemetery.get(id).await.unwrap().unwrap();
    assert_eq!((task.state, task.attempts, task.spec.name), (TaskState::Scheduled, 0, None));
    assert!(shop.cemetery.drain().await.is_err(), "the task runs, and fails again");
    assert!(letters.ids().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_sweep_keeps_the_payloads_of_letters() {
    let (payloads, dead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in [&payloads, &dead] {
        let letters = store(folder);
        let clock = ManualClock::at(std::time::SystemTime::now().into());
        let (plan, time) = (with_a_folder(&payloads), clock.clone());
        let client =
            Box::new(move |client: ClientBuilder| (plan.client)(client).clock(time.clone()));
        let shop = Shop::open(ShopSettings {
            client,
            letters: Some(letters.clone()),
            ..ShopSettings::http()
        })
        .await;
        let id = refuse::defer("x".repeat(LARGE)).on(&shop.tasks).await.unwrap().id;
        assert_eq!(shop.statuses(1).await, [200]);
        clock.advance(3 * HOUR);
        assert_eq!(shop.tasks.sweep_payloads(HOUR).beside_letters(&letters).await.unwrap(), 0);
        letters.replay(id, &shop.tasks).await.unwrap();
        assert_eq!(shop.statuses(2).await, [200; 2]);
        assert_eq!(shop.seen()[1].text.len(), LARGE);
        letters.delete(id).await.unwrap();
        assert_eq!(shop.tasks.sweep_payloads(HOUR).await.unwrap(), 1);
        assert_eq!((files(&payloads), files(&dead)), (0, 0));
    }
}

#[tokio::test]
async fn a_sweep_needs_no_hint_for_letters_beside_their_payloads() {
    let folder = tempfile::tempdir().unwrap();
    let letters = store(&folder);
    let clock = ManualClock::at(std::time::SystemTime::now().into());
    let (plan, time) = (with_a_folder(&folder), clock.clone());
    let client = Box::new(move |client: ClientBuilder| (plan.client)(client).clock(time.clone()));
    let shop =
        Shop::open(ShopSettings { client, letters: Some(letters), ..ShopSettings::http() }).await;
    refuse::defer("x".repeat(LARGE)).on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    clock.advance(3 * HOUR);
    assert_eq!((shop.tasks.sweep_payloads(HOUR).await.unwrap(), files(&folder)), (0, 2));
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_that_names_the_store() {
    let objects = ObjectPayloads::new(Arc::new(object_store::memory::InMemory::new()));
    let letters = LetterStore::open(objects.clone()).unwrap();
    let id = TaskId::from_bytes([7; 16]);
    for bytes in [&b""[..], b"{}", b"gt\x09", &[b"gt\x04", &[7; 60][..]].concat()] {
        objects.put(&format!("{id}.dead.gae-tasks"), bytes.to_vec()).await.unwrap();
        let error = letters.get(id).await.unwrap_err();
        assert!(error.to_string().contains(&objects.name()), "{error}");
    }
    assert_eq!(letters.ids().await.unwrap(), [id]);
}

/// A store that accepts no payload.
#[derive(Debug)]
struct Full;

impl PayloadStore for Full {
    fn name(&self) -> String {
        "full".to_owned()
    }

    fn put<'a>(&'a self, _: &'a str, _: Vec<u8>) -> Stored<'a, ()> {
        Box::pin(async { Err("no room".into()) })
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
async fn a_letter_that_the_store_does_not_take_stays_a_task() {
    let shop = shop(&LetterStore::open(Full).unwrap()).await;
    refuse::defer("x").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(2).await[..2], [500, 500]);
    assert_eq!(shop.waiting(), 1);
}
