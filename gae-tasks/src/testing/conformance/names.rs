//! Names: a name belongs to one task of a queue at a time, and stays blocked for a while
//! afterwards.

use super::stage::{
    DEAD_LETTERS, LEASE, Stage, TOMBSTONES, at, just_before, permanent, queue, retry, secs,
};
use crate::backend::{Bury, NewTask, Settled, TaskState, Verdict};
use crate::queue::{QueueConfig, RetryConfig};
use crate::task::{Deferred, TaskId};
use crate::time::{Now, Schedule, Timestamp};

async fn is_blocked(on: &Stage, now: Timestamp, holder: TaskId) -> bool {
    let task = on.named("n");
    let answer = on.offer(now, task.clone()).await;
    if answer.created {
        assert_eq!(answer.id, task.spec.id);
    } else {
        assert_eq!(answer, Deferred::new(holder, false), "the answer names the holder");
        assert_eq!(on.find(task.spec.id).await, None, "the refused task is not stored");
    }
    !answer.created
}

pub(super) async fn a_name_belongs_to_a_queue(on: Stage) {
    on.store(at(0), on.named("n")).await;
    on.store(at(0), on.named("n").with(|task| task.spec.queue = queue("r"))).await;
}

pub(super) async fn a_name_has_its_case(on: Stage) {
    on.store(at(0), on.named("Name")).await;
    on.store(at(0), on.named("name")).await;
}

pub(super) async fn the_first_of_a_batch_gets_the_name(on: Stage) {
    let (first, second) = (on.named("n"), on.named("n"));
    let answers = on.enqueue(at(0), vec![first.clone(), second.clone()]).await;
    assert_eq!(answers, [Deferred::new(first.spec.id, true), Deferred::new(first.spec.id, false)]);
    assert_eq!(on.find(second.spec.id).await, None);
}

pub(super) async fn a_waiting_task_holds_its_name(on: Stage) {
    let holder =
        on.store(at(0), NewTask { schedule: Schedule::After(secs(99)), ..on.named("n") }).await;
    assert!(is_blocked(&on, at(1), holder).await);
}

pub(super) async fn a_leased_task_holds_its_name(on: Stage) {
    let holder = on.store(at(0), on.named("n")).await;
    on.lease_one(at(0)).await;
    assert!(is_blocked(&on, at(1), holder).await);
}

pub(super) async fn a_failed_task_holds_its_name(on: Stage) {
    let holder = on.store(at(0), on.named("n")).await;
    on.attempt(at(0), retry()).await;
    assert!(is_blocked(&on, at(1), holder).await);
}

pub(super) async fn a_dead_letter_holds_its_name(on: Stage) {
    let holder = on.store(at(0), on.named("n")).await;
    on.attempt(at(0), permanent()).await;
    let late = at(1).plus(TOMBSTONES);
    on.sweep(late, 100).await;
    assert!(is_blocked(&on, late, holder).await);
}

pub(super) async fn a_replayed_task_holds_its_name(on: Stage) {
    let holder = on.store(at(0), on.named("n")).await;
    on.attempt(at(0), permanent()).await;
    on.replay(at(1), holder).await.expect("the dead letter is replayed");
    assert!(is_blocked(&on, at(1), holder).await);
    assert_eq!(on.attempt(at(1), Verdict::Done).await, Settled::Done);
    assert!(is_blocked(&on, at(2), holder).await);
    assert!(!is_blocked(&on, at(1).plus(TOMBSTONES), holder).await);
}

pub(super) async fn a_finished_task_blocks_its_name_for_exactly_the_time_given(on: Stage) {
    let holder = on.store(at(0), on.named("n")).await;
    on.attempt(at(5), Verdict::Done).await;
    let until = at(5).plus(TOMBSTONES);
    assert!(is_blocked(&on, at(5), holder).await);
    assert!(is_blocked(&on, just_before(until), holder).await);
    assert!(!is_blocked(&on, until, holder).await);
}

pub(super) async fn a_finished_task_blocks_its_name_whatever_came_before(on: Stage) {
    let retries = RetryConfig::new().with_min_backoff(secs(10)).with_max_backoff(secs(10));
    on.configure("q", QueueConfig::new().with_retry(retries)).await;
    let holder = on.store(at(3600), on.named("n")).await;
    // It fails, the clock is set back, and its lease is lost.
    assert_eq!(on.attempt(at(3600), retry()).await, Settled::Scheduled(at(3610)));
    on.sweep(at(100), 100).await;
    let recovered = on.lose(at(110)).await;
    assert_eq!(on.attempt(recovered, Verdict::Done).await, Settled::Done);
    let until = recovered.plus(TOMBSTONES);
    assert!(is_blocked(&on, just_before(until), holder).await);
    assert!(!is_blocked(&on, until, holder).await);
}

pub(super) async fn a_failed_task_that_is_done_blocks_its_name_for_exactly_the_time_given(
    on: Stage,
) {
    let holder = on.store(at(0), on.named("n")).await;
    on.attempt(at(0), retry()).await;
    on.run_now(at(1), holder).await.expect("it waits");
    assert_eq!(on.attempt(at(1), Verdict::Done).await, Settled::Done);
    let until = at(1).plus(TOMBSTONES);
    assert!(is_blocked(&on, just_before(until), holder).await);
    assert!(!is_blocked(&on, until, holder).await);
}

pub(super) async fn a_deleted_task_blocks_its_name_for_exactly_the_time_given(on: Stage) {
    let holder = on.store(at(0), on.named("n")).await;
    assert!(on.delete(at(5), holder).await);
    let until = at(5).plus(TOMBSTONES);
    assert!(is_blocked(&on, just_before(until), holder).await);
    assert!(!is_blocked(&on, until, holder).await);
}

pub(super) async fn a_deleted_dead_letter_blocks_its_name(on: Stage) {
    let holder = on.store(at(0), on.named("n")).await;
    on.attempt(at(0), permanent()).await;
    assert!(on.delete(at(5), holder).await);
    assert!(is_blocked(&on, at(6), holder).await);
    assert!(!is_blocked(&on, at(5).plus(TOMBSTONES), holder).await);
}

pub(super) async fn a_purged_task_blocks_its_name_for_exactly_the_time_given(on: Stage) {
    let holder = on.store(at(0), on.named("n")).await;
    assert_eq!(on.purge(at(5), "q").await.deleted, 1);
    let until = at(5).plus(TOMBSTONES);
    assert!(is_blocked(&on, just_before(until), holder).await);
    assert!(!is_blocked(&on, until, holder).await);
}

pub(super) async fn a_forgotten_dead_letter_blocks_its_name_for_a_while(on: Stage) {
    let holder = on.store(at(0), on.named("n")).await;
    on.attempt(at(0), permanent()).await;
    let forgotten = at(0).plus(DEAD_LETTERS);
    on.sweep(forgotten, 100).await;
    assert_eq!(on.find(holder).await, None);
    let until = forgotten.plus(TOMBSTONES);
    assert!(is_blocked(&on, just_before(until), holder).await);
    assert!(!is_blocked(&on, until, holder).await);
}

pub(super) async fn a_tombstone_of_no_length_blocks_nothing(on: Stage) {
    on.configure("q", QueueConfig::new().with_tombstone_retention(secs(0))).await;
    let holder = on.store(at(0), on.named("n")).await;
    assert_eq!(on.attempt(at(0), Verdict::Done).await, Settled::Done);
    assert!(!is_blocked(&on, at(0), holder).await);
}

pub(super) async fn each_queue_blocks_names_for_as_long_as_it_says(on: Stage) {
    on.configure("r", QueueConfig::new().with_tombstone_retention(secs(7))).await;
    for name in ["q", "r"] {
        let task = on.named("n").with(|task| task.spec.queue = queue(name));
        on.store(at(0), task).await;
    }
    for task in on.lease_all(at(0)).await {
        on.settle(at(0), task.lease, Verdict::Done).await;
    }
    assert_eq!(on.sweep(at(7), 100).await.forgotten, 1);
    let again = on
        .enqueue(
            at(7),
            vec![on.named("n"), on.named("n").with(|task| task.spec.queue = queue("r"))],
        )
        .await;
    assert_eq!((again[0].created, again[1].created), (false, true));
}

pub(super) async fn a_name_can_be_reused_again_and_again(on: Stage) {
    let mut now = at(0);
    for _ in 0..3 {
        let holder = on.store(now, on.named("n")).await;
        on.attempt(now, Verdict::Done).await;
        assert!(is_blocked(&on, now, holder).await);
        now = now.plus(TOMBSTONES);
    }
}

pub(super) async fn a_sweep_does_not_forget_a_name_that_is_held_again(on: Stage) {
    on.store(at(0), on.named("n")).await;
    on.attempt(at(0), Verdict::Done).await;
    let reused = at(0).plus(TOMBSTONES);
    let holder = on.store(reused, on.named("n")).await;
    on.sweep(reused.plus(TOMBSTONES), 100).await;
    assert!(is_blocked(&on, reused.plus(TOMBSTONES), holder).await);
}

pub(super) async fn a_sweep_does_not_forget_a_name_too_early(on: Stage) {
    let holder = on.store(at(0), on.named("n")).await;
    on.attempt(at(0), Verdict::Done).await;
    let early = just_before(at(0).plus(TOMBSTONES));
    assert_eq!(on.sweep(early, 100).await.forgotten, 0);
    assert!(is_blocked(&on, early, holder).await);
}

pub(super) async fn unnamed_tasks_leave_no_tombstones(on: Stage) {
    on.store_plain(at(0), 3).await;
    for task in on.lease_all(at(0)).await {
        on.settle(at(0), task.lease, Verdict::Done).await;
    }
    assert_eq!(on.sweep(at(1).plus(TOMBSTONES), 100).await.forgotten, 0);
}

/// Returns the task that has the name `n` in the queue `q`.
async fn found(on: &Stage) -> Option<TaskId> {
    on.find_named("q", "n").await.map(|record| record.spec.id)
}

pub(super) async fn a_task_is_found_by_its_name_in_every_state(on: Stage) {
    let id = on.store(at(0), on.named("n")).await;
    on.store(at(0), on.named("other")).await;
    assert_eq!(
        on.find_named("q", "n").await,
        Some(on.record(id).await),
        "`find` and `get` return the same record"
    );
    on.lease_all(at(0)).await;
    assert_eq!(on.find_named("q", "n").await.map(|record| record.state), Some(TaskState::Leased));
    let now = at(0).plus(LEASE);
    on.sweep(now, 100).await;
    assert_eq!(on.find_named("q", "n").await, Some(on.record(id).await));
    for task in on.lease_all(now).await {
        on.settle(now, task.lease, permanent()).await;
    }
    assert_eq!(
        on.find_named("q", "n").await.map(|record| (record.spec.id, record.state)),
        Some((id, TaskState::Dead))
    );
    on.replay(now, id).await.expect("the dead letter is replayed");
    assert_eq!(found(&on).await, Some(id));
}

pub(super) async fn a_name_is_looked_for_in_its_queue_only(on: Stage) {
    on.store(at(0), on.named("n")).await;
    assert_eq!(on.find_named("r", "n").await, None, "the queue `r` does not exist");
    let other = on.store(at(0), on.named("n").with(|task| task.spec.queue = queue("r"))).await;
    assert_eq!(on.find_named("r", "n").await.map(|record| record.spec.id), Some(other));
    assert_eq!(on.find_named("q", "N").await, None, "names are case-sensitive");
}

pub(super) async fn a_name_that_was_never_held_finds_nothing(on: Stage) {
    assert_eq!(found(&on).await, None);
    on.store(at(0), on.task()).await;
    assert_eq!(found(&on).await, None);
}

pub(super) async fn a_finished_task_is_not_found_by_its_name(on: Stage) {
    on.store(at(0), on.named("n")).await;
    on.attempt(at(0), Verdict::Done).await;
    assert_eq!(found(&on).await, None);
}

pub(super) async fn a_deleted_task_is_not_found_by_its_name(on: Stage) {
    let waits = on.store(at(0), on.named("n")).await;
    on.delete(at(0), waits).await;
    assert_eq!(found(&on).await, None);
    on.store(at(0), on.named("m")).await;
    on.purge(at(0), "q").await;
    assert_eq!(on.find_named("q", "m").await, None);
}

pub(super) async fn a_name_that_is_held_again_finds_its_new_task(on: Stage) {
    on.store(at(0), on.named("n")).await;
    on.attempt(at(0), Verdict::Done).await;
    let later = at(0).plus(TOMBSTONES);
    assert_eq!(found(&on).await, None);
    let again = on.store(later, on.named("n")).await;
    assert_eq!(found(&on).await, Some(again));
}

pub(super) async fn a_refused_task_is_not_found_by_the_name(on: Stage) {
    let first = on.store(at(0), on.named("n")).await;
    assert!(!on.offer(at(0), on.named("n")).await.created);
    assert_eq!(found(&on).await, Some(first));
}

pub(super) async fn a_buried_task_is_found_by_its_name(on: Stage) {
    let task = on.named("n");
    let id = task.spec.id;
    let bury = Bury::new(Now::At(at(0)), task, 1, None, "over".to_owned());
    on.backend.bury(bury).await.expect("bury answers");
    assert_eq!(found(&on).await, Some(id));
    // The name belongs to another task, so the task was buried without a name.
    let bury = Bury::new(Now::At(at(0)), on.named("n"), 1, None, "over".to_owned());
    on.backend.bury(bury).await.expect("bury answers");
    assert_eq!(found(&on).await, Some(id));
}
