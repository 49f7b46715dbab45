//! Handlers that choose the time of the next attempt: a response cannot tell the queue, so a copy
//! is scheduled.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use gae_tasks::backend::BoxFuture;
use gae_tasks::push::verify::{AppEngine, Refused, Verified, Verify};
use gae_tasks::testing::ManualClock;
use gae_tasks::{ClientBuilder, TaskState};
use gae_tasks_tests_push::issuer::{ACCOUNT, AUDIENCE};
use gae_tasks_tests_push::server::Fault;
use http::request::Parts;

use super::payloads::{LARGE, create, markers, with_a_folder};
use super::shop::{PLACE, Shop, ShopSettings, flaky, later};

const HOUR: Duration = Duration::from_secs(60 * 60);

const NEVER: u32 = u32::MAX;

/// A shop with a clock that the test moves together with the queue's clock.
async fn on_a_clock() -> (Shop, ManualClock) {
    let clock = ManualClock::at(SystemTime::now().into());
    let time = clock.clone();
    let client = Box::new(move |client: ClientBuilder| client.clock(time.clone()));
    (Shop::open(ShopSettings { client, ..ShopSettings::http() }).await, clock)
}

/// Refuses so many requests, and then believes App Engine.
#[derive(Debug)]
struct Late(AtomicU32, AppEngine);

impl Verify for Late {
    fn verify<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Verified, Refused>> {
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1));
        match before {
            Ok(_) => Box::pin(std::future::ready(Err(Refused::new("not yet")))),
            Err(_) => self.1.verify(request),
        }
    }
}

fn attempts(shop: &Shop) -> Vec<u32> {
    shop.seen().iter().map(|seen| seen.attempt).collect()
}

/// Returns the times from now to the schedule times of the queue's tasks.
fn delays(shop: &Shop) -> Vec<Duration> {
    let tasks = shop.queue.tasks(PLACE, "emails");
    let at = |task: &serde_json::Value| {
        humantime::parse_rfc3339(task["scheduleTime"].as_str().unwrap()).unwrap()
    };
    tasks
        .iter()
        .map(|task| at(task).duration_since(SystemTime::now()).unwrap_or_default())
        .collect()
}

fn about(delay: Duration, expected: Duration) {
    assert!(
        (expected - Duration::from_secs(90)..=expected).contains(&delay),
        "{delay:?} is not {expected:?}"
    );
}

#[tokio::test]
async fn three_attempts_at_times_of_the_handler_are_exactly_three() {
    let (shop, clock) = on_a_clock().await;
    let id =
        later::defer(HOUR.as_secs(), NEVER, "x").max_attempts(3).on(&shop.tasks).await.unwrap().id;
    for count in 1..=3 {
        assert_eq!(shop.statuses(count).await, vec![200; count]);
        delays(&shop)
            .into_iter()
            .for_each(|delay| about(delay, HOUR * u32::try_from(count).unwrap()));
        clock.advance(HOUR);
        shop.queue.advance(HOUR);
    }
    assert_eq!((attempts(&shop), shop.waiting()), (vec![1, 2, 3], 0));
    let letters = shop.dead_letters().await;
    assert_eq!((letters.len(), letters[0].spec.id, letters[0].attempts), (1, id, 3));
    assert_eq!(letters[0].state, TaskState::Dead);
}

#[tokio::test]
async fn it_works_in_the_end_and_counts_the_attempts_that_failed_otherwise_too() {
    let shop = Shop::open(ShopSettings::app_engine()).await;
    later::defer(0, 3, "x").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(3).await, [200; 3]);
    assert_eq!(
        (attempts(&shop), shop.waiting(), shop.dead_letters().await.len()),
        (vec![1, 2, 3], 0, 0)
    );
}

/// The copy remembers that it is the last attempt, whatever is answered in between.
#[tokio::test]
async fn the_attempt_that_is_granted_after_refusals_is_a_copy() {
    let service = |service: gae_tasks::PushServiceBuilder| {
        service.verify(Late(AtomicU32::new(4), AppEngine::assume_headers_are_stripped()))
    };
    let shop = Shop::open(ShopSettings { service, ..ShopSettings::app_engine() }).await;
    let id = flaky::defer(NEVER, "x").max_attempts(3).on(&shop.tasks).await.unwrap().id;
    assert_eq!(shop.statuses(6).await, [403, 403, 403, 403, 200, 200]);
    assert_eq!((attempts(&shop), shop.waiting()), (vec![5, 5], 0));
    let letters = shop.dead_letters().await;
    assert_eq!((letters.len(), letters[0].spec.id), (1, id));
}

#[tokio::test]
async fn a_named_task_is_granted_its_attempt_without_a_copy() {
    let service = |service: gae_tasks::PushServiceBuilder| {
        service.verify(Late(AtomicU32::new(4), AppEngine::assume_headers_are_stripped()))
    };
    let shop = Shop::open(ShopSettings { service, ..ShopSettings::app_engine() }).await;
    flaky::defer(NEVER, "x").max_attempts(3).named("once").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(6).await, [403, 403, 403, 403, 510, 200]);
    assert_eq!((attempts(&shop).len(), shop.dead_letters().await.len()), (2, 1));
}

#[tokio::test]
async fn a_repeated_delivery_makes_one_copy() {
    let shop = Shop::open(ShopSettings::http()).await;
    shop.tasks.pause("emails").await.unwrap();
    later::defer(HOUR.as_secs(), NEVER, "x").on(&shop.tasks).await.unwrap();
    let mut task = shop.queue.tasks(PLACE, "emails").remove(0);
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    assert_eq!(shop.waiting(), 1, "the copy");
    task["name"] = format!("{PLACE}/queues/emails/tasks/again").into();
    create(&shop, task).await;
    assert_eq!(shop.statuses(2).await, [200, 200]);
    assert_eq!(shop.waiting(), 1);
}

#[tokio::test]
async fn a_copy_is_found_run_and_deleted_by_the_id_of_its_task() {
    let shop = Shop::open(ShopSettings::http()).await;
    let id = later::defer(HOUR.as_secs(), NEVER, "x").on(&shop.tasks).await.unwrap().id;
    shop.deliveries(1).await;
    let copy = shop.tasks.get(id).await.unwrap().unwrap();
    assert_eq!((copy.spec.id, copy.attempts, copy.spec.name), (id, 1, None));
    assert!(copy.first_attempt.is_some());
    shop.tasks.run_now(id).await.unwrap();
    shop.deliveries(2).await;
    assert_eq!(
        (attempts(&shop), shop.tasks.get(id).await.unwrap().unwrap().attempts),
        (vec![1, 2], 2)
    );
    assert!(shop.tasks.delete(id).await.unwrap());
    assert_eq!((shop.waiting(), shop.tasks.get(id).await.unwrap()), (0, None));
}

/// The queue delivers a task again although it has the task's copy.
#[tokio::test]
async fn where_the_answer_about_a_copy_is_lost_both_are_there_and_both_are_deleted() {
    let backend = |backend: gae_tasks::backend::cloud_tasks::CloudTasksBuilder| {
        backend.service_account(ACCOUNT).audience(AUDIENCE).time_limit(Duration::from_secs(1))
    };
    let shop = Shop::open(ShopSettings { backend, ..ShopSettings::http() }).await;
    shop.tasks.pause("emails").await.unwrap();
    let id = later::defer(HOUR.as_secs(), NEVER, "x").on(&shop.tasks).await.unwrap().id;
    shop.queue.fault_always("CreateTask", Fault::LoseAnswer);
    shop.tasks.run_now(id).await.unwrap();
    assert_eq!(shop.statuses(1).await, [500]);
    assert_eq!(shop.waiting(), 2);
    assert!(shop.tasks.delete(id).await.unwrap());
    assert_eq!(shop.waiting(), 0);
}

#[tokio::test]
async fn a_copy_and_what_it_is_a_copy_of_are_cancelled_together() {
    let backend = |backend: gae_tasks::backend::cloud_tasks::CloudTasksBuilder| {
        backend.service_account(ACCOUNT).audience(AUDIENCE).time_limit(Duration::from_secs(1))
    };
    let shop = Shop::open(ShopSettings { backend, ..ShopSettings::http() }).await;
    shop.tasks.pause("emails").await.unwrap();
    let id = later::defer(HOUR.as_secs(), NEVER, "x").on(&shop.tasks).await.unwrap().id;
    shop.queue.fault_always("CreateTask", Fault::LoseAnswer);
    shop.tasks.run_now(id).await.unwrap();
    assert_eq!(shop.statuses(1).await, [500]);
    assert_eq!(shop.waiting(), 2);
    assert_eq!(shop.tasks.cancel(id).await.unwrap(), gae_tasks::Cancelled::Removed);
    assert_eq!(shop.waiting(), 0);
}

#[tokio::test]
async fn a_named_task_is_not_copied_and_gets_the_pause_of_its_queue() {
    let shop = Shop::open(ShopSettings::http()).await;
    later::defer(HOUR.as_secs(), 2, "x").named("once").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(2).await, [500, 200]);
    assert_eq!((attempts(&shop), shop.queue.calls("CreateTask")), (vec![1, 2], 1));
}

#[tokio::test]
async fn a_task_whose_copy_is_refused_gets_the_pause_of_its_queue() {
    let shop = Shop::open(ShopSettings::http()).await;
    shop.tasks.pause("emails").await.unwrap();
    later::defer(HOUR.as_secs(), 3, "x").on(&shop.tasks).await.unwrap();
    shop.queue.fault_always("CreateTask", Fault::Refuse(403));
    shop.tasks.resume("emails").await.unwrap();
    assert_eq!(shop.statuses(3).await, [500, 500, 200]);
    assert_eq!(attempts(&shop), [1, 2, 3]);
}

#[tokio::test]
async fn a_time_beyond_the_horizon_is_cut_to_it() {
    let shop = Shop::open(ShopSettings::http()).await;
    later::defer(365 * 24 * 60 * 60, NEVER, "x").on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(1).await, [200]);
    about(delays(&shop)[0], 24 * 30 * HOUR);
}

#[tokio::test]
async fn a_copy_keeps_what_was_said_of_its_task() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(with_a_folder(&folder)).await;
    let task = later::defer(0, 2, "x".repeat(LARGE))
        .header("X-Tenant", "7")
        .deadline(Duration::from_secs(20));
    task.on(&shop.tasks).await.unwrap();
    assert_eq!(shop.statuses(2).await, [200; 2]);
    let seen = shop.seen();
    assert_eq!((&seen[0].traceparent, seen[0].deadline), (&seen[1].traceparent, seen[1].deadline));
    assert_eq!((seen[1].text.len(), seen[1].deadline), (LARGE, Duration::from_secs(20)));
    assert!(shop.requests().iter().all(|(headers, _)| headers["x-tenant"] == "7"));
    assert_eq!(markers(&folder), 1);
}

/// A task ends 31 days after it was deferred, however often it is copied.
#[tokio::test]
async fn the_life_of_a_copy_is_counted_from_the_id_of_its_task() {
    let (shop, clock) = on_a_clock().await;
    later::defer(20 * 24 * HOUR.as_secs(), NEVER, "x").on(&shop.tasks).await.unwrap();
    for count in 1..=3 {
        assert_eq!(shop.statuses(count).await, vec![200; count]);
        assert_eq!(shop.dead_letters().await.len(), count / 3, "after {count} attempts");
        let ahead = [20 * 24, 31 * 24 - 12, 0][count - 1] * HOUR;
        delays(&shop).into_iter().for_each(|delay| about(delay, ahead));
        clock.advance(20 * 24 * HOUR);
        shop.queue.advance(20 * 24 * HOUR);
    }
}
