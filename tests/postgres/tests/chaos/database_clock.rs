//! A database whose clock differs from those of the processes, and jumps: what is due is due by the
//! database's clock, and no clock decides which lease is lost.

use std::time::{Duration, SystemTime};

use gae_tasks_tests::chaos::{hold, obey};
use gae_tasks_tests_postgres::{Cluster, Skew};

use super::place::Place;
use super::stage::{HOUR, SECOND, Stage, TOLERANCE, now};

async fn stage() -> (Stage, Skew) {
    let database = Cluster::shared().await.database().await;
    let skew = Skew::of(&database).await;
    (Stage::on(Place::of(database)).await, skew)
}

#[tokio::test]
async fn what_is_due_is_due_by_the_clock_of_the_database() {
    for skew in [HOUR, -HOUR] {
        let (stage, clock) = stage().await;
        clock.set(skew).await;
        let _worker = stage.worker().start();
        let since = now();
        let after = hold::defer(0_u64).after(2 * SECOND).on(&stage.tasks).await.unwrap().id;
        let there = SystemTime::UNIX_EPOCH + now();
        let hour = Duration::from_secs(HOUR.unsigned_abs());
        let there = if skew > 0 { there + hour } else { there - hour };
        let at = hold::defer(0_u64).at(there + 2 * SECOND).on(&stage.tasks).await.unwrap().id;
        let plain = hold::defer(0_u64).on(&stage.tasks).await.unwrap().id;
        stage.until_begun(&[after, at, plain], 3).await;
        let history = stage.history();
        let took = |task| history.of(task)[0].begun - since;
        println!("{skew}: {:?} {:?} {:?}", took(plain), took(after), took(at));
        assert!(took(plain) < SECOND + TOLERANCE);
        for task in [after, at] {
            assert!(took(task) >= 2 * SECOND - SECOND / 10, "early: {:?}", took(task));
            assert!(took(task) < 4 * SECOND + TOLERANCE, "late: {:?}", took(task));
        }
    }
}

#[tokio::test]
async fn no_live_lease_is_taken_though_the_clock_of_the_database_jumps() {
    for skew in [HOUR, -HOUR] {
        let (stage, clock) = stage().await;
        let orders = stage.orders("orders");
        let (mut workers, mut tasks) = (Vec::new(), Vec::new());
        for (queue, lease) in [("a", 1.0), ("b", 5.0), ("c", 30.0), ("dead", 1.0)] {
            tasks.push(obey::defer(orders.file()).queue(queue).on(&stage.tasks).await.unwrap().id);
            workers.push(stage.worker().queues(&[queue]).lease(lease).start());
            stage.until_begun(&tasks, tasks.len()).await;
        }
        let queues = ["a", "b", "c", "dead"];
        let _observer = stage.worker().queues(&queues).lease(1.0).start();
        tokio::time::sleep(SECOND).await;
        clock.set(skew).await;
        let _fresh = stage.worker().queues(&queues).lease(1.0).start();
        tokio::time::sleep(SECOND).await;
        let killed = now();
        workers[3].kill();
        super::stage::until("the next attempt", 3 * SECOND + TOLERANCE, async || {
            stage.history().begun(tasks[3]) == 2
        })
        .await;
        println!("{skew}: recovered after {:?}", stage.history().of(tasks[3])[1].begun - killed);
        tokio::time::sleep(2 * SECOND).await;
        let history = stage.history();
        let taken: Vec<_> = tasks[..3].iter().filter(|task| history.begun(**task) > 1).collect();
        assert!(taken.is_empty(), "live leases that were taken: {taken:?}");
        orders.done();
        stage.until_open(0, 10 * SECOND).await;
        stage.history().assert_nothing_ran_beside_itself();
    }
}
