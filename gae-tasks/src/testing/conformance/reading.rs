//! Reading: which tasks are listed, in which order, and how tasks are counted.

use super::stage::{LEASE, Stage, at, kind, permanent, queue, retry, secs, stored};
use crate::backend::{
    Lease, List, NewTask, RouteStats, Stats, TaskFilter, TaskRecord, TaskState, Verdict,
};
use crate::task::{Shape, TaskId};
use crate::time::Schedule;

/// Three dead, two leased, four waiting tasks, of two kinds, in two queues.
async fn mixture(on: &Stage) -> Vec<TaskId> {
    let mut all = Vec::new();
    for (count, outcome) in [(3, Some(permanent())), (2, None), (4, Some(Verdict::Release))] {
        let tasks: Vec<_> = (0..count)
            .map(|i| {
                on.task().with(|task| {
                    task.spec.kind = kind(if i % 2 == 0 { "even" } else { "odd" });
                    task.spec.queue = queue(if i < 2 { "q" } else { "r" });
                })
            })
            .collect();
        all.extend(on.enqueue(at(0), tasks).await.into_iter().map(|deferred| deferred.id));
        for task in on.lease_all(at(0)).await {
            if let Some(verdict) = outcome.clone() {
                on.settle(at(0), task.lease, verdict).await;
            }
        }
    }
    all
}

pub(super) async fn a_task_that_never_was_is_not_found(on: Stage) {
    assert_eq!(on.find(TaskId::from_bytes([9; 16])).await, None);
}

pub(super) async fn the_backend_says_that_it_can_be_pulled_from(on: Stage) {
    let capabilities = on.backend.capabilities();
    assert!(capabilities.pull);
    assert!(capabilities.max_payload >= 100 * 1024);
    assert!(capabilities.min_deadline < capabilities.max_deadline);
}

pub(super) async fn tasks_are_listed_in_the_order_of_their_ids(on: Stage) {
    let mut tasks: Vec<_> = (0..5).map(|_| on.task()).collect();
    let expected: Vec<_> = tasks.iter().map(|task| task.spec.id).collect();
    tasks.reverse();
    on.enqueue(at(0), tasks).await;
    assert_eq!(stored(&on.all().await), expected);
}

pub(super) async fn ids_are_ordered_as_bytes_without_a_sign(on: Stage) {
    let expected: Vec<_> =
        [0x00, 0x7f, 0x80, 0xff].map(|byte| TaskId::from_bytes([byte; 16])).into();
    for id in expected.iter().rev() {
        on.store(at(0), on.task().with(|task| task.spec.id = *id)).await;
    }
    assert_eq!(stored(&on.all().await), expected);
}

pub(super) async fn pages_have_neither_gaps_nor_repeats(on: Stage) {
    let expected = on.store_plain(at(0), 10).await;
    for limit in [1, 3, 5, 10, 11] {
        let (mut seen, mut after) = (Vec::new(), None);
        // One page more than expected: a backend that repeats pages must not hang the suite.
        for _ in 0..=expected.len() {
            let request = List::new(TaskFilter::new(), limit).after(after);
            let page = stored(&on.backend.list(request).await.expect("list answers"));
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(*last);
            seen.extend(page);
        }
        assert_eq!(seen, expected, "pages of {limit}");
    }
}

pub(super) async fn a_page_may_begin_after_a_task_that_is_gone(on: Stage) {
    let all = on.store_plain(at(0), 4).await;
    on.delete(at(0), all[1]).await;
    let request = List::new(TaskFilter::new(), 100).after(Some(all[1]));
    assert_eq!(stored(&on.backend.list(request).await.expect("list answers")), all[2..]);
}

pub(super) async fn a_page_of_nothing_is_empty(on: Stage) {
    on.store(at(0), on.task()).await;
    let request = List::new(TaskFilter::new(), 0);
    assert!(on.backend.list(request).await.expect("list answers").is_empty());
}

pub(super) async fn the_largest_page_holds_all(on: Stage) {
    on.store_plain(at(0), 3).await;
    let request = List::new(TaskFilter::new(), usize::MAX);
    assert_eq!(on.backend.list(request).await.expect("list answers").len(), 3);
}

/// Returns a page of the newest tasks, after the page that ended with `after`.
async fn newest(
    on: &Stage,
    filter: TaskFilter,
    after: Option<TaskId>,
    limit: usize,
) -> Vec<TaskId> {
    let request = List::new(filter, limit).after(after).newest_first();
    stored(&on.backend.list(request).await.expect("list answers"))
}

pub(super) async fn the_newest_task_is_listed_first_where_that_is_asked_for(on: Stage) {
    let mut all = on.store_plain(at(0), 5).await;
    for byte in [0x7f, 0x80, 0xff] {
        let id = TaskId::from_bytes([byte; 16]);
        all.push(on.store(at(0), on.task().with(|task| task.spec.id = id)).await);
    }
    all.reverse();
    assert_eq!(newest(&on, TaskFilter::new(), None, usize::MAX).await, all);
    assert_eq!(newest(&on, TaskFilter::new(), None, 2).await, all[..2]);
    assert!(newest(&on, TaskFilter::new(), None, 0).await.is_empty());
}

pub(super) async fn pages_of_the_newest_first_have_neither_gaps_nor_repeats(on: Stage) {
    let mut expected = on.store_plain(at(0), 10).await;
    expected.reverse();
    for limit in [1, 3, 5, 10, 11] {
        let (mut seen, mut after) = (Vec::new(), None);
        for _ in 0..=expected.len() {
            let page = newest(&on, TaskFilter::new(), after, limit).await;
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(*last);
            seen.extend(page);
        }
        assert_eq!(seen, expected, "pages of {limit}");
    }
}

pub(super) async fn a_page_of_the_newest_may_begin_after_a_task_that_is_gone(on: Stage) {
    let all = on.store_plain(at(0), 4).await;
    on.delete(at(0), all[2]).await;
    assert_eq!(newest(&on, TaskFilter::new(), Some(all[2]), 100).await, [all[1], all[0]]);
}

pub(super) async fn the_newest_are_listed_by_filters_too(on: Stage) {
    let all = mixture(&on).await;
    let waiting = TaskFilter::new().state(TaskState::Scheduled);
    assert_eq!(newest(&on, waiting.clone(), None, 2).await, [all[8], all[7]]);
    assert_eq!(newest(&on, waiting.kind(kind("even")), Some(all[7]), 9).await, [all[5]]);
    assert_eq!(
        newest(&on, TaskFilter::new().queue(queue("r")), None, 9).await,
        [all[8], all[7], all[2]]
    );
}

pub(super) async fn payloads_are_listed_only_where_they_are_asked_for(on: Stage) {
    let large = NewTask { payload: vec![7; 100_000], ..on.task() };
    let ids = [
        on.store(at(0), large).await,
        on.store(at(0), NewTask { payload: Vec::new(), ..on.task() }).await,
    ];
    let list = async |request| on.backend.list(request).await.expect("list answers");
    let lengths = |records: Vec<TaskRecord>| -> Vec<_> {
        records
            .into_iter()
            .map(|record| (record.spec.id, record.payload.map(|bytes| bytes.len())))
            .collect()
    };
    let request = List::new(TaskFilter::new(), 9);
    assert_eq!(lengths(list(request.clone()).await), [(ids[0], None), (ids[1], None)]);
    let with = lengths(list(request.clone().with_payloads()).await);
    assert_eq!(with, [(ids[0], Some(100_000)), (ids[1], Some(0))]);
    // All other fields are read either way.
    for record in list(request).await {
        let id = record.spec.id;
        assert_eq!(TaskRecord { payload: None, ..on.record(id).await }, record);
        assert!(on.record(id).await.payload.is_some(), "a single task is read whole");
    }
}

pub(super) async fn tasks_are_listed_by_state(on: Stage) {
    let all = mixture(&on).await;
    let state = |state| TaskFilter::new().state(state);
    assert_eq!(stored(&on.list(state(TaskState::Dead)).await), all[..3]);
    assert_eq!(stored(&on.list(state(TaskState::Leased)).await), all[3..5]);
    assert_eq!(stored(&on.list(state(TaskState::Scheduled)).await), all[5..]);
}

pub(super) async fn tasks_are_listed_by_queue(on: Stage) {
    let all = mixture(&on).await;
    assert_eq!(
        stored(&on.list(TaskFilter::new().queue(queue("r"))).await),
        [all[2], all[7], all[8]]
    );
    assert!(on.list(TaskFilter::new().queue(queue("unknown"))).await.is_empty());
}

pub(super) async fn tasks_are_listed_by_kind(on: Stage) {
    let all = mixture(&on).await;
    assert_eq!(
        stored(&on.list(TaskFilter::new().kind(kind("odd"))).await),
        [all[1], all[4], all[6], all[8]]
    );
}

pub(super) async fn filters_are_combined(on: Stage) {
    let all = mixture(&on).await;
    let filter = TaskFilter::new().queue(queue("q")).kind(kind("even")).state(TaskState::Scheduled);
    assert_eq!(stored(&on.list(filter.clone()).await), [all[5]]);
    let request = List::new(filter, 100).after(Some(all[5]));
    assert!(on.backend.list(request).await.expect("list answers").is_empty());
}

pub(super) async fn listing_shows_what_getting_shows(on: Stage) {
    mixture(&on).await;
    for record in on.all().await {
        assert_eq!(on.record(record.spec.id).await, record);
    }
}

fn line<'a>(lines: &'a [RouteStats], of: &str, name: &str) -> &'a RouteStats {
    let of_route =
        |line: &&RouteStats| line.queue.as_str() == of && line.route.kind().as_str() == name;
    lines.iter().find(of_route).expect("the route has a line")
}

pub(super) async fn nothing_stored_counts_nothing(on: Stage) {
    assert!(on.stats(at(0)).await.is_empty());
    on.store(at(0), on.task()).await;
    on.attempt(at(0), Verdict::Done).await;
    assert_eq!(
        on.stats(at(0)).await.into_iter().map(|line| line.stats).sum::<Stats>(),
        Stats::default()
    );
}

pub(super) async fn tasks_are_counted_by_state(on: Stage) {
    mixture(&on).await;
    let sum: Stats = on.stats(at(0)).await.into_iter().map(|line| line.stats).sum();
    assert_eq!((sum.scheduled, sum.due, sum.leased, sum.dead, sum.open()), (4, 4, 2, 3, 6));
}

pub(super) async fn tasks_are_counted_by_queue_and_route(on: Stage) {
    mixture(&on).await;
    let lines = on.stats(at(0)).await;
    let numbers = |of, name| {
        let stats = line(&lines, of, name).stats;
        (stats.scheduled, stats.leased, stats.dead)
    };
    assert_eq!(lines.len(), 4);
    assert_eq!((numbers("q", "even"), numbers("q", "odd")), ((1, 1, 1), (1, 1, 1)));
    assert_eq!((numbers("r", "even"), numbers("r", "odd")), ((1, 0, 1), (1, 0, 0)));
}

pub(super) async fn lines_are_told_by_queue_kind_and_shape(on: Stage) {
    let lines = [("b", "x", 1), ("a", "y", 1), ("a", "x", u64::MAX), ("a", "x", 2)];
    for (of, name, shape) in lines {
        let task = on.task().with(|task| {
            task.spec.queue = queue(of);
            task.spec.kind = kind(name);
            task.spec.shape = Shape::from_bits(shape);
        });
        on.store(at(0), task).await;
    }
    let shown: Vec<_> = on
        .stats(at(0))
        .await
        .into_iter()
        .map(|line| {
            (line.queue.to_string(), line.route.kind().to_string(), line.route.shape().to_bits())
        })
        .collect();
    let expected = [("a", "x", 2), ("a", "x", u64::MAX), ("a", "y", 1), ("b", "x", 1)];
    assert_eq!(shown, expected.map(|(of, name, shape)| (of.to_owned(), name.to_owned(), shape)));
}

pub(super) async fn due_tasks_are_those_whose_time_has_come(on: Stage) {
    for seconds in [10, 20, 30] {
        on.store(at(0), NewTask { schedule: Schedule::After(secs(seconds)), ..on.task() }).await;
    }
    for (now, due) in [(9, 0), (10, 1), (29, 2), (30, 3)] {
        let stats = on.stats(at(now)).await[0].stats;
        assert_eq!((stats.scheduled, stats.due), (3, due));
    }
}

pub(super) async fn the_oldest_due_time_is_that_of_the_first_waiting_task(on: Stage) {
    on.store(at(0), on.task()).await;
    on.store(at(0), NewTask { schedule: Schedule::After(secs(20)), ..on.task() }).await;
    assert_eq!(on.stats(at(5)).await[0].stats.oldest_due, Some(at(0)));
    on.lease_one(at(5)).await;
    assert_eq!(on.stats(at(5)).await[0].stats.oldest_due, Some(at(20)));
    on.lease(Lease { ..on.leasing(at(20)) }).await;
    assert_eq!(on.stats(at(20)).await[0].stats.oldest_due, None);
}

pub(super) async fn numbers_follow_a_task_through_its_life(on: Stage) {
    let id = on.store(at(0), on.task().with(|task| task.spec.max_attempts = Some(1))).await;
    let mut shown = Vec::new();
    let mut tell = async || {
        let stats = on.stats(at(0)).await[0].stats;
        shown.push((stats.scheduled, stats.leased, stats.dead));
    };
    tell().await;
    on.lease_one(at(0)).await;
    tell().await;
    on.sweep(at(0).plus(LEASE), 100).await;
    tell().await;
    on.attempt(at(60), retry()).await;
    tell().await;
    on.replay(at(60), id).await.expect("the dead letter is replayed");
    tell().await;
    assert_eq!(shown, [(1, 0, 0), (0, 1, 0), (1, 0, 0), (0, 0, 1), (1, 0, 0)]);
}
