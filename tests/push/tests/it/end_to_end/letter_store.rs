//! Dead letters in a payload store, such as a bucket.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use gae_tasks::payload_store::{ObjectPayloads, PayloadStore, Stored};
use gae_tasks::push::LetterStore;
use gae_tasks::testing::ManualClock;
use gae_tasks::{ClientBuilder, Error, TaskId, TaskState, Timestamp};
use tempfile::TempDir;

use super::payloads::{LARGE, create, files, with_a_folder};
use super::shop::{PLACE, Shop, ShopSettings, flaky, refuse};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Returns the letters that are kept in a folder.
pub(super) fn store(folder: &TempDir) -> LetterStore {
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
    assert!(task.errors[0].message.contains("not yet"), "the error of the letter stays");
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
    let of = |begin: &[u8]| [begin, &[7; 60][..]].concat();
    for bytes in [&b""[..], b"{}", b"gt\x09", b"gl\x09", &of(b"gt\x04"), &of(b"gl\x09")] {
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

/// A folder that is slow to delete, and in which something may happen while a sweep lists its
/// objects.
struct Folder {
    objects: ObjectPayloads,
    deletes_after: Duration,
    replays: Replays,
    /// The shop whose task dies after the first list of letters.
    dies: Arc<OnceLock<Arc<Shop>>>,
    lists: AtomicUsize,
}

/// The shop and the letter to be replayed, until that is done.
type Replays = Arc<OnceLock<Mutex<Option<(Arc<Shop>, LetterStore, TaskId)>>>>;

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.objects.fmt(f)
    }
}

impl Folder {
    fn new(folder: &TempDir) -> Self {
        let objects = ObjectPayloads::open(&format!("file://{}", folder.path().display()));
        let (objects, replays) = (objects.unwrap(), Arc::default());
        let (dies, lists) = Default::default();
        Self { objects, deletes_after: Duration::ZERO, replays, dies, lists }
    }
}

impl PayloadStore for Folder {
    fn name(&self) -> String {
        self.objects.name()
    }

    fn put<'a>(&'a self, key: &'a str, payload: Vec<u8>) -> Stored<'a, ()> {
        self.objects.put(key, payload)
    }

    fn get<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Vec<u8>>> {
        self.objects.get(key)
    }

    fn delete<'a>(&'a self, key: &'a str) -> Stored<'a, ()> {
        Box::pin(async move {
            tokio::time::sleep(self.deletes_after).await;
            self.objects.delete(key).await
        })
    }

    fn put_before(&self, moment: Timestamp) -> Stored<'_, Vec<String>> {
        Box::pin(async move {
            let replay = self.replays.get().and_then(|replay| {
                let mut replay = replay.lock().unwrap();
                // The queues were read, and what follows is the list of the letters.
                replay.take_if(|(shop, ..)| shop.queue.calls("ListTasks") > 0)
            });
            if let Some((shop, letters, id)) = replay {
                letters.replay(id, &shop.tasks).await.unwrap();
            }
            let listed = self.objects.put_before(moment).await;
            // A sweep lists the payloads, the letters, and the letters once more.
            if let Some(shop) = self.dies.get()
                && self.lists.fetch_add(1, Ordering::Relaxed) == 1
            {
                shop.tasks.resume("emails").await.unwrap();
                assert_eq!(shop.statuses(1).await, [200]);
            }
            listed
        })
    }
}

#[tokio::test]
async fn a_replayed_task_that_dies_before_its_letter_is_deleted_is_a_letter_again() {
    let folder = tempfile::tempdir().unwrap();
    let slow = Folder { deletes_after: Duration::from_millis(500), ..Folder::new(&folder) };
    let letters = LetterStore::open(slow).unwrap();
    let shop = shop(&letters).await;
    let id = refuse::defer("x").on(&shop.tasks).await.unwrap().id;
    assert_eq!(shop.statuses(1).await, [200]);
    letters.replay(id, &shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(2).await, [200; 2]);
    assert_eq!((shop.waiting(), letters.ids().await.unwrap()), (0, vec![id]));
}

#[tokio::test]
async fn an_original_that_is_delivered_again_does_not_replace_the_letter_of_its_copy() {
    let folder = tempfile::tempdir().unwrap();
    let letters = store(&folder);
    let shop = shop(&letters).await;
    shop.tasks.pause("emails").await.unwrap();
    let id = refuse::defer("x").on(&shop.tasks).await.unwrap().id;
    let mut original = shop.queue.tasks(PLACE, "emails").remove(0);
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    letters.replay(id, &shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(2).await, [200; 2]);
    // As if the first answer was lost.
    original["name"] = format!("{PLACE}/queues/emails/tasks/again").into();
    create(&shop, original).await;
    assert_eq!(shop.statuses(3).await, [200; 3]);
    assert_eq!((letters.ids().await.unwrap(), files(&folder)), (vec![id], 2));
    shop.tasks.pause("emails").await.unwrap();
    letters.replay(id, &shop.tasks).await.unwrap();
    assert_eq!((shop.waiting(), files(&folder)), (1, 0), "the task of both letters is stored");
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(4).await, [200; 4]);
    assert_eq!(letters.ids().await.unwrap(), [id]);
    create_copy_of(&letters, &folder, id).await;
    letters.delete(id).await.unwrap();
    assert_eq!(files(&folder), 0);
}

/// Keeps the letter of this task under another number too.
async fn create_copy_of(letters: &LetterStore, folder: &TempDir, id: TaskId) {
    let path = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    std::fs::copy(path, folder.path().join(format!("{id}-7.dead.gae-tasks"))).unwrap();
    assert_eq!((letters.ids().await.unwrap(), files(folder)), (vec![id], 2));
}

#[tokio::test]
async fn a_letter_that_is_replayed_during_a_sweep_keeps_its_payload() {
    let folder = tempfile::tempdir().unwrap();
    let letters = store(&folder);
    let clock = ManualClock::at(std::time::SystemTime::now().into());
    let objects = Folder::new(&folder);
    let (replays, time) = (Arc::clone(&objects.replays), clock.clone());
    let objects: Arc<dyn PayloadStore> = Arc::new(objects);
    let client = Box::new(move |client: ClientBuilder| {
        client.payload_store(Arc::clone(&objects)).clock(time.clone())
    });
    let plan = ShopSettings { client, letters: Some(letters.clone()), ..ShopSettings::http() };
    let shop = Arc::new(Shop::open(plan).await);
    let id = refuse::defer("x".repeat(LARGE)).on(&shop.tasks).await.unwrap().id;
    assert_eq!(shop.statuses(1).await, [200]);
    shop.tasks.pause("emails").await.unwrap();
    clock.advance(3 * HOUR);
    assert!(replays.set(Mutex::new(Some((Arc::clone(&shop), letters, id)))).is_ok());
    // The sweep looks further: another payload is needed by nothing.
    let orphan = folder.path().join("019b3f0e-5c7a-7d21-8a4e-3f2b9c6d1e05.gae-tasks");
    std::fs::write(orphan, "x").unwrap();
    assert_eq!((shop.tasks.sweep_payloads(HOUR).await.unwrap(), shop.waiting()), (1, 1));
    assert!(replays.get().unwrap().lock().unwrap().is_none(), "it was replayed meanwhile");
    assert_eq!(files(&folder), 1, "the payload");
}

#[tokio::test]
async fn a_task_that_dies_during_a_sweep_keeps_its_payload() {
    let folder = tempfile::tempdir().unwrap();
    let letters = store(&folder);
    let clock = ManualClock::at(std::time::SystemTime::now().into());
    let objects = Folder::new(&folder);
    let (dies, time) = (Arc::clone(&objects.dies), clock.clone());
    let objects: Arc<dyn PayloadStore> = Arc::new(objects);
    let client = Box::new(move |client: ClientBuilder| {
        client.payload_store(Arc::clone(&objects)).clock(time.clone())
    });
    let plan = ShopSettings { client, letters: Some(letters.clone()), ..ShopSettings::http() };
    let shop = Arc::new(Shop::open(plan).await);
    shop.tasks.pause("emails").await.unwrap();
    let id = refuse::defer("x".repeat(LARGE)).on(&shop.tasks).await.unwrap().id;
    clock.advance(3 * HOUR);
    assert!(dies.set(Arc::clone(&shop)).is_ok());
    assert_eq!((shop.tasks.sweep_payloads(HOUR).await.unwrap(), shop.waiting()), (0, 0));
    assert_eq!(letters.ids().await.unwrap(), [id]);
    assert_eq!(files(&folder), 2, "the letter and its payload");
}

#[tokio::test]
async fn a_letter_whose_body_could_not_be_read_is_not_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let letters = store(&folder);
    let shop = shop(&letters).await;
    shop.tasks.pause("emails").await.unwrap();
    let id = refuse::defer("x").on(&shop.tasks).await.unwrap().id;
    let mut task = shop.queue.tasks(PLACE, "emails").remove(0);
    assert!(shop.tasks.delete(id).await.unwrap());
    task["name"] = format!("{PLACE}/queues/emails/tasks/garbage").into();
    task["httpRequest"]["body"] = "e30=".into();
    create(&shop, task).await;
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    let id = letters.ids().await.unwrap()[0];
    for client in [&shop.tasks, &shop.cemetery] {
        let refused = letters.replay(id, client).await.unwrap_err();
        assert!(refused.to_string().contains("could not be read"), "{refused}");
    }
    assert_eq!((shop.waiting(), letters.ids().await.unwrap()), (0, vec![id]));
}
