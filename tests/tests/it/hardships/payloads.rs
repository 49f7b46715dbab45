//! Tasks that this program cannot read or does not know, and functions of the same name.

use std::time::Duration;

use gae_tasks::backend::{Backend, Enqueue, NewTask, TaskRecord, TaskState};
use gae_tasks::{Client, Error, Now, Registry, Task, TaskContext, TaskId, TaskSpec, deferred};
use serde::{Deserialize, Serialize, Serializer};

use super::stage::{Stage, World, counts, program};

const SECOND: Duration = Duration::from_secs(1);

#[deferred]
async fn takes_text(text: String, #[state] stage: &Stage) {
    stage.sign(|signs| signs.ended += text.len());
}

#[deferred]
async fn of_another_program(_: u8) {}

/// Stores a copy of a stored task with these bytes as its payload; each number gives one copy.
fn with_payload(number: u8, record: &TaskRecord, payload: &[u8]) -> NewTask {
    NewTask::new(
        TaskSpec::new(
            TaskId::from_bytes([number; 16]),
            record.spec.kind.clone(),
            record.spec.shape,
            record.spec.queue.clone(),
        ),
        payload.to_vec(),
        [],
    )
    .with(|task| task.spec.max_attempts = Some(1))
}

#[tokio::test]
async fn a_payload_that_cannot_be_decoded_goes_back_without_an_attempt() {
    let world = World::new();
    let good = takes_text::defer("good").on(&world.tasks).await.unwrap().id;
    let record = world.record(good).await;
    let (too_short, no_text): (&[u8], &[u8]) = (&[200, 1], &[2, 0xff, 0xfe]);
    let garbage = [too_short, no_text, &[], b"\x04goodand more"];
    let tasks: Vec<_> = (1..)
        .zip(garbage)
        .map(|(number, payload)| with_payload(number, &record, payload))
        .collect();
    let ids: Vec<_> = tasks.iter().map(|task| task.spec.id).collect();
    world.backend.enqueue(Enqueue::new(Now::At(world.clock.time()), tasks)).await.unwrap();
    counts::defer().on(&world.tasks).await.unwrap();
    let running = world.start();
    world.stage.until(|signs| signs.ended == 5).await;
    world.until_open(garbage.len() as u64).await;
    for id in &ids {
        let record = world.record(*id).await;
        assert_eq!(
            (record.state, record.attempts, record.errors.len()),
            (TaskState::Scheduled, 0, 1)
        );
        assert!(
            record.schedule_time > world.clock.time(),
            "the task is retried later, perhaps by a newer program"
        );
    }
    world.pass(60 * SECOND).await;
    for id in &ids {
        let record = world.record(*id).await;
        assert_eq!(
            (record.state, record.attempts, record.errors.len()),
            (TaskState::Scheduled, 0, 2)
        );
    }
    assert!(!running.has_ended());
    running.finish().await;
}

#[tokio::test]
async fn tasks_of_an_unknown_kind_wait_and_are_shown_and_hold_up_nobody() {
    let stage = Stage::new();
    let here = Registry::new().with::<counts>();
    let tasks =
        Client::builder().state(stage.clone()).registry(here).open("memory:").await.unwrap();
    tasks.defer_many((0..100).map(of_another_program::defer)).await.unwrap();
    counts::defer().on(&tasks).await.unwrap();
    let running = super::stage::Running::start(tasks.worker().concurrency(1));
    stage.until(|signs| signs.ended == 1).await;
    running.finish().await;
    let unroutable = tasks.unroutable().await.unwrap();
    assert_eq!((unroutable.len(), unroutable[0].stats.scheduled), (1, 100));
    assert_eq!(unroutable[0].route.kind().as_str(), of_another_program::KIND);
    let there = Registry::new().with::<of_another_program>();
    assert_eq!(there.kinds().count(), 1);
    let record = &tasks.list(gae_tasks::backend::TaskFilter::new(), None, 1).await.unwrap()[0];
    assert_eq!((record.attempts, record.lost_leases), (0, 0), "waiting burns no attempt");
}

mod emails {
    use super::Stage;

    #[gae_tasks::deferred]
    pub(super) async fn send(#[state] stage: &Stage) {
        stage.sign(|signs| signs.begun += 1);
    }
}

mod letters {
    use super::Stage;

    #[gae_tasks::deferred]
    pub(super) async fn send(#[state] stage: &Stage) {
        stage.sign(|signs| signs.ended += 1);
    }
}

#[tokio::test]
async fn functions_of_one_name_in_two_modules_are_two_kinds() {
    assert_ne!(emails::send::KIND, letters::send::KIND);
    let stage = Stage::new();
    let tasks = program(&stage).open("memory:").await.unwrap();
    tasks.run(emails::send::defer()).await.unwrap();
    assert_eq!((stage.signs().begun, stage.signs().ended), (1, 0));
    tasks.run(letters::send::defer()).await.unwrap();
    assert_eq!((stage.signs().begun, stage.signs().ended), (1, 1));
}

/// A value that can be read but not written.
#[derive(Deserialize)]
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it does not want to"))
    }
}

#[deferred]
async fn takes_unwritable(_: Unwritable) {}

#[tokio::test]
async fn arguments_that_cannot_be_encoded_are_the_callers_error_and_no_panic() {
    let world = World::new();
    let error = takes_unwritable::defer(Unwritable).on(&world.tasks).await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }), "{error:?}");
    assert_eq!(world.tasks.stats().await.unwrap().open(), 0);
}

#[deferred]
async fn looks(number: u8, #[context] cx: &TaskContext, #[state] stage: &Stage) {
    assert_eq!((number, cx.attempt()), (7, 1));
    stage.sign(|signs| signs.ended += 1);
}

/// The context and the attributes of a task are not part of its payload.
#[tokio::test]
async fn attributes_travel_beside_the_payload() {
    let world = World::new();
    let plain = looks::defer(7).on(&world.tasks).await.unwrap().id;
    let record = world.record(plain).await;
    let task = with_payload(1, &record, record.payload.as_ref().unwrap())
        .with(|task| task.spec.attributes = Some(vec![1, 0, 0, 0, 0]));
    let id = task.spec.id;
    world.backend.enqueue(Enqueue::new(Now::At(world.clock.time()), vec![task])).await.unwrap();
    assert_eq!(world.record(id).await.payload, record.payload);
    assert_eq!(world.tasks.drain().await.unwrap(), 2);
    assert_eq!(world.stage.signs().ended, 2);
}

/// Attributes of a newer version may name the payload's place.
#[tokio::test]
async fn a_task_is_not_run_without_its_attributes() {
    let world = World::new();
    let plain = looks::defer(7).on(&world.tasks).await.unwrap().id;
    let record = world.record(plain).await;
    for (number, attributes) in (1..).zip([vec![1, 9], vec![0], vec![2, 0, 0, 0, 0]]) {
        let task = with_payload(number, &record, record.payload.as_ref().unwrap())
            .with(|task| task.spec.attributes = Some(attributes));
        world.backend.enqueue(Enqueue::new(Now::At(world.clock.time()), vec![task])).await.unwrap();
    }
    let running = world.start();
    world.stage.until(|signs| signs.ended == 1).await;
    world.until_open(3).await;
    world.pass(60 * SECOND).await;
    assert_eq!(world.stage.signs().ended, 1);
    for number in 1..=3 {
        let record = world.record(TaskId::from_bytes([number; 16])).await;
        assert_eq!((record.state, record.attempts), (TaskState::Scheduled, 0), "{number}");
    }
    let lines = world.tasks.unroutable().await.unwrap();
    let newer = lines.iter().filter(|line| line.reason.contains("a newer version of gae-tasks"));
    let newer: Vec<_> = newer.map(|line| line.stats.scheduled).collect();
    let all = lines.iter().map(|line| line.stats.scheduled).sum::<u64>();
    assert_eq!((newer, all), (vec![1], 3), "{lines:?}");
    running.finish().await;
}
