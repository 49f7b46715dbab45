//! Tasks that a transaction of the application has locked as their attempts end: the outcomes are
//! recorded later, and under the same leases.

use std::io::{self, Seek};
use std::sync::Arc;
use std::time::Duration;

use gae_tasks::testing::Operation;
use gae_tasks::{Error, TaskId};
use tracing::Level;

use super::stage::{Running, World, counts, passes_the_gate, set_log, turns};

const SECOND: Duration = Duration::from_secs(1);

/// Returns a locked task whose attempt has ended, and its worker.
async fn locked(world: &World, worker: gae_tasks::Worker) -> (TaskId, Running) {
    let id = passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start_one(worker).await;
    world.backend.lock(id);
    world.stage.let_pass(1);
    world.until_called(Operation::Settle, 1).await;
    (id, running)
}

#[tokio::test]
async fn an_outcome_is_recorded_once_its_task_is_unlocked_and_nothing_runs_until_then() {
    let world = World::new();
    let (id, running) = locked(&world, world.tasks.worker()).await;
    let other = Running::start(world.other_client().worker());
    world.pass_while_leased(100 * SECOND).await;
    assert_eq!((world.is_leased(id).await, world.record(id).await.lost_leases), (true, 0));
    world.backend.unlock(id);
    world.pass(SECOND).await;
    world.until_open(0).await;
    running.finish().await;
    other.finish().await;
    assert_eq!(world.stage.signs().begun, 1);
}

#[tokio::test]
async fn the_outcomes_of_other_tasks_do_not_wait_for_a_locked_one() {
    let world = World::new();
    let (id, running) = locked(&world, world.tasks.worker()).await;
    for _ in 0..3 {
        counts::defer().on(&world.tasks).await.unwrap();
        world.until_open(1).await;
    }
    assert!(world.is_leased(id).await);
    world.backend.unlock(id);
    running.finish().await;
    assert_eq!(world.tasks.stats().await.unwrap().open(), 0, "recorded at the worker's end");
}

#[tokio::test]
async fn an_outcome_is_tried_again_about_once_a_second_and_announced_once() {
    let world = World::new();
    let lines = Arc::new(tempfile::tempfile().unwrap());
    let log = tracing_subscriber::fmt()
        .with_max_level(Level::WARN)
        .with_writer(Arc::clone(&lines))
        .finish();
    let _guard = set_log(log);
    let (id, running) = locked(&world, world.tasks.worker()).await;
    turns().await;
    let before = world.backend.calls(Operation::Settle);
    for _ in 0..100 {
        world.pass(SECOND / 10).await;
    }
    let tries = world.backend.calls(Operation::Settle) - before;
    assert!((9..=15).contains(&tries), "{tries} in 10 seconds");
    world.backend.unlock(id);
    running.finish().await;
    (&*lines).rewind().unwrap();
    let logged = io::read_to_string(&*lines).unwrap();
    assert_eq!(logged.matches("has locked the task").count(), 1, "{logged}");
    assert!(logged.contains(&id.to_string()), "{logged}");
}

#[tokio::test]
async fn a_worker_that_ends_tries_for_as_long_as_it_may_and_leaves_the_lease_then() {
    let world = World::new();
    let (id, running) = locked(&world, world.tasks.worker().grace(8 * SECOND)).await;
    running.stop().await;
    world.pass(9 * SECOND - Duration::from_micros(1)).await;
    let tries = world.backend.calls(Operation::Settle);
    assert!(!running.has_ended() && tries > 9, "{tries} tries");
    world.pass(Duration::from_micros(1)).await;
    running.finish().await;
    let tries = world.backend.calls(Operation::Settle);
    world.pass(20 * SECOND).await;
    assert_eq!(world.backend.calls(Operation::Settle), tries, "nobody tries any more");
    assert!(world.is_leased(id).await);
}

#[tokio::test]
async fn a_worker_that_ends_records_what_is_unlocked_in_time() {
    let world = World::new();
    let (id, running) = locked(&world, world.tasks.worker().grace(8 * SECOND)).await;
    running.stop().await;
    world.pass(8 * SECOND).await;
    world.backend.unlock(id);
    world.pass(SECOND / 2).await;
    running.finish().await;
    assert_eq!(world.tasks.stats().await.unwrap().open(), 0);
}

#[tokio::test]
async fn a_drain_says_that_a_task_is_locked() {
    let world = World::new();
    let id = counts::defer().on(&world.tasks).await.unwrap().id;
    world.backend.lock(id);
    let error = world.tasks.drain().await.unwrap_err();
    let Error::TaskFailed { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("has locked the task"), "{source}");
    assert!(world.is_leased(id).await);
}
