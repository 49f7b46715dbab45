//! Payloads that are too large to travel with their tasks.

use std::time::Duration;

use gae_tasks::ClientBuilder;
use gae_tasks::payload_store::{ObjectPayloads, PayloadStore};
use gae_tasks::testing::ManualClock;
use tempfile::TempDir;

use super::shop::{Plan, Shop, flaky, refuse, write};

const LARGE: usize = 3 << 20;

fn with_a_folder(folder: &TempDir) -> Plan {
    let url = format!("file://{}", folder.path().display());
    let client = move |client: ClientBuilder| client.payload_store(ObjectPayloads::open(&url).unwrap());
    Plan { client: Box::new(client), ..Plan::http() }
}

fn files(folder: &TempDir) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn a_large_payload_comes_whole_and_is_gone_with_its_task() {
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
    assert_eq!(files(&folder), 0);
}

#[tokio::test]
async fn it_lives_as_long_as_its_dead_letter() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(std::time::SystemTime::now().into());
    let (plan, time) = (with_a_folder(&folder), clock.clone());
    let client = Box::new(move |client| (plan.client)(client).clock(time.clone()));
    let shop = Shop::open(Plan { client, ..Plan::http() }).await;
    refuse::defer("x".repeat(LARGE)).named("large").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    assert_eq!((shop.dead_letters().await.len(), files(&folder)), (1, 1));
    clock.advance(Duration::from_secs(3 * 60 * 60));
    let swept = shop.tasks.sweep_payloads(Duration::from_secs(60 * 60)).beside(&shop.cemetery).await.unwrap();
    assert_eq!((swept, files(&folder)), (0, 1));
    let id = shop.dead_letters().await[0].spec.id;
    shop.cemetery.replay(id).await.unwrap();
    assert!(shop.cemetery.drain().await.is_err(), "it is refused again");
    assert_eq!(shop.seen().iter().map(|seen| seen.text.len()).collect::<Vec<_>>(), [LARGE, LARGE]);
}

#[tokio::test]
async fn it_is_there_for_every_retry() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(with_a_folder(&folder)).await;
    flaky::defer(3, "x".repeat(LARGE)).on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(3).await, [500, 500, 200]);
    assert_eq!(files(&folder), 0);
}

#[tokio::test]
async fn a_task_whose_payload_is_gone_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(with_a_folder(&folder)).await;
    shop.tasks.pause("emails").await.unwrap();
    write::defer("x".repeat(LARGE)).on(&shop.tasks).await.unwrap();
    let store = ObjectPayloads::open(&format!("file://{}", folder.path().display())).unwrap();
    let keys = store.put_before((std::time::SystemTime::now() + Duration::from_secs(60)).into()).await;
    store.delete(&keys.unwrap()[0]).await.unwrap();
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    assert_eq!((shop.seen().len(), shop.waiting(), shop.dead_letters().await.len()), (0, 0, 0));
}

#[tokio::test]
async fn without_a_store_it_is_refused_when_deferred() {
    let shop = Shop::open(Plan::http()).await;
    let refused = write::defer("x".repeat(LARGE)).on(&shop.tasks).await.unwrap_err().to_string();
    assert!(refused.contains("payload_store"), "{refused}");
    assert_eq!(shop.waiting(), 0);
}
