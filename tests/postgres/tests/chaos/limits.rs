//! Queues with limits that several worker processes serve: the limits are those of all of them
//! together, whatever happens to one.

use gae_tasks::{QueueConfig, TaskId};
use gae_tasks_tests::chaos::{hold, obey};
use gae_tasks_tests::rates::{self, Rate};
use gae_tasks_tests_postgres::LeaseTimes;

use super::stage::{History, SECOND, Stage, length, now, until};

/// The queue of the tasks.
const QUEUE: &str = "chaos";

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
    const RATE: Rate = Rate { per_second: 100, burst: 20 };
    let (stage, time) = (Stage::new().await, length(10, 60));
    let (times, log) = (LeaseTimes::of(&stage.place.database).await, stage.file("begun"));
    RATE.prepare(&stage.tasks, &log, time).await.unwrap();
    let start = |_| stage.worker().queues(&[rates::QUEUE]).lease(30.0).start();
    let workers: Vec<_> = (0..3).map(start).collect();
    tokio::time::sleep(time + SECOND).await;
    drop(workers);
    let leased = times.all().await.into_iter();
    let leased = leased.map(|(task, at)| (TaskId::from_bytes(*task.as_bytes()).to_string(), at));
    RATE.check(leased.collect(), &rates::read(&log).unwrap());
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
