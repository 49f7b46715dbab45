//! Unique tasks: who has a key, and what a call does that meets the one who has it.

use super::stage::{
    DEAD_LETTERS, LEASE, Stage, TOMBSTONES, at, ids, just_before, permanent, queue, retry, secs,
    stored,
};
use crate::backend::{Cancelled, NewTask, Settled, TaskState, Verdict};
use crate::task::{Conflict, Deferred, OnConflict, Reschedule, Shape, TaskId, UniqueKey};
use crate::time::{Schedule, Timestamp};

/// A task with the key `k` that does this on a conflict.
fn keyed(on: &Stage, rules: OnConflict) -> NewTask {
    of(on, b'k', rules)
}

fn of(on: &Stage, key: u8, rules: OnConflict) -> NewTask {
    on.task().with(|task| {
        task.spec.unique = Some(UniqueKey::new([key; 16], rules.over_finished));
        task.on_conflict = rules;
    })
}

fn behind() -> OnConflict {
    OnConflict { over_running: false, ..OnConflict::KEEP }
}

fn replacing() -> OnConflict {
    OnConflict { replaces_args: true, ..OnConflict::KEEP }
}

fn rescheduling() -> OnConflict {
    OnConflict { reschedules: Reschedule::ToCall, ..OnConflict::KEEP }
}

fn over_all() -> OnConflict {
    OnConflict { over_dead: true, over_finished: true, ..OnConflict::KEEP }
}

fn after(seconds: u64, task: NewTask) -> NewTask {
    NewTask { schedule: Schedule::After(secs(seconds)), ..task }
}

/// A call that meets the holder leaves it, and stores nothing.
async fn is_kept(on: &Stage, now: Timestamp, task: NewTask, holder: TaskId) {
    let own = task.spec.id;
    assert_eq!(on.offer(now, task).await, Deferred::of_conflict(holder, Conflict::Kept));
    assert_eq!(on.find(own).await, None, "the refused task is not stored");
}

pub(super) async fn a_waiting_task_has_its_key(on: Stage) {
    let task = after(9, keyed(&on, OnConflict::KEEP));
    let key = task.spec.unique;
    let holder = on.store(at(0), task).await;
    is_kept(&on, at(1), keyed(&on, OnConflict::KEEP), holder).await;
    is_kept(&on, at(1), keyed(&on, behind()), holder).await;
    assert_eq!(on.record(holder).await.spec.unique, key);
    assert_eq!(on.record(holder).await.spec.name, None);
    assert_eq!(on.lease_one(at(9)).await.spec.unique, key);
}

pub(super) async fn a_key_belongs_to_a_queue(on: Stage) {
    on.store(at(0), keyed(&on, OnConflict::KEEP)).await;
    on.store(at(0), of(&on, b'l', OnConflict::KEEP)).await;
    let elsewhere = keyed(&on, OnConflict::KEEP).with(|task| task.spec.queue = queue("r"));
    on.store(at(0), elsewhere).await;
    on.store(at(0), on.named("k")).await;
}

pub(super) async fn a_key_is_the_same_whether_it_outlives_its_task(on: Stage) {
    let holder = on.store(at(0), keyed(&on, OnConflict::KEEP)).await;
    is_kept(&on, at(0), keyed(&on, over_all()), holder).await;
}

pub(super) async fn the_first_of_a_batch_has_the_key(on: Stage) {
    let tasks = [0; 3].map(|_| keyed(&on, OnConflict::KEEP));
    let (first, plain) = (tasks[0].spec.id, on.task());
    let [one, two, three] = tasks;
    let other = plain.spec.id;
    let answers = on.enqueue(at(0), vec![one, plain, two, three]).await;
    let kept = Deferred::of_conflict(first, Conflict::Kept);
    assert_eq!(answers, [Deferred::new(first, true), Deferred::new(other, true), kept, kept]);
    assert_eq!(stored(&on.all().await).len(), 2);
}

pub(super) async fn the_same_unique_task_again_is_a_no_op(on: Stage) {
    for rules in [OnConflict::KEEP, replacing(), rescheduling()] {
        let task = after(9, keyed(&on, rules));
        let id = on.store(at(0), task.clone()).await;
        let record = on.record(id).await;
        assert_eq!(on.store(at(1), task).await, id);
        assert_eq!(on.all().await, [record]);
        on.delete(at(1), id).await;
    }
}

pub(super) async fn the_same_unique_task_after_its_end_is_a_no_op(on: Stage) {
    let task = keyed(&on, over_all());
    let id = on.store(at(0), task.clone()).await;
    on.attempt(at(0), Verdict::Done).await;
    // As the first answer, which was lost.
    assert_eq!(on.offer(at(1), task).await, Deferred::new(id, true));
    assert_eq!(on.all().await, []);
    is_kept(&on, at(1), keyed(&on, over_all()), id).await;
}

pub(super) async fn a_running_task_has_its_key(on: Stage) {
    let holder = on.store(at(0), keyed(&on, OnConflict::KEEP)).await;
    on.lease_one(at(0)).await;
    is_kept(&on, at(1), keyed(&on, OnConflict::KEEP), holder).await;
}

pub(super) async fn a_running_task_is_never_changed(on: Stage) {
    let holder = on.store(at(0), keyed(&on, OnConflict::KEEP)).await;
    on.lease_one(at(0)).await;
    let record = on.record(holder).await;
    for rules in [replacing(), rescheduling()] {
        let answer = on.offer(at(1), after(9, keyed(&on, rules))).await;
        assert_eq!(answer, Deferred::of_conflict(holder, Conflict::Running));
    }
    assert_eq!(on.all().await, [record]);
}

pub(super) async fn one_task_waits_behind_a_running_one(on: Stage) {
    let first = on.store(at(0), keyed(&on, behind())).await;
    let lease = on.lease_one(at(0)).await.lease;
    let second = keyed(&on, behind());
    let behind_it = second.spec.id;
    let answer = on.offer(at(1), second).await;
    assert_eq!(answer, Deferred::of_conflict(behind_it, Conflict::Behind));
    is_kept(&on, at(1), keyed(&on, behind()), behind_it).await;
    // The key is not the first one's any more, whatever becomes of it.
    assert_eq!(on.settle(at(2), lease, Verdict::Done).await, Settled::Done);
    assert_eq!(on.find(first).await, None);
    is_kept(&on, at(2), keyed(&on, behind()), behind_it).await;
    assert_eq!(ids(&on.lease_all(at(2)).await), [behind_it]);
}

pub(super) async fn a_task_that_is_over_frees_its_key(on: Stage) {
    on.store(at(0), keyed(&on, OnConflict::KEEP)).await;
    on.attempt(at(0), Verdict::Done).await;
    // Its own call did not ask for it to be remembered.
    let id = on.store(at(1), keyed(&on, over_all())).await;
    assert_eq!(on.lease_one(at(1)).await.lease.id, id);
}

pub(super) async fn a_finished_task_blocks_its_key_for_exactly_the_time_given(on: Stage) {
    let holder = on.store(at(0), keyed(&on, over_all())).await;
    on.attempt(at(5), Verdict::Done).await;
    let until = at(5).plus(TOMBSTONES);
    is_kept(&on, just_before(until), keyed(&on, over_all()), holder).await;
    on.sweep(just_before(until), 100).await;
    is_kept(&on, just_before(until), keyed(&on, over_all()), holder).await;
    on.store(until, keyed(&on, over_all())).await;
}

pub(super) async fn a_finished_task_blocks_only_those_who_ask(on: Stage) {
    on.store(at(0), keyed(&on, over_all())).await;
    on.attempt(at(0), Verdict::Done).await;
    on.store(at(1), keyed(&on, OnConflict::KEEP)).await;
}

pub(super) async fn a_dead_letter_blocks_only_those_who_ask(on: Stage) {
    let dead = on.store(at(0), keyed(&on, OnConflict::KEEP)).await;
    on.attempt(at(0), permanent()).await;
    is_kept(&on, at(1), keyed(&on, over_all()), dead).await;
    let next = on.store(at(1), keyed(&on, OnConflict::KEEP)).await;
    // The next one has the key, also when the dead letter is replayed, and is over.
    on.replay(at(2), dead).await.expect("the dead letter is replayed");
    is_kept(&on, at(2), keyed(&on, OnConflict::KEEP), next).await;
    assert!(on.delete(at(2), dead).await);
    is_kept(&on, at(2), keyed(&on, OnConflict::KEEP), next).await;
}

pub(super) async fn a_failed_or_lost_task_has_its_key(on: Stage) {
    let holder = on.store(at(0), keyed(&on, OnConflict::KEEP)).await;
    on.attempt(at(0), retry()).await;
    is_kept(&on, at(0), keyed(&on, OnConflict::KEEP), holder).await;
    on.lease_one(at(60)).await;
    on.sweep(at(60).plus(LEASE), 100).await;
    is_kept(&on, at(60).plus(LEASE), keyed(&on, OnConflict::KEEP), holder).await;
}

pub(super) async fn what_ends_a_task_by_hand_frees_its_key(on: Stage) {
    let deleted = on.store(at(0), keyed(&on, OnConflict::KEEP)).await;
    assert!(on.delete(at(0), deleted).await);
    let cancelled = on.store(at(0), keyed(&on, OnConflict::KEEP)).await;
    assert_eq!(on.cancel(at(0), cancelled).await, Cancelled::Removed);
    on.store(at(0), keyed(&on, OnConflict::KEEP)).await;
    on.purge(at(0), "q").await;
    on.store(at(0), keyed(&on, OnConflict::KEEP)).await;
}

pub(super) async fn a_dead_letter_that_is_forgotten_frees_its_key(on: Stage) {
    on.store(at(0), keyed(&on, OnConflict::KEEP)).await;
    on.attempt(at(0), permanent()).await;
    let late = at(0).plus(DEAD_LETTERS);
    assert!(on.sweep(late, 100).await.forgotten >= 1);
    on.store(late, keyed(&on, over_all())).await;
}

pub(super) async fn args_are_replaced_and_the_time_is_kept(on: Stage) {
    let old = on.store(at(0), after(9, keyed(&on, OnConflict::KEEP))).await;
    let new = keyed(&on, replacing()).with(|task| task.payload = b"n".to_vec());
    let id = new.spec.id;
    assert_eq!(on.offer(at(3), new).await, Deferred::of_conflict(id, Conflict::Replaced));
    assert_eq!(on.find(old).await, None);
    let record = on.record(id).await;
    assert_eq!(record.payload.as_deref(), Some(&b"n"[..]));
    assert_eq!((record.created, record.schedule_time), (at(0), at(9)));
    is_kept(&on, at(3), keyed(&on, OnConflict::KEEP), id).await;
    assert_eq!(ids(&on.lease_all(just_before(at(9))).await), []);
    assert_eq!(ids(&on.lease_all(at(9)).await), [id]);
}

pub(super) async fn a_replacement_has_the_place_of_the_task_before(on: Stage) {
    on.store(at(0), keyed(&on, OnConflict::KEEP)).await;
    let later = on.store(at(1), on.task()).await;
    let new = keyed(&on, replacing());
    let id = new.spec.id;
    on.offer(at(2), new).await;
    assert_eq!(ids(&on.lease_all(at(2)).await), [id, later]);
}

pub(super) async fn a_replacement_may_have_another_shape(on: Stage) {
    let old = on.store(at(0), keyed(&on, OnConflict::KEEP)).await;
    on.attempt(at(0), retry()).await;
    let new = keyed(&on, replacing()).with(|task| {
        task.spec.shape = Shape::from_bits(8);
        task.spec.priority = 5;
        task.schema = [].into();
    });
    let id = new.spec.id;
    assert_eq!(on.offer(at(0), new).await, Deferred::of_conflict(id, Conflict::Replaced));
    let record = on.record(id).await;
    assert_eq!((record.attempts, record.errors.len()), (0, 0), "it is a task of its own");
    assert_eq!((record.spec.shape, record.spec.priority), (Shape::from_bits(8), 5));
    assert_eq!(on.find(old).await, None);
    // The pause after the failure goes on.
    assert_eq!(ids(&on.lease_all(at(0)).await), []);
    assert_eq!(ids(&on.lease_all(at(60)).await), [id]);
}

pub(super) async fn a_task_is_rescheduled_and_keeps_its_args(on: Stage) {
    let first = keyed(&on, rescheduling()).with(|task| task.payload = b"1".to_vec());
    let id = on.store(at(0), after(5, first)).await;
    let moved = Deferred::of_conflict(id, Conflict::Rescheduled);
    assert_eq!(on.offer(at(3), after(5, keyed(&on, rescheduling()))).await, moved);
    let record = on.record(id).await;
    assert_eq!((record.created, record.schedule_time), (at(0), at(8)));
    assert_eq!(record.payload.as_deref(), Some(&b"1"[..]));
    assert_eq!(ids(&on.lease_all(just_before(at(8))).await), []);
    // Sooner, too.
    assert_eq!(on.offer(at(4), keyed(&on, rescheduling())).await, moved);
    assert_eq!(ids(&on.lease_all(at(4)).await), [id]);
}

pub(super) async fn a_rescheduled_task_waits_for_no_longer_than_said(on: Stage) {
    let within = OnConflict { reschedules: Reschedule::Within(secs(10)), ..rescheduling() };
    let id = on.store(at(0), after(5, keyed(&on, within))).await;
    for (now, due) in [(4, 9), (8, 10), (9, 10)] {
        on.offer(at(now), after(5, keyed(&on, within))).await;
        assert_eq!(on.record(id).await.schedule_time, at(due));
    }
    assert_eq!(ids(&on.lease_all(at(10)).await), [id]);
}

pub(super) async fn a_pause_after_a_failure_is_not_shortened(on: Stage) {
    let id = on.store(at(0), keyed(&on, OnConflict::KEEP)).await;
    on.attempt(at(0), retry()).await;
    let record = on.record(id).await;
    is_kept(&on, at(0), keyed(&on, rescheduling()), id).await;
    assert_eq!(on.record(id).await, record);
}

pub(super) async fn a_task_that_was_made_due_by_hand_stays_due(on: Stage) {
    let id = on.store(at(0), after(50, keyed(&on, OnConflict::KEEP))).await;
    on.run_now(at(1), id).await.expect("the task waits");
    is_kept(&on, at(1), after(50, keyed(&on, rescheduling())), id).await;
    assert_eq!(ids(&on.lease_all(at(1)).await), [id]);
}

pub(super) async fn what_a_newer_version_stored_is_not_changed(on: Stage) {
    let task = keyed(&on, OnConflict::KEEP);
    let newer = task.clone().with(|task| task.spec.attributes = on.newer().spec.attributes);
    let id = on.store(at(0), newer).await;
    for rules in [replacing(), rescheduling()] {
        is_kept(&on, at(1), after(9, keyed(&on, rules)), id).await;
    }
}

pub(super) async fn a_replaced_task_wakes_workers_and_a_rescheduled_one(on: Stage) {
    let wakeups = on.backend.wakeups();
    on.store(at(0), after(50, keyed(&on, OnConflict::KEEP))).await;
    for rules in [rescheduling(), OnConflict { replaces_args: true, ..rescheduling() }] {
        let mut wakeups = wakeups.clone();
        wakeups.borrow_and_update();
        on.offer(at(1), keyed(&on, rules)).await;
        wakeups.changed().await.expect("the backend is there");
    }
}

pub(super) async fn fifty_concurrent_callers_with_one_key_create_one_task(on: Stage) {
    let on = std::sync::Arc::new(on);
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let on = std::sync::Arc::clone(&on);
            tokio::spawn(async move { on.offer(at(0), keyed(&on, OnConflict::KEEP)).await })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.expect("the call answers"));
    }
    let created: Vec<_> = answers.iter().filter(|answer| answer.created).collect();
    assert_eq!(created.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.id == created[0].id));
    assert_eq!(stored(&on.all().await), [created[0].id]);
}

pub(super) async fn a_task_behind_a_dead_one_keeps_the_key(on: Stage) {
    let first = on.store(at(0), keyed(&on, behind())).await;
    let lease = on.lease_one(at(0)).await.lease;
    let second = keyed(&on, behind());
    let behind_it = second.spec.id;
    on.offer(at(1), second).await;
    assert_eq!(on.settle(at(2), lease, permanent()).await, Settled::Dead);
    assert_eq!(on.record(first).await.state, TaskState::Dead);
    is_kept(&on, at(2), keyed(&on, over_all()), behind_it).await;
}
