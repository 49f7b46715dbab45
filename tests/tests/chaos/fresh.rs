//! A worker that starts during a clock change and has not seen the leases before it.

use gae_tasks_tests::chaos::obey;

use super::place;
use super::stage::{HOUR, SECOND, Stage, TOLERANCE, now};

/// The lease of the worker that is killed, in seconds, and the time within which that is found.
const DEAD: (f64, std::time::Duration) =
    if place::HAS_LOCKS { (60.0, SECOND) } else { (1.0, std::time::Duration::from_secs(3)) };

/// Starts a worker after all clocks were set and one of the other workers was killed.
async fn start_after_a_jump_of(seconds: i64) {
    let stage = Stage::new().await;
    let orders = stage.orders("orders");
    let queues = ["1", "1-2", "5", "30", "dead"];
    let (mut workers, mut tasks) = (Vec::new(), Vec::new());
    for (queue, lease) in queues.into_iter().zip([1.0, 1.2, 5.0, 30.0, DEAD.0]) {
        tasks.push(obey::defer(orders.file()).queue(queue).on(&stage.tasks).await.unwrap().id);
        workers.push(stage.worker().queues(&[queue]).lease(lease).start());
        stage.until_begun(&tasks, tasks.len()).await;
    }
    workers.iter().for_each(|worker| worker.clock.set(seconds).unwrap());
    workers.pop().unwrap().kill();
    let dead = tasks.pop().unwrap();
    let since = now();
    let _fresh = stage.worker().queues(&queues).clock(seconds).start();
    tokio::time::sleep(3 * SECOND + TOLERANCE).await;
    let history = stage.history();
    let taken: Vec<_> =
        tasks.iter().zip(queues).filter(|(task, _)| history.begun(**task) > 1).collect();
    assert!(taken.is_empty(), "live leases that were taken: {taken:?}");
    let next = history.of(dead).get(1).map(|next| next.begun - since);
    assert!(
        next.is_some_and(|after| after < DEAD.1 + TOLERANCE),
        "the dead worker's task was retried after {next:?}"
    );
    orders.done();
    stage.until_open(0, 5 * SECOND).await;
    stage.history().assert_nothing_ran_beside_itself();
}

#[tokio::test]
async fn a_fresh_worker_takes_no_live_lease_after_the_clock_was_set_ahead() {
    start_after_a_jump_of(HOUR).await;
}

#[tokio::test]
async fn a_fresh_worker_takes_no_live_lease_after_the_clock_was_set_back() {
    start_after_a_jump_of(-HOUR).await;
}
