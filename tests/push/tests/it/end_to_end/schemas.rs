//! The schema of a payload travels with its task: to copies, dead letters and replays.

use std::sync::Arc;
use std::time::Duration;

use gae_tasks::backend::cloud_tasks::CloudTasks;
use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{Backend, List};
use gae_tasks::testing::Faulty;
use gae_tasks::{
    ClientBuilder, Kind, PermanentTaskFailure, Registry, Shape, Task, TaskFailure, TaskFilter,
    TaskState, deferred,
};

use super::letter_store;
use super::shop::{Shop, ShopSettings, later, refuse};

/// Fails permanently.
#[deferred(name = "shop/refuse-card", queue = "emails")]
fn refuse_card(#[sensitive] card: String) -> Result<(), PermanentTaskFailure> {
    Err(PermanentTaskFailure::new(format!("{} digits", card.len())))
}

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
async fn a_task_a_letter_and_a_replayed_task_have_their_sensitive_paths() {
    let registry = || Registry::new().with::<refuse_card>();
    let client = Box::new(move |client: ClientBuilder| client.registry(registry()));
    let settings = ShopSettings { letters_at_google: true, client, ..ShopSettings::http() };
    let shop = Shop::open(settings).await;
    let google = CloudTasks::builder("shop", "europe-west1").anonymous().http("http://[::1]:1");
    let google = google.dead_letter_queues().endpoint(shop.queue.url()).build().await.unwrap();
    // Not by a client, whose program knows what is sensitive.
    let shown = async |id| {
        let stored = google.get(id).await.unwrap().unwrap();
        (stored.state, stored.args_json())
    };
    shop.tasks.pause("emails").await.unwrap();
    let id = refuse_card::defer("4111").on(&shop.tasks).await.unwrap().id;
    let hidden = Ok(r#"{"card":"(sensitive)"}"#.to_owned());
    assert_eq!(shown(id).await, (TaskState::Scheduled, hidden.clone()));
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    assert_eq!(shown(id).await, (TaskState::Dead, hidden.clone()));
    shop.tasks.pause("emails").await.unwrap();
    shop.tasks.replay(id).await.unwrap();
    assert_eq!(shown(id).await, (TaskState::Scheduled, hidden.clone()));
    assert_eq!(shop.tasks.describe(id).await.unwrap().unwrap().args, hidden);
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
async fn a_copy_and_a_letter_in_a_payload_store_have_the_sensitive_paths() {
    let folder = tempfile::tempdir().unwrap();
    let letters = letter_store::store(&folder);
    let storage = Faulty::new(Memory::new());
    let registry = || Registry::new().with::<refuse_card>().with::<ask_later>();
    let client = Box::new(move |client: ClientBuilder| client.registry(registry()));
    let settings = ShopSettings {
        letters: Some(letters.clone()),
        storage: storage.clone(),
        client,
        ..ShopSettings::http()
    };
    let shop = Shop::open(settings).await;
    ask_later::defer("4111").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    let google = CloudTasks::builder("shop", "europe-west1").anonymous().http("http://[::1]:1");
    let google = google.endpoint(shop.queue.url()).build().await.unwrap();
    let copies = google.list(List::new(TaskFilter::new(), 9).with_payloads()).await.unwrap();
    assert_eq!(copies[0].args_json().as_deref(), Ok(r#"{"card":"(sensitive)"}"#));

    let id = refuse_card::defer("4111").on(&shop.tasks).await.unwrap().id;
    assert_eq!(shop.statuses(2).await[1], 200);
    assert_eq!(*letters.get(id).await.unwrap().unwrap().task.sensitive, [Box::from("card")]);
    letters.replay(id, &shop.cemetery).await.unwrap();
    let kinds = vec![Kind::new(refuse_card::KIND).unwrap()];
    assert_eq!(*storage.sensitive(kinds).await.unwrap()[0], [Box::from("card")]);
}

/// Is attempted again in an hour.
#[deferred(name = "shop/ask-later", queue = "emails")]
fn ask_later(#[sensitive] card: String) -> Result<(), TaskFailure> {
    let pause = Duration::from_secs(3600);
    Err(TaskFailure::retry_after(pause).because(format!("{} digits", card.len())))
}

#[tokio::test]
async fn a_letter_in_a_payload_store_takes_the_schema_to_where_it_is_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let letters = letter_store::store(&folder);
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
