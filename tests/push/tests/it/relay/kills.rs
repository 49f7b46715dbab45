//! Relays that are killed between the creation of a task and the record of it.

use std::collections::BTreeSet;
use std::time::Duration;

use gae_tasks::SystemClock;
use gae_tasks::backend::{Pull, Sweep};
use gae_tasks_tests_push::rolling::Random;

use super::stage::{Running, Stage, mail};

/// How many relays are killed.
const KILLS: usize = 1_000;

/// The longest life of a relay after it has asked for a task, in microseconds: often not enough to
/// record that the task is created.
const LIFE: u64 = 6_000;

/// Starts a relay, and kills it when it has asked for a task.
async fn kill_one(stage: &Stage, random: &mut Random) {
    let before = stage.server.calls("CreateTask");
    // Few at a time: the calls of the killed relays go on, as the client lives.
    let relay = Running::start(stage.relay().concurrency(2));
    while stage.server.calls("CreateTask") == before {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    tokio::time::sleep(Duration::from_micros(random.number() % LIFE)).await;
    relay.kill().await;
}

/// Expires all leases of relays that were killed.
async fn expire(stage: &Stage) {
    let now = || gae_tasks::Clock::now(&SystemClock);
    let held = stage.backend.sweep(Sweep::new(now(), Vec::new(), 1_000)).await.unwrap().held;
    stage.backend.sweep(Sweep::new(now(), held, 1_000)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_kills_lose_no_task_and_make_none_twice() {
    let seed = std::env::var("RELAY_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("RELAY_SEED={seed}");
    let (stage, mut random) = (Stage::open().await, Random::new(seed));
    for kill in 0..KILLS {
        let task = mail::defer(kill.to_string());
        let task = if kill % 2 == 0 { task.named(format!("named-{kill}")) } else { task };
        task.on(&stage.tasks).await.unwrap();
        kill_one(&stage, &mut random).await;
        expire(&stage).await;
    }
    // Each further call is one for a task that a killed relay had asked to create.
    let left = usize::try_from(stage.tasks.stats().await.unwrap().open()).unwrap();
    let again = (stage.server.calls("CreateTask") + left).saturating_sub(KILLS);
    println!("{again} creations were not recorded; {left} tasks are left");
    assert!(again > 0, "no relay was killed between creation and record");
    let relay = Running::start(stage.relay());
    stage
        .within(Duration::from_secs(120), async || stage.tasks.stats().await.unwrap().open() == 0)
        .await;
    relay.stop().await;
    let created = stage.created();
    let names: BTreeSet<_> = created.iter().map(|task| task["name"].as_str().unwrap()).collect();
    assert_eq!((created.len(), names.len()), (KILLS, KILLS));
    assert_eq!(stage.tasks.stats().await.unwrap().dead, 0, "no loss counts as an attempt");
    assert_eq!(names.iter().filter(|name| name.contains("/named-")).count(), KILLS / 2);
}
