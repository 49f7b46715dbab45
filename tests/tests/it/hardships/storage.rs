//! Storage that fails once, is down for a minute, or sends no wake-ups.

use std::time::Duration;

use gae_tasks::testing::{Fault, Operation};

use super::recovery::leased_by_one_who_is_gone;
use super::stage::{Running, World, counts, passes_the_gate};

const SECOND: Duration = Duration::from_secs(1);

/// Every operation that a worker calls, and the number of its failures. The queues are read only
/// once, to report misspelt ones; and a lease that was not extended in its second third is lost.
const CALLED: [(Operation, u64); 6] = [
    (Operation::Lease, 2),
    (Operation::Extend, 1),
    (Operation::Settle, 2),
    (Operation::Sweep, 2),
    (Operation::Stats, 2),
    (Operation::Queues, 1),
];

/// Runs a long attempt with a worker whose storage has this fault.
async fn assert_the_worker_goes_on(operation: Operation, faults: u64, fault: Fault) {
    let world = World::new();
    _ = (1..=faults)
        .fold(world.backend.clone(), |backend, nth| backend.with(operation, nth, fault));
    passes_the_gate::defer().on(&world.tasks).await.unwrap();
    let running = world.start();
    // A lease whose answer is lost has no holder until it expires.
    world.pass_until(200 * SECOND, |signs| signs.begun == 1).await;
    world.until_asleep(5).await;
    world.pass_while_leased(80 * SECOND).await;
    world.stage.let_pass(1);
    world.pass(10 * SECOND).await;
    assert!(world.backend.calls(operation) >= faults, "{operation:?} is not called");
    world.until_open(0).await;
    let signs = world.stage.signs();
    assert_eq!(
        (signs.begun, signs.ended, running.has_ended()),
        (1, 1, false),
        "{operation:?} {fault:?}"
    );
    running.finish().await;
}

#[tokio::test]
async fn no_failed_call_ends_the_worker_or_its_attempts() {
    for (operation, faults) in CALLED {
        assert_the_worker_goes_on(operation, faults, Fault::Fail).await;
    }
}

#[tokio::test]
async fn no_lost_answer_ends_the_worker_or_its_attempts() {
    for (operation, faults) in CALLED {
        assert_the_worker_goes_on(operation, faults, Fault::LoseAnswer).await;
    }
}

/// A hanging call is abandoned in time: leases are extended again before they are lost.
#[tokio::test]
async fn an_extension_without_an_answer_holds_up_no_further_one() {
    let world = World::new();
    let _backend = world.backend.clone().with(Operation::Extend, 1, Fault::Stall);
    passes_the_gate::defer().on(&world.tasks).await.unwrap();
    let running = world.start_one(world.tasks.worker()).await;
    world.pass_among(6, 60 * SECOND).await;
    assert_eq!(world.stage.signs().stopped, 0, "the attempt's lease was lost");
    world.stage.let_pass(1);
    world.until_open(0).await;
    running.finish().await;
}

/// The reader of all stored tasks may take long, or for ever: no other role waits for it.
#[tokio::test]
async fn a_report_without_an_answer_holds_up_no_recovery() {
    for operation in [Operation::List, Operation::Stats] {
        let world = World::new();
        counts::defer().on(&world.tasks).await.unwrap();
        leased_by_one_who_is_gone(&world, 5 * SECOND).await;
        let _backend = world.backend.clone().with(operation, 1, Fault::Stall);
        let running = world.start();
        world.pass_until(7 * SECOND, |signs| signs.ended == 1).await;
        running.finish().await;
    }
}

#[tokio::test]
async fn storage_that_is_away_for_a_minute_is_asked_seldom_and_then_all_goes_on() {
    let world = World::new();
    let running = world.start();
    world.tasks.defer_many((0..3).map(|_| passes_the_gate::defer())).await.unwrap();
    world.stage.until(|signs| signs.begun == 3).await;
    world.tasks.defer_many((0..20).map(|_| counts::defer().after(30 * SECOND))).await.unwrap();
    let calls = || CALLED.map(|(operation, _)| world.backend.calls(operation)).iter().sum::<u64>();
    world.backend.set_down(true);
    let before = calls();
    // One attempt ends while its outcome cannot be recorded, the others outlast their leases.
    world.stage.let_pass(1);
    world.pass(60 * SECOND).await;
    let asked = calls() - before;
    // The worker leases, extends and settles every 5 seconds, more often at first, and sweeps at
    // every step of the clock.
    assert!((90..160).contains(&asked), "the worker called the storage {asked} times");
    // The thread that extends leases may be slow to fall asleep, and then gives the leases up later
    // by the clock.
    world.pass_until(60 * SECOND, |signs| (signs.ended, signs.stopped) == (1, 2)).await;
    assert!(!running.has_ended());
    world.backend.set_down(false);
    world.stage.let_pass(10);
    world.pass(80 * SECOND).await;
    world.until_open(0).await;
    running.finish().await;
    assert_eq!(
        world.stage.signs().ended,
        23,
        "the attempt that ended meanwhile was recorded before its lease was taken for lost"
    );
}

/// A task deferred while the answer of a lease is in transit is in no answer, so its wake-up must
/// not be lost.
#[tokio::test]
async fn a_task_that_is_deferred_during_a_lease_is_not_slept_through() {
    let world = World::new();
    _ = world.backend.clone().with(Operation::Lease, 1, Fault::Late);
    let running = Running::start(world.tasks.worker().poll_interval(3600 * SECOND));
    world.until_called(Operation::Lease, 1).await;
    while world.backend.stalled() == 0 {
        tokio::task::yield_now().await;
    }
    counts::defer().on(&world.tasks).await.unwrap();
    world.backend.let_go();
    world.stage.until(|signs| signs.ended == 1).await;
    running.finish().await;
}

/// Attempts that end now and then do not delay a due poll.
#[tokio::test]
async fn attempts_that_end_do_not_put_off_a_scheduled_task() {
    let world = World::new();
    let running = Running::start(world.tasks.worker().poll_interval(2 * SECOND));
    world.tasks.defer_many((0..20).map(|_| passes_the_gate::defer())).await.unwrap();
    world.stage.until(|signs| signs.begun == 20).await;
    counts::defer().after(Duration::from_millis(1500)).on(&world.tasks).await.unwrap();
    for ended in 1..=5 {
        world.pass(Duration::from_millis(600)).await;
        world.stage.let_pass(1);
        world.stage.until(|signs| signs.ended >= ended).await;
    }
    assert_eq!(world.stage.signs().begun, 21, "three seconds have passed");
    world.stage.let_pass(20);
    world.until_open(0).await;
    running.finish().await;
}

/// Otherwise its session would end only when the last thread gets to it, or never.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_worker_that_has_ended_has_let_go_of_the_storage() {
    use gae_tasks::backend::sqlite::Sqlite;

    use super::stage::{Stage, program};

    for _ in 0..20 {
        let (stage, folder) = (Stage::new(), tempfile::tempdir().unwrap());
        let tasks = program(&stage)
            .build(Sqlite::open(folder.path().join("tasks.db")).await.unwrap())
            .unwrap();
        counts::defer().on(&tasks).await.unwrap();
        let running = Running::start(tasks.worker());
        stage.until(|signs| signs.ended == 1).await;
        running.finish().await;
        drop(tasks);
        let names =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["tasks.db"],
            "the last handle that closes the file removes the other files"
        );
    }
}

/// A task stored by another process wakes no worker of this process.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_task_that_nothing_tells_of_is_found_by_the_slow_look() {
    use gae_tasks::backend::sqlite::Sqlite;
    use gae_tasks::testing::{Faulty, ManualClock};

    use super::stage::{Stage, program};

    let (stage, clock, folder) = (Stage::new(), ManualClock::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("tasks.db");
    let backend = Faulty::new(Sqlite::open(&file).await.unwrap());
    let client = || program(&stage).clock(clock.clone());
    let (here, elsewhere) = (
        client().build(backend.clone()).unwrap(),
        client().build(Sqlite::open(&file).await.unwrap()),
    );
    let running = Running::start(here.worker());
    // The roles that lease, sweep, report and extend sleep.
    while backend.calls(Operation::Lease) < 1 || clock.sleepers() < 4 {
        tokio::task::yield_now().await;
    }
    counts::defer().on(&elsewhere.unwrap()).await.unwrap();
    assert_eq!(backend.calls(Operation::Lease), 1);
    clock.advance(SECOND);
    stage.until(|signs| signs.ended == 1).await;
    running.finish().await;
}
