//! Schedules that are made at run time: what they store, what is refused, and what can be done to
//! them.

use std::sync::Arc;

use gae_tasks::backend::memory::Memory;
use gae_tasks::payload_store::{PayloadStore, Stored};
use gae_tasks::testing::ManualClock;
use gae_tasks::{
    Client, ClientBuilder, Cron, Defer, Error, MakeSchedule, Missed, Registry, Task, TaskState,
    Timestamp, deferred,
};

use crate::{HOUR, MINUTE, stored, ticks, time};

#[deferred(queue = "reports")]
async fn report(customer: u64, text: String) {
    drop((customer, text));
}

#[deferred(queues = ["one", "two", "three"])]
async fn spread(number: u32) {
    _ = number;
}

fn call() -> Defer {
    report::defer(7, "hello")
}

fn cron(text: &str) -> Cron {
    text.parse().unwrap()
}

/// A client with its clock, which stands at midnight.
fn world() -> (Client, ManualClock) {
    let clock = ManualClock::new();
    (builder(&clock).build(Memory::new()).unwrap(), clock)
}

fn builder(clock: &ManualClock) -> ClientBuilder {
    Client::builder().clock(clock.clone()).registry(Registry::new()).program("shop")
}

#[tokio::test]
async fn each_tick_stores_the_call() {
    let (tasks, clock) = world();
    let call = call().max_attempts(3).deadline(MINUTE).queue("nightly");
    tasks.schedule("a", cron("30 0 * * *"), call).await.unwrap();
    assert_eq!(tasks.tick_schedules().await.unwrap(), 0);
    clock.advance(HOUR / 2);
    assert_eq!(tasks.tick_schedules().await.unwrap(), 1);
    assert_eq!(tasks.tick_schedules().await.unwrap(), 0, "the tick is made");
    let [record] = stored(&tasks).await.try_into().unwrap();
    let direct = report::defer(7, "hello").on(&tasks).await.unwrap();
    let direct = tasks.get(direct.id).await.unwrap().unwrap();
    let task = &record.spec;
    assert_eq!((&task.kind, task.shape), (&direct.spec.kind, direct.spec.shape));
    assert_eq!((record.payload, record.schema), (direct.payload, direct.schema));
    assert_eq!((task.queue.as_str(), task.max_attempts), ("nightly", Some(3)));
    assert_eq!(task.deadline, Some(MINUTE));
    let name = task.name.clone().unwrap().to_string();
    assert!(name.starts_with("a-") && name.ends_with("-20260101T003000Z"), "{name}");
    assert!(tasks.find("nightly", name).await.unwrap().is_some());
}

#[tokio::test]
async fn a_schedule_is_listed_as_it_is() {
    let (tasks, clock) = world();
    let schedule = tasks.schedule("a", cron("0 3 * * *"), call()).zone("Europe/Paris");
    schedule.missed(Missed::All(5)).await.unwrap();
    clock.advance(3 * HOUR);
    tasks.tick_schedules().await.unwrap();
    let [record] = tasks.schedules().await.unwrap().try_into().unwrap();
    assert_eq!((record.program.as_str(), record.name.as_str()), ("shop", "a"));
    assert_eq!((record.cron.as_str(), record.revision), ("0 3 * * * (Europe/Paris)", None));
    assert_eq!((record.missed, record.paused), (Some(Missed::All(5)), false));
    let queue = record.queue.as_ref().map(|queue| queue.as_str());
    let kind = record.kind.as_ref().map(|kind| kind.as_str());
    assert_eq!((queue, kind), (Some("reports"), Some(report::KIND)));
    assert_eq!(record.last_tick, Some(time("2026-01-01T02:00:00Z")));
    assert_eq!(record.next_tick, Some(time("2026-01-02T02:00:00Z")));
    assert_eq!(record.declared, time("2026-01-01T00:00:00Z"));
    assert_eq!(Cron::parse(&record.cron).unwrap().zone(), "Europe/Paris");
}

#[tokio::test]
async fn a_schedule_that_is_made_again_is_replaced() {
    let (tasks, clock) = world();
    tasks.schedule("a", cron("0 * * * *"), call()).await.unwrap();
    clock.advance(HOUR / 2);
    tasks.schedule("a", cron("30 * * * *"), report::defer(8, "other")).await.unwrap();
    clock.advance(HOUR);
    assert_eq!(tasks.tick_schedules().await.unwrap(), 1);
    assert_eq!(ticks(&tasks).await, ["20260101T013000Z"]);
    assert_eq!(tasks.schedules().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_paused_schedule_ticks_again_once_it_is_resumed() {
    let (tasks, clock) = world();
    tasks.schedule("a", cron("0 * * * *"), call()).await.unwrap();
    tasks.pause_schedule("a").await.unwrap();
    clock.advance(3 * HOUR);
    assert_eq!(tasks.tick_schedules().await.unwrap(), 0);
    tasks.resume_schedule("a").await.unwrap();
    assert_eq!(tasks.tick_schedules().await.unwrap(), 0, "the pause is not made up for");
    clock.advance(HOUR);
    assert_eq!(tasks.tick_schedules().await.unwrap(), 1);
}

#[tokio::test]
async fn a_removed_schedule_is_gone_and_its_tasks_stay() {
    let (tasks, clock) = world();
    tasks.schedule("a", cron("* * * * *"), call()).await.unwrap();
    clock.advance(MINUTE);
    tasks.tick_schedules().await.unwrap();
    tasks.remove_schedule("a").await.unwrap();
    clock.advance(MINUTE);
    assert_eq!(tasks.tick_schedules().await.unwrap(), 0);
    assert_eq!(stored(&tasks).await.len(), 1);
    for refused in [
        tasks.remove_schedule("a").await,
        tasks.pause_schedule("a").await,
        tasks.resume_schedule("a").await,
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::NoSuchSchedule { .. }), "{error}");
        assert!(error.to_string().contains("`shop`"), "{error}");
    }
}

#[tokio::test]
async fn names_belong_to_programs() {
    let (clock, memory) = (ManualClock::new(), Arc::new(Memory::new()));
    let shop = builder(&clock).build(Arc::clone(&memory)).unwrap();
    let admin = builder(&clock).program("admin").build(memory).unwrap();
    for tasks in [&shop, &admin] {
        tasks.schedule("a", cron("* * * * *"), call()).await.unwrap();
    }
    admin.remove_schedule("a").await.unwrap();
    clock.advance(MINUTE);
    assert_eq!(admin.tick_schedules().await.unwrap(), 1, "whoever looks ticks for all");
    assert_eq!(shop.schedules().await.unwrap()[0].program, "shop");
}

/// The error of a schedule, as text.
async fn refused(made: MakeSchedule) -> String {
    made.await.unwrap_err().to_string()
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_stores_nothing() {
    let (tasks, clock) = world();
    let made = |call| tasks.schedule("a", cron("* * * * *"), call);
    for (made, expected) in [
        (tasks.schedule("a b", cron("* * * * *"), call()), "not a valid name"),
        (tasks.schedule("", cron("* * * * *"), call()), "not a valid name"),
        (tasks.schedule("n".repeat(501), cron("* * * * *"), call()), "not a valid name"),
        (made(call()).missed(Missed::All(0)), "1 to 1000"),
        (made(call()).zone("Mars/Olympus"), "Mars/Olympus"),
        (made(call().named("b")), "`.named(..)`"),
        (made(call().must_be_new()), "`.must_be_new()`"),
        (made(call().after(MINUTE)), "`.after(..)`"),
        (made(call().at(clock.time())), "`.at(..)`"),
        (made(call().max_attempts(0)), "`.max_attempts(0)`"),
        (made(call().queue("not a queue")), "not a valid queue name"),
        (made(call().header("X-A", "b")), "`.header(..)`"),
        (made(report::defer(7, "x".repeat(2_000_000))), "bytes"),
    ] {
        let error = refused(made).await;
        assert!(error.contains(expected), "{error}");
    }
    assert!(tasks.schedules().await.unwrap().is_empty());
}

/// A payload store in which nothing is.
#[derive(Debug)]
struct Empty;

impl PayloadStore for Empty {
    fn name(&self) -> String {
        "empty:".to_owned()
    }

    fn put<'a>(&'a self, _key: &'a str, _payload: Vec<u8>) -> Stored<'a, ()> {
        panic!("a schedule puts nothing into a payload store")
    }

    fn get<'a>(&'a self, _key: &'a str) -> Stored<'a, Option<Vec<u8>>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn delete<'a>(&'a self, _key: &'a str) -> Stored<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn put_before(&self, _moment: Timestamp) -> Stored<'_, Vec<String>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

#[tokio::test]
async fn args_that_would_be_put_into_a_payload_store_are_refused() {
    let clock = ManualClock::new();
    let spilling = builder(&clock).payload_store(Empty).inline_payload(100);
    let tasks = spilling.build(Memory::new()).unwrap();
    let made = tasks.schedule("a", cron("* * * * *"), report::defer(7, "x".repeat(200)));
    let error = refused(made).await;
    assert!(error.contains("`a`") && error.contains("payload store"), "{error}");
    tasks.schedule("a", cron("* * * * *"), report::defer(7, "x".repeat(50))).await.unwrap();
}

#[tokio::test]
async fn a_schedule_stays_in_its_queue_and_leaves_the_trace_of_its_maker() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let clock = ManualClock::new();
    let traced = builder(&clock).trace_context(|| Some(TRACE.to_owned()));
    let tasks = traced.build(Memory::new()).unwrap();
    tasks.schedule("a", cron("* * * * *"), spread::defer(1)).await.unwrap();
    let before = tasks.schedules().await.unwrap();
    // Made again it is the same, although an unnamed task goes to a random queue.
    for _ in 0..20 {
        clock.advance(MINUTE);
        tasks.schedule("a", cron("* * * * *"), spread::defer(1)).await.unwrap();
        let after = tasks.schedules().await.unwrap();
        assert_eq!((after[0].declared, &after[0].queue), (before[0].declared, &before[0].queue));
    }
    tasks.tick_schedules().await.unwrap();
    assert_eq!(stored(&tasks).await[0].spec.attributes, None, "a tick is not of that trace");
}

#[deferred(queue = "reports", max_attempts = 1)]
async fn fails() -> Result<(), &'static str> {
    Err("a failure planned by the test")
}

#[tokio::test]
async fn a_tick_that_has_died_holds_up_no_other() {
    let clock = ManualClock::new();
    let of_one = builder(&clock).registry(Registry::new().with::<fails>());
    let tasks = of_one.build(Memory::new()).unwrap();
    tasks.schedule("a", cron("* * * * *"), fails::defer()).await.unwrap();
    for minute in 1..=3 {
        clock.advance(MINUTE);
        assert_eq!(tasks.tick_schedules().await.unwrap(), 1, "minute {minute}");
        tasks.drain().await.unwrap_err();
    }
    assert_eq!(ticks(&tasks).await.len(), 3);
    assert!(stored(&tasks).await.iter().all(|record| record.state == TaskState::Dead));
}
