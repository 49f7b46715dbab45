//! Samples of stored tasks, for a check before a deploy.

use super::stage::{Stage, at, kind, permanent, queue, refuse};
use crate::backend::{NewTask, Sample, TaskState, Verdict};
use crate::task::{Route, Shape, TaskId};
use crate::time::{Now, Schedule};

fn route(shape: u64) -> Route {
    Route::new(kind("conformance/plain"), Shape::from_bits(shape))
}

fn of_shape(on: &Stage, shape: u64) -> NewTask {
    on.task().with(|task| task.spec.shape = Shape::from_bits(shape))
}

/// Samples routes of queue `q`; returns the ids of each.
async fn sample(on: &Stage, shapes: &[u64], limit: usize) -> Vec<Vec<TaskId>> {
    let routes = shapes.iter().copied().map(route).collect();
    let request = Sample::new(queue("q"), routes, limit, usize::MAX);
    let sampled = on.backend.sample(request).await.expect("sample answers").expect("may be read");
    assert!(sampled.iter().all(|of_route| of_route.unreadable.is_empty()));
    let ids = sampled.into_iter().map(|of_route| {
        of_route.records.into_iter().map(|record| {
            assert!(record.payload.is_some(), "a sample has the payloads");
            record.spec.id
        })
    });
    ids.map(Iterator::collect).collect()
}

pub(super) async fn a_sample_has_the_payloads_of_its_routes(on: Stage) {
    let mut of_one = Vec::new();
    for _ in 0..3 {
        of_one.push(on.store(at(0), of_shape(&on, 1)).await);
        on.store(at(0), of_shape(&on, 2)).await;
    }
    let elsewhere = of_shape(&on, 1).with(|task| task.spec.queue = queue("r"));
    on.store(at(0), elsewhere).await;
    let other_kind = of_shape(&on, 1).with(|task| task.spec.kind = kind("conformance/other"));
    on.store(at(0), other_kind).await;
    let sampled = sample(&on, &[3, 1], 100).await;
    assert_eq!(sampled, [vec![], of_one]);
    assert!(sample(&on, &[], 100).await.is_empty());
    let records = on.backend.sample(Sample::new(queue("q"), vec![route(1)], 1, 100)).await;
    let records = records.expect("sample answers").expect("may be read").remove(0).records;
    assert_eq!(records, [on.record(records[0].spec.id).await]);
}

pub(super) async fn a_sample_takes_those_that_wait_first(on: Stage) {
    let dead = on.store(at(0), of_shape(&on, 1)).await;
    let lease = on.lease_one(at(0)).await.lease;
    on.settle(at(0), lease, permanent()).await;
    let leased = on.store(at(0), of_shape(&on, 1)).await;
    on.lease_one(at(0)).await;
    let later = NewTask { schedule: Schedule::At(at(100)), ..of_shape(&on, 1) };
    let later = on.store(at(0), later).await;
    let due = on.store(at(0), of_shape(&on, 1)).await;
    let all = sample(&on, &[1], 100).await.remove(0);
    let mut waiting = all[..2].to_vec();
    waiting.sort_unstable();
    assert_eq!(waiting, [later, due]);
    assert_eq!(all[2..], [leased, dead]);
    assert_eq!(sample(&on, &[1], 3).await.remove(0), all[..3]);
}

pub(super) async fn a_sample_has_at_most_the_limit_of_each_route(on: Stage) {
    for shape in [1, 2] {
        on.enqueue(at(0), (0..20).map(|_| of_shape(&on, shape)).collect()).await;
    }
    for (limit, expected) in [(7, 7), (100, 20), (0, 0)] {
        let sampled = sample(&on, &[1, 2], limit).await;
        let counts: Vec<_> = sampled.iter().map(Vec::len).collect();
        assert_eq!(counts, [expected; 2]);
    }
}

pub(super) async fn a_sample_has_refused_tasks_and_no_newer_ones(on: Stage) {
    let refused = on.store(at(0), on.task()).await;
    let lease = on.lease_one(at(0)).await.lease;
    on.settle(at(0), lease, refuse("a number is too large")).await;
    let fresh = on.store(at(0), on.task()).await;
    on.store(at(0), on.newer()).await;
    let mut sampled = sample(&on, &[7], 100).await.remove(0);
    sampled.sort_unstable();
    assert_eq!(sampled, [refused, fresh]);
}

pub(super) async fn a_sample_takes_refused_tasks_before_others_that_wait(on: Stage) {
    on.store_plain(at(0), 2).await;
    let leased = on.lease_all(at(0)).await;
    on.settle(at(0), leased[0].lease, Verdict::Release).await;
    on.settle(at(0), leased[1].lease, refuse("a number is too large")).await;
    assert_eq!(sample(&on, &[7], 1).await.remove(0), [leased[1].lease.id]);
}

pub(super) async fn a_sample_changes_nothing(on: Stage) {
    on.store_plain(at(0), 1).await;
    on.lease_one(at(0)).await;
    let ids = on.store_plain(at(0), 2).await;
    let was = (on.stats(at(0)).await, on.record(ids[0]).await);
    assert_eq!(sample(&on, &[7], 100).await.remove(0).len(), 3);
    assert_eq!((on.stats(at(0)).await, on.record(ids[0]).await), was);
    assert_eq!(on.record(ids[0]).await.state, TaskState::Scheduled);
    assert_eq!(on.lease_all(at(0)).await.len(), 2);
}

pub(super) async fn a_survey_counts_what_the_statistics_count(on: Stage) {
    on.store_plain(at(0), 3).await;
    on.store(at(0), on.newer()).await;
    let surveyed = on.backend.survey(Now::At(at(0))).await.expect("survey answers");
    assert_eq!(surveyed.lines, on.stats(at(0)).await);
    assert_eq!(surveyed.unread, []);
}
