//! Sweeping: lost leases are recovered, poison tasks become dead letters, and expired records are
//! deleted.

use super::stage::{
    DEAD_LETTERS, LEASE, ROOM, Stage, TOMBSTONES, at, ids, just_before, permanent, queue, retry,
    secs, settlement, stored,
};
use crate::backend::{
    Enqueue, HeldLease, Lease, NewTask, Room, Settle, Settled, Standing, Sweep, Swept, TaskFilter,
    TaskState, Verdict,
};
use crate::queue::{QueueConfig, RetryConfig};
use crate::task::Deferred;
use crate::time::{Now, Schedule, Timestamp};

pub(super) async fn a_sweep_of_nothing_does_nothing(on: Stage) {
    assert_eq!(on.sweep(at(0), 100).await, Swept::default());
    on.store(at(0), on.task()).await;
    let before = on.all().await;
    assert_eq!(on.sweep(at(9999), 100).await, Swept::default());
    assert_eq!(on.all().await, before);
}

pub(super) async fn a_lease_is_lost_exactly_at_its_end(on: Stage) {
    on.store(at(0), on.task()).await;
    on.lease_one(at(0)).await;
    assert_eq!(on.sweep(just_before(at(0).plus(LEASE)), 100).await.recovered, 0);
    assert_eq!(on.sweep(at(0).plus(LEASE), 100).await.recovered, 1);
    assert_eq!(on.sweep(at(0).plus(LEASE), 100).await.recovered, 0);
}

pub(super) async fn the_first_lost_lease_only_marks_a_task(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    let now = on.lose(at(0)).await;
    let record = on.record(id).await;
    assert_eq!((record.state, record.lost_leases), (TaskState::Scheduled, 1));
    assert_eq!((record.attempts, record.first_attempt, record.errors.len()), (0, None, 0));
    assert!(on.lease_one(now).await.standing == Standing::Marked);
}

pub(super) async fn a_recovered_task_keeps_its_place(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    on.lose(at(5)).await;
    assert_eq!(on.record(id).await.schedule_time, at(0));
}

pub(super) async fn the_second_lost_lease_makes_a_suspect(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    let now = on.lose(at(0)).await;
    let now = on.lose(now).await;
    let record = on.record(id).await;
    assert_eq!((record.lost_leases, record.lost_attempts, record.attempts), (2, 0, 0));
    assert_eq!(on.lease_one(now).await.standing, Standing::Suspect);
}

/// Loses leases of the only task until the task is a suspect, and returns that moment.
async fn suspect(on: &Stage) -> Timestamp {
    let now = on.lose(at(0)).await;
    on.lose(now).await
}

/// Returns a request of a worker that holds no suspect and takes one.
fn alone(on: &Stage, now: Timestamp) -> Lease {
    Lease { room: Room { suspects: 1, ..ROOM }, ..on.leasing(now) }
}

pub(super) async fn a_suspect_that_is_lost_alone_has_made_an_attempt(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    let now = suspect(&on).await;
    let now = on.lose_as(alone(&on, now), now).await;
    let record = on.record(id).await;
    assert_eq!((record.attempts, record.lost_attempts, record.lost_leases), (1, 1, 3));
    assert_eq!((record.state, record.first_attempt), (TaskState::Scheduled, Some(now)));
    assert_eq!((record.errors.len(), record.errors[0].attempt, record.errors[0].at), (1, 1, now));
    assert!(record.errors[0].message.contains("lease was lost"), "{}", record.errors[0].message);
    assert_eq!(on.lease_one(now).await.attempts, 1);
}

pub(super) async fn a_suspect_that_is_lost_in_company_is_isolated(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    let now = suspect(&on).await;
    let in_company =
        Lease { room: Room { in_company: true, suspects: 1, ..ROOM }, ..on.leasing(now) };
    let now = on.lose_as(in_company, now).await;
    let record = on.record(id).await;
    assert_eq!(
        (record.attempts, record.lost_attempts, record.lost_leases, record.errors.len()),
        (0, 0, 3, 0)
    );
    let leased = on.lease_one(now).await;
    assert_eq!((leased.standing, leased.alone), (Standing::Isolated, true));
}

pub(super) async fn a_suspect_is_alone_where_one_is_asked_for_and_none_is_held(on: Stage) {
    on.store(at(0), on.task()).await;
    let now = suspect(&on).await;
    for (suspects, in_company, is_alone) in [(2, false, false), (1, true, false), (1, false, true)]
    {
        let leased = on
            .lease(Lease { room: Room { suspects, in_company, ..ROOM }, ..on.leasing(now) })
            .await
            .tasks
            .remove(0);
        assert_eq!(
            (leased.standing, leased.alone),
            (Standing::Suspect, is_alone),
            "{suspects} {in_company}"
        );
        on.settle(now, leased.lease, Verdict::Release).await;
    }
}

pub(super) async fn an_isolated_task_is_its_workers_only_suspect(on: Stage) {
    let ids_of_all = on.store_plain(at(0), 3).await;
    let mut now = at(0);
    for _ in 0..3 {
        assert_eq!(on.lease_all(now).await.len(), 3);
        now = now.plus(LEASE);
        on.sweep(now, 100).await;
    }
    let in_company =
        on.lease(Lease { room: Room { in_company: true, ..ROOM }, ..on.leasing(now) }).await;
    assert_eq!(
        (ids(&in_company.tasks), in_company.isolated),
        (vec![], true),
        "the worker has other suspects"
    );
    let none = Lease { room: Room { suspects: 0, ..ROOM }, ..on.leasing(now) };
    assert_eq!(ids(&on.lease(none).await.tasks), []);
    let none = Lease { room: Room { starting: 0, ..ROOM }, ..on.leasing(now) };
    assert_eq!(ids(&on.lease(none).await.tasks), []);
    assert_eq!(ids(&on.lease_all(now).await), ids_of_all[..1]);
    assert_eq!(ids(&on.lease_all(now).await), ids_of_all[1..2], "another worker's");
}

pub(super) async fn no_suspect_is_leased_beside_an_isolated_task(on: Stage) {
    let first = on.store(at(0), on.task()).await;
    let now = suspect(&on).await;
    let now = on.lose(now).await;
    let second = on.store(now, on.task()).await;
    on.run_now(now, first).await.expect("it waits");
    // The second becomes a suspect while the first waits.
    let mut later = now;
    for _ in 0..2 {
        let leased = on
            .lease(Lease { room: Room { in_company: true, ..ROOM }, ..on.leasing(later) })
            .await
            .tasks;
        assert_eq!(ids(&leased), [second]);
        later = later.plus(LEASE);
        on.sweep(later, 100).await;
    }
    let clear = on.store(later, on.task()).await;
    let leased = on.lease_all(later).await;
    assert_eq!(ids(&leased), [first, clear]);
    assert_eq!(leased.iter().map(|task| task.alone).collect::<Vec<_>>(), [true, false]);
}

pub(super) async fn an_isolated_task_that_is_left_is_told_beside_what_is_leased(on: Stage) {
    let isolated = on.store(at(0), on.task()).await;
    let now = suspect(&on).await;
    let now = on.lose(now).await;
    let clear = on.store(now, on.task()).await;
    let leased =
        on.lease(Lease { room: Room { in_company: true, ..ROOM }, ..on.leasing(now) }).await;
    assert_eq!((ids(&leased.tasks), leased.isolated), (vec![clear], true));
    let leased = on.lease(on.leasing(now)).await;
    assert_eq!((ids(&leased.tasks), leased.isolated), (vec![isolated], false));
}

pub(super) async fn poison_becomes_a_dead_letter(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    let mut now = suspect(&on).await;
    let max = QueueConfig::new().max_lost_attempts();
    for _ in 1..max {
        now = on.lose_as(alone(&on, now), now).await;
        assert_eq!(on.record(id).await.state, TaskState::Scheduled);
    }
    on.lease(alone(&on, now)).await;
    let now = now.plus(LEASE);
    let swept = on.sweep(now, 100).await;
    assert_eq!((swept.recovered, swept.died), (1, 1));
    let record = on.record(id).await;
    assert_eq!((record.state, record.died), (TaskState::Dead, Some(now)));
    assert_eq!((record.attempts, record.lost_attempts, record.lost_leases), (max, max, max + 2));
}

pub(super) async fn how_many_lost_attempts_are_a_death_is_the_queues(on: Stage) {
    on.configure("q", QueueConfig::new().with_max_lost_attempts(2)).await;
    let id = on.store(at(0), on.task()).await;
    let now = suspect(&on).await;
    let now = on.lose_as(alone(&on, now), now).await;
    assert_eq!(on.record(id).await.state, TaskState::Scheduled);
    on.lose_as(alone(&on, now), now).await;
    assert_eq!(on.record(id).await.state, TaskState::Dead);
}

pub(super) async fn a_tasks_own_cap_counts_lost_attempts(on: Stage) {
    let id = on.store(at(0), on.task().with(|task| task.spec.max_attempts = Some(1))).await;
    let now = suspect(&on).await;
    assert_eq!(
        on.record(id).await.state,
        TaskState::Scheduled,
        "no loss counted as an attempt so far"
    );
    on.lose_as(alone(&on, now), now).await;
    assert_eq!(on.record(id).await.state, TaskState::Dead);
}

pub(super) async fn a_queues_limits_count_lost_attempts(on: Stage) {
    on.configure("q", QueueConfig::new().with_retry(RetryConfig::new().with_max_attempts(Some(2))))
        .await;
    let id = on.store(at(0), on.task()).await;
    let now = suspect(&on).await;
    let now = on.lose_as(alone(&on, now), now).await;
    assert_eq!(on.record(id).await.state, TaskState::Scheduled);
    on.lose_as(alone(&on, now), now).await;
    assert_eq!(on.record(id).await.state, TaskState::Dead);
}

pub(super) async fn a_mark_survives_a_release(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    let now = on.lose(at(0)).await;
    on.attempt(now, Verdict::Release).await;
    assert_eq!(on.lease_one(now).await.standing, Standing::Marked);
    assert_eq!(on.sweep(now.plus(LEASE), 100).await.recovered, 1);
    on.attempt(now.plus(LEASE), Verdict::Release).await;
    assert_eq!(on.record(id).await.lost_leases, 2);
    assert_eq!(on.lease_one(now.plus(LEASE)).await.standing, Standing::Suspect);
}

pub(super) async fn a_task_that_answers_is_clear_again(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    let now = suspect(&on).await;
    let now = on.lose_as(alone(&on, now), now).await;
    on.attempt(now, retry()).await;
    let record = on.record(id).await;
    assert_eq!(
        (record.lost_leases, record.lost_attempts, record.attempts, record.errors.len()),
        (0, 0, 2, 2)
    );
    let ahead =
        Lease { room: Room { starting: 0, suspects: 0, ..ROOM }, ..on.leasing(now.plus(secs(60))) };
    assert_eq!(on.lease(ahead).await.tasks[0].standing, Standing::Clear);
    assert_eq!(on.sweep(now.plus(secs(60)).plus(LEASE), 100).await.recovered, 1);
    let record = on.record(id).await;
    assert_eq!(
        (record.lost_leases, record.attempts),
        (1, 2),
        "the task's next lost lease marks it again"
    );
}

pub(super) async fn a_task_that_answers_in_between_is_no_poison(on: Stage) {
    on.retry_briefly("q").await;
    let id = on.store(at(0), on.task()).await;
    let mut now = at(0);
    for _ in 0..QueueConfig::new().max_lost_attempts() {
        now = on.lose(now).await;
        now = on.lose(now).await;
        now = on.lose_as(alone(&on, now), now).await;
        on.attempt(now, retry()).await;
        now = now.plus(secs(60));
    }
    assert_eq!(on.record(id).await.state, TaskState::Scheduled);
}

pub(super) async fn a_sweep_recovers_at_most_its_limit(on: Stage) {
    on.store_plain(at(0), 5).await;
    on.lease_all(at(0)).await;
    let now = at(0).plus(LEASE);
    for (recovered, more) in [(2, true), (2, true), (1, false), (0, false)] {
        let swept = on.sweep(now, 2).await;
        assert_eq!((swept.recovered, swept.more), (recovered, more));
    }
}

pub(super) async fn marked_tasks_are_leased_only_to_be_started_at_once(on: Stage) {
    let marked = on.store_plain(at(0), 3).await;
    on.lease_all(at(0)).await;
    let now = at(0).plus(LEASE);
    on.sweep(now, 100).await;
    let fresh = on.store_plain(now, 3).await;
    let none =
        on.lease(Lease { room: Room { total: 2, starting: 0, ..ROOM }, ..on.leasing(now) }).await;
    assert_eq!(ids(&none.tasks), fresh[..2]);
    let one =
        on.lease(Lease { room: Room { total: 2, starting: 1, ..ROOM }, ..on.leasing(now) }).await;
    assert_eq!(ids(&one.tasks), [marked[0], fresh[2]]);
    let rest =
        on.lease(Lease { room: Room { total: 10, starting: 10, ..ROOM }, ..on.leasing(now) }).await;
    assert_eq!(ids(&rest.tasks), marked[1..]);
}

pub(super) async fn marked_tasks_are_leased_before_all_others(on: Stage) {
    let marked = on.store(at(9), on.task()).await;
    on.lose(at(9)).await;
    let now = at(9).plus(LEASE);
    let tasks = vec![on.task(), on.task()];
    let fresh: Vec<_> =
        on.enqueue(at(0), tasks).await.into_iter().map(|deferred| deferred.id).collect();
    let leased = on.lease_all(now).await;
    assert_eq!(ids(&leased), [marked, fresh[0], fresh[1]]);
    assert_eq!(
        leased.iter().map(|task| task.standing).collect::<Vec<_>>(),
        [Standing::Marked, Standing::Clear, Standing::Clear]
    );
}

pub(super) async fn marked_tasks_count_towards_the_limit(on: Stage) {
    on.store_plain(at(0), 3).await;
    on.lease_all(at(0)).await;
    let now = at(0).plus(LEASE);
    on.sweep(now, 100).await;
    on.store_plain(now, 3).await;
    assert_eq!(
        on.lease(Lease { room: Room { total: 2, starting: 9, ..ROOM }, ..on.leasing(now) })
            .await
            .tasks
            .len(),
        2
    );
}

pub(super) async fn no_more_suspects_are_leased_than_asked_for(on: Stage) {
    let suspects = on.store_plain(at(0), 3).await;
    on.lease_all(at(0)).await;
    on.sweep(at(0).plus(LEASE), 100).await;
    let marked = on.store(at(0).plus(LEASE), on.task()).await;
    on.lease_all(at(0).plus(LEASE)).await;
    let now = at(0).plus(LEASE).plus(LEASE);
    on.sweep(now, 100).await;
    let clear = on.store(now, on.task()).await;
    let none = on
        .lease(Lease {
            room: Room { suspects: 0, starting: 1, total: 1, ..ROOM },
            ..on.leasing(now)
        })
        .await;
    assert_eq!(ids(&none.tasks), [marked]);
    let one = on.lease(Lease { room: Room { suspects: 1, ..ROOM }, ..on.leasing(now) }).await;
    assert_eq!(ids(&one.tasks), [suspects[0], clear]);
    assert_eq!(
        (one.tasks[0].standing, one.tasks[0].alone, one.tasks[1].alone),
        (Standing::Suspect, true, false)
    );
    let rest = on
        .lease(Lease { room: Room { suspects: 9, starting: 1, ..ROOM }, ..on.leasing(now) })
        .await;
    assert_eq!(ids(&rest.tasks), [suspects[1]]);
}

pub(super) async fn an_expired_lease_is_held_until_somebody_calls_it_lost(on: Stage) {
    on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    let swept = on.sweep_of(at(1_000_000), Vec::new(), 100).await;
    assert_eq!(
        (swept.recovered, swept.held),
        (0, vec![HeldLease::new(lease, at(0).plus(LEASE), LEASE)])
    );
    assert_eq!(on.settle(at(1_000_000), lease, Verdict::Done).await, Settled::Done);
    assert_eq!(on.held(at(1_000_000)).await, []);
}

pub(super) async fn a_lost_lease_is_recovered_whatever_the_clock_says(on: Stage) {
    on.store(at(5000), on.task()).await;
    on.lease_one(at(5000)).await;
    let held = on.held(at(0)).await;
    assert_eq!(on.sweep_of(at(0), held, 100).await.recovered, 1);
    on.lease_one(at(0)).await;
}

pub(super) async fn a_lease_that_was_extended_meanwhile_is_not_recovered(on: Stage) {
    on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    let seen = on.held(at(1)).await;
    assert_eq!(on.extend(at(10), vec![lease], secs(99)).await, [true]);
    let swept = on.sweep_of(at(40), seen, 100).await;
    assert_eq!((swept.recovered, swept.held), (0, vec![HeldLease::new(lease, at(109), secs(99))]));
    assert_eq!(on.settle(at(40), lease, Verdict::Done).await, Settled::Done);
}

pub(super) async fn a_lease_of_another_token_is_not_recovered(on: Stage) {
    on.store(at(0), on.task()).await;
    let first = on.lease_one(at(0)).await.lease;
    let seen = on.held(at(0)).await;
    on.settle(at(0), first, Verdict::Release).await;
    let second = on.lease_one(at(0)).await.lease;
    assert_eq!(
        on.sweep_of(at(0), seen, 100).await.recovered,
        0,
        "the two leases differ only in their tokens"
    );
    assert_eq!(on.settle(at(40), second, Verdict::Done).await, Settled::Done);
}

pub(super) async fn each_queue_keeps_its_dead_letters_for_as_long_as_it_says(on: Stage) {
    on.configure("q", QueueConfig::new().with_dead_letter_retention(secs(100))).await;
    on.configure("r", QueueConfig::new().with_dead_letter_retention(secs(10))).await;
    for name in ["q", "r"] {
        let task = on.task().with(|task| task.spec.queue = queue(name));
        on.store(at(0), task).await;
        on.attempt(at(0), permanent()).await;
    }
    let left = async |now| {
        on.sweep(now, 100).await;
        on.all().await.into_iter().map(|record| record.spec.queue).collect::<Vec<_>>()
    };
    assert_eq!(left(at(9)).await.len(), 2);
    assert_eq!(left(at(10)).await, [queue("q")]);
    assert_eq!(left(at(99)).await, [queue("q")]);
    assert_eq!(left(at(100)).await, []);
}

pub(super) async fn only_the_lost_lease_is_recovered(on: Stage) {
    let lost = on.store(at(0), on.task()).await;
    on.lease_one(at(0)).await;
    let held = on.store(at(10), on.task().with(|task| task.spec.queue = queue("r"))).await;
    let lease = on.lease_one(at(10)).await.lease;
    let later =
        on.store(at(10), NewTask { schedule: Schedule::After(secs(999)), ..on.task() }).await;
    assert_eq!(on.sweep(at(0).plus(LEASE), 100).await.recovered, 1);
    let state = |state| TaskFilter::new().state(state);
    assert_eq!(stored(&on.list(state(TaskState::Scheduled)).await), [lost, later]);
    assert_eq!(stored(&on.list(state(TaskState::Leased)).await), [held]);
    assert_eq!(on.settle(at(0).plus(LEASE), lease, Verdict::Done).await, Settled::Done);
}

pub(super) async fn a_lost_lease_in_a_paused_queue_is_recovered(on: Stage) {
    on.store(at(0), on.task()).await;
    on.lease_one(at(0)).await;
    on.pause("q", true).await;
    assert_eq!(on.sweep(at(0).plus(LEASE), 100).await.recovered, 1);
    assert!(on.lease_all(at(0).plus(LEASE)).await.is_empty());
}

async fn bury(on: &Stage, now: Timestamp, count: usize) {
    on.store_plain(now, count).await;
    for task in on.lease_all(now).await {
        assert_eq!(on.settle(now, task.lease, permanent()).await, Settled::Dead);
    }
}

pub(super) async fn dead_letters_are_kept_for_exactly_the_time_given(on: Stage) {
    bury(&on, at(7), 1).await;
    let until = at(7).plus(DEAD_LETTERS);
    assert_eq!(on.sweep(just_before(until), 100).await.forgotten, 0);
    assert_eq!(on.all().await.len(), 1);
    assert_eq!(on.sweep(until, 100).await.forgotten, 1);
    assert!(on.all().await.is_empty());
}

/// Uses the storage's clock, which the backend compares with the stored times.
pub(super) async fn the_storages_own_clock_forgets_nothing_young(on: Stage) {
    let now = Now::Storage;
    let tasks = vec![on.task(), on.named("n")];
    let [dead, done] = [tasks[0].spec.id, tasks[1].spec.id];
    assert_eq!(
        on.backend.enqueue(Enqueue::new(now, tasks)).await.expect("enqueue answers").len(),
        2
    );
    let leased = on.lease(Lease { now, ..on.leasing(at(0)) }).await.tasks;
    assert_eq!(ids(&leased), [dead, done]);
    let verdicts = leased.iter().zip([permanent(), Verdict::Done]);
    let settlements =
        verdicts.map(|(task, verdict)| settlement(task.lease, None, verdict)).collect();
    on.backend.settle(Settle::new(now, settlements)).await.expect("settle answers");
    let sweep = Sweep::new(now, Vec::new(), 100);
    assert_eq!(on.backend.sweep(sweep).await.expect("sweep answers"), Swept::default());
    assert_eq!(on.record(dead).await.state, TaskState::Dead);
    let again = Enqueue::new(now, vec![on.named("n")]);
    let answers = on.backend.enqueue(again).await.expect("enqueue answers");
    assert!(
        matches!(answers[..], [Ok(answer)] if answer == Deferred::new(done, false)),
        "{answers:?}"
    );
}

pub(super) async fn a_sweep_forgets_at_most_its_limit_of_dead_letters(on: Stage) {
    bury(&on, at(0), 5).await;
    for _ in 0..2 {
        on.store(at(0), on.task().with(|task| task.spec.queue = queue("r"))).await;
        on.attempt(at(0), permanent()).await;
    }
    for (forgotten, more) in [(2, true), (2, true), (2, true), (1, false), (0, false)] {
        let swept = on.sweep(at(0).plus(DEAD_LETTERS), 2).await;
        assert_eq!((swept.forgotten, swept.more), (forgotten, more));
        assert_eq!(swept.forgotten_tasks.len() as u64, forgotten);
    }
}

pub(super) async fn a_replayed_dead_letter_is_not_forgotten(on: Stage) {
    bury(&on, at(0), 1).await;
    let id = on.all().await[0].spec.id;
    on.replay(at(5), id).await.expect("the dead letter is replayed");
    assert_eq!(on.sweep(at(0).plus(DEAD_LETTERS), 100).await.forgotten, 0);
    assert_eq!(on.record(id).await.state, TaskState::Scheduled);
}

pub(super) async fn tombstones_are_forgotten_and_counted(on: Stage) {
    for name in ["a", "b", "c"] {
        on.store(at(0), on.named(name)).await;
        on.attempt(at(0), Verdict::Done).await;
    }
    let until = at(0).plus(TOMBSTONES);
    assert_eq!(on.sweep(just_before(until), 100).await.forgotten, 0);
    assert_eq!(on.sweep(until, 100).await.forgotten, 3);
    assert_eq!(on.sweep(until, 100).await.forgotten, 0);
}

pub(super) async fn a_sweep_forgets_at_most_its_limit_of_tombstones(on: Stage) {
    for name in ["a", "b", "c", "d", "e"] {
        on.store(at(0), on.named(name)).await;
        on.attempt(at(0), Verdict::Done).await;
    }
    for (forgotten, more) in [(2, true), (2, true), (1, false), (0, false)] {
        let swept = on.sweep(at(0).plus(TOMBSTONES), 2).await;
        assert_eq!((swept.forgotten, swept.more), (forgotten, more));
    }
}
