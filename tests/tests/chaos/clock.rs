//! A clock that is set while tasks wait: due tasks stay due, and no task is early.

use std::time::Duration;

use gae_tasks::{Client, RetryConfig, TaskId};
use gae_tasks_tests::chaos::{FileClock, Then, hold, obey};

use super::stage::{HOUR, Process, SECOND, Stage, TOLERANCE, now, until};

/// Returns a client in this process, with a clock that is set together with the workers' clocks.
async fn client(stage: &Stage) -> (Client, FileClock) {
    let clock = FileClock::new(stage.file("clock"));
    (stage.client(&clock).await, clock)
}

fn set_all(clock: &FileClock, workers: &[&Process], seconds: i64) {
    clock.set(seconds).unwrap();
    workers.iter().for_each(|worker| worker.clock.set(seconds).unwrap());
}

async fn defer_many(tasks: &Client, count: usize) -> Vec<TaskId> {
    let deferred = tasks.defer_many((0..count).map(|_| hold::defer(0_u64))).await.unwrap();
    deferred.into_iter().map(|deferred| deferred.id).collect()
}

/// Waits until each task has run once.
async fn until_run(stage: &Stage, tasks: &[TaskId]) {
    let are_run = async || {
        let history = stage.history();
        tasks.iter().all(|task| history.over(*task) == (1, 0))
    };
    until("the end of what is due", 2 * SECOND + TOLERANCE, are_run).await;
}

#[tokio::test]
async fn what_was_due_before_the_clock_went_back_is_due() {
    let stage = Stage::new().await;
    let (tasks, clock) = client(&stage).await;
    let orders = stage.orders("orders");
    let keeps_busy = obey::defer(orders.file()).on(&tasks).await.unwrap().id;
    let worker = stage.worker().concurrency(1).start();
    stage.until_begun(&[keeps_busy], 1).await;
    let waiting = defer_many(&tasks, 20).await;
    set_all(&clock, &[&worker], -HOUR);
    assert_eq!(tasks.stats().await.unwrap().due, 20);
    orders.done();
    until_run(&stage, &waiting).await;
}

#[tokio::test]
async fn a_fresh_worker_runs_what_was_deferred_before_the_clock_went_back() {
    let stage = Stage::new().await;
    let (tasks, clock) = client(&stage).await;
    clock.set(HOUR).unwrap();
    let waiting = defer_many(&tasks, 20).await;
    clock.set(0).unwrap();
    assert_eq!(tasks.stats().await.unwrap().due, 20);
    let _worker = stage.worker().start();
    until_run(&stage, &waiting).await;
}

#[tokio::test]
async fn a_retry_comes_no_later_than_its_longest_backoff_though_the_clock_goes_back() {
    const BACKOFF: Duration = Duration::from_secs(2);
    let stage = Stage::new().await;
    let (tasks, clock) = client(&stage).await;
    let orders = stage.orders("orders");
    orders.give(Duration::ZERO, Then::Fail);
    let retry = RetryConfig::new().with_min_backoff(BACKOFF).with_max_backoff(BACKOFF);
    let worker = stage.worker().start();
    let task = obey::defer(orders.file()).retry(retry).on(&tasks).await.unwrap().id;
    let has_failed =
        async || tasks.get(task).await.unwrap().is_some_and(|record| record.attempts == 1);
    until("the record of the first failure", 5 * SECOND, has_failed).await;
    set_all(&clock, &[&worker], -HOUR);
    orders.done();
    until("the retry", BACKOFF + SECOND + TOLERANCE, async || stage.history().begun(task) == 2)
        .await;
    let history = stage.history();
    let pause = history.of(task)[1].begun.saturating_sub(history.of(task)[0].begun);
    assert!(pause > BACKOFF - SECOND / 10, "the retry came after {pause:?}");
}

/// Times stored while the clock was ahead must not be taken for the current time.
#[tokio::test]
async fn nothing_with_a_time_of_its_own_runs_early_because_the_clock_was_ahead() {
    let stage = Stage::new().await;
    let (tasks, clock) = client(&stage).await;
    let worker = stage.worker().start();
    set_all(&clock, &[&worker], HOUR);
    let ahead = defer_many(&tasks, 5).await;
    stage.until_begun(&ahead, 5).await;
    let early = hold::defer(0_u64).after(10 * SECOND).on(&tasks).await.unwrap().id;
    set_all(&clock, &[&worker], 0);
    let minutes = hold::defer(0_u64).after(600 * SECOND).on(&tasks).await.unwrap().id;
    let moment = now() + 2 * SECOND;
    let soon = hold::defer(0_u64)
        .at(std::time::SystemTime::UNIX_EPOCH + moment)
        .on(&tasks)
        .await
        .unwrap()
        .id;
    let plain = hold::defer(0_u64).on(&tasks).await.unwrap().id;
    let _fresh = stage.worker().start();
    tokio::time::sleep(3 * SECOND + TOLERANCE).await;
    let history = stage.history();
    assert_eq!((history.begun(plain), history.begun(soon)), (1, 1), "due and not begun");
    assert!(history.of(soon)[0].begun >= moment, "{:?} is before {moment:?}", history.of(soon));
    assert_eq!((history.begun(early), history.begun(minutes)), (0, 0), "begun and not due");
}
