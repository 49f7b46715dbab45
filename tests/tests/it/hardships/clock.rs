//! A wall clock that is set while a worker runs, by an administrator or by NTP.

use std::time::Duration;

use super::stage::{Running, World, counts, passes_the_gate};

const HOUR: Duration = Duration::from_secs(3600);

/// Sets the clock of two workers, one of which has a lease, and checks whether the other takes the
/// lease for lost.
async fn assert_no_lease_is_lost(set: impl FnOnce(&World)) {
    let world = World::new();
    let id = passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker()).await;
    let other = Running::start(world.other_client().worker());
    world.pass_while_leased(Duration::from_secs(20)).await;
    set(&world);
    world.pass_while_leased(Duration::from_secs(100)).await;
    assert_eq!((world.is_leased(id).await, world.record(id).await.lost_leases), (true, 0));
    world.stage.let_pass(1);
    world.until_open(0).await;
    assert_eq!((world.stage.signs().begun, world.stage.signs().stopped), (1, 0));
    running.finish().await;
    other.finish().await;
}

#[tokio::test]
async fn a_clock_set_an_hour_ahead_loses_no_lease() {
    assert_no_lease_is_lost(|world| world.clock.step_to(world.clock.time().plus(HOUR))).await;
}

#[tokio::test]
async fn a_clock_set_back_an_hour_loses_no_lease() {
    assert_no_lease_is_lost(|world| world.clock.step_to(world.clock.time().minus(HOUR))).await;
}

#[tokio::test]
async fn a_clock_set_ahead_makes_tasks_due_at_the_next_look() {
    let world = World::new();
    counts::defer().after(HOUR).on(&world.tasks).await.unwrap();
    let running = world.start();
    world.pass(Duration::from_secs(5)).await;
    assert_eq!(world.stage.signs().begun, 0);
    world.clock.step_to(world.clock.time().plus(HOUR));
    world.pass(Duration::from_secs(1)).await;
    world.stage.until(|signs| signs.ended == 1).await;
    running.finish().await;
}

#[tokio::test]
async fn a_clock_set_back_does_not_stop_the_worker() {
    let world = World::new();
    let running = world.start();
    world.pass(Duration::from_secs(5)).await;
    world.clock.step_to(world.clock.time().minus(HOUR));
    counts::defer().on(&world.tasks).await.unwrap();
    counts::defer().after(Duration::from_secs(3)).on(&world.tasks).await.unwrap();
    world.pass(Duration::from_secs(4)).await;
    world.stage.until(|signs| signs.ended == 2).await;
    running.finish().await;
}

#[tokio::test]
async fn a_scheduled_task_starts_at_its_time_and_not_at_the_next_look() {
    let world = World::new();
    let running = Running::start(world.tasks.worker().poll_interval(HOUR));
    counts::defer().after(Duration::from_millis(1500)).on(&world.tasks).await.unwrap();
    world.pass(Duration::from_millis(1499)).await;
    assert_eq!(world.stage.signs().begun, 0);
    world.pass(Duration::from_millis(1)).await;
    world.stage.until(|signs| signs.ended == 1).await;
    running.finish().await;
}
