//! The rates of queues: a bucket that dispatches empty and time fills.

use std::time::Duration;

use super::stage::{LEASE, Stage, at, ids, queue, refuse, retry, secs};
use crate::backend::{DeleteQueue, Lease, NewTask, ReplaceQueue, Room, Settled, Verdict};
use crate::queue::QueueConfig;
use crate::task::TaskId;
use crate::time::{Now, Schedule, Timestamp};

/// Returns the moment so many milliseconds after the start of the case.
fn after(millis: u64) -> Timestamp {
    at(0).plus(Duration::from_millis(millis))
}

const fn rate(per_second: f64, burst: u32) -> QueueConfig {
    QueueConfig::new().with_max_dispatches_per_second(per_second).with_max_burst_size(burst)
}

/// Configures queue `q`, and stores this many tasks in it.
async fn stored(on: &Stage, config: QueueConfig, tasks: usize) -> Vec<TaskId> {
    on.configure("q", config).await;
    on.store_plain(at(0), tasks).await
}

/// Leases all that queues `q` and `r` give; returns how many tasks that is.
async fn given(on: &Stage, now: Timestamp) -> usize {
    on.lease_all(now).await.len()
}

pub(super) async fn a_queue_gives_its_burst_at_once_and_then_its_rate(on: Stage) {
    stored(&on, rate(2.0, 3), 20).await;
    let leased = on.lease(on.leasing(at(0))).await;
    assert_eq!((leased.tasks.len(), leased.next), (3, Some(Duration::from_millis(500))));
    let early = on.lease(on.leasing(after(499))).await;
    assert_eq!((early.tasks.len(), early.next), (0, Some(Duration::from_millis(1))));
    assert_eq!(given(&on, after(500)).await, 1);
    assert_eq!(given(&on, after(500)).await, 0);
    assert_eq!(given(&on, after(2_000)).await, 3);
    assert_eq!(given(&on, at(3_600)).await, 3, "the bucket holds no more than the burst");
}

pub(super) async fn a_rate_below_one_a_second_adds_up(on: Stage) {
    let slow = QueueConfig::new().with_max_dispatches_per_second(0.1);
    stored(&on, slow, 20).await;
    assert_eq!(given(&on, at(0)).await, 1, "the burst of a slow queue is one");
    for second in [1, 3, 9] {
        assert_eq!(given(&on, at(second)).await, 0);
    }
    assert_eq!([given(&on, at(10)).await, given(&on, at(11)).await], [1, 0]);
    assert_eq!(given(&on, at(20)).await, 1);
}

pub(super) async fn in_no_window_is_more_given_than_the_rate_allows(on: Stage) {
    const PAUSES: [u64; 20] =
        [0, 130, 270, 1, 999, 50, 133, 134, 800, 7, 7, 2_300, 1, 1, 400, 133, 133, 133, 133, 640];
    stored(&on, rate(7.5, 4), 200).await;
    let (mut now, mut taken) = (0, Vec::new());
    for pause in PAUSES {
        now += pause;
        taken.push((now, given(&on, after(now)).await));
    }
    for (first, (start, _)) in taken.iter().enumerate() {
        let mut tasks: usize = 0;
        for (end, more) in &taken[first..] {
            tasks += *more;
            let most = (end - start) as f64 / 1_000.0 * 7.5 + 4.0 + 1e-9;
            assert!(tasks as f64 <= most, "{tasks} from {start} to {end}: {taken:?}");
        }
    }
    let all: usize = taken.iter().map(|(_, tasks)| tasks).sum();
    assert!(all >= 30, "tokens are not lost between leases: {taken:?}");
}

pub(super) async fn a_retry_costs_a_token(on: Stage) {
    let all = stored(&on, rate(1.0, 1), 2).await;
    let leased = on.lease_one(at(0)).await;
    let verdict =
        Verdict::Retry { error: String::new(), after: Some(Duration::ZERO), max_attempts: None };
    assert_eq!(on.settle(at(0), leased.lease, verdict).await, Settled::Scheduled(at(0)));
    assert_eq!(given(&on, after(999)).await, 0);
    on.delete(after(999), all[1]).await;
    assert_eq!(on.lease_one(at(1)).await.lease.id, all[0]);
}

pub(super) async fn what_was_not_attempted_gives_its_token_back(on: Stage) {
    stored(&on, rate(0.001, 2), 20).await;
    let undeliverable = || Verdict::Undeliverable { error: "no such queue".to_owned() };
    for verdict in [Verdict::Release, refuse("what"), undeliverable()] {
        let leased = on.lease_all(at(0)).await;
        assert_eq!(leased.len(), 2, "{verdict:?}");
        for task in leased {
            on.settle(at(0), task.lease, verdict.clone()).await;
        }
    }
    assert_eq!(given(&on, at(0)).await, 2, "the bucket holds no more than the burst");
}

pub(super) async fn what_was_attempted_or_lost_gives_nothing_back(on: Stage) {
    stored(&on, rate(0.001, 4), 20).await;
    let leased = on.lease_all(at(0)).await;
    let permanent = Verdict::Permanent { error: "for good".to_owned() };
    for (task, verdict) in leased.iter().zip([Verdict::Done, retry(), permanent]) {
        on.settle(at(0), task.lease, verdict).await;
    }
    assert_eq!(on.sweep(at(0).plus(LEASE), 100).await.recovered, 1);
    assert_eq!(given(&on, at(0).plus(LEASE)).await, 0);
}

pub(super) async fn tasks_of_every_standing_cost_a_token(on: Stage) {
    stored(&on, rate(0.1, 2), 4).await;
    on.lose_all(at(0)).await;
    let now = at(0).plus(LEASE);
    // Three tokens have flowed into a bucket of two; the two lost tasks are marked.
    let leased = on.lease(on.leasing(now)).await;
    assert_eq!((leased.tasks.len(), leased.next), (2, Some(secs(10))));
    assert!(leased.tasks.iter().all(|task| task.lost_leases == 1 && task.paid));
}

pub(super) async fn changed_rates_hold_at_the_next_lease(on: Stage) {
    stored(&on, rate(1.0, 5), 40).await;
    assert_eq!(given(&on, at(0)).await, 5);
    on.configure("q", rate(10.0, 5)).await;
    assert_eq!(given(&on, after(300)).await, 3);
    on.configure("q", rate(10.0, 2)).await;
    assert_eq!(given(&on, at(100)).await, 2);
    on.configure("q", rate(1.0, 2)).await;
    assert_eq!(given(&on, after(100_999)).await, 0);
}

pub(super) async fn a_queue_that_gets_a_rate_has_a_full_bucket(on: Stage) {
    stored(&on, QueueConfig::new(), 3).await;
    let unlimited = on.lease_all(at(0)).await;
    assert!(unlimited.iter().all(|task| !task.at_once && !task.paid));
    on.store_plain(at(0), 9).await;
    on.configure("q", rate(0.001, 2)).await;
    assert_eq!(given(&on, at(0)).await, 2);
    on.settle(at(0), unlimited[0].lease, Verdict::Release).await;
    assert_eq!(given(&on, at(0)).await, 0, "a lease that took no token gives none back");
}

pub(super) async fn a_clock_that_is_set_back_stops_no_rate(on: Stage) {
    stored(&on, rate(1.0, 2), 20).await;
    assert_eq!(given(&on, at(3_600)).await, 2);
    let back = on.lease(on.leasing(at(0))).await;
    assert_eq!((back.tasks.len(), back.next), (0, Some(secs(1))));
    assert_eq!([given(&on, after(999)).await, given(&on, at(1)).await], [0, 1]);
}

pub(super) async fn a_task_that_is_run_by_hand_costs_no_token(on: Stage) {
    let all = stored(&on, rate(0.001, 1), 5).await;
    assert_eq!(ids(&on.lease_all(at(0)).await), all[..1]);
    on.run_now(at(0), all[3]).await.expect("the task waits");
    let forced = on.lease_all(at(0)).await;
    assert_eq!(ids(&forced), all[3..4]);
    assert!(forced[0].at_once && !forced[0].paid);
    on.settle(at(0), forced[0].lease, Verdict::Release).await;
    let again = on.lease_one(at(0)).await;
    assert_eq!(again.lease.id, all[3], "it gave no token back, and is still to be run now");
    let failed = on.settle(at(0), again.lease, retry()).await;
    assert!(matches!(failed, Settled::Scheduled(_)), "{failed:?}");
    assert_eq!(given(&on, at(900)).await, 0, "its retry costs a token");
}

pub(super) async fn a_queue_without_tokens_holds_up_no_other(on: Stage) {
    stored(&on, rate(0.2, 1), 50).await;
    assert_eq!(given(&on, at(0)).await, 1);
    let of_r = |seconds| NewTask {
        schedule: Schedule::After(secs(seconds)),
        ..on.task().with(|task| task.spec.queue = queue("r"))
    };
    let (soon, late) = (on.store(at(0), of_r(2)).await, on.store(at(0), of_r(9)).await);
    assert_eq!(on.lease(on.leasing(at(0))).await.next, Some(secs(2)), "a task of the other queue");
    let leased = on.lease(on.leasing(at(2))).await;
    assert_eq!((ids(&leased.tasks), leased.next), (vec![soon], Some(secs(3))), "a token");
    assert_eq!(given(&on, at(5)).await, 1);
    assert_eq!(ids(&on.lease_all(at(9)).await), [late]);
}

pub(super) async fn who_runs_nothing_has_no_rate(on: Stage) {
    stored(&on, rate(0.001, 1), 9).await;
    let relay = Lease { room: Room::unwatched(100), ..on.leasing(at(0)) };
    let leased = on.lease(relay).await.tasks;
    assert_eq!(leased.len(), 9);
    for task in &leased[..3] {
        on.settle(at(0), task.lease, Verdict::Release).await;
    }
    assert_eq!(given(&on, at(0)).await, 1, "the bucket is full, and not fuller");
}

pub(super) async fn a_rate_that_comes_back_goes_on_with_its_bucket(on: Stage) {
    let replace = async |config| {
        let request = ReplaceQueue::new(queue("q"), config);
        on.backend.replace_queue(request).await.expect("replace_queue answers");
    };
    stored(&on, rate(0.001, 2), 9).await;
    assert_eq!(given(&on, at(0)).await, 2);
    for without in [QueueConfig::new(), QueueConfig::new().with_max_concurrent_dispatches(9)] {
        replace(without).await;
        replace(rate(0.001, 2)).await;
        assert_eq!(given(&on, at(0)).await, 0, "nobody gets a burst by two changes");
    }
    assert_eq!([given(&on, at(999)).await, given(&on, at(1_000)).await], [0, 1]);
}

pub(super) async fn a_queue_that_is_deleted_leaves_no_bucket_behind(on: Stage) {
    stored(&on, rate(0.001, 2), 4).await;
    assert_eq!(given(&on, at(0)).await, 2);
    let request = DeleteQueue::new(Now::At(at(0)), queue("q")).with_tasks();
    on.backend.delete_queue(request).await.expect("delete_queue answers");
    stored(&on, rate(0.001, 2), 4).await;
    assert_eq!(given(&on, at(0)).await, 2);
}
