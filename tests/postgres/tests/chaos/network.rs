//! A network that stalls, cuts connections in the midst of answers, and loses the answers to
//! commits.

use std::time::Duration;

use gae_tasks::Client;
use gae_tasks_tests::chaos::{carry, hold};
use gae_tasks_tests_postgres::proxy::is_commit;
use gae_tasks_tests_postgres::{Cluster, Proxy};
use tokio::time::timeout;

use super::load::Load;
use super::place::Place;
use super::stage::{Dice, SECOND, Stage, length, now};

/// What the calls say whose connection is lost.
const LOST: [&str; 2] = ["failed at the database", "cannot use the database"];

async fn stage() -> (Stage, Proxy) {
    let cluster = Cluster::shared().await;
    let (database, proxy) = (cluster.database().await, Proxy::before(cluster.port()).await);
    let url = proxy.url(database.name());
    (Stage::on(Place::through(database, &url)).await, proxy)
}

#[tokio::test]
async fn a_network_that_does_its_worst_loses_nothing() {
    let ((stage, proxy), mut dice) = (stage().await, Dice::new());
    let load = Load::start(&stage, 2, 2.0).await;
    let (begun, mut troubles) = (now(), 0);
    while now() - begun < length(10, 300) {
        tokio::time::sleep(dice.millis(20..200)).await;
        trouble(&proxy, &mut dice).await;
        troubles += 1;
    }
    println!("{troubles} troubles");
    load.goes_on().await;
    load.end().await.assert_only(&LOST);
}

async fn trouble(proxy: &Proxy, dice: &mut Dice) {
    match dice.below(5) {
        0 => {
            proxy.stall();
            tokio::time::sleep(dice.millis(50..500)).await;
            proxy.resume();
        }
        1 => proxy.cut(),
        2 => {
            let withheld = proxy.withhold(is_commit);
            _ = timeout(SECOND, withheld.answered()).await;
            tokio::time::sleep(dice.millis(0..500)).await;
            if dice.below(3) > 0 {
                withheld.cut();
            }
        }
        3 => {
            let mut messages = dice.below(20);
            let is_meant = move |_: &[u8]| {
                messages = messages.saturating_sub(1);
                messages == 0
            };
            let cut = proxy.cut_answer(is_meant);
            _ = timeout(SECOND, cut.answered()).await;
        }
        _ => {
            proxy.refuse().await;
            proxy.cut();
            tokio::time::sleep(dice.millis(0..400)).await;
            proxy.accept().await;
        }
    }
}

#[tokio::test]
async fn a_task_whose_commit_is_not_answered_until_it_has_run_does_not_run_again() {
    for is_cut in [true, false] {
        let (stage, proxy) = stage().await;
        let far = Client::open(&stage.place.programs_url()).await.unwrap();
        // Stores what the tasks share.
        let first = carry::defer("").on(&far).await.unwrap().id;
        let withheld = proxy.withhold(is_commit);
        let call = tokio::spawn(async move { carry::defer("").on(&far).await });
        withheld.answered().await;
        let near = Stage::on(Place::of(stage.place.database.clone())).await;
        let _worker = near.worker().start();
        near.until_open(0, 10 * SECOND).await;
        assert_eq!(near.history().attempts.len(), 2, "the commit was not sent");
        if is_cut {
            withheld.cut()
        } else {
            withheld.release()
        }
        let stored = timeout(30 * SECOND, call).await.expect("an answer").unwrap().unwrap().id;
        // Time in which a second copy would run.
        let later = hold::defer(0_u64).after(Duration::from_millis(1_500)).on(&near.tasks);
        let later = later.await.unwrap().id;
        near.until_begun(&[later], 1).await;
        let history = near.history();
        let begun = [first, stored].map(|task| history.begun(task));
        assert_eq!((begun, history.attempts.len()), ([1, 1], 3), "cut: {is_cut}");
    }
}

/// Leases and settlements whose answers are lost.
#[tokio::test]
async fn tasks_whose_workers_do_not_hear_of_commits_run_once() {
    let ((stage, proxy), mut dice) = (stage().await, Dice::new());
    let tasks = stage.tasks.defer_many((0..200).map(|_| hold::defer(20_u64))).await.unwrap();
    let _worker = stage.worker().lease(2.0).concurrency(10).start();
    while stage.tasks.stats().await.unwrap().open() > 0 {
        let withheld = proxy.withhold(is_commit);
        if timeout(SECOND / 2, withheld.answered()).await.is_ok() {
            tokio::time::sleep(dice.millis(0..50)).await;
            withheld.cut();
        }
        tokio::time::sleep(dice.millis(0..200)).await;
    }
    let history = stage.history();
    history.assert_nothing_ran_beside_itself();
    let again = tasks.iter().filter(|task| history.begun(task.id) != 1).count();
    assert_eq!(again, 0, "of 200 tasks did not run once");
}
