//! Ticks for which no worker was there.

use gae_tasks::backend::memory::Memory;
use gae_tasks::testing::{Faulty, ManualClock, Operation};
use gae_tasks::{Client, Missed, Registry, deferred};

use crate::{HOUR, MINUTE, ticks};

#[deferred]
async fn work() {}

#[deferred]
async fn print(text: String) {
    drop(text);
}

/// The ticks that are made up for after a night of ten and a half hours without a worker.
async fn after_a_night(missed: Missed) -> Vec<String> {
    let (tasks, clock) = world();
    tasks.schedule("a", "0 * * * *".parse().unwrap(), work::defer()).missed(missed).await.unwrap();
    clock.advance(10 * HOUR + HOUR / 2);
    tasks.tick_schedules().await.unwrap();
    let made_up_for = ticks(&tasks).await;
    clock.advance(HOUR / 2);
    assert_eq!(tasks.tick_schedules().await.unwrap(), 1, "the next one is on time");
    made_up_for
}

fn world() -> (Client, ManualClock) {
    let clock = ManualClock::new();
    let builder = Client::builder().clock(clock.clone()).registry(Registry::new());
    (builder.build(Memory::new()).unwrap(), clock)
}

#[tokio::test]
async fn missed_ticks_are_made_up_for_as_the_schedule_says() {
    assert_eq!(after_a_night(Missed::default()).await, ["20260101T100000Z"]);
    assert_eq!(after_a_night(Missed::Skip).await, [""; 0]);
    let all = ["20260101T080000Z", "20260101T090000Z", "20260101T100000Z"];
    assert_eq!(after_a_night(Missed::All(3)).await, all);
    assert_eq!(after_a_night(Missed::All(1_000)).await.len(), 10);
}

#[tokio::test]
async fn ticks_with_large_payloads_are_made_up_for_in_several_transactions() {
    let (backend, clock) = (Faulty::new(Memory::new()), ManualClock::new());
    let builder = Client::builder().clock(clock.clone()).registry(Registry::new());
    let tasks = builder.build(backend.clone()).unwrap();
    for name in ["a", "b"] {
        let call = print::defer("x".repeat(900 * 1024));
        let schedule = tasks.schedule(name, "0 * * * *".parse().unwrap(), call);
        schedule.missed(Missed::All(6)).await.unwrap();
    }
    tasks.tick_schedules().await.unwrap();
    clock.advance(9 * HOUR);
    let before = backend.calls(Operation::Tick);
    assert_eq!(tasks.tick_schedules().await.unwrap(), 12, "all that are due");
    let requests = backend.calls(Operation::Tick) - before;
    assert!(requests >= 3, "{requests} requests with 11 MB");
    let mut made = ticks(&tasks).await;
    made.sort();
    let expected = (4..=9).flat_map(|hour| vec![format!("20260101T0{hour}0000Z"); 2]);
    assert_eq!(made, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_clock_that_is_set_back_repeats_no_tick() {
    let (tasks, clock) = world();
    tasks.schedule("a", "* * * * *".parse().unwrap(), work::defer()).await.unwrap();
    let begin = clock.time();
    clock.advance(MINUTE);
    assert_eq!(tasks.tick_schedules().await.unwrap(), 1);
    clock.step_to(begin);
    assert_eq!(tasks.tick_schedules().await.unwrap(), 0);
    clock.advance(MINUTE);
    assert_eq!(tasks.tick_schedules().await.unwrap(), 0, "that was this one");
    clock.advance(MINUTE);
    assert_eq!(tasks.tick_schedules().await.unwrap(), 1);
    assert_eq!(ticks(&tasks).await, ["20260101T000100Z", "20260101T000200Z"]);
}
