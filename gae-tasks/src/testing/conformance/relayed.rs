//! Leasing for a relay: before the schedule time, and without suspicion, because nothing runs.

use super::stage::{LEASE, Stage, at, ids, secs};
use crate::backend::{Lease, NewTask, Room, Standing, TaskState, Verdict};
use crate::time::{Schedule, Timestamp};

/// A lease of tasks that are due within so many seconds.
fn ahead(on: &Stage, now: Timestamp, seconds: u64) -> Lease {
    Lease { ahead: secs(seconds), ..on.leasing(now) }
}

pub(super) async fn a_task_is_leased_ahead_of_its_time(on: Stage) {
    let later = |seconds| NewTask { schedule: Schedule::After(secs(seconds)), ..on.task() };
    let (soon, late) = (later(100), later(200));
    let ids_of = [soon.spec.id, late.spec.id];
    on.store(at(0), soon).await;
    on.store(at(0), late).await;
    let none = on.lease(ahead(&on, at(0), 99)).await;
    assert_eq!((none.tasks.len(), none.next), (0, Some(secs(1))));
    let leased = on.lease(ahead(&on, at(0), 100)).await;
    assert_eq!(ids(&leased.tasks), ids_of[..1]);
    assert_eq!((leased.tasks[0].schedule_time, leased.next), (at(100), Some(secs(100))));
    assert_eq!(ids(&on.lease(ahead(&on, at(0), 86_400 * 30)).await.tasks), ids_of[1..]);
}

pub(super) async fn a_lease_ahead_lasts_from_now_on(on: Stage) {
    let task = NewTask { schedule: Schedule::After(secs(5_000)), ..on.task() };
    let id = on.store(at(0), task).await;
    let recovered = on.lose_as(ahead(&on, at(0), 5_000), at(0)).await;
    assert_eq!(recovered, at(0).plus(LEASE));
    let record = on.record(id).await;
    assert_eq!((record.state, record.schedule_time), (TaskState::Scheduled, at(5_000)));
    assert!(on.lease_all(recovered).await.is_empty(), "for a worker it is not due");
    let leased = on.lease(ahead(&on, recovered, 5_000)).await.tasks.remove(0);
    on.settle(recovered, leased.lease, Verdict::Release).await;
    assert_eq!(on.record(id).await.schedule_time, at(5_000));
}

pub(super) async fn no_loss_of_an_unwatched_lease_is_an_attempt(on: Stage) {
    let id = on.store(at(0), on.task()).await;
    let other = on.store(at(0), on.task()).await;
    let request = |now| Lease { room: Room::unwatched(10), ..on.leasing(now) };
    let mut now = at(0);
    for losses in 0..12 {
        let leased = on.lease(request(now)).await.tasks;
        assert_eq!(leased.len(), 2, "both at once after {losses} losses");
        assert!(leased.iter().all(|task| !task.alone && task.attempts == 0), "{leased:?}");
        assert!(leased.iter().all(|task| task.standing == Standing::of(losses)));
        now = now.plus(LEASE);
        assert_eq!(on.sweep(now, 100).await.recovered, 2);
    }
    for id in [id, other] {
        let record = on.record(id).await;
        assert_eq!((record.state, record.lost_attempts), (TaskState::Scheduled, 0));
    }
    let one = on.lease(Lease { room: Room::unwatched(1), ..on.leasing(now) }).await.tasks;
    assert_eq!(one.len(), 1);
}
