//! Suspects: tasks whose workers died twice. They run one at a time at first, then twice as many
//! with each that survives.

use std::time::Duration;

use gae_tasks::backend::{Pull, Sweep};
use gae_tasks::{Defer, Now};

use super::recovery::leased_by_one_who_is_gone;
use super::stage::{Running, Signs, World, counts, fails, passes_the_gate, turns};

/// Defers these tasks, and lets their workers die until `losses` leases of each are lost.
async fn with_lost(tasks: impl IntoIterator<Item = Defer>, lost_leases: usize) -> World {
    let world = World::new();
    world.tasks.defer_many(tasks).await.unwrap();
    lose(&world, lost_leases).await;
    world
}

/// Lets the workers of all stored tasks die `losses` times.
async fn lose(world: &World, lost_leases: usize) {
    for _ in 0..lost_leases {
        leased_by_one_who_is_gone(world, Duration::from_secs(30)).await;
        let sweep = |lost| Sweep::new(Now::At(world.clock.time()), lost, 1000);
        let held = world.backend.sweep(sweep(Vec::new())).await.unwrap().held;
        world.backend.sweep(sweep(held)).await.unwrap();
    }
}

/// Waits until the counts equal `signs`, and then checks that no more attempts begin.
async fn settled_at(world: &World, signs: Signs) {
    world.stage.until(|now| *now == signs).await;
    turns().await;
    turns().await;
    assert_eq!(world.stage.signs(), signs);
}

fn begun(begun: usize, ended: usize) -> Signs {
    Signs { begun, ended, ..Signs::default() }
}

/// Lets two suspects pass one after the other: one runs at first, then two, then four.
async fn two_survive(world: &World) {
    settled_at(world, begun(1, 0)).await;
    world.stage.let_pass(1);
    settled_at(world, begun(3, 1)).await;
    world.stage.let_pass(1);
    settled_at(world, begun(6, 2)).await;
}

#[tokio::test]
async fn each_suspect_that_survives_doubles_how_many_run_at_once() {
    let world = with_lost((0..20).map(|_| passes_the_gate::defer()), 2).await;
    let running = world.start();
    two_survive(&world).await;
    world.stage.let_pass(20);
    world.until_open(0).await;
    running.finish().await;
}

#[tokio::test]
async fn a_suspect_that_fails_survives_too() {
    let world = with_lost((0..3).map(|_| fails::defer()), 2).await;
    let running = world.start();
    settled_at(&world, begun(3, 3)).await;
    running.finish().await;
}

/// The clock stands still: each end that makes room for the next suspect wakes the worker.
#[tokio::test]
async fn suspects_wait_for_nothing_but_each_other() {
    for lost_leases in [2, 3] {
        let world = with_lost((0..50).map(|_| counts::defer()), lost_leases).await;
        let running = world.start();
        world.stage.until(|signs| signs.ended == 50).await;
        world.until_open(0).await;
        running.finish().await;
    }
}

#[tokio::test]
async fn a_suspect_lost_in_company_runs_alone() {
    // The suspects were leased twenty at a time, so each is isolated by now.
    let world = with_lost((0..20).map(|_| passes_the_gate::defer()), 3).await;
    let running = world.start();
    for passed in 0..4 {
        settled_at(&world, begun(passed + 1, passed)).await;
        world.stage.let_pass(1);
    }
    world.stage.let_pass(20);
    world.until_open(0).await;
    running.finish().await;
}

/// Otherwise an isolated task would wait as long as there are other suspects.
#[tokio::test]
async fn no_suspect_is_leased_while_an_isolated_one_waits_for_the_others() {
    let world = with_lost([passes_the_gate::defer().queue("other")], 1).await;
    world.tasks.defer_many((0..20).map(|_| passes_the_gate::defer())).await.unwrap();
    lose(&world, 2).await;
    world.tasks.pause("other").await.unwrap();
    let running = Running::start(world.tasks.worker().queues(["default", "other"]));
    two_survive(&world).await;
    world.tasks.resume("other").await.unwrap();
    for ended in 3..6 {
        world.stage.let_pass(1);
        settled_at(&world, begun(6, ended)).await;
    }
    world.stage.let_pass(1);
    settled_at(&world, begun(7, 6)).await;
    world.stage.let_pass(20);
    world.until_open(0).await;
    running.finish().await;
}

#[tokio::test]
async fn suspects_hold_up_nobody_else() {
    let world = with_lost((0..5).map(|_| passes_the_gate::defer()), 2).await;
    let running = world.start();
    world.stage.until(|signs| signs.begun == 1).await;
    world.tasks.defer_many((0..40).map(|_| counts::defer())).await.unwrap();
    world.stage.until(|signs| signs.ended == 40).await;
    world.stage.let_pass(5);
    world.until_open(0).await;
    running.finish().await;
}

/// A crash kills all workers of the process, so only one of them may have a suspect.
#[tokio::test]
async fn the_suspects_of_all_workers_of_a_client_count_together() {
    let tasks = ["one", "other"].map(|queue| passes_the_gate::defer().queue(queue));
    let world = with_lost(tasks, 3).await;
    let running =
        ["one", "other"].map(|queue| Running::start(world.tasks.worker().queues([queue])));
    settled_at(&world, begun(1, 0)).await;
    world.pass(Duration::from_secs(5)).await;
    settled_at(&world, begun(1, 0)).await;
    world.stage.let_pass(1);
    // The clock stands still: the end of the first wakes the worker of the second.
    settled_at(&world, begun(2, 1)).await;
    world.stage.let_pass(1);
    world.until_open(0).await;
    for running in running {
        running.finish().await;
    }
}
