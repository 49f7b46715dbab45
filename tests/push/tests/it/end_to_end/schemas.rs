//! The schema of a payload travels with its task: to copies, dead letters and replays.

use std::sync::Arc;
use std::time::Duration;

use gae_tasks::backend::Backend;
use gae_tasks::backend::memory::Memory;
use gae_tasks::push::LetterStore;
use gae_tasks::testing::Faulty;
use gae_tasks::{Shape, Task, TaskFilter, TaskState};

use super::shop::{Shop, ShopSettings, later, refuse};

fn schema<T: Task>() -> Option<Arc<[u8]>> {
    Some(T::registration().schema().unwrap().as_bytes().into())
}

fn shape<T: Task>() -> Shape {
    T::registration().shape().unwrap()
}

#[tokio::test]
async fn a_task_a_letter_and_a_replayed_task_have_the_schema() {
    let settings = ShopSettings { letters_at_google: true, ..ShopSettings::http() };
    let shop = Shop::open(settings).await;
    shop.tasks.pause("emails").await.unwrap();
    let id = refuse::defer("x").on(&shop.tasks).await.unwrap().id;
    let waiting = shop.tasks.get(id).await.unwrap().unwrap();
    assert_eq!((waiting.state, waiting.schema), (TaskState::Scheduled, schema::<refuse>()));
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    let dead = shop.tasks.get(id).await.unwrap().unwrap();
    assert_eq!((dead.state, dead.schema), (TaskState::Dead, schema::<refuse>()));
    shop.tasks.pause("emails").await.unwrap();
    shop.tasks.replay(id).await.unwrap();
    let again = shop.tasks.get(id).await.unwrap().unwrap();
    assert_eq!((again.state, again.schema), (TaskState::Scheduled, schema::<refuse>()));
}

#[tokio::test]
async fn a_copy_has_the_schema() {
    let shop = Shop::open(ShopSettings::http()).await;
    later::defer(3600, 2, "x").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    let copies = shop.tasks.list(TaskFilter::new(), None, 9).with_payloads().await.unwrap();
    assert_eq!((copies.len(), &copies[0].schema), (1, &schema::<later>()));
    shop.queue.advance(Duration::from_secs(3600));
    assert_eq!(shop.statuses(2).await, [200, 200], "the copy is read as the task was");
}

#[tokio::test]
async fn a_backend_that_keeps_dead_letters_keeps_their_schemas() {
    let storage = Faulty::new(Memory::new());
    let shop = Shop::open(ShopSettings { storage: storage.clone(), ..ShopSettings::http() }).await;
    refuse::defer("x").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    assert_eq!(storage.schemas(vec![shape::<refuse>()]).await.unwrap(), [schema::<refuse>()]);
}

#[tokio::test]
async fn a_letter_in_a_payload_store_takes_the_schema_to_where_it_is_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let letters = LetterStore::open(format!("file://{}", folder.path().display())).unwrap();
    let storage = Faulty::new(Memory::new());
    let (letters, kept) = (Some(letters.clone()), letters);
    let settings = ShopSettings { letters, storage: storage.clone(), ..ShopSettings::http() };
    let shop = Shop::open(settings).await;
    let id = refuse::defer("x").on(&shop.tasks).await.unwrap().id;
    assert_eq!(shop.statuses(1).await, [200]);
    assert_eq!(Some(kept.get(id).await.unwrap().unwrap().task.schema), schema::<refuse>());
    kept.replay(id, &shop.cemetery).await.unwrap();
    assert_eq!(storage.schemas(vec![shape::<refuse>()]).await.unwrap(), [schema::<refuse>()]);
}
