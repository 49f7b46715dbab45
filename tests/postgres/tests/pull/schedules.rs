//! Several processes tick the schedules of one database, whose clock is set too.

use gae_tasks::{Client, Cron, Missed, Registry, TaskFilter};
use gae_tasks_tests::ticks::{race, stamp};
use gae_tasks_tests_postgres::{Cluster, Skew};

#[tokio::test]
async fn four_processes_make_each_tick_once_though_they_are_killed_and_their_clocks_are_set() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Cluster::shared().await.database().await;
    race(env!("CARGO_BIN_EXE_postgres-ticks"), &database.url(), folder.path(), 15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_clock_is_set_makes_each_tick_once() {
    let database = Cluster::shared().await.database().await;
    let skew = Skew::of(&database).await;
    let client = async || {
        let builder = Client::builder().program("skewed").registry(Registry::new());
        builder.open(&database.url()).await.expect("it opens")
    };
    let workers = [client().await, client().await];
    let cron: Cron = "* * * * *".parse().expect("it is valid");
    let schedule = workers[0].schedule("a", cron.clone(), stamp::defer(1));
    schedule.missed(Missed::All(1_000)).await.expect("it is stored");
    let mut made = 0;
    // Time passes, and now and then the clock is set by 5 seconds.
    for second in (0..600).step_by(7) {
        for (place, set) in [0, 5, -5].into_iter().enumerate() {
            skew.set(second + set).await;
            let tick = workers[place % 2].tick_schedules().await;
            made += tick.expect("the server answers");
        }
    }
    let stored = workers[0].list(TaskFilter::new(), None, 1_000).await.expect("it answers");
    let [schedule] = workers[0].schedules().await.expect("it answers").try_into().expect("one");
    let last = schedule.last_tick.expect("it has ticked");
    let expected = cron.ticks_between(schedule.declared, last).count();
    assert!(expected >= 9, "{expected} ticks in ten minutes");
    // Their names differ, as no two tasks of a queue have one name.
    assert_eq!((stored.len(), made), (expected, expected as u64));
}
