//! The role of a worker that ticks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gae_tasks::backend::memory::Memory;
use gae_tasks::backend::{Backend, NewSchedule, PutSchedules};
use gae_tasks::testing::{Fault, Faulty, ManualClock, Operation};
use gae_tasks::{Client, Clock, Error, Registry, deferred};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::{MINUTE, time};

/// How often the tasks have run.
#[derive(Debug, Clone, Default)]
struct Ran(Arc<AtomicUsize>);

#[deferred(name = "worker/declared", cron = "*/5 * * * *")]
async fn declared(#[state] ran: &Ran) {
    ran.0.fetch_add(1, Ordering::SeqCst);
}

#[deferred(name = "worker/made")]
async fn made(#[state] ran: &Ran) {
    ran.0.fetch_add(1, Ordering::SeqCst);
}

const NEVER: &str = "0 25 * * *";

#[deferred(name = "worker/never", cron = NEVER)]
async fn never() {}

struct World {
    clock: ManualClock,
    backend: Faulty<Memory>,
    tasks: Client,
    ran: Ran,
}

impl World {
    fn new(backend: Faulty<Memory>, registry: Registry) -> Self {
        let (clock, ran) = (ManualClock::new(), Ran::default());
        let builder = Client::builder().clock(clock.clone()).state(ran.clone());
        let tasks = builder.program("worker").registry(registry).build(backend.clone()).unwrap();
        Self { clock, backend, tasks, ran }
    }

    /// A program that declares nothing.
    fn of_made() -> Self {
        Self::new(Faulty::new(Memory::new()), Registry::new().with::<made>())
    }

    async fn make(&self) {
        let schedule = self.tasks.schedule("a", "* * * * *".parse().unwrap(), made::defer());
        schedule.await.unwrap();
    }

    fn ran(&self) -> usize {
        self.ran.0.load(Ordering::SeqCst)
    }

    /// Lets time pass, second by second.
    async fn pass(&self, time: Duration) {
        for _ in 0..time.as_secs() {
            self.clock.advance(Duration::from_secs(1));
            turns().await;
        }
    }
}

/// Yields often enough that all other futures of this thread finish their current work.
async fn turns() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// A worker, until it is stopped.
struct Running(Arc<Notify>, JoinHandle<Result<(), Error>>);

impl Running {
    async fn start(world: &World) -> Self {
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let signal = async move { stopped.notified().await };
        let worker = world.tasks.worker().with_graceful_shutdown(signal);
        let running = tokio::spawn(worker.into_future());
        turns().await;
        Self(stop, running)
    }

    async fn stop(self) {
        self.0.notify_one();
        self.1.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_worker_declares_its_schedules_and_ticks_them_until_it_is_stopped() {
    let world = World::new(Faulty::new(Memory::new()), Registry::new().with::<declared>());
    let worker = Running::start(&world).await;
    let [schedule] = world.tasks.schedules().await.unwrap().try_into().unwrap();
    assert_eq!((schedule.program.as_str(), schedule.name.as_str()), ("worker", "worker/declared"));
    world.pass(5 * MINUTE - Duration::from_secs(1)).await;
    assert_eq!(world.ran(), 0);
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.ran(), 1, "it starts within the second");
    world.pass(5 * MINUTE).await;
    assert_eq!(world.ran(), 2);
    let [schedule] = world.tasks.schedules().await.unwrap().try_into().unwrap();
    let unseen = world.clock.time().since(schedule.seen);
    assert!(unseen < 3 * MINUTE, "it was declared {unseen:?} ago");
    worker.stop().await;
    world.pass(10 * MINUTE).await;
    assert_eq!((world.ran(), world.tasks.stats().await.unwrap().open()), (2, 0));
}

#[tokio::test]
async fn a_schedule_that_is_made_beside_a_worker_is_looked_at_at_once() {
    let world = World::of_made();
    let worker = Running::start(&world).await;
    world.make().await;
    turns().await;
    let [schedule] = world.tasks.schedules().await.unwrap().try_into().unwrap();
    assert_eq!(schedule.next_tick, Some(time("2026-01-01T00:01:00Z")), "no time has passed");
    world.pass(MINUTE).await;
    assert_eq!(world.ran(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_tick_that_cannot_be_stored_is_made_later_and_once() {
    let world = World::of_made();
    let worker = Running::start(&world).await;
    world.make().await;
    world.pass(MINUTE / 2).await;
    world.backend.set_down(true);
    world.pass(MINUTE).await;
    world.backend.set_down(false);
    world.pass(MINUTE / 4).await;
    assert_eq!(world.ran(), 1);
    world.pass(MINUTE / 4).await;
    assert_eq!(world.ran(), 2, "the next one is on time");
    worker.stop().await;
}

#[tokio::test]
async fn a_tick_whose_answer_is_lost_is_made_once() {
    let world = World::of_made();
    let worker = Running::start(&world).await;
    world.make().await;
    turns().await;
    _ = world.backend.clone().with(Operation::Tick, 1, Fault::LoseAnswer);
    world.pass(2 * MINUTE - Duration::from_secs(1)).await;
    assert_eq!(world.ran(), 1);
    assert!(world.backend.calls(Operation::Tick) >= 2);
    worker.stop().await;
}

#[tokio::test]
async fn a_tick_for_which_a_request_fails_holds_up_no_other() {
    let world = World::of_made();
    let worker = Running::start(&world).await;
    world.make().await;
    let other = world.tasks.schedule("b", "* * * * *".parse().unwrap(), made::defer());
    other.await.unwrap();
    turns().await;
    // The request for both, and then that for the first alone.
    for call in [1, 2] {
        _ = world.backend.clone().with(Operation::Tick, call, Fault::Fail);
    }
    world.pass(MINUTE + Duration::from_secs(1)).await;
    assert_eq!(world.ran(), 1, "that of the other is made");
    world.pass(Duration::from_secs(15)).await;
    assert_eq!(world.ran(), 2, "it is tried again");
    world.pass(MINUTE / 2 + Duration::from_secs(15)).await;
    assert_eq!(world.ran(), 4, "both go on");
    worker.stop().await;
}

#[tokio::test]
async fn a_program_whose_schedules_cannot_be_declared_ticks_those_that_are_stored() {
    let registry = Registry::new().with::<made>().with::<declared>();
    let world = World::new(Faulty::new(Memory::new()), registry);
    world.make().await;
    for call in 1..=70 {
        _ = world.backend.clone().with(Operation::PutSchedules, call, Fault::Fail);
    }
    let worker = Running::start(&world).await;
    world.pass(MINUTE).await;
    assert_eq!((world.ran(), world.tasks.schedules().await.unwrap().len()), (1, 1));
    world.pass(MINUTE / 2).await;
    assert_eq!(world.tasks.schedules().await.unwrap().len(), 2, "it is tried again");
    worker.stop().await;
}

#[tokio::test]
async fn where_there_is_no_schedule_a_worker_looks_after_sweeps_only() {
    let world = World::of_made();
    let worker = Running::start(&world).await;
    world.pass(2 * MINUTE).await;
    let (looks, sweeps) =
        (world.backend.calls(Operation::DueSchedules), world.backend.calls(Operation::Sweep));
    // Two more: as the worker starts, and as it declares what it has after two minutes.
    assert!(looks > 100 && looks <= sweeps + 2, "{looks} looks, {sweeps} sweeps");
    worker.stop().await;
}

#[tokio::test]
async fn schedules_that_cannot_be_read_hold_up_no_other() {
    let world = World::of_made();
    let damaged = |number| NewSchedule::new(format!("{number:03}"), "* * * * *", vec![1, 99]);
    // More than are read at once.
    let schedules = (0..500).map(damaged).collect();
    let request = PutSchedules::new(world.clock.now(), "another", schedules);
    world.backend.put_schedules(request).await.unwrap();
    world.make().await;
    let worker = Running::start(&world).await;
    world.pass(MINUTE).await;
    assert_eq!(world.ran(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_whose_schedules_cannot_be_is_refused() {
    let world = World::new(Faulty::new(Memory::new()), Registry::new().with::<never>());
    let refused = world.tasks.worker().await.unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, Error::Misconfigured { .. }), "{text}");
    assert!(text.contains("`worker/never`") && text.contains(NEVER), "{text}");
    let refused = world.tasks.tick_schedules().await.unwrap_err();
    assert!(matches!(refused, Error::Misconfigured { .. }), "{refused}");
}
