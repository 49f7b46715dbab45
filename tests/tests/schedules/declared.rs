//! Schedules that programs declare: rolling deploys in both directions, and other programs.

use std::sync::Arc;

use gae_tasks::backend::memory::Memory;
use gae_tasks::testing::ManualClock;
use gae_tasks::{Client, Error, Registry, ScheduleRecord, Timestamp};

use crate::{HOUR, MINUTE, stored, ticks};

/// The tasks of the program as it was.
mod old {
    use gae_tasks::deferred;

    #[deferred(queue = "reports", name = "shop/nightly", cron = "0 3 * * *")]
    pub(super) async fn nightly() {}

    #[deferred(queue = "reports", name = "shop/weekly", cron = "0 4 * * MON")]
    pub(super) async fn weekly() {}
}

/// The tasks of the program as it is now: one ticks at another time, one is gone, one is new.
mod new {
    use gae_tasks::deferred;

    #[deferred(queue = "reports", name = "shop/nightly", cron = "30 3 * * *")]
    pub(super) async fn nightly() {}

    #[deferred(queue = "reports", name = "shop/hourly", cron = "0 * * * *")]
    pub(super) async fn hourly() {}
}

fn old_tasks() -> Registry {
    Registry::new().with::<old::nightly>().with::<old::weekly>()
}

fn new_tasks() -> Registry {
    Registry::new().with::<new::nightly>().with::<new::hourly>()
}

/// A storage that programs share, and their clock.
struct World {
    memory: Arc<Memory>,
    clock: ManualClock,
}

impl World {
    fn new() -> Self {
        Self { memory: Arc::new(Memory::new()), clock: ManualClock::new() }
    }

    fn client(&self, program: &str, revision: u64, tasks: Registry) -> Client {
        let builder = Client::builder().program(program).revision(revision).registry(tasks);
        builder.clock(self.clock.clone()).build(Arc::clone(&self.memory)).unwrap()
    }

    fn old(&self) -> Client {
        self.client("shop", 1, old_tasks())
    }

    fn new_one(&self) -> Client {
        self.client("shop", 2, new_tasks())
    }

    /// Has workers of these programs look once a minute.
    async fn run(&self, minutes: u32, programs: &[&Client]) {
        for _ in 0..minutes {
            self.clock.advance(MINUTE);
            for program in programs {
                program.tick_schedules().await.unwrap();
            }
        }
    }
}

/// The schedules of a program, with their expressions.
async fn shown(tasks: &Client, program: &str) -> Vec<(String, String)> {
    let all = tasks.schedules().await.unwrap().into_iter();
    let own = all.filter(|schedule| schedule.program == program);
    own.map(|ScheduleRecord { name, cron, .. }| (name, cron)).collect()
}

async fn cron(tasks: &Client, name: &str) -> Option<String> {
    let all = shown(tasks, "shop").await.into_iter();
    all.filter(|(of, _)| of == name).map(|(_, cron)| cron).next()
}

#[tokio::test]
async fn a_rolling_deploy_has_the_new_schedules_at_once_and_ends_old_ones_later() {
    let world = World::new();
    let (old, new) = (world.old(), world.new_one());
    world.run(5, &[&old]).await;
    assert_eq!(cron(&old, "shop/nightly").await.as_deref(), Some("0 3 * * *"));
    // Both revisions are at work; which one looks last does not matter.
    for minute in 0..20 {
        let both = if minute % 2 == 0 { [&old, &new] } else { [&new, &old] };
        world.run(1, &both).await;
        assert_eq!(cron(&old, "shop/nightly").await.as_deref(), Some("30 3 * * *"));
        assert_eq!(cron(&old, "shop/hourly").await.as_deref(), Some("0 * * * *"));
        assert!(cron(&old, "shop/weekly").await.is_some(), "an old worker declares it");
    }
    world.run(9, &[&new]).await;
    assert!(cron(&new, "shop/weekly").await.is_some(), "an old worker was seen");
    world.run(2, &[&new]).await;
    assert_eq!(cron(&new, "shop/weekly").await, None);
}

#[tokio::test]
async fn a_rollback_brings_back_what_was_dropped_and_a_higher_revision_all() {
    let world = World::new();
    let (old, new) = (world.old(), world.new_one());
    world.run(1, &[&new]).await;
    for minute in 0..20 {
        let both = if minute % 2 == 0 { [&old, &new] } else { [&new, &old] };
        world.run(1, &both).await;
        assert_eq!(cron(&old, "shop/nightly").await.as_deref(), Some("30 3 * * *"));
        assert!(cron(&old, "shop/weekly").await.is_some());
    }
    world.run(30, &[&old]).await;
    assert_eq!(cron(&old, "shop/nightly").await.as_deref(), Some("30 3 * * *"), "the newest one's");
    assert!(cron(&old, "shop/hourly").await.is_some(), "no newer revision does without it");
    // The rollback is deployed as a revision of its own.
    let rollback = world.client("shop", 3, old_tasks());
    world.run(1, &[&rollback]).await;
    assert_eq!(cron(&old, "shop/nightly").await.as_deref(), Some("0 3 * * *"));
    let names: Vec<_> = shown(&old, "shop").await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["shop/nightly", "shop/weekly"]);
}

#[tokio::test]
async fn each_tick_is_made_once_while_two_revisions_are_at_work() {
    let world = World::new();
    let (old, new) = (world.old(), world.new_one());
    world.run(1, &[&new, &old]).await;
    world.run(60 * 24, &[&old, &new]).await;
    let of = |kind: &'static str| {
        let tasks = &new;
        async move {
            let stored = stored(tasks).await;
            stored.iter().filter(|record| record.spec.kind.as_str() == kind).count()
        }
    };
    assert_eq!(of("shop/nightly").await, 1, "that of the new revision");
    assert_eq!(of("shop/hourly").await, 24);
}

#[tokio::test]
async fn no_program_touches_the_schedules_of_another() {
    let world = World::new();
    let (shop, admin) = (world.old(), world.client("admin", 9, old_tasks()));
    world.run(1, &[&shop, &admin]).await;
    let admin_later = world.client("admin", 10, Registry::new());
    world.run(30, &[&admin_later]).await;
    assert!(shown(&shop, "admin").await.is_empty());
    assert_eq!(shown(&shop, "shop").await.len(), 2);
}

#[tokio::test]
async fn workers_whose_clocks_do_not_agree_make_each_tick_once() {
    let memory = Arc::new(Memory::new());
    let clocks = [ManualClock::new(), ManualClock::new(), ManualClock::new()];
    let client = |clock: &ManualClock| {
        let builder = Client::builder().clock(clock.clone()).registry(Registry::new());
        builder.build(Arc::clone(&memory)).unwrap()
    };
    let clients = clocks.each_ref().map(client);
    let call = old::weekly::defer();
    clients[0].schedule("a", "* * * * *".parse().unwrap(), call).await.unwrap();
    let begin = clocks[0].time();
    // Each second one of them looks, and its clock is wrong by up to 5 seconds.
    for second in 1..=600_u64 {
        let true_time = begin.plus(std::time::Duration::from_secs(second));
        for (place, clock) in clocks.iter().enumerate() {
            let wrong = (second * 7 + place as u64 * 4) % 11;
            let wrong = i64::try_from(wrong).unwrap() - 5;
            clock.step_to(Timestamp::from_micros(true_time.as_micros() + wrong * 1_000_000));
        }
        clients[usize::try_from(second % 3).unwrap()].tick_schedules().await.unwrap();
    }
    let made = ticks(&clients[0]).await;
    let expected: Vec<_> = (1..=10).map(|minute| format!("20260101T00{minute:02}00Z")).collect();
    assert_eq!(made, expected);
}

#[tokio::test]
async fn what_workers_declare_cannot_be_removed_or_replaced_by_hand() {
    let world = World::new();
    let old = world.old();
    world.run(1, &[&old]).await;
    let refused = old.remove_schedule("shop/weekly").await.unwrap_err();
    assert!(matches!(refused, Error::Schedule { .. }), "{refused}");
    let call = old::weekly::defer();
    let refused = old.schedule("shop/weekly", "* * * * *".parse().unwrap(), call).await;
    assert!(refused.unwrap_err().to_string().contains("declared by the program"));
    old.pause_schedule("shop/nightly").await.unwrap();
    world.clock.advance(24 * HOUR);
    world.run(1, &[&old]).await;
    assert_eq!(stored(&old).await.len(), 0, "it is paused through all declarations");
    world.clock.advance(HOUR);
    old.remove_schedule("shop/weekly").await.unwrap();
}
