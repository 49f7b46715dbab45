//! Tasks that are not attempted again are stored as dead letters before the queue drops them.

use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::testing::{Fault, Faulty, ManualClock, Operation};
use gae_tasks::{ClientBuilder, RetryConfig, TaskState};

use super::shop::{Shop, ShopSettings, flaky, refuse};

#[tokio::test]
async fn a_task_that_was_tried_enough_is_kept() {
    let shop = Shop::open(ShopSettings::http()).await;
    let deferred = flaky::defer(3, "x").max_attempts(2).on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(2).await, [500, 200]);
    let letters = shop.dead_letters().await;
    assert_eq!(
        (letters[0].spec.id, letters[0].state, letters[0].attempts),
        (deferred.id, TaskState::Dead, 2)
    );
    assert!(letters[0].errors[0].message.contains("not yet"), "{:?}", letters[0].errors);
    assert_eq!(shop.waiting(), 0);
}

#[tokio::test]
async fn a_failure_for_good_is_kept_at_once() {
    let shop = Shop::open(ShopSettings::http()).await;
    refuse::defer("x").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    let letters = shop.dead_letters().await;
    assert_eq!((letters.len(), letters[0].attempts), (1, 1));
    assert!(letters[0].errors[0].message.contains("no such order"), "{:?}", letters[0].errors);
}

#[tokio::test]
async fn while_it_cannot_be_kept_the_queue_has_it() {
    let storage = Faulty::new(Memory::new()).with(Operation::Bury, 1, Fault::Fail);
    let shop = Shop::open(ShopSettings { storage, ..ShopSettings::http() }).await;
    refuse::defer("x").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(2).await, [500, 200]);
    assert_eq!((shop.dead_letters().await.len(), shop.waiting()), (1, 0));
}

#[tokio::test]
async fn a_later_task_of_the_same_name_is_a_dead_letter_of_its_own() {
    let shop = Shop::open(ShopSettings::http()).await;
    refuse::defer("first").named("order-7").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    // The name is blocked until then.
    shop.queue.advance(Duration::from_secs(25 * 60 * 60));
    let again = refuse::defer("second").named("order-7").on(&shop.tasks).await.unwrap();
    assert!(again.created);
    assert_eq!(shop.statuses(2).await, [200, 200]);
    let mut payloads: Vec<_> =
        shop.dead_letters().await.into_iter().filter_map(|letter| letter.payload).collect();
    payloads.sort();
    assert_eq!(payloads, [b"\x05first".to_vec(), b"\x06second".to_vec()]);
}

#[tokio::test]
async fn the_time_for_retries_begins_when_a_task_is_due() {
    let clock = ManualClock::at(std::time::SystemTime::now().into());
    let time = clock.clone();
    let client = Box::new(move |client: ClientBuilder| client.clock(time.clone()));
    let shop = Shop::open(ShopSettings { client, ..ShopSettings::http() }).await;
    let hour = Duration::from_secs(60 * 60);
    let retry = RetryConfig::new().with_max_attempts(None);
    let task =
        flaky::defer(2, "x").after(hour).retry(retry.with_max_retry_duration(Some(hour / 6)));
    task.on(&shop.tasks).await.unwrap();
    clock.advance(hour);
    shop.queue.advance(hour);
    assert_eq!(shop.statuses(1).await, [500]);
    shop.queue.advance(Duration::from_secs(1));
    assert_eq!(shop.statuses(2).await, [500, 200]);
    assert_eq!((shop.seen().len(), shop.dead_letters().await.len()), (2, 0));
}

#[tokio::test]
async fn a_replayed_one_is_run_where_it_is_kept() {
    let shop = Shop::open(ShopSettings::http()).await;
    let id = flaky::defer(1, "x").max_attempts(1).on(&shop.tasks).await.unwrap().id;
    assert_eq!(shop.statuses(1).await, [200]);
    assert_eq!(shop.dead_letters().await.len(), 0, "it worked");
    let dead = flaky::defer(2, "x").max_attempts(1).on(&shop.tasks).await.unwrap().id;
    assert_eq!(shop.statuses(2).await, [200, 200]);
    assert!(shop.cemetery.get(id).await.unwrap().is_none());
    shop.cemetery.replay(dead).await.unwrap();
    let failure = shop.cemetery.drain().await.unwrap_err().to_string();
    assert!(failure.contains("shop/flaky"), "its first attempt fails again: {failure}");
    assert_eq!(shop.seen().len(), 3);
}
