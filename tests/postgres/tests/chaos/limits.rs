//! Queues with limits that several worker processes serve: the limits are those of all of them
//! together, whatever happens to one.

use std::collections::HashMap;
use std::time::Duration;

use gae_tasks::{QueueConfig, TaskId};
use gae_tasks_tests::chaos::{hold, obey};
use gae_tasks_tests_postgres::{LeaseTimes, assert_rate};

use super::stage::{History, SECOND, Stage, TOLERANCE, is_full, length, now, until};

/// The queue of the tasks.
const QUEUE: &str = "chaos";

/// The time from a lease to the first line of its handler, for 99 of 100 tasks.
const START: Duration = Duration::from_millis(50);

/// A stage on which the queue has these limits.
async fn limited(config: QueueConfig) -> Stage {
    let stage = Stage::new().await;
    stage.tasks.put_queue(QUEUE, config).await.unwrap();
    stage
}

const fn places(most: u32) -> QueueConfig {
    QueueConfig::new().with_max_concurrent_dispatches(most)
}

async fn defer(stage: &Stage, tasks: usize, millis: u64) -> Vec<TaskId> {
    let tasks = stage.tasks.defer_many((0..tasks).map(|_| hold::defer(millis))).await.unwrap();
    tasks.into_iter().map(|task| task.id).collect()
}

/// Returns the most attempts that were made at a time.
fn most_at_a_time(history: &History) -> i64 {
    let mut steps = Vec::new();
    for made in history.attempts.values().flatten() {
        steps.push((made.begun, 1));
        steps.extend(made.over.map(|(_, at)| (at, -1)));
    }
    // The end of one attempt may be noted at the same time as the begin of the next.
    steps.sort_unstable();
    let (mut running, mut most) = (0, 0);
    for (_, step) in steps {
        running += step;
        most = most.max(running);
    }
    most
}

#[tokio::test]
async fn three_processes_together_keep_the_rate_and_reach_it() {
    const RATE: f64 = 100.0;
    const BURST: usize = 50;
    let config = QueueConfig::new().with_max_dispatches_per_second(RATE);
    let stage = limited(config.with_max_burst_size(BURST as u32)).await;
    let times = LeaseTimes::of(&stage.place.database).await;
    let lasts = length(10, 60);
    defer(&stage, BURST + (RATE * lasts.as_secs_f64()) as usize + 500, 0).await;
    let workers: Vec<_> = (0..3).map(|_| stage.worker().lease(30.0).start()).collect();
    let has_begun = async || !stage.history().attempts.is_empty();
    until("the first attempt", 20 * SECOND, has_begun).await;
    tokio::time::sleep(lasts).await;
    let leased = times.all().await;
    drop(workers);
    assert_rate(&leased, RATE, BURST);
    let took = Duration::from_micros((leased[leased.len() - 1].1 - leased[0].1).unsigned_abs());
    let most = BURST as f64 + RATE * took.as_secs_f64();
    println!("{} of {most:.0} tasks in {took:.1?}", leased.len());
    assert!(took + SECOND > lasts && leased.len() as f64 >= 0.97 * most, "{}", leased.len());
    assert_started(&stage, &leased).await;
}

/// Checks that handlers have started soon after the leases of their tasks.
async fn assert_started(stage: &Stage, leased: &[(uuid::Uuid, i64)]) {
    let leased: HashMap<_, _> = leased.iter().copied().collect();
    let mut waits: Vec<_> = Vec::new();
    for (task, made) in &stage.history().attempts {
        let Some(at) = leased.get(&uuid::Uuid::from_bytes(*task.as_bytes())) else { continue };
        let at = Duration::from_micros(at.unsigned_abs());
        waits.extend(made.first().map(|first| first.begun.saturating_sub(at)));
    }
    waits.sort_unstable();
    let late = waits[waits.len() * 99 / 100];
    println!("started after {:?}, 1 in 100 after {late:?}", waits[waits.len() / 2]);
    assert!(late <= if is_full() { START } else { START + TOLERANCE }, "{late:?}");
}

#[tokio::test]
async fn two_processes_that_race_for_one_place_never_run_two_tasks() {
    let stage = limited(places(1)).await;
    let tasks = defer(&stage, 200, 5).await;
    let _workers = [stage.worker().start(), stage.worker().start()];
    stage.until_open(0, 60 * SECOND).await;
    let history = stage.history();
    assert_eq!(most_at_a_time(&history), 1);
    assert!(tasks.iter().all(|task| history.begun(*task) == 1), "an attempt was lost");
}

#[tokio::test]
async fn the_places_of_a_killed_process_are_free_once_its_leases_are_lost() {
    let stage = limited(places(3)).await;
    let orders = stage.orders("orders");
    let waiting: Vec<_> = (0..9).map(|_| obey::defer(orders.file())).collect();
    stage.tasks.defer_many(waiting).await.unwrap();
    let begun = async |times: usize| {
        let has_begun = async || attempts(&stage.history()) >= times;
        until(&format!("{times} attempts"), 20 * SECOND, has_begun).await;
    };
    let mut killed = stage.worker().concurrency(9).start();
    begun(3).await;
    let _other = stage.worker().concurrency(9).start();
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(attempts(&stage.history()), 3, "the places are taken");
    let since = now();
    killed.kill();
    begun(6).await;
    println!("free after {:?}", now() - since);
    assert_eq!(attempts(&stage.history()), 6);
    orders.done();
    stage.until_open(0, 20 * SECOND).await;
    assert_eq!(most_at_a_time(&stage.history()), 3);
}

fn attempts(history: &History) -> usize {
    history.attempts.values().map(Vec::len).sum()
}

#[tokio::test]
async fn a_process_that_is_stopped_for_longer_than_its_leases_gives_its_place_up() {
    let stage = limited(places(1)).await;
    let orders = stage.orders("orders");
    let held = obey::defer(orders.file()).on(&stage.tasks).await.unwrap().id;
    let stopped = stage.worker().start();
    stage.until_begun(&[held], 1).await;
    let tasks = defer(&stage, 5, 0).await;
    let _other = stage.worker().start();
    stopped.signal("-STOP");
    // The place is that of the task again, whose lease was lost, or of one of the others.
    let goes_on = async || attempts(&stage.history()) > 1;
    until("the next attempt", 20 * SECOND, goes_on).await;
    stopped.signal("-CONT");
    orders.done();
    stage.until_open(0, 30 * SECOND).await;
    let history = stage.history();
    assert!(tasks.iter().all(|task| history.begun(*task) == 1), "{history:?}");
    assert!(most_at_a_time(&history) <= 2, "beside the attempt that lost its lease");
}
