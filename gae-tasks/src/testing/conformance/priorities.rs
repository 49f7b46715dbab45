//! Priorities: a task stands in the order of its queue as if it had been due earlier, and is never
//! leased before its time.

use std::time::Duration;

use super::readers::{Program, of_shape};
use super::stage::{LEASE, ROOM, Stage, at, ids, just_before, kind, permanent, queue, retry, secs};
use crate::backend::{Bury, Lease, NewTask, ReaderId, Room, Standing, TaskState, Verdict};
use crate::queue::QueueConfig;
use crate::task::TaskId;
use crate::time::{Now, Schedule, Timestamp};

/// Returns a plain task with a priority.
fn of(on: &Stage, priority: i8) -> NewTask {
    on.task().with(|task| task.spec.priority = priority)
}

/// Stores a task that is due at once.
async fn store(on: &Stage, seconds: i64, priority: i8) -> TaskId {
    on.store(at(seconds), of(on, priority)).await
}

/// Stores a task that is due so many seconds after the start of the case.
async fn store_later(on: &Stage, seconds: u64, priority: i8) -> TaskId {
    on.store(at(0), NewTask { schedule: Schedule::After(secs(seconds)), ..of(on, priority) }).await
}

/// Leases all due tasks, which go back, and returns their ids.
async fn order(on: &Stage, now: Timestamp) -> Vec<TaskId> {
    let leased = on.lease_all(now).await;
    for task in &leased {
        on.settle(now, task.lease, Verdict::Release).await;
    }
    ids(&leased)
}

pub(super) async fn a_priority_is_kept(on: Stage) {
    for priority in [-100, -1, 0, 1, 100] {
        let id = store(&on, 0, priority).await;
        assert_eq!(on.record(id).await.spec.priority, priority);
        assert_eq!(on.all().await[0].spec.priority, priority);
        let leased = on.lease_one(at(0)).await;
        assert_eq!(leased.spec.priority, priority);
        assert_eq!(on.record(id).await.spec.priority, priority, "while it is leased");
        on.settle(at(0), leased.lease, Verdict::Done).await;
    }
}

pub(super) async fn a_step_of_priority_counts_as_thirty_seconds(on: Stage) {
    let plain = store(&on, 0, 0).await;
    let [late, same, early] = [
        store_later(&on, 31, 1).await,
        store_later(&on, 30, 1).await,
        store_later(&on, 29, 1).await,
    ];
    assert_eq!(ids(&on.lease_all(at(60)).await), [early, plain, same, late]);
}

/// A task of a random backlog.
struct Planned {
    id: TaskId,
    due: Timestamp,
    priority: i8,
}

/// Takes out those tasks that are leased next, by the rule: among those that are due, the first
/// ones if each had been due earlier.
fn next(waiting: &mut Vec<Planned>, now: Timestamp, step: Duration, most: usize) -> Vec<TaskId> {
    let step = i128::try_from(step.as_micros()).unwrap_or(i128::MAX);
    waiting.sort_by_key(|task| {
        (i128::from(task.due.as_micros()) - i128::from(task.priority) * step, task.id)
    });
    let due = waiting.iter().filter(|task| task.due <= now).take(most);
    let due: Vec<_> = due.map(|task| task.id).collect();
    waiting.retain(|task| !due.contains(&task.id));
    due
}

/// Stores tasks of random priorities and times, and of several lanes.
async fn backlog(on: &Stage, seed: u32) -> Vec<Planned> {
    let mut state = seed;
    let mut random = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let (mut planned, mut tasks) = (Vec::new(), Vec::new());
    for _ in 0..120 {
        let priorities = [-100, -3, -1, 0, 0, 0, 1, 2, 7, 100];
        let priority = priorities[random(10) as usize];
        let delay = Duration::from_micros(u64::from(random(600) * 1_000_000 + random(3)));
        let delay = if random(4) == 0 { Duration::ZERO } else { delay };
        let of_kind = ["a", "b"][random(2) as usize];
        let task = of(on, priority).with(|task| {
            (task.spec.kind, task.schedule) = (kind(of_kind), Schedule::After(delay));
        });
        planned.push(Planned { id: task.spec.id, due: at(0).plus(delay), priority });
        tasks.push(task);
    }
    on.enqueue(at(0), tasks).await;
    planned
}

/// Checks every lease until nothing waits.
async fn leases_follow_the_rule(on: &Stage, seed: u32, step: Duration) {
    const MOST: usize = 9;
    let mut waiting = backlog(on, seed).await;
    for seconds in (0..).step_by(45) {
        let room = Room { total: MOST, ..ROOM };
        let leased = on.lease(Lease { room, ..on.leasing(at(seconds)) }).await;
        let expected = next(&mut waiting, at(seconds), step, MOST);
        assert_eq!(ids(&leased.tasks), expected, "after {seconds} s, seed {seed}");
        if waiting.is_empty() {
            return;
        }
    }
}

pub(super) async fn every_lease_takes_what_stands_first(on: Stage) {
    for seed in [1, 2, 3] {
        leases_follow_the_rule(&on, seed, secs(30)).await;
    }
}

pub(super) async fn every_lease_follows_the_step_of_the_queue(on: Stage) {
    for (seed, step) in [(4, secs(1)), (5, Duration::from_micros(1)), (6, secs(3600))] {
        on.configure("q", QueueConfig::new().with_priority_step(step)).await;
        leases_follow_the_rule(&on, seed, step).await;
    }
}

pub(super) async fn a_step_that_changes_counts_for_what_waits(on: Stage) {
    let (plain, urgent) = (store(&on, 0, 0).await, store(&on, 10, 5).await);
    assert_eq!(order(&on, at(10)).await, [urgent, plain]);
    on.configure("q", QueueConfig::new().with_priority_step(secs(1))).await;
    assert_eq!(on.config("q").await.priority_step(), secs(1));
    assert_eq!(order(&on, at(10)).await, [plain, urgent]);
    on.configure("q", QueueConfig::new().with_priority_step(secs(3))).await;
    assert_eq!(order(&on, at(10)).await, [urgent, plain]);
}

pub(super) async fn no_task_is_leased_before_its_time_whatever_its_priority(on: Stage) {
    let urgent = store_later(&on, 10, 100).await;
    let early = on.lease(on.leasing(just_before(at(10)))).await;
    assert_eq!((early.tasks.len(), early.next), (0, Some(Duration::from_micros(1))));
    let last = store(&on, 0, -100).await;
    assert_eq!(ids(&on.lease_all(just_before(at(10))).await), [last], "it waits for nothing else");
    assert_eq!(ids(&on.lease_all(at(10)).await), [urgent]);
}

pub(super) async fn every_priority_has_its_place(on: Stage) {
    let tasks = (-100..=100).map(|priority| of(&on, priority)).collect();
    let stored = on.enqueue(at(0), tasks).await;
    let mut leased = Vec::new();
    for most in [100, 100, 1] {
        let some = on.lease_all(at(0)).await;
        assert_eq!(some.len(), most);
        leased.extend(ids(&some));
    }
    let expected: Vec<_> = stored.iter().rev().map(|deferred| deferred.id).collect();
    assert_eq!(leased, expected);
}

pub(super) async fn queues_take_turns_whatever_the_priorities_of_their_tasks(on: Stage) {
    let several = async |name: &str, count: usize, priority| {
        let task = || of(&on, priority).with(|task| task.spec.queue = queue(name));
        let stored = on.enqueue(at(0), (0..count).map(|_| task()).collect()).await;
        stored.into_iter().map(|deferred| deferred.id).collect::<Vec<_>>()
    };
    let (bulk, few) = (several("q", 50, 100).await, several("r", 3, -100).await);
    let request = Lease { room: Room { total: 10, ..ROOM }, ..on.leasing(at(0)) };
    let leased = on.lease(request).await.tasks;
    assert_eq!(ids(&leased), [&bulk[..5], &few[..], &bulk[5..7]].concat());
}

pub(super) async fn a_retried_task_keeps_its_priority(on: Stage) {
    on.retry_briefly("q").await;
    let urgent = store(&on, 0, 5).await;
    on.attempt(at(0), retry()).await;
    let plain = store(&on, 0, 0).await;
    assert_eq!(on.record(urgent).await.spec.priority, 5);
    assert_eq!(ids(&on.lease_all(at(1)).await), [urgent, plain]);
}

pub(super) async fn a_task_that_goes_back_keeps_its_priority(on: Stage) {
    let (plain, urgent) = (store(&on, 0, 0).await, store(&on, 10, 5).await);
    for _ in 0..2 {
        assert_eq!(order(&on, at(10)).await, [urgent, plain]);
    }
}

pub(super) async fn marked_tasks_stand_by_priority_too(on: Stage) {
    let (plain, urgent) = (store(&on, 0, 0).await, store(&on, 10, 5).await);
    on.lose_all(at(10)).await;
    let leased = on.lease_all(at(10).plus(LEASE)).await;
    assert_eq!(ids(&leased), [urgent, plain]);
    assert!(leased.iter().all(|task| task.standing == Standing::Marked));
}

pub(super) async fn a_refused_task_keeps_its_priority(on: Stage) {
    let of = |priority| of_shape(&on, 1).with(|task| task.spec.priority = priority);
    let reader = |reader| Program::new(reader, &[1]).leasing(on.leasing(at(0)));
    let (plain, urgent) = (on.store(at(0), of(0)).await, on.store(at(0), of(5)).await);
    for task in on.lease(reader(2)).await.tasks {
        let refused = ReaderId::from_bits(2);
        let verdict = Verdict::Unreadable { error: "what".to_owned(), reader: refused };
        on.settle(at(0), task.lease, verdict).await;
    }
    let other = on.store(at(0), of(100)).await;
    let leased = on.lease(reader(3)).await.tasks;
    assert_eq!(ids(&leased), [urgent, plain, other], "those that had their turn come first");
    assert_eq!(leased[0].spec.priority, 5);
}

pub(super) async fn a_replayed_dead_letter_keeps_its_priority(on: Stage) {
    let urgent = store(&on, 0, 5).await;
    on.attempt(at(0), permanent()).await;
    assert_eq!(on.record(urgent).await.spec.priority, 5);
    let plain = store(&on, 0, 0).await;
    on.replay(at(10), urgent).await.expect("it is a dead letter");
    assert_eq!(ids(&on.lease_all(at(10)).await), [urgent, plain]);
}

pub(super) async fn a_buried_task_keeps_its_priority(on: Stage) {
    let task = of(&on, -7);
    let id = task.spec.id;
    let request = Bury::new(Now::At(at(0)), task, 3, None, "it failed elsewhere".to_owned());
    on.backend.bury(request).await.expect("bury answers");
    let record = on.record(id).await;
    assert_eq!((record.state, record.spec.priority), (TaskState::Dead, -7));
    on.replay(at(0), id).await.expect("it is a dead letter");
    assert_eq!(on.lease_one(at(0)).await.spec.priority, -7);
}

pub(super) async fn a_task_made_due_keeps_its_priority(on: Stage) {
    let (plain, urgent) = (store_later(&on, 1000, 0).await, store_later(&on, 1000, 5).await);
    for id in [plain, urgent] {
        on.run_now(at(10), id).await.expect("it waits");
    }
    assert_eq!(ids(&on.lease_all(at(10)).await), [urgent, plain]);
}

pub(super) async fn a_task_made_due_comes_before_those_of_any_priority(on: Stage) {
    let (low, urgent) = (store_later(&on, 1000, -100).await, store(&on, 0, 100).await);
    on.run_now(at(10), low).await.expect("it waits");
    assert_eq!(ids(&on.lease_all(at(10)).await), [low, urgent]);
}

pub(super) async fn a_task_made_due_that_fails_keeps_its_priority(on: Stage) {
    on.retry_briefly("q").await;
    let urgent = store_later(&on, 1000, 5).await;
    on.run_now(at(10), urgent).await.expect("it waits");
    on.attempt(at(10), retry()).await;
    let plain = store(&on, 10, 0).await;
    assert_eq!(ids(&on.lease_all(at(20)).await), [urgent, plain]);
}

pub(super) async fn tasks_of_all_priorities_are_counted_and_purged_together(on: Stage) {
    for priority in [-100, 0, 100] {
        store(&on, 0, priority).await;
    }
    let lines = on.stats(at(0)).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((lines[0].stats.scheduled, lines[0].stats.due), (3, 3));
    assert_eq!(on.purge(at(0), "q").await.deleted, 3);
    assert!(on.all().await.is_empty());
}

pub(super) async fn tasks_at_the_end_of_time_stand_by_priority(on: Stage) {
    let mut stored = Vec::new();
    for priority in [-100, 0, 100] {
        let schedule = Schedule::At(Timestamp::MAX);
        stored.push(on.store(at(0), NewTask { schedule, ..of(&on, priority) }).await);
    }
    stored.reverse();
    assert_eq!(ids(&on.lease_all(Timestamp::MAX).await), stored);
}
