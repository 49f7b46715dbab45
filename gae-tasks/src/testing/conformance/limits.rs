//! The limits of queues: how many of their tasks run at a time, and that a lease of such a task
//! means that it starts.

use std::sync::Arc;

use tokio::sync::watch;

use super::stage::{LEASE, ROOM, Stage, at, ids, permanent, queue, retry, secs};
use crate::backend::{Lease, LeasedTask, ReplaceQueue, Room, Verdict};
use crate::queue::QueueConfig;
use crate::task::TaskId;
use crate::time::Timestamp;

const fn places(most: u32) -> QueueConfig {
    QueueConfig::new().with_max_concurrent_dispatches(most)
}

/// Configures queue `q`, and stores this many tasks in it.
async fn stored(on: &Stage, config: QueueConfig, tasks: usize) -> Vec<TaskId> {
    on.configure("q", config).await;
    on.store_plain(at(0), tasks).await
}

async fn stored_in(on: &Stage, name: &str, tasks: usize) -> Vec<TaskId> {
    let task = |_| on.task().with(|task| task.spec.queue = queue(name));
    let stored = on.enqueue(at(0), (0..tasks).map(task).collect()).await;
    stored.into_iter().map(|deferred| deferred.id).collect()
}

/// Leases all that queues `q` and `r` give; returns how many tasks that is.
async fn given(on: &Stage, now: Timestamp) -> usize {
    on.lease_all(now).await.len()
}

fn count(tasks: &[LeasedTask], name: &str) -> usize {
    tasks.iter().filter(|task| task.spec.queue == queue(name)).count()
}

fn listen(on: &Stage) -> watch::Receiver<u64> {
    let mut wakeups = on.backend.wakeups();
    wakeups.mark_unchanged();
    wakeups
}

fn is_woken(wakeups: &watch::Receiver<u64>) -> bool {
    wakeups.has_changed().expect("the backend is there")
}

pub(super) async fn no_more_tasks_are_leased_than_may_run_at_a_time(on: Stage) {
    stored(&on, places(3), 20).await;
    let leased = on.lease(on.leasing(at(0))).await;
    assert_eq!((leased.tasks.len(), leased.next, leased.held_back), (3, None, false));
    let closed = on.lease(on.leasing(at(5))).await;
    assert_eq!((closed.tasks.len(), closed.next, closed.held_back), (0, None, false));
    assert_eq!(given(&on, at(0).plus(LEASE).plus(LEASE)).await, 0, "expired leases count too");
}

pub(super) async fn however_an_attempt_ends_its_place_is_free(on: Stage) {
    stored(&on, places(1), 20).await;
    let undeliverable = Verdict::Undeliverable { error: "no such queue".to_owned() };
    for verdict in [Verdict::Done, retry(), permanent(), Verdict::Release, undeliverable] {
        let leased = on.lease_one(at(0)).await;
        assert_eq!(given(&on, at(0)).await, 0);
        on.settle(at(0), leased.lease, verdict).await;
    }
    assert_eq!(given(&on, at(0)).await, 1);
}

pub(super) async fn a_lost_lease_counts_until_it_is_recovered(on: Stage) {
    stored(&on, places(2), 9).await;
    assert_eq!(given(&on, at(0)).await, 2);
    let lost = at(0).plus(LEASE);
    assert_eq!(given(&on, lost).await, 0);
    assert_eq!(on.sweep(lost, 1).await.recovered, 1);
    assert_eq!(given(&on, lost).await, 1);
    assert_eq!(on.sweep(lost, 100).await.recovered, 1);
    assert_eq!(given(&on, lost).await, 1);
}

pub(super) async fn a_deleted_or_purged_task_leaves_its_place(on: Stage) {
    stored(&on, places(2), 9).await;
    let leased = on.lease_all(at(0)).await;
    assert!(on.delete(at(0), leased[0].lease.id).await);
    assert_eq!(given(&on, at(0)).await, 1);
    on.purge(at(0), "q").await;
    on.store_plain(at(0), 9).await;
    assert_eq!(given(&on, at(0)).await, 2);
}

pub(super) async fn leases_that_are_extended_apart_count_on(on: Stage) {
    stored(&on, places(3), 9).await;
    let leased = on.lease_all(at(0)).await;
    on.extend(at(1), vec![leased[1].lease], LEASE).await;
    assert_eq!(given(&on, at(1)).await, 0);
    on.settle(at(1), leased[1].lease, Verdict::Done).await;
    assert_eq!([given(&on, at(1)).await, given(&on, at(1)).await], [1, 0]);
    on.settle(at(1), leased[0].lease, Verdict::Done).await;
    on.settle(at(1), leased[2].lease, Verdict::Done).await;
    assert_eq!(given(&on, at(1)).await, 2);
}

pub(super) async fn a_new_limit_counts_what_runs_already(on: Stage) {
    stored(&on, QueueConfig::new(), 2).await;
    stored_in(&on, "r", 3).await;
    let earlier = on.lease_all(at(0)).await;
    assert_eq!(earlier.len(), 5);
    on.store_plain(at(0), 9).await;
    on.configure("q", places(3)).await;
    assert_eq!([given(&on, at(0)).await, given(&on, at(0)).await], [1, 0]);
    let of_q = earlier.iter().filter(|task| task.spec.queue == queue("q"));
    for task in of_q {
        on.settle(at(0), task.lease, Verdict::Done).await;
        assert_eq!([given(&on, at(0)).await, given(&on, at(0)).await], [1, 0]);
    }
    let of_r = earlier.iter().filter(|task| task.spec.queue == queue("r"));
    for task in of_r {
        on.settle(at(0), task.lease, Verdict::Done).await;
    }
    assert_eq!(given(&on, at(0)).await, 0, "tasks of another queue");
}

pub(super) async fn replaced_limits_count_what_runs_already_and_wake(on: Stage) {
    let replace = async |config| {
        let wakeups = listen(&on);
        let request = ReplaceQueue::new(queue("q"), config);
        on.backend.replace_queue(request).await.expect("replace_queue answers");
        assert!(is_woken(&wakeups));
    };
    stored(&on, QueueConfig::new(), 2).await;
    assert_eq!(given(&on, at(0)).await, 2);
    on.store_plain(at(0), 9).await;
    replace(places(3)).await;
    assert_eq!([given(&on, at(0)).await, given(&on, at(0)).await], [1, 0]);
    replace(QueueConfig::new()).await;
    assert_eq!(given(&on, at(0)).await, 8, "no limit is left");
    on.store_plain(at(0), 1).await;
    replace(places(11)).await;
    assert_eq!(given(&on, at(0)).await, 0, "eleven run");
    replace(places(12)).await;
    assert_eq!(given(&on, at(0)).await, 1);
}

pub(super) async fn a_new_limit_counts_what_a_relay_holds(on: Stage) {
    stored(&on, QueueConfig::new().with_max_dispatches_per_second(100.0), 20).await;
    let mut held = 0;
    for most in [3, 6] {
        let relay = Lease { room: Room::unwatched(2), ..on.leasing(at(0)) };
        held += on.lease(relay).await.tasks.len();
        on.configure("q", places(most)).await;
        assert_eq!(given(&on, at(0)).await, 1, "beside {held}");
        assert_eq!(given(&on, at(0)).await, 0);
        held += 1;
    }
}

pub(super) async fn changed_limits_hold_at_the_next_lease(on: Stage) {
    stored(&on, places(1), 20).await;
    assert_eq!(given(&on, at(0)).await, 1);
    on.configure("q", places(4)).await;
    let leased = on.lease_all(at(0)).await;
    assert_eq!(leased.len(), 3);
    on.configure("q", places(2)).await;
    for (task, more) in leased.iter().zip([0, 0, 1]) {
        on.settle(at(0), task.lease, Verdict::Done).await;
        assert_eq!(given(&on, at(0)).await, more);
    }
}

pub(super) async fn both_limits_of_a_queue_hold(on: Stage) {
    stored(&on, places(2).with_max_dispatches_per_second(1.0).with_max_burst_size(3), 20).await;
    let leased = on.lease_all(at(0)).await;
    assert_eq!(leased.len(), 2);
    on.settle(at(0), leased[0].lease, Verdict::Done).await;
    on.settle(at(0), leased[1].lease, Verdict::Done).await;
    let last = on.lease(on.leasing(at(0))).await;
    assert_eq!((last.tasks.len(), last.next), (1, Some(secs(1))), "the last token");
    assert_eq!([given(&on, at(1)).await, given(&on, at(2)).await], [1, 0]);
}

pub(super) async fn a_task_that_is_run_by_hand_runs_beside_those_that_may(on: Stage) {
    let all = stored(&on, places(1), 9).await;
    let first = on.lease_one(at(0)).await;
    on.run_now(at(0), all[7]).await.expect("the task waits");
    let forced = on.lease_one(at(0)).await;
    assert_eq!((forced.lease.id, forced.forced, forced.at_once), (all[7], true, true));
    on.settle(at(0), first.lease, Verdict::Done).await;
    assert_eq!(given(&on, at(0)).await, 0, "it counts for the others");
    on.settle(at(0), forced.lease, Verdict::Done).await;
    assert_eq!(given(&on, at(0)).await, 1);
}

pub(super) async fn a_task_that_is_run_by_hand_counts_for_the_turn_of_its_queue(on: Stage) {
    let slow = QueueConfig::new().with_max_dispatches_per_second(0.01).with_max_burst_size(1);
    let of_q = stored(&on, slow, 2).await;
    let of_r = stored_in(&on, "r", 1).await;
    on.run_now(at(0), of_q[1]).await.expect("the task waits");
    let leased = on.lease_all(at(0)).await;
    assert_eq!(ids(&leased), [of_q[1], of_r[0], of_q[0]]);
}

pub(super) async fn a_queue_at_its_limit_holds_up_no_other(on: Stage) {
    stored(&on, places(2), 300).await;
    let of_r = stored_in(&on, "r", 30).await;
    let leased = on.lease_all(at(0)).await;
    assert_eq!((count(&leased, "q"), count(&leased, "r")), (2, 30));
    stored_in(&on, "r", 5).await;
    assert_eq!(given(&on, at(0)).await, 5);
    assert!(leased.iter().all(|task| task.at_once != of_r.contains(&task.lease.id)));
}

pub(super) async fn of_queues_with_limits_no_more_is_leased_than_runners_are_free(on: Stage) {
    stored(&on, places(50), 20).await;
    stored_in(&on, "r", 20).await;
    let lease = |startable| Lease { room: Room { startable, ..ROOM }, ..on.leasing(at(0)) };
    let first = on.lease(lease(3)).await;
    assert_eq!((count(&first.tasks, "q"), count(&first.tasks, "r")), (3, 20));
    assert!(first.held_back);
    let none = on.lease(lease(0)).await;
    assert_eq!((none.tasks.len(), none.next, none.held_back), (0, None, true), "no time is known");
    let all = on.lease(lease(100)).await;
    assert_eq!((all.tasks.len(), all.held_back), (17, false));
}

pub(super) async fn queues_with_limits_share_the_free_runners(on: Stage) {
    for name in ["q", "r"] {
        on.configure(name, places(50)).await;
        stored_in(&on, name, 20).await;
    }
    let lease = Lease { room: Room { startable: 7, ..ROOM }, ..on.leasing(at(0)) };
    assert_eq!(on.lease(lease).await.tasks.len(), 7);
}

pub(super) async fn marked_tasks_and_those_of_queues_with_limits_share_the_free_runners(on: Stage) {
    let marked = stored_in(&on, "r", 2).await;
    on.lose_all(at(0)).await;
    let now = at(0).plus(LEASE);
    stored(&on, places(50), 20).await;
    let room = Room { starting: 5, startable: 5, ..ROOM };
    let leased = on.lease(Lease { room, ..on.leasing(now) }).await.tasks;
    assert_eq!(ids(&leased[..2]), marked);
    assert_eq!(leased.len(), 5);
}

pub(super) async fn a_reserved_room_is_for_queues_with_limits(on: Stage) {
    stored(&on, places(50), 4).await;
    stored_in(&on, "r", 20).await;
    let room = Room { is_reserved: true, ..ROOM };
    let leased = on.lease(Lease { room, ..on.leasing(at(0)) }).await;
    assert_eq!((leased.tasks.len(), count(&leased.tasks, "q")), (4, 4));
    let none = on.lease(Lease { room, ..on.leasing(at(0)) }).await;
    assert_eq!((none.tasks.len(), none.held_back), (0, false));
    assert_eq!(given(&on, at(0)).await, 20);
}

pub(super) async fn queues_with_limits_take_turns_in_a_reserved_room(on: Stage) {
    let queues = Arc::new(["p", "q", "r"].map(queue).into());
    for name in ["q", "p", "r"] {
        stored_in(&on, name, 9).await;
    }
    on.configure("q", places(50)).await;
    on.configure("r", places(50)).await;
    let room = Room { is_reserved: true, ..Room::new(1) };
    for (last, expected) in [(None, "q"), (Some("q"), "r"), (Some("r"), "q"), (Some("p"), "r")] {
        let last_turn = last.map(queue);
        let lease = Lease { room, last_turn, queues: Arc::clone(&queues), ..on.leasing(at(0)) };
        let leased = on.lease(lease).await;
        assert_eq!((count(&leased.tasks, expected), leased.held_back), (1, true), "{last:?}");
    }
}

pub(super) async fn a_bound_of_the_worker_holds_beside_the_limit(on: Stage) {
    let all = stored(&on, places(5), 9).await;
    on.run_now(at(0), all[8]).await.expect("the task waits");
    let bounded = |most| Lease { bounds: [(queue("q"), most)].into(), ..on.leasing(at(0)) };
    assert_eq!(on.lease(bounded(0)).await.tasks.len(), 0);
    assert_eq!(ids(&on.lease(bounded(1)).await.tasks), all[8..], "what is run by hand comes first");
    assert_eq!(on.lease(bounded(9)).await.tasks.len(), 4);
}

pub(super) async fn whatever_frees_a_place_wakes(on: Stage) {
    stored(&on, places(1), 9).await;
    for verdict in [Verdict::Done, permanent()] {
        let leased = on.lease_one(at(0)).await;
        let wakeups = listen(&on);
        on.settle(at(0), leased.lease, verdict).await;
        assert!(is_woken(&wakeups));
    }
    let leased = on.lease_one(at(0)).await;
    let wakeups = listen(&on);
    on.delete(at(0), leased.lease.id).await;
    assert!(is_woken(&wakeups));
    on.lease_one(at(0)).await;
    let wakeups = listen(&on);
    on.purge(at(0), "q").await;
    assert!(is_woken(&wakeups));
}

pub(super) async fn changed_limits_wake(on: Stage) {
    stored(&on, places(1), 9).await;
    on.lease_one(at(0)).await;
    let wakeups = listen(&on);
    on.configure("q", places(2)).await;
    assert!(is_woken(&wakeups));
}

pub(super) async fn four_workers_at_once_share_the_places_and_tokens(on: Stage) {
    let both = places(10).with_max_dispatches_per_second(0.001).with_max_burst_size(14);
    stored(&on, both, 100).await;
    let on = Arc::new(on);
    let lease_all = || async {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let on = Arc::clone(&on);
                tokio::spawn(async move { on.lease_all(at(0)).await })
            })
            .collect();
        let mut tasks = Vec::new();
        for worker in workers {
            tasks.extend(worker.await.expect("the worker leases"));
        }
        tasks
    };
    let leased = lease_all().await;
    assert_eq!(leased.len(), 10);
    for task in leased {
        on.settle(at(0), task.lease, Verdict::Done).await;
    }
    assert_eq!(lease_all().await.len(), 4, "the last tokens");
}
