//! Wakeups: listeners are notified when a task may have become due.

use tokio::sync::watch;

use super::stage::{LEASE, Stage, at, permanent, refuse, retry, secs};
use crate::backend::{NewTask, Verdict};
use crate::time::Schedule;

fn listen(on: &Stage) -> watch::Receiver<u64> {
    let mut wakeups = on.backend.wakeups();
    wakeups.mark_unchanged();
    wakeups
}

fn assert_woken(wakeups: &watch::Receiver<u64>) {
    assert!(wakeups.has_changed().expect("the backend is there"), "the listener was not woken");
}

pub(super) async fn a_stored_task_wakes(on: Stage) {
    let wakeups = listen(&on);
    on.store(at(0), on.task()).await;
    assert_woken(&wakeups);
}

pub(super) async fn a_task_stored_for_later_wakes(on: Stage) {
    // The task may be due before the time that the worker waits for.
    let wakeups = listen(&on);
    on.store(at(0), NewTask { schedule: Schedule::After(secs(5)), ..on.task() }).await;
    assert_woken(&wakeups);
}

pub(super) async fn every_listener_is_woken(on: Stage) {
    let (one, two) = (listen(&on), listen(&on));
    on.store(at(0), on.task()).await;
    assert_woken(&one);
    assert_woken(&two);
}

pub(super) async fn a_queue_that_goes_on_wakes(on: Stage) {
    on.store(at(0), on.task()).await;
    on.pause("q", true).await;
    let wakeups = listen(&on);
    on.pause("q", false).await;
    assert_woken(&wakeups);
}

pub(super) async fn a_task_made_due_wakes(on: Stage) {
    let id = on.store(at(0), NewTask { schedule: Schedule::After(secs(500)), ..on.task() }).await;
    let wakeups = listen(&on);
    on.run_now(at(1), id).await.expect("the task waits");
    assert_woken(&wakeups);
}

pub(super) async fn a_replay_wakes(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    on.attempt(at(0), permanent()).await;
    let wakeups = listen(&on);
    on.replay(at(1), id).await.expect("the dead letter is replayed");
    assert_woken(&wakeups);
}

pub(super) async fn a_retry_wakes(on: Stage) {
    on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    let wakeups = listen(&on);
    on.settle(at(0), lease, retry()).await;
    assert_woken(&wakeups);
}

pub(super) async fn a_refusal_wakes(on: Stage) {
    // Another reader may have the task at once.
    on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    let wakeups = listen(&on);
    on.settle(at(0), lease, refuse("what")).await;
    assert_woken(&wakeups);
}

pub(super) async fn a_release_wakes(on: Stage) {
    on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    let wakeups = listen(&on);
    on.settle(at(0), lease, Verdict::Release).await;
    assert_woken(&wakeups);
}

pub(super) async fn a_recovered_lease_wakes(on: Stage) {
    on.store(at(0), on.task()).await;
    on.lease_one(at(0)).await;
    let wakeups = listen(&on);
    on.sweep(at(0).plus(LEASE), 100).await;
    assert_woken(&wakeups);
}

pub(super) async fn reading_and_finishing_wake_nobody(on: Stage) {
    on.store_plain(at(0), 2).await;
    let leased = on.lease_all(at(0)).await;
    let wakeups = listen(&on);
    on.settle(at(0), leased[0].lease, Verdict::Done).await;
    on.extend(at(0), vec![leased[1].lease], LEASE).await;
    on.all().await;
    on.stats(at(0)).await;
    on.sweep(at(0), 100).await;
    assert!(!wakeups.has_changed().expect("the backend is there"));
}
