//! Tasks that a relay has created: they run at the push service, whose dead letters go to the
//! storage that they came from.

use std::sync::Arc;
use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::payload_store::ObjectPayloads;
use gae_tasks::testing::{Fault, ManualClock, Operation};
use gae_tasks::{Client, ClientBuilder, TaskState};
use tempfile::TempDir;

use super::letter_store;
use super::payloads::{LARGE, files, markers, with_a_folder};
use super::shop::{Shop, ShopSettings, refuse, write};
use crate::running::{Running, until};

/// Starts a relay from the storage of dead letters to the queue.
fn relay(shop: &Shop) -> Running {
    let relay = shop.cemetery.relay_to(&shop.tasks).queues(["emails"]);
    Running::start(relay.poll_interval(Duration::from_millis(20)))
}

/// Returns a client that keeps payloads of up to a megabyte with their tasks, beside a store.
fn roomy(folder: &TempDir, shop: &Shop) -> Client {
    let url = format!("file://{}", folder.path().display());
    let tasks = Client::builder().payload_store(ObjectPayloads::open(&url).unwrap());
    let tasks = tasks.inline_payload(1 << 20).state(Arc::clone(&shop.book));
    tasks.build(Memory::new()).unwrap()
}

async fn stored(shop: &Shop) -> u64 {
    shop.cemetery.stats().await.unwrap().open()
}

#[tokio::test]
async fn a_relayed_task_runs_with_all_that_was_said_of_it() {
    let shop = Shop::open(ShopSettings::http()).await;
    let relay = relay(&shop);
    write::defer("hello").named("once").header("X-Tenant", "7").on(&shop.cemetery).await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    let seen = shop.seen().remove(0);
    assert_eq!(
        (seen.text.as_str(), seen.attempt, seen.name.as_deref(), seen.deadline.as_secs()),
        ("hello", 1, Some("once"), 1200)
    );
    assert_eq!(shop.requests()[0].0["x-tenant"], "7");
    until(async || stored(&shop).await == 0).await;
    relay.stop().await;
    let again = write::defer("again").named("once").on(&shop.cemetery).await.unwrap();
    assert!(!again.created, "the storage remembers the name");
}

#[tokio::test]
async fn a_dead_letter_waits_for_the_relay_that_has_not_recorded_the_task() {
    let storage = ShopSettings::http().storage.with(Operation::Settle, 1, Fault::Stall);
    let shop = Shop::open(ShopSettings { storage: storage.clone(), ..ShopSettings::http() }).await;
    let id = refuse::defer("hello").on(&shop.cemetery).await.unwrap().id;
    let relay = relay(&shop);
    let statuses = shop.statuses(2).await;
    assert!(!statuses[..2].contains(&200), "the queue keeps the task: {statuses:?}");
    assert_eq!(shop.cemetery.get(id).await.unwrap().unwrap().state, TaskState::Leased);
    storage.let_go();
    until(async || shop.dead_letters().await.len() == 1).await;
    until(async || shop.waiting() == 0).await;
    assert_eq!((shop.dead_letters().await[0].spec.id, stored(&shop).await), (id, 0));
    relay.stop().await;
}

#[tokio::test]
async fn a_dead_letter_is_kept_that_the_relay_overtakes_with_its_record() {
    // The relay looks at the task once, before it creates it. The second look is for the letter.
    let storage = ShopSettings::http().storage.with(Operation::Settle, 1, Fault::Stall);
    let storage = storage.with(Operation::Get, 2, Fault::Stall);
    let shop = Shop::open(ShopSettings { storage: storage.clone(), ..ShopSettings::http() }).await;
    let id = refuse::defer("hello").on(&shop.cemetery).await.unwrap().id;
    let relay = relay(&shop);
    // The letter was buried in vain, as the task is stored; now the record deletes the task.
    until(async || storage.stalled() == 2).await;
    assert!(shop.cemetery.delete(id).await.unwrap());
    storage.let_go();
    assert_eq!(shop.statuses(1).await, [200]);
    let dead = shop.dead_letters().await;
    assert_eq!((dead.len(), dead[0].spec.id, shop.waiting()), (1, id, 0));
    relay.stop().await;
}

#[tokio::test]
async fn a_dead_letter_that_is_replayed_is_created_again_each_time() {
    let shop = Shop::open(ShopSettings::http()).await;
    let id = refuse::defer("hello").on(&shop.cemetery).await.unwrap().id;
    let relay = relay(&shop);
    for replays in 0..4 {
        until(async || shop.dead_letters().await.len() == 1).await;
        until(async || shop.waiting() == 0).await;
        assert!(shop.seen().len() > replays, "{replays}");
        if replays < 3 {
            shop.cemetery.replay(id).await.unwrap();
            let seen = shop.seen().len();
            until(async || shop.seen().len() > seen).await;
        }
    }
    relay.stop().await;
}

#[tokio::test]
async fn a_letter_that_is_replayed_into_a_relayed_queue_is_created_again_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let letters = letter_store::store(&folder);
    let settings = ShopSettings { letters: Some(letters.clone()), ..ShopSettings::http() };
    let shop = Shop::open(settings).await;
    let id = refuse::defer("x").on(&shop.cemetery).await.unwrap().id;
    let relay = relay(&shop);
    for count in 1..=3 {
        assert_eq!(shop.statuses(count).await, vec![200; count]);
        assert_eq!(letters.ids().await.unwrap(), [id]);
        until(async || stored(&shop).await == 0).await;
        if count < 3 {
            letters.replay(id, &shop.cemetery).await.unwrap();
        }
    }
    assert_eq!((shop.seen().len(), shop.seen()[2].attempt), (3, 1));
    relay.stop().await;
}

#[tokio::test]
async fn a_letter_is_not_replayed_while_its_relay_would_delete_the_task() {
    let folder = tempfile::tempdir().unwrap();
    let letters = letter_store::store(&folder);
    let storage = ShopSettings::http().storage.with(Operation::Settle, 1, Fault::Stall);
    let settings = ShopSettings {
        letters: Some(letters.clone()),
        storage: storage.clone(),
        ..ShopSettings::http()
    };
    let shop = Shop::open(settings).await;
    let id = refuse::defer("x").on(&shop.cemetery).await.unwrap().id;
    let relay = relay(&shop);
    assert_eq!(shop.statuses(1).await, [200]);
    until(async || storage.stalled() == 1).await;
    let refused = letters.replay(id, &shop.cemetery).await.unwrap_err();
    assert!(refused.to_string().contains("its relay has not recorded"), "{refused}");
    assert_eq!(letters.ids().await.unwrap(), [id]);
    storage.let_go();
    until(async || stored(&shop).await == 0).await;
    letters.replay(id, &shop.cemetery).await.unwrap();
    assert_eq!(shop.statuses(2).await, [200; 2]);
    relay.stop().await;
}

#[tokio::test]
async fn a_large_payload_stays_where_the_push_service_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(with_a_folder(&folder)).await;
    shop.tasks.pause("emails").await.unwrap();
    write::defer("x".repeat(LARGE)).named("large").on(&shop.cemetery).await.unwrap();
    let relay = relay(&shop);
    until(async || stored(&shop).await == 0).await;
    assert_eq!((files(&folder), markers(&folder), shop.waiting()), (1, 0, 1));
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    assert_eq!(shop.seen()[0].text.len(), LARGE);
    until(async || markers(&folder) == 1).await;
    relay.stop().await;
}

#[tokio::test]
async fn the_payload_of_a_task_whose_name_is_taken_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(with_a_folder(&folder)).await;
    shop.tasks.pause("emails").await.unwrap();
    write::defer("first").named("once").on(&shop.tasks).await.unwrap();
    write::defer("x".repeat(LARGE)).named("once").on(&shop.cemetery).await.unwrap();
    assert_eq!(files(&folder), 1);
    let relay = relay(&shop);
    until(async || stored(&shop).await == 0).await;
    until(async || files(&folder) == 0).await;
    assert_eq!(shop.waiting(), 1);
    relay.stop().await;
}

#[tokio::test]
async fn a_large_payload_that_was_stored_with_its_task_is_put_into_the_store_of_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    let plan = with_a_folder(&folder);
    // Above the limit of the queue's client, whose settings are the others.
    let shop = Shop::open(ShopSettings { client: plan.client, ..ShopSettings::http() }).await;
    let tasks = roomy(&folder, &shop);
    write::defer("x".repeat(300_000)).on(&tasks).await.unwrap();
    assert_eq!(files(&folder), 0);
    let relay = tokio::spawn(tasks.relay_to(&shop.tasks).queues(["emails"]).into_future());
    assert_eq!(shop.statuses(1).await, [200]);
    assert_eq!(shop.seen()[0].text.len(), 300_000);
    until(async || markers(&folder) == 1).await;
    relay.abort();
}

#[tokio::test]
async fn a_large_payload_that_was_stored_with_its_task_is_put_into_the_store_after_a_replay_too() {
    let folder = tempfile::tempdir().unwrap();
    let plan = with_a_folder(&folder);
    let shop = Shop::open(ShopSettings { client: plan.client, ..ShopSettings::http() }).await;
    let tasks = roomy(&folder, &shop);
    let id = refuse::defer("x".repeat(300_000)).on(&tasks).await.unwrap().id;
    assert!(tasks.drain().await.is_err(), "it dies here, and is seen once");
    tasks.replay(id).await.unwrap();
    assert_eq!(files(&folder), 0);
    let relay = tokio::spawn(tasks.relay_to(&shop.tasks).queues(["emails"]).into_future());
    assert_eq!(shop.statuses(1).await, [200]);
    assert_eq!((shop.seen().len(), shop.seen()[1].text.len()), (2, 300_000));
    relay.abort();
}

#[tokio::test]
async fn a_relayed_task_that_dies_during_a_sweep_keeps_its_payload() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(std::time::SystemTime::now().into());
    let (plan, time) = (with_a_folder(&folder), clock.clone());
    let client = Box::new(move |client: ClientBuilder| (plan.client)(client).clock(time.clone()));
    let storage = ShopSettings::http().storage;
    let settings = ShopSettings { client, storage: storage.clone(), ..ShopSettings::http() };
    let shop = Shop::open(settings).await;
    shop.cemetery.relay_to(&shop.tasks).queues(["emails"]).declare().unwrap();
    // The relay has created the task.
    shop.tasks.pause("emails").await.unwrap();
    refuse::defer("x".repeat(LARGE)).on(&shop.tasks).await.unwrap();
    let hour = Duration::from_secs(60 * 60);
    clock.advance(3 * hour);
    // It is not in the storage when the sweep looks there, and later not in the queue.
    _ = storage.clone().with(Operation::Get, 1, Fault::Late);
    let dies = async {
        until(async || storage.stalled() == 1).await;
        shop.tasks.resume("emails").await.unwrap();
        assert_eq!(shop.statuses(1).await, [200]);
        storage.let_go();
    };
    let sweep = shop.cemetery.sweep_payloads(hour).into_future();
    let (swept, ()) = tokio::join!(sweep, dies);
    assert_eq!((swept.unwrap(), files(&folder), shop.dead_letters().await.len()), (0, 1, 1));
}
