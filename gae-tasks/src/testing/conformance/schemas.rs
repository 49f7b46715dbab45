//! Schemas of payloads: stored with the first task of their shape, kept for good.

use super::stage::{DEAD_LETTERS, Stage, at, permanent};
use crate::backend::{Bury, NewTask, Verdict};
use crate::task::Shape;
use crate::time::Now;

/// The schema of most tasks here.
const ONE: &[u8] = b"one";

fn shape() -> Shape {
    Shape::of_schema(ONE)
}

/// Returns a task with a schema of its own.
fn task(on: &Stage, shape: Shape, schema: &[u8]) -> NewTask {
    NewTask { schema: schema.into(), ..on.task() }.with(|task| task.spec.shape = shape)
}

async fn schemas(on: &Stage, shapes: &[Shape]) -> Vec<Option<Vec<u8>>> {
    let found = on.backend.schemas(shapes.to_vec()).await.expect("schemas answers");
    found.into_iter().map(|schema| schema.map(|schema| schema.to_vec())).collect()
}

pub(super) async fn a_task_is_stored_with_its_schema(on: Stage) {
    assert_eq!(schemas(&on, &[shape()]).await, [None]);
    on.store(at(0), task(&on, shape(), b"one")).await;
    assert_eq!(schemas(&on, &[shape()]).await, [Some(b"one".to_vec())]);
}

pub(super) async fn schemas_are_answered_in_order(on: Stage) {
    let (long, three) = (vec![0; 70_000], b"three".to_vec());
    let shapes = [&long[..], b"two", &three].map(Shape::of_schema);
    let tasks = [(shapes[2], &three), (shapes[0], &long)];
    let tasks = tasks.map(|(shape, schema)| task(&on, shape, schema));
    on.enqueue(at(0), tasks.into()).await;
    let found = schemas(&on, &[shapes[0], shapes[1], shapes[2], shapes[0]]).await;
    assert_eq!(found, [Some(long.clone()), None, Some(three), Some(long)]);
    assert!(schemas(&on, &[]).await.is_empty());
}

pub(super) async fn a_schema_is_kept_where_it_is_that_of_the_shape(on: Stage) {
    for (schema, kept) in [
        (&b""[..], None),
        (b"other", None),
        (ONE, Some(ONE)),
        (b"another", Some(ONE)),
        (b"", Some(ONE)),
    ] {
        on.store(at(0), task(&on, shape(), schema)).await;
        assert_eq!(schemas(&on, &[shape()]).await, [kept.map(<[u8]>::to_vec)]);
    }
    assert_eq!(on.lease_all(at(0)).await.len(), 5, "the tasks are stored whatever they bring");
}

pub(super) async fn the_first_schema_of_a_newer_shape_is_kept(on: Stage) {
    // A program that does not know the algorithm cannot judge.
    let newer = Shape::from_bits(u64::MAX - 1);
    for schema in [&b""[..], b"first", b"second", b""] {
        on.store(at(0), task(&on, newer, schema)).await;
    }
    assert_eq!(schemas(&on, &[newer]).await, [Some(b"first".to_vec())]);
}

pub(super) async fn kinds_and_queues_share_a_schema(on: Stage) {
    on.store(at(0), task(&on, shape(), b"one")).await;
    let other = task(&on, shape(), b"one").with(|task| {
        task.spec.kind = super::stage::kind("conformance/other");
        task.spec.queue = super::stage::queue("r");
    });
    on.store(at(0), other).await;
    assert_eq!(schemas(&on, &[shape()]).await, [Some(b"one".to_vec())]);
}

pub(super) async fn a_schema_outlives_its_tasks(on: Stage) {
    let id = on.store(at(0), task(&on, shape(), b"one")).await;
    on.attempt(at(0), Verdict::Done).await;
    assert!(on.find(id).await.is_none());
    assert_eq!(schemas(&on, &[shape()]).await, [Some(b"one".to_vec())]);
    on.store(at(0), task(&on, shape(), b"one")).await;
    on.purge(at(0), "q").await;
    on.store(at(0), task(&on, shape(), b"one")).await;
    on.attempt(at(0), permanent()).await;
    assert_eq!(schemas(&on, &[shape()]).await, [Some(b"one".to_vec())], "of a dead letter");
    assert_eq!(on.sweep(at(0).plus(DEAD_LETTERS), 100).await.forgotten, 1);
    assert_eq!(schemas(&on, &[shape()]).await, [Some(b"one".to_vec())]);
}

pub(super) async fn a_buried_task_is_stored_with_its_schema(on: Stage) {
    let task = task(&on, shape(), b"one");
    let id = task.spec.id;
    let request = Bury::new(Now::At(at(0)), task, 3, None, "it failed elsewhere".to_owned());
    on.backend.bury(request).await.expect("bury answers");
    assert_eq!(schemas(&on, &[shape()]).await, [Some(b"one".to_vec())]);
    on.replay(at(0), id).await.expect("it is dead");
    assert_eq!(on.lease_one(at(0)).await.spec.shape, shape());
}

pub(super) async fn a_refused_task_leaves_no_schema(on: Stage) {
    on.store(at(0), on.named("taken")).await;
    let refused =
        task(&on, shape(), b"one").with(|task| task.spec.name = super::stage::name("taken"));
    assert!(!on.offer(at(0), refused).await.created);
    assert_eq!(schemas(&on, &[shape()]).await, [None]);
}

pub(super) async fn a_task_refused_for_another_of_its_batch_leaves_no_schema(on: Stage) {
    let second =
        task(&on, shape(), b"one").with(|task| task.spec.name = super::stage::name("taken"));
    let answers = on.enqueue(at(0), vec![on.named("taken"), second]).await;
    assert_eq!(answers.iter().map(|answer| answer.created).collect::<Vec<_>>(), [true, false]);
    assert_eq!(schemas(&on, &[shape()]).await, [None]);
}
