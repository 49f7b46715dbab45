//! The pauses between the attempts of one task: the default pauses, and those stated by a task.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gae_tasks::testing::ManualClock;
use gae_tasks::{Client, Registry, Timestamp, deferred};

const SECOND: Duration = Duration::from_secs(1);

/// As in the README: eight attempts of default backoff take 127 seconds, and a little more.
#[deferred(max_attempts = 8)]
async fn sends_during_an_outage(#[state] outage: &Arc<Outage>) -> Result<(), &'static str> {
    let now = outage.clock.time();
    outage.attempts.lock().unwrap().push(now);
    if now < outage.over { Err("the mail server is away") } else { Ok(()) }
}

struct Outage {
    clock: ManualClock,
    over: Timestamp,
    attempts: Mutex<Vec<Timestamp>>,
}

/// Returns the moments of the attempts of a task deferred at the start of an outage of this length,
/// in seconds since then, and whether the task was done.
async fn attempts_in_an_outage(length: Duration) -> (Vec<u64>, bool) {
    let clock = ManualClock::new();
    let began = clock.time();
    let outage = Arc::new(Outage {
        clock: clock.clone(),
        over: began.plus(length),
        attempts: Mutex::default(),
    });
    let registry = Registry::new().with::<sends_during_an_outage>();
    let builder =
        Client::builder().registry(registry).state(Arc::clone(&outage)).clock(clock.clone());
    let tasks = builder.open("memory:").await.unwrap();
    let id = sends_during_an_outage::defer().on(&tasks).await.unwrap().id;
    while let Some(record) = tasks.get(id).await.unwrap().filter(|record| record.died.is_none()) {
        clock.step_to(record.schedule_time.max(clock.time()));
        _ = tasks.drain().await;
    }
    let attempts =
        outage.attempts.lock().unwrap().iter().map(|at| at.since(began).as_secs()).collect();
    (attempts, tasks.get(id).await.unwrap().is_none())
}

#[tokio::test]
async fn eight_attempts_survive_an_outage_of_a_minute() {
    let (attempts, is_done) = attempts_in_an_outage(60 * SECOND).await;
    assert!(is_done && attempts.len() == 7, "{attempts:?}");
    assert!((63..=69).contains(attempts.last().unwrap()), "{attempts:?}");
}

#[tokio::test]
async fn eight_attempts_take_127_seconds_and_at_most_a_tenth_more() {
    let (attempts, is_done) = attempts_in_an_outage(3600 * SECOND).await;
    assert!(!is_done && attempts.len() == 8, "{attempts:?}");
    assert!((127..=139).contains(attempts.last().unwrap()), "{attempts:?}");
}

#[deferred(min_backoff = "5s", max_backoff = "10s")]
async fn states_its_backoff() -> Result<(), &'static str> {
    Err("a failure planned by the test")
}

#[tokio::test]
async fn a_task_that_states_its_backoff_is_retried_exactly_then_by_workers_and_by_drains() {
    let clock = ManualClock::new();
    let builder = Client::builder()
        .registry(Registry::new().with::<states_its_backoff>())
        .clock(clock.clone());
    let tasks = builder.open("memory:").await.unwrap();
    let id = states_its_backoff::defer().on(&tasks).await.unwrap().id;
    for pause in [5, 10, 10] {
        let failed = clock.time();
        assert!(tasks.drain().await.is_err());
        let next = tasks.get(id).await.unwrap().unwrap().schedule_time;
        assert_eq!(next, failed.plus(pause * SECOND));
        clock.step_to(next);
    }
    let (failed, client) = (clock.time(), tasks.clone());
    let has_failed = async move {
        while client.get(id).await.unwrap().unwrap().attempts < 4 {
            tokio::task::yield_now().await;
        }
    };
    tasks.worker().with_graceful_shutdown(has_failed).await.unwrap();
    assert_eq!(tasks.get(id).await.unwrap().unwrap().schedule_time, failed.plus(10 * SECOND));
}
