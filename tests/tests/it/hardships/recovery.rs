//! Tasks of dead workers: they are retried after their leases, whatever happened to clocks, storage
//! and observers.

use std::sync::Arc;
use std::time::Duration;

use gae_tasks::backend::{Lease, LeasedTask, Pull, Room, Routes, Sweep};
use gae_tasks::testing::{ManualClock, Operation};
use gae_tasks::{Now, QueueConfig, QueueName, RetryConfig, Timestamp};

use super::stage::{Running, Stage, World, counts, fails, plain_passes_the_gate, program, turns};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Lease durations of workers on one file.
const LEASES: [Duration; 4] =
    [SECOND, Duration::from_millis(1200), Duration::from_secs(5), Duration::from_secs(30)];

/// Returns tasks that a dead worker has leased for `duration`.
pub(super) async fn leased_by_one_who_is_gone(
    world: &World,
    duration: Duration,
) -> Vec<LeasedTask> {
    world.backend.lease(lease_of(1_000, world.clock.time(), duration)).await.unwrap().tasks
}

/// A sweep that reaches its limit is repeated at once, until nothing is left.
#[tokio::test]
async fn all_that_is_old_is_forgotten_without_any_time_passing() {
    let world = World::new();
    let config = QueueConfig::new()
        .with_dead_letter_retention(HOUR)
        .with_retry(RetryConfig::new().with_max_attempts(Some(1)));
    world.tasks.put_queue("default", config).await.unwrap();
    world.tasks.defer_many((0..2_500).map(|_| fails::defer())).await.unwrap();
    let running = world.start();
    world.stage.until(|signs| signs.ended == 2_500).await;
    world.until_open(0).await;
    running.finish().await;
    world.clock.advance(2 * HOUR);
    let running = world.start();
    let forgotten = async {
        while world.tasks.stats().await.unwrap().dead > 0 {
            turns().await;
        }
    };
    tokio::time::timeout(10 * SECOND, forgotten).await.expect("a part of the dead letters is left");
    running.finish().await;
}

fn lease_of(limit: usize, now: Timestamp, duration: Duration) -> Lease {
    let queues =
        Arc::new(["default", "one", "other"].map(|queue| QueueName::new(queue).unwrap()).into());
    Lease::new(Now::At(now), queues, Routes::Any, Room::new(limit), duration)
}

/// Returns a task for each of [`LEASES`], leased by a dead worker.
async fn with_lost_leases() -> World {
    let world = World::new();
    for lease in LEASES {
        counts::defer().on(&world.tasks).await.unwrap();
        assert_eq!(leased_by_one_who_is_gone(&world, lease).await.len(), 1);
    }
    world
}

/// Checks that after a hiccup each of those tasks runs within two of its leases and a second, and
/// none before its lease is over.
async fn assert_all_are_recovered(world: &World) {
    let begun = world.clock.time();
    for (place, lease) in LEASES.into_iter().enumerate() {
        let within = (2 * lease + SECOND).saturating_sub(world.clock.time().since(begun));
        if world.stage.signs().ended <= place {
            world.pass_until(within + SECOND, |signs| signs.ended > place).await;
        }
    }
    world.until_open(0).await;
}

#[tokio::test]
async fn lost_leases_of_every_length_are_recovered() {
    let world = with_lost_leases().await;
    let running = world.start();
    assert_all_are_recovered(&world).await;
    running.finish().await;
}

#[tokio::test]
async fn no_lease_is_recovered_before_it_is_over() {
    let world = World::new();
    counts::defer().on(&world.tasks).await.unwrap();
    leased_by_one_who_is_gone(&world, 30 * SECOND).await;
    let running = world.start();
    world.pass(29 * SECOND).await;
    assert_eq!(world.stage.signs().begun, 0);
    world.pass_until(3 * SECOND, |signs| signs.ended == 1).await;
    running.finish().await;
}

#[tokio::test]
async fn a_clock_that_jumps_keeps_no_task_from_being_recovered() {
    for ahead in [true, false] {
        let world = with_lost_leases().await;
        let running = world.start();
        world.pass(Duration::from_millis(700)).await;
        let now = world.clock.time();
        world.clock.step_to(if ahead { now.plus(HOUR) } else { now.minus(HOUR) });
        assert_all_are_recovered(&world).await;
        running.finish().await;
    }
}

#[tokio::test]
async fn a_clock_that_jumps_every_few_seconds_keeps_no_task_from_being_recovered() {
    let world = with_lost_leases().await;
    let running = world.start();
    for second in 0..80 {
        let now = world.clock.time();
        world.clock.step_to(if second % 2 == 0 { now.plus(HOUR) } else { now.minus(HOUR) });
        world.pass(SECOND).await;
    }
    world.stage.until(|signs| signs.ended == LEASES.len()).await;
    running.finish().await;
}

#[tokio::test]
async fn storage_that_was_away_keeps_no_task_from_being_recovered() {
    let world = with_lost_leases().await;
    let running = world.start();
    world.backend.set_down(true);
    world.pass(60 * SECOND).await;
    assert_eq!(world.stage.signs().begun, 0);
    world.backend.set_down(false);
    // The worker polls again within five seconds.
    world.pass(5 * SECOND).await;
    assert_all_are_recovered(&world).await;
    running.finish().await;
}

#[tokio::test]
async fn a_worker_that_stood_still_recovers_what_was_lost() {
    let world = with_lost_leases().await;
    let running = world.start();
    world.until_asleep(5).await;
    world.clock.advance(60 * SECOND);
    assert_all_are_recovered(&world).await;
    running.finish().await;
}

/// Returns a program, and tasks in its file that another handle has leased.
#[cfg(feature = "sqlite")]
struct LeasedFile {
    stage: Stage,
    clock: ManualClock,
    tasks: gae_tasks::Client,
    /// A handle that stays open and extends no lease.
    _holder: gae_tasks::backend::sqlite::Sqlite,
    folder: tempfile::TempDir,
}

#[cfg(feature = "sqlite")]
async fn leased_in_a_file(tasks: usize, duration: Duration) -> LeasedFile {
    use gae_tasks::backend::sqlite::Sqlite;

    let (stage, clock, folder) = (Stage::new(), ManualClock::new(), tempfile::tempdir().unwrap());
    let open = || Sqlite::open(folder.path().join("tasks.db"));
    let client = program(&stage).clock(clock.clone()).build(open().await.unwrap()).unwrap();
    client.defer_many((0..tasks).map(|_| counts::defer())).await.unwrap();
    let holder = open().await.unwrap();
    assert_eq!(
        holder.lease(lease_of(tasks, clock.time(), duration)).await.unwrap().tasks.len(),
        tasks
    );
    LeasedFile { stage, clock, tasks: client, _holder: holder, folder }
}

/// Changes the file as another program would.
#[cfg(feature = "sqlite")]
fn change(folder: &tempfile::TempDir, sql: &str) {
    rusqlite::Connection::open(folder.path().join("tasks.db")).unwrap().execute_batch(sql).unwrap();
}

/// The lock of a killed process is free, so all of its tasks are recovered without waiting.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn all_that_a_killed_process_held_is_recovered_without_any_time_passing() {
    let LeasedFile { stage, tasks, folder, .. } = &leased_in_a_file(2_500, 30 * SECOND).await;
    // From now on the leases belong to another session, whose lock is free.
    change(folder, "UPDATE gae_tasks_session SET id = 1; UPDATE gae_tasks_lease SET session = 1");
    std::fs::write(folder.path().join("tasks.db-session-0000000000000001.lock"), "").unwrap();

    let running = Running::start(tasks.worker());
    stage.until(|signs| signs.ended == 2_500).await;
    running.finish().await;
}

/// A lease that cannot be recovered, here because of a trigger of the application, is retried only
/// at the next sweep.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_lease_that_stays_lost_keeps_no_worker_busy() {
    let LeasedFile { stage, clock, tasks, folder, .. } = &leased_in_a_file(2, 5 * SECOND).await;
    let rule = "CREATE TRIGGER rule BEFORE UPDATE ON gae_tasks_task WHEN old.id = (SELECT min(id) \
                FROM gae_tasks_task) BEGIN SELECT raise(ABORT, 'against the rule'); END";
    change(folder, rule);
    let running = Running::start(tasks.worker());
    let asleep = async || {
        while clock.sleepers() < 5 {
            tokio::task::yield_now().await;
        }
    };
    for _ in 0..20 {
        tokio::time::timeout(10 * SECOND, asleep()).await.expect("the worker sweeps without end");
        clock.advance(SECOND);
    }
    stage.until(|signs| signs.ended == 1).await;
    assert_eq!(tasks.stats().await.unwrap().leased, 1);
    running.finish().await;
}

/// Distant observations add little to the time for which a worker has seen a lease unchanged.
#[tokio::test]
async fn one_look_after_a_long_silence_takes_no_lease() {
    let world = World::new();
    counts::defer().on(&world.tasks).await.unwrap();
    leased_by_one_who_is_gone(&world, 30 * SECOND).await;
    let running = world.start();
    world.until_asleep(5).await;
    let sweeps = world.backend.calls(Operation::Sweep);
    world.clock.advance(60 * SECOND);
    world.until_called(Operation::Sweep, sweeps + 1).await;
    world.until_asleep(5).await;
    assert_eq!(world.stage.signs().begun, 0, "the holder may have been stopped as well");
    world.pass_until(30 * SECOND, |signs| signs.ended == 1).await;
    running.finish().await;
}

/// All processes are stopped for longer than a lease: a holder extends its lease before others may
/// take it.
#[tokio::test]
async fn a_worker_that_stood_still_keeps_its_leases() {
    let world = World::new();
    let id = super::stage::passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker()).await;
    let other = Running::start(world.other_client().worker());
    world.pass_while_leased(5 * SECOND).await;
    // Repeated, because either of the two late workers may wake first.
    for _ in 0..6 {
        let extensions = world.backend.calls(Operation::Extend);
        world.clock.advance(60 * SECOND);
        world.until_called(Operation::Extend, extensions + 1).await;
        world.pass_while_leased(15 * SECOND).await;
    }
    assert_eq!((world.is_leased(id).await, world.record(id).await.lost_leases), (true, 0));
    assert_eq!((world.stage.signs().begun, world.stage.signs().stopped), (1, 0));
    world.stage.let_pass(1);
    world.until_open(0).await;
    running.finish().await;
    other.finish().await;
}

#[tokio::test]
async fn a_fresh_worker_after_a_jump_of_the_clock_takes_no_lease() {
    let world = World::new();
    let id = super::stage::passes_the_gate::defer().on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker()).await;
    world.clock.step_to(world.clock.time().plus(HOUR));
    let fresh = Running::start(world.other_client().worker());
    world.pass_while_leased(60 * SECOND).await;
    assert_eq!((world.is_leased(id).await, world.record(id).await.lost_leases), (true, 0));
    world.stage.let_pass(1);
    world.until_open(0).await;
    running.finish().await;
    fresh.finish().await;
    assert_eq!(world.stage.signs().begun, 1);
}

/// A plain function cannot be stopped, so it keeps its task if the storage is back before another
/// worker took the task.
#[tokio::test]
async fn a_plain_function_outlives_the_absence_of_the_storage() {
    let world = World::new();
    let id = plain_passes_the_gate::defer().deadline(HOUR).on(&world.tasks).await.unwrap().id;
    let running = world.start_one(world.tasks.worker()).await;
    let other = Running::start(world.other_client().worker());
    world.backend.set_down(true);
    world.pass_until(60 * SECOND, |signs| signs.cancelled == 1).await;
    world.backend.set_down(false);
    world.pass(6 * SECOND).await;
    world.pass_while_leased(100 * SECOND).await;
    assert_eq!((world.is_leased(id).await, world.record(id).await.lost_leases), (true, 0));
    world.stage.let_pass(1);
    world.until_open(0).await;
    assert_eq!(world.stage.signs().begun, 1);
    running.finish().await;
    other.finish().await;
}

/// A lost lease is recovered eventually, and dead letters and names are forgotten all the time.
#[tokio::test]
async fn what_is_old_is_forgotten_though_the_clock_jumps() {
    let world = World::new();
    let config = gae_tasks::QueueConfig::new().with_tombstone_retention(20 * SECOND);
    world.tasks.put_queue("default", config).await.unwrap();
    counts::defer().named("n").on(&world.tasks).await.unwrap();
    let running = world.start();
    world.until_open(0).await;
    world.clock.step_to(world.clock.time().plus(SECOND));
    world.pass(30 * SECOND).await;
    let sweep = Sweep::new(Now::At(world.clock.time()), Vec::new(), 100);
    assert_eq!(
        world.backend.sweep(sweep).await.unwrap().forgotten,
        0,
        "the dead letter is forgotten already"
    );
    assert!(counts::defer().named("n").on(&world.tasks).await.unwrap().created);
    running.finish().await;
}

#[tokio::test]
async fn a_worker_stores_the_retention_that_its_client_states() {
    let world = World::new();
    let stated = program(&world.stage).clock(world.clock.clone()).dead_letter_retention(90 * HOUR);
    let faulty =
        world.backend.clone().with(Operation::RaiseRetention, 1, gae_tasks::testing::Fault::Fail);
    let tasks = stated.build(faulty).unwrap();
    let running = Running::start(tasks.worker());
    world.until_called(Operation::RaiseRetention, 1).await;
    world.pass(2 * SECOND).await;
    let queues = world.tasks.queues().await.unwrap();
    let kept: Vec<_> =
        queues.iter().map(|queue| queue.config.clone().unwrap().dead_letter_retention()).collect();
    assert_eq!(kept, [90 * HOUR], "though the first try failed");
    let calls = world.backend.calls(Operation::RaiseRetention);
    world.pass(5 * SECOND).await;
    assert_eq!(world.backend.calls(Operation::RaiseRetention), calls, "once is enough");
    running.finish().await;
}

#[tokio::test]
async fn a_worker_states_its_retention_again_for_a_queue_that_was_deleted() {
    let world = World::new();
    let stated = program(&world.stage).clock(world.clock.clone()).dead_letter_retention(90 * HOUR);
    let running = Running::start(stated.build(world.backend.clone()).unwrap().worker());
    world.until_called(Operation::RaiseRetention, 1).await;
    world.pass(2 * SECOND).await;
    let kept = async || {
        let queues = world.tasks.queues().await.unwrap();
        queues
            .iter()
            .map(|queue| queue.config.clone().unwrap().dead_letter_retention())
            .collect::<Vec<_>>()
    };
    assert_eq!(kept().await, [90 * HOUR]);
    world.tasks.delete_queue("default").await.unwrap();
    world.pass(60 * SECOND).await;
    assert!(kept().await.is_empty(), "the queue is not created");
    counts::defer().on(&world.tasks).await.unwrap();
    world.pass(60 * SECOND).await;
    assert_eq!(kept().await, [90 * HOUR]);
    let shorter = QueueConfig::new().with_dead_letter_retention(HOUR);
    world.tasks.put_queue("default", shorter).await.unwrap();
    world.pass(60 * SECOND).await;
    assert_eq!(kept().await, [HOUR], "a retention shortened by hand stays short");
    running.finish().await;
}
