//! Payloads that are too large to travel with their tasks.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gae_tasks::ClientBuilder;
use gae_tasks::payload_store::{ObjectPayloads, PayloadStore};
use gae_tasks::testing::ManualClock;
use tempfile::TempDir;

use super::shop::{PLACE, Shop, ShopSettings, flaky, refuse, write};

pub(super) const LARGE: usize = 3 << 20;

pub(super) fn with_a_folder(folder: &TempDir) -> ShopSettings {
    let url = format!("file://{}", folder.path().display());
    let client =
        move |client: ClientBuilder| client.payload_store(ObjectPayloads::open(&url).unwrap());
    ShopSettings { client: Box::new(client), ..ShopSettings::http() }
}

pub(super) fn files(folder: &TempDir) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// Returns the number of markers of finished tasks.
pub(super) fn markers(folder: &TempDir) -> usize {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| std::fs::read(file).unwrap().starts_with(b"gae-tasks: done: ")).count()
}

/// Stores a copy of a task in the queue.
pub(super) async fn create(shop: &Shop, task: serde_json::Value) {
    let url = format!("{}/v2/{PLACE}/queues/emails/tasks", shop.queue.url());
    let body = serde_json::json!({ "task": task }).to_string();
    let created = reqwest::Client::new()
        .post(url)
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await;
    created.unwrap().error_for_status().unwrap();
}

#[tokio::test]
async fn a_large_payload_comes_whole_and_leaves_a_marker_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(with_a_folder(&folder)).await;
    shop.tasks.pause("emails").await.unwrap();
    let task = write::defer("x".repeat(LARGE)).named("large").header("X-Tenant", "7");
    task.on(&shop.tasks).await.unwrap();
    assert_eq!(files(&folder), 1);
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    let seen = shop.seen().remove(0);
    assert_eq!((seen.text.len(), seen.name.as_deref()), (LARGE, Some("large")));
    assert_eq!(shop.requests()[0].0["x-tenant"], "7", "no option is lost");
    assert_eq!((files(&folder), markers(&folder)), (1, 1));
}

#[tokio::test]
async fn it_lives_as_long_as_its_dead_letter() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(std::time::SystemTime::now().into());
    let (plan, time) = (with_a_folder(&folder), clock.clone());
    let client = Box::new(move |client| (plan.client)(client).clock(time.clone()));
    let shop = Shop::open(ShopSettings { client, ..ShopSettings::http() }).await;
    refuse::defer("x".repeat(LARGE)).named("large").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    assert_eq!((shop.dead_letters().await.len(), files(&folder)), (1, 1));
    clock.advance(Duration::from_secs(3 * 60 * 60));
    let swept = shop
        .tasks
        .sweep_payloads(Duration::from_secs(60 * 60))
        .beside(&shop.cemetery)
        .await
        .unwrap();
    assert_eq!((swept, files(&folder)), (0, 1));
    let id = shop.dead_letters().await[0].spec.id;
    shop.cemetery.replay(id).await.unwrap();
    assert!(shop.cemetery.drain().await.is_err(), "the task is refused again");
    assert_eq!(shop.seen().iter().map(|seen| seen.text.len()).collect::<Vec<_>>(), [LARGE, LARGE]);
}

#[tokio::test]
async fn it_is_there_for_every_retry() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(with_a_folder(&folder)).await;
    flaky::defer(3, "x".repeat(LARGE)).on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(3).await, [500, 500, 200]);
    assert_eq!((files(&folder), markers(&folder)), (1, 1));
}

#[tokio::test]
async fn a_task_whose_payload_is_missing_is_a_dead_letter_that_names_key_and_store() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(with_a_folder(&folder)).await;
    shop.tasks.pause("emails").await.unwrap();
    write::defer("x".repeat(LARGE)).on(&shop.tasks).await.unwrap();
    let store = ObjectPayloads::open(&format!("file://{}", folder.path().display())).unwrap();
    let keys =
        store.put_before((std::time::SystemTime::now() + Duration::from_secs(60)).into()).await;
    store.delete(&keys.unwrap()[0]).await.unwrap();
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    assert_eq!((shop.seen().len(), shop.waiting()), (0, 0));
    let dead = shop.dead_letters().await;
    let error = &dead[0].errors[0].message;
    let (key, place) =
        (format!("{}.gae-tasks", dead[0].spec.id), folder.path().display().to_string());
    assert!(error.contains(&key) && error.contains(&place), "{error}");
}

#[tokio::test]
async fn a_task_whose_folder_is_gone_is_a_dead_letter_too() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(with_a_folder(&folder)).await;
    shop.tasks.pause("emails").await.unwrap();
    write::defer("x".repeat(LARGE)).on(&shop.tasks).await.unwrap();
    std::fs::remove_dir_all(folder.path()).unwrap();
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    assert_eq!((shop.seen().len(), shop.dead_letters().await.len()), (0, 1));
}

/// A delivery whose response was lost is repeated, whatever the queue counts.
#[tokio::test]
async fn a_task_that_is_done_is_not_run_again_when_it_is_delivered_again() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(with_a_folder(&folder)).await;
    shop.tasks.pause("emails").await.unwrap();
    write::defer("x".repeat(LARGE)).on(&shop.tasks).await.unwrap();
    let mut task = shop.queue.tasks(PLACE, "emails").remove(0);
    task["name"] = format!("{PLACE}/queues/emails/tasks/again").into();
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    create(&shop, task).await;
    assert_eq!(shop.statuses(2).await, [200, 200]);
    assert_eq!((shop.seen().len(), shop.dead_letters().await.len(), markers(&folder)), (1, 0, 1));
}

/// Google shows a named task under another id than the id with which it was deferred.
#[tokio::test]
async fn a_sweep_keeps_the_payload_of_a_waiting_named_task_and_reads_its_queue_once() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(std::time::SystemTime::now().into());
    let (plan, time) = (with_a_folder(&folder), clock.clone());
    let client = Box::new(move |client| (plan.client)(client).clock(time.clone()));
    let shop = Shop::open(ShopSettings { client, ..ShopSettings::http() }).await;
    shop.tasks.pause("emails").await.unwrap();
    write::defer("x".repeat(LARGE)).named("large").on(&shop.tasks).await.unwrap();
    clock.advance(Duration::from_secs(3 * 60 * 60));
    let before = shop.queue.calls("ListTasks");
    let swept = shop.tasks.sweep_payloads(Duration::from_secs(60 * 60)).await.unwrap();
    assert_eq!((swept, files(&folder), shop.queue.calls("ListTasks") - before), (0, 1, 1));
}

/// A newer program defers tasks while an older program sweeps.
#[tokio::test]
async fn a_sweep_keeps_the_payload_of_a_waiting_task_that_a_newer_version_made() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(std::time::SystemTime::now().into());
    let (plan, time) = (with_a_folder(&folder), clock.clone());
    let client = Box::new(move |client| (plan.client)(client).clock(time.clone()));
    let shop = Shop::open(ShopSettings { client, ..ShopSettings::http() }).await;
    shop.tasks.pause("emails").await.unwrap();
    write::defer("x".repeat(LARGE)).on(&shop.tasks).await.unwrap();
    let mut task = shop.queue.tasks(PLACE, "emails").remove(0);
    let old = task["name"].as_str().unwrap().to_owned();
    let body = &mut task["httpRequest"]["body"];
    let mut envelope = STANDARD.decode(body.as_str().unwrap()).unwrap();
    envelope[2] = 9;
    *body = STANDARD.encode(envelope).into();
    let mark = task["httpRequest"]["headers"]["X-Deferred-Task"]
        .as_str()
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    task["httpRequest"]["headers"]["X-Deferred-Task"] =
        format!("{mark}/as newer versions write it").into();
    task["name"] = format!("{PLACE}/queues/emails/tasks/newer").into();
    create(&shop, task).await;
    reqwest::Client::new().delete(format!("{}/v2/{old}", shop.queue.url())).send().await.unwrap();
    assert_eq!(shop.waiting(), 1);
    clock.advance(Duration::from_secs(3 * 60 * 60));
    let swept = shop.tasks.sweep_payloads(Duration::from_secs(60 * 60)).await.unwrap();
    assert_eq!((swept, files(&folder)), (0, 1));
}

#[tokio::test]
async fn without_a_store_it_is_refused_when_deferred() {
    let shop = Shop::open(ShopSettings::http()).await;
    let refused = write::defer("x".repeat(LARGE)).on(&shop.tasks).await.unwrap_err().to_string();
    assert!(refused.contains("payload_store"), "{refused}");
    assert_eq!(shop.waiting(), 0);
}
