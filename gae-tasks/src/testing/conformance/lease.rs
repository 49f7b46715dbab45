//! Leasing: a worker leases the due tasks that it can run, in order, and no task goes to two
//! workers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::stage::{LEASE, ROOM, Stage, at, ids, just_before, kind, name, queue, retry, secs};
use crate::backend::haul::MAX_LEASED_BYTES;
use crate::backend::{Lease, NewTask, Room, Routes, Standing, TaskState, Verdict};
use crate::queue::QueueName;
use crate::task::{Route, Shape, TaskId};
use crate::time::Schedule;

fn only(routes: &[(&str, u64)]) -> Routes {
    let route = |(name, shape): &(&str, u64)| Route::new(kind(name), Shape::from_bits(*shape));
    Routes::Only(Arc::new(routes.iter().map(route).collect()))
}

async fn store_route(on: &Stage, name: &str, shape: u64) -> TaskId {
    on.store(
        at(0),
        on.task().with(|task| {
            task.spec.kind = kind(name);
            task.spec.shape = Shape::from_bits(shape);
        }),
    )
    .await
}

async fn store_later(on: &Stage, seconds: u64) -> TaskId {
    on.store(at(0), NewTask { schedule: Schedule::After(secs(seconds)), ..on.task() }).await
}

pub(super) async fn a_task_is_leased_from_its_schedule_time_on(on: Stage) {
    let id = store_later(&on, 10).await;
    assert!(on.lease_all(just_before(at(10))).await.is_empty());
    assert_eq!(ids(&on.lease_all(at(10)).await), [id]);
}

pub(super) async fn a_leased_task_carries_all_it_was_given(on: Stage) {
    let task = on.task().with(|task| {
        task.spec.kind = kind("shop/pay");
        task.spec.shape = Shape::from_bits(99);
        task.spec.name = name("pay-1");
        task.spec.deadline = Some(secs(3));
        task.spec.attributes = Some(vec![1, 9]);
        task.payload = vec![1, 0, 2];
        task.schedule = Schedule::After(secs(2));
    });
    on.store(at(0), task.clone()).await;
    let leased = on.lease_one(at(5)).await;
    assert_eq!(
        (leased.lease.id, leased.spec.kind, leased.spec.shape),
        (task.spec.id, task.spec.kind, task.spec.shape)
    );
    assert_eq!(
        (leased.payload, leased.spec.queue, leased.spec.name),
        (task.payload, task.spec.queue, task.spec.name)
    );
    assert_eq!(
        (leased.spec.deadline, leased.spec.attributes),
        (task.spec.deadline, task.spec.attributes)
    );
    assert_eq!(
        (leased.schedule_time, leased.attempts, leased.standing),
        (at(2), 0, Standing::Clear)
    );
}

pub(super) async fn a_leased_task_is_shown_as_leased(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    let before = on.record(id).await;
    on.lease_one(at(1)).await;
    let after = on.record(id).await;
    assert_eq!(after.state, TaskState::Leased);
    assert_eq!((after.attempts, after.schedule_time), (0, before.schedule_time));
}

pub(super) async fn a_lease_tells_the_attempts_before_it(on: Stage) {
    on.store(at(0), on.task()).await;
    for attempts in 0..3 {
        let now = at(i64::from(attempts) * 60);
        let leased = on.lease_one(now).await;
        assert_eq!(leased.attempts, attempts);
        on.settle(now, leased.lease, retry()).await;
    }
}

pub(super) async fn only_the_given_queues_are_leased_from(on: Stage) {
    let mine = on.store(at(0), on.task()).await;
    on.store(at(0), on.task().with(|task| task.spec.queue = queue("other"))).await;
    assert_eq!(ids(&on.lease_all(at(0)).await), [mine]);
}

pub(super) async fn without_queues_nothing_is_leased(on: Stage) {
    on.store(at(0), on.task()).await;
    let leased = on.lease(Lease { queues: Arc::default(), ..on.leasing(at(0)) }).await;
    assert!(leased.tasks.is_empty());
    assert_eq!(leased.next, None);
}

pub(super) async fn only_the_given_routes_are_leased(on: Stage) {
    let (a1, _a2) = (store_route(&on, "a", 1).await, store_route(&on, "a", 2).await);
    let (_b1, b2) = (store_route(&on, "b", 1).await, store_route(&on, "b", 2).await);
    let leased = on
        .lease(Lease { routes: only(&[("a", 1), ("b", 2), ("c", 3)]), ..on.leasing(at(0)) })
        .await;
    assert_eq!(ids(&leased.tasks), [a1, b2]);
}

pub(super) async fn without_routes_nothing_is_leased(on: Stage) {
    on.store(at(0), on.task()).await;
    let leased = on.lease(Lease { routes: only(&[]), ..on.leasing(at(0)) }).await;
    assert!(leased.tasks.is_empty());
    assert_eq!(leased.next, None);
}

pub(super) async fn any_route_is_leased_where_any_is_asked_for(on: Stage) {
    let expected = [store_route(&on, "a", 1).await, store_route(&on, "b", u64::MAX).await];
    assert_eq!(ids(&on.lease_all(at(0)).await), expected);
}

pub(super) async fn a_kind_has_its_case(on: Stage) {
    let lower = store_route(&on, "kind", 1).await;
    store_route(&on, "Kind", 1).await;
    let leased = on.lease(Lease { routes: only(&[("kind", 1)]), ..on.leasing(at(0)) }).await;
    assert_eq!(ids(&leased.tasks), [lower]);
}

/// Leases in turn with different routes and queues, as several workers of one program do.
pub(super) async fn each_lease_has_routes_and_queues_of_its_own(on: Stage) {
    let tasks = [store_route(&on, "one", 1).await, store_route(&on, "other", 1).await];
    let elsewhere = on.store(at(0), on.task().with(|task| task.spec.queue = queue("r"))).await;
    let all = on.leasing(at(0));
    let [one, other] =
        ["one", "other"].map(|kind| Lease { routes: only(&[(kind, 1)]), ..all.clone() });
    for request in [&one, &other, &one] {
        let leased = on.lease(request.clone()).await.tasks;
        let expected = tasks[usize::from(
            request.routes.reader(&Route::new(kind("other"), Shape::from_bits(1)), None).is_some(),
        )];
        assert_eq!(ids(&leased), [expected]);
        on.settle(at(0), leased[0].lease, Verdict::Release).await;
    }
    let only_r = Lease { queues: Arc::new(BTreeSet::from([queue("r")])), ..all.clone() };
    assert_eq!(ids(&on.lease(only_r).await.tasks), [elsewhere]);
    let mut rest = ids(&on.lease(all).await.tasks);
    rest.sort_unstable();
    assert_eq!(rest, tasks);
}

pub(super) async fn thousands_of_routes_and_hundreds_of_queues_are_no_problem(on: Stage) {
    let id = store_route(&on, "kind1999", 1999).await;
    let route = |i: u64| Route::new(kind(&format!("kind{i}")), Shape::from_bits(i));
    let queues: BTreeSet<QueueName> =
        (0..300).map(|i| queue(&format!("q{i}"))).chain([queue("q")]).collect();
    let routes = Routes::Only(Arc::new((0..2000).map(route).collect()));
    let leased = on.lease(Lease { routes, queues: Arc::new(queues), ..on.leasing(at(0)) }).await;
    assert_eq!(ids(&leased.tasks), [id]);
}

pub(super) async fn a_task_nobody_can_run_does_not_hold_up_the_others(on: Stage) {
    for _ in 0..20 {
        store_route(&on, "unroutable", 1).await;
    }
    let mine = store_route(&on, "mine", 1).await;
    let request = Lease {
        room: Room { total: 1, ..ROOM },
        routes: only(&[("mine", 1)]),
        ..on.leasing(at(0))
    };
    assert_eq!(ids(&on.lease(request).await.tasks), [mine]);
}

pub(super) async fn at_most_the_limit_is_leased(on: Stage) {
    let stored = on.store_plain(at(0), 5).await;
    let request = || Lease { room: Room { total: 3, ..ROOM }, ..on.leasing(at(0)) };
    assert_eq!(ids(&on.lease(request()).await.tasks), stored[..3]);
    assert_eq!(ids(&on.lease(request()).await.tasks), stored[3..]);
}

pub(super) async fn a_limit_of_nothing_leases_nothing(on: Stage) {
    on.store(at(0), on.task()).await;
    let request = Lease { room: Room { total: 0, starting: 0, ..ROOM }, ..on.leasing(at(0)) };
    assert!(on.lease(request).await.tasks.is_empty());
}

/// Stores `count` tasks of 1 MiB each, alternating between two routes.
async fn store_large(on: &Stage, count: usize) -> Vec<TaskId> {
    let large = |number: usize| {
        on.task().with(|task| {
            task.spec.shape = Shape::from_bits(7 + number as u64 % 2);
            task.payload = vec![7; 1 << 20];
        })
    };
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(on.store(at(0), large(number)).await);
    }
    ids
}

pub(super) async fn a_lease_brings_a_bounded_number_of_bytes(on: Stage) {
    let most = MAX_LEASED_BYTES >> 20;
    let stored = store_large(&on, most + 3).await;
    let first = on.lease(on.leasing(at(0))).await;
    assert_eq!((ids(&first.tasks), first.next), (stored[..most].to_vec(), Some(Duration::ZERO)));
    let rest = on.lease(on.leasing(at(0))).await;
    assert_eq!((ids(&rest.tasks), rest.next), (stored[most..].to_vec(), None));
}

pub(super) async fn bytes_are_bounded_across_standings_and_lanes(on: Stage) {
    let most = MAX_LEASED_BYTES >> 20;
    let marked = store_large(&on, most - 1).await;
    on.lease_all(at(0)).await;
    let now = at(0).plus(LEASE);
    on.sweep(now, 100).await;
    let clear = store_large(&on, 3).await;
    let leased = on.lease(on.leasing(now)).await;
    assert_eq!(ids(&leased.tasks), [&marked[..], &clear[..1]].concat());
    assert_eq!(leased.next, Some(Duration::ZERO));
    assert_eq!(ids(&on.lease_all(now).await), clear[1..]);
}

pub(super) async fn tasks_are_leased_in_the_order_of_their_schedule_times(on: Stage) {
    let plan = [(30, "a"), (10, "b"), (20, "b"), (0, "a"), (25, "a")];
    let mut expected = Vec::new();
    for (seconds, of) in plan {
        let schedule = Schedule::After(secs(seconds));
        let task = on.task().with(|task| (task.spec.kind, task.schedule) = (kind(of), schedule));
        expected.push((seconds, on.store(at(0), task).await));
    }
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
    let first = on.lease(Lease { room: Room { total: 2, ..ROOM }, ..on.leasing(at(60)) }).await;
    assert_eq!(ids(&first.tasks), expected[..2]);
    assert_eq!(ids(&on.lease_all(at(60)).await), expected[2..]);
}

async fn store_in(on: &Stage, name: &str, count: usize) -> Vec<TaskId> {
    let tasks: Vec<_> =
        (0..count).map(|_| on.task().with(|task| task.spec.queue = queue(name))).collect();
    on.enqueue(at(0), tasks).await.into_iter().map(|deferred| deferred.id).collect()
}

/// Returns a request for `total` tasks, after a turn of the queue `last`.
fn turn(on: &Stage, total: usize, last: Option<&str>) -> Lease {
    Lease { room: Room { total, ..ROOM }, last_turn: last.map(queue), ..on.leasing(at(0)) }
}

pub(super) async fn queues_take_turns_whatever_waits_longest(on: Stage) {
    let bulk = store_in(&on, "q", 100).await;
    let few = store_in(&on, "r", 3).await;
    let first = on.lease(turn(&on, 10, None)).await;
    assert_eq!(ids(&first.tasks), [&bulk[..5], &few[..], &bulk[5..7]].concat());
}

pub(super) async fn the_queue_after_the_last_turn_is_next(on: Stage) {
    let (q, r) = (store_in(&on, "q", 9).await, store_in(&on, "r", 9).await);
    for (last, expected) in
        [(Some("q"), r[0]), (Some("r"), q[0]), (Some("a"), q[1]), (Some("z"), q[2]), (None, q[3])]
    {
        assert_eq!(ids(&on.lease(turn(&on, 1, last)).await.tasks), [expected], "{last:?}");
    }
}

pub(super) async fn every_one_of_many_queues_has_its_turn(on: Stage) {
    const QUEUES: usize = 200;
    let names: Vec<_> = (0..QUEUES).map(|number| format!("q{number:03}")).collect();
    let queues = Arc::new(names.iter().map(|name| queue(name)).collect::<BTreeSet<_>>());
    for name in &names {
        store_in(&on, name, 20).await;
    }
    let (mut last_turn, mut seen) = (None, BTreeSet::new());
    // With this many queues, a turn is at most an eighth of a lease.
    for _ in 0..QUEUES / 8 {
        let lease = Lease { queues: Arc::clone(&queues), last_turn, ..on.leasing(at(0)) };
        let leased = on.lease(lease).await.tasks;
        assert_eq!(leased.len(), 100);
        seen.extend(leased.iter().map(|task| task.spec.queue.clone()));
        last_turn = leased.last().map(|task| task.spec.queue.clone());
    }
    assert_eq!(seen.len(), QUEUES);
}

pub(super) async fn of_a_bounded_queue_no_more_is_leased_than_its_bound(on: Stage) {
    let (q, r) = (store_in(&on, "q", 5).await, store_in(&on, "r", 2).await);
    let bounded = |most| Lease { bounds: [(queue("q"), most)].into(), ..on.leasing(at(0)) };
    assert_eq!(ids(&on.lease(bounded(2)).await.tasks), [&q[..2], &r[..]].concat());
    assert!(on.lease(bounded(0)).await.tasks.is_empty());
    assert_eq!(ids(&on.lease(bounded(9)).await.tasks), q[2..]);
}

pub(super) async fn a_bound_holds_for_marked_tasks_too(on: Stage) {
    let q = store_in(&on, "q", 3).await;
    on.lose_all(at(0)).await;
    let bounded = Lease { bounds: [(queue("q"), 1)].into(), ..on.leasing(at(0).plus(LEASE)) };
    assert_eq!(ids(&on.lease(bounded).await.tasks), q[..1]);
}

pub(super) async fn tasks_of_one_schedule_time_are_leased_in_the_order_of_their_ids(on: Stage) {
    let mut tasks: Vec<_> = (0..6).map(|_| on.task()).collect();
    let expected: Vec<_> = tasks.iter().map(|task| task.spec.id).collect();
    tasks.reverse();
    on.enqueue(at(0), tasks).await;
    assert_eq!(ids(&on.lease_all(at(0)).await), expected);
}

pub(super) async fn a_paused_queue_is_left_alone_until_it_goes_on(on: Stage) {
    let (waits, other) = (on.task(), on.task().with(|task| task.spec.queue = queue("r")));
    on.enqueue(at(0), vec![waits.clone(), other.clone()]).await;
    on.pause("q", true).await;
    assert_eq!(ids(&on.lease_all(at(0)).await), [other.spec.id]);
    on.pause("q", false).await;
    assert_eq!(ids(&on.lease_all(at(0)).await), [waits.spec.id]);
}

pub(super) async fn a_lease_that_finds_nothing_changes_nothing(on: Stage) {
    store_later(&on, 10).await;
    let before = on.all().await;
    let (mut wakeups, mut count) = (on.backend.wakeups(), 0);
    for _ in 0..3 {
        wakeups.mark_unchanged();
        assert!(on.lease_all(at(0)).await.is_empty());
        count += usize::from(wakeups.has_changed().expect("the backend is there"));
    }
    assert_eq!(on.all().await, before);
    // A backend that has just begun to hear of other processes wakes its workers once.
    assert!(count <= 1, "{count} of 3 leases have woken workers");
}

pub(super) async fn the_next_time_is_that_of_the_soonest_task(on: Stage) {
    store_later(&on, 30).await;
    store_later(&on, 10).await;
    store_later(&on, 20).await;
    assert_eq!(on.lease(on.leasing(at(0))).await.next, Some(secs(10)));
    let leased = on.lease(on.leasing(at(12))).await;
    assert_eq!((leased.tasks.len(), leased.next), (1, Some(secs(8))));
}

pub(super) async fn the_next_time_regards_only_what_the_worker_can_run(on: Stage) {
    let soon = |seconds| Schedule::After(secs(seconds));
    on.store(
        at(0),
        on.task().with(|task| {
            task.spec.queue = queue("other");
            task.schedule = soon(1);
        }),
    )
    .await;
    on.store(
        at(0),
        on.task().with(|task| {
            task.spec.queue = queue("r");
            task.schedule = soon(2);
        }),
    )
    .await;
    on.store(
        at(0),
        on.task().with(|task| {
            task.spec.kind = kind("unroutable");
            task.schedule = soon(3);
        }),
    )
    .await;
    on.store(
        at(0),
        on.task().with(|task| {
            task.spec.shape = Shape::from_bits(8);
            task.schedule = soon(4);
        }),
    )
    .await;
    store_later(&on, 5).await;
    on.pause("r", true).await;
    let request = Lease { routes: only(&[("conformance/plain", 7)]), ..on.leasing(at(0)) };
    assert_eq!(on.lease(request).await.next, Some(secs(5)));
}

pub(super) async fn there_is_no_next_time_where_nothing_waits_for_its_own(on: Stage) {
    on.store_plain(at(0), 3).await;
    let leased = on.lease(Lease { room: Room { total: 1, ..ROOM }, ..on.leasing(at(0)) }).await;
    assert_eq!((leased.tasks.len(), leased.next), (1, None));
}

pub(super) async fn the_next_time_regards_retries(on: Stage) {
    on.retry_briefly("q").await;
    on.store(at(0), on.task()).await;
    on.attempt(at(0), retry()).await;
    assert_eq!(on.lease(on.leasing(at(0))).await.next, Some(Duration::from_millis(100)));
}

pub(super) async fn a_delay_below_a_second_is_waited_for_and_no_longer(on: Stage) {
    let delay = Duration::from_millis(250);
    let id = on.store(at(0), NewTask { schedule: Schedule::After(delay), ..on.task() }).await;
    let early = on.lease(on.leasing(at(0))).await;
    assert_eq!((early.tasks.len(), early.next), (0, Some(delay)));
    assert!(on.lease_all(just_before(at(0).plus(delay))).await.is_empty());
    assert_eq!(on.lease_one(at(0).plus(delay)).await.lease.id, id);
}

pub(super) async fn no_two_leases_of_a_task_have_the_same_token(on: Stage) {
    on.store_plain(at(0), 4).await;
    let mut leases = BTreeSet::new();
    for _ in 0..10 {
        for task in on.lease_all(at(0)).await {
            leases.insert((task.lease.id, task.lease.token));
            on.settle(at(0), task.lease, Verdict::Release).await;
        }
    }
    assert_eq!(leases.len(), 40);
}

pub(super) async fn a_leased_task_is_not_leased_again(on: Stage) {
    on.store(at(0), on.task()).await;
    on.lease_one(at(0)).await;
    assert!(on.lease_all(at(1)).await.is_empty());
}

pub(super) async fn an_expired_lease_is_recovered_by_a_sweep_only(on: Stage) {
    on.store(at(0), on.task()).await;
    on.lease_one(at(0)).await;
    let leased = on.lease(on.leasing(at(0).plus(LEASE * 2))).await;
    assert!(leased.tasks.is_empty());
    assert_eq!(leased.next, None);
}

pub(super) async fn eight_concurrent_workers_share_no_task(on: Stage) {
    let stored: BTreeSet<_> = on.store_plain(at(0), 200).await.into_iter().collect();
    let mut workers = JoinSet::new();
    for _ in 0..8 {
        let (backend, request) = (
            Arc::clone(&on.backend),
            Lease { room: Room { total: 7, ..ROOM }, ..on.leasing(at(0)) },
        );
        workers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let tasks = backend.lease(request.clone()).await.expect("lease answers").tasks;
                if tasks.is_empty() || mine.len() > 200 {
                    return mine;
                }
                mine.extend(ids(&tasks));
                tokio::task::yield_now().await;
            }
        });
    }
    let leased: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(leased.len(), 200);
    assert_eq!(leased.into_iter().collect::<BTreeSet<_>>(), stored);
}
