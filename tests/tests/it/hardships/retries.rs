//! Tasks that always fail at once: no hot loops, and no runners that sleep.

use std::time::Duration;

use super::stage::{Running, World, counts, fails};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_task_that_waits_for_its_retry_holds_no_runner() {
    let world = World::new();
    fails::defer().on(&world.tasks).await.unwrap();
    let running = Running::start(world.tasks.worker().concurrency(1));
    world.stage.until(|signs| signs.ended == 1).await;
    counts::defer().on(&world.tasks).await.unwrap();
    // The clock stands still, so the failed task waits.
    world.stage.until(|signs| signs.ended == 2).await;
    world.until_open(1).await;
    running.finish().await;
}

#[tokio::test]
async fn a_task_that_fails_at_once_is_tried_as_often_as_the_backoff_says() {
    let world = World::new();
    world.retry_briefly("default").await;
    let id = fails::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start();
    world.stage.until(|signs| signs.ended == 1).await;
    world.pass(10 * SECOND).await;
    running.finish().await;
    // Pauses of 0.1, 0.2, 0.4, 0.8, 1.6 and 3.2 seconds, up to a second longer each: time passes in
    // seconds here.
    let attempts = world.record(id).await.attempts;
    assert!((4..=7).contains(&attempts), "{attempts} attempts in 10 seconds");
}

/// The pause is stored with the task: a restarted program does not begin with a storm of retries.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_restart_does_not_shorten_the_pause_before_a_retry() {
    use gae_tasks::testing::ManualClock;
    use gae_tasks::{QueueConfig, RetryConfig};

    use super::stage::{Stage, program};

    let (stage, clock, folder) = (Stage::new(), ManualClock::new(), tempfile::tempdir().unwrap());
    let url = format!("sqlite:{}", folder.path().join("tasks.db").display());
    let open = async || program(&stage).clock(clock.clone()).open(&url).await.unwrap();
    let tasks = open().await;
    let brief = RetryConfig::new().with_min_backoff(Duration::from_millis(100));
    tasks.put_queue("default", QueueConfig::new().with_retry(brief)).await.unwrap();
    let id = fails::defer().on(&tasks).await.unwrap().id;
    drop(tasks);
    for attempts in 1..=6 {
        let tasks = open().await;
        let running = Running::start(tasks.worker());
        stage.until(|signs| signs.ended == attempts).await;
        running.finish().await;
        let due = tasks.get(id).await.unwrap().unwrap().schedule_time;
        assert_eq!(due, clock.time().plus(Duration::from_millis(100 << (attempts - 1))));
        drop(tasks);
        clock.advance(due.since(clock.time()) - Duration::from_micros(1));
        assert_eq!(open().await.drain().await.unwrap(), 0, "attempt {} is too early", attempts + 1);
        clock.advance(Duration::from_micros(1));
    }
}
