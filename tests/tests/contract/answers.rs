//! All results of a backend can be built outside of the crate, as a wrapper or a new backend must
//! do.

use std::time::Duration;

use gae_tasks::backend::{
    ForgottenTask, HeldLease, LeaseRef, LeaseToken, Leased, LeasedTask, NewTask, Purged, Settled,
    Settlement, Standing, Swept, Verdict,
};
use gae_tasks::{
    Capabilities, Deferred, Error, Kind, QueueConfig, QueueName, QueueRecord, Route, RouteStats,
    Shape, Stats, TaskError, TaskId, TaskRecord, TaskSpec, TaskState, Timestamp,
};

const ID: TaskId = TaskId::from_bytes([1; 16]);

fn spec() -> TaskSpec {
    TaskSpec::new(ID, Kind::new("shop/send").unwrap(), Shape::from_bits(7), QueueName::DEFAULT)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn lease() -> LeaseRef {
    LeaseRef::new(ID, LeaseToken::from_bits(5))
}

#[test]
fn a_leased_task_is_built_from_outside() {
    let mut task = LeasedTask::new(lease(), spec(), b"args".to_vec(), at(1));
    assert_eq!((task.attempts, task.standing, task.alone), (0, Standing::Clear, false));
    (task.attempts, task.standing, task.alone) = (2, Standing::Suspect, true);
    let mut leased = Leased::new(vec![task.clone()], Some(Duration::from_secs(3)));
    assert!(!leased.isolated);
    leased.isolated = true;
    assert_eq!(
        (leased.tasks, leased.next, leased.isolated),
        (vec![task], Some(Duration::from_secs(3)), true)
    );
}

#[test]
fn a_stored_task_is_built_from_outside() {
    let mut record = TaskRecord::new(spec(), Some(b"args".to_vec()), at(1));
    record.state = TaskState::Dead;
    record.died = Some(at(2));
    record.errors.push(TaskError::new(3, at(2), "it failed"));
    let error = &record.errors[0];
    assert_eq!((error.attempt, error.at, error.message.as_str()), (3, at(2), "it failed"));
    assert_eq!((record.created, record.schedule_time, record.attempts), (at(1), at(1), 0));
}

#[test]
fn an_error_from_outside_is_bounded_too() {
    let error = TaskError::new(1, at(0), "é".repeat(2_000));
    assert_eq!(error.message.len(), gae_tasks::backend::MAX_ERROR_BYTES);
}

#[test]
fn answers_to_changes_are_built_from_outside() {
    let deferred = Deferred::new(ID, false);
    assert_eq!((deferred.id, deferred.created), (ID, false));
    let purged = Purged::new(3, 1);
    assert_eq!((purged.deleted, purged.left), (3, 1));
    let mut settlement = Settlement::new(lease(), Verdict::Done);
    settlement.started = Some(at(1));
    assert_eq!((settlement.lease, settlement.verdict), (lease(), Verdict::Done));
    let lost = [Settled::LeaseLost, Settled::Locked];
    let answers = [Settled::Done, Settled::Scheduled(at(1)), Settled::Dead, lost[0], lost[1]];
    assert!(
        answers.iter().all(|answer| answers.iter().filter(|other| *other == answer).count() == 1)
    );
}

#[test]
fn a_sweep_is_told_of_from_outside() {
    let held = HeldLease::new(lease(), at(30), Duration::from_secs(30));
    let mut swept = Swept::default();
    assert_eq!(
        (swept.recovered, swept.died, swept.forgotten, swept.shortened, swept.more),
        (0, 0, 0, 0, false)
    );
    swept.held.push(held);
    swept.forgotten_tasks.push(ForgottenTask::new(ID, Some(vec![1])));
    assert_eq!(
        (swept.forgotten_tasks[0].id, swept.forgotten_tasks[0].attributes.as_deref()),
        (ID, Some(&[1][..]))
    );
    assert_eq!(
        (held.lease, held.expires, held.duration),
        (lease(), at(30), Duration::from_secs(30))
    );
}

#[test]
fn queues_and_their_lines_are_built_from_outside() {
    let mut queue = QueueRecord::new(QueueName::DEFAULT, Some(QueueConfig::new()));
    assert!(!queue.paused);
    queue.paused = true;
    let mut stats = Stats::default();
    stats.scheduled = 2;
    let mut line = RouteStats::new(queue.name, spec().route(), stats);
    assert!(!line.is_newer);
    line.is_newer = true;
    assert_eq!((line.route, line.stats.open()), (Route::new(spec().kind, Shape::from_bits(7)), 2));
}

#[test]
fn capabilities_are_built_from_outside() {
    let mut capabilities = Capabilities::new("shelf");
    assert_eq!(
        (capabilities.backend, capabilities.durable, capabilities.pull),
        ("shelf", false, true)
    );
    capabilities.durable = true;
    assert!(capabilities.max_payload > 0 && capabilities.min_deadline < capabilities.max_deadline);
}

#[test]
fn a_new_task_is_built_from_outside() {
    let task = NewTask::new(spec(), b"args".to_vec(), *b"schema");
    assert_eq!((task.spec.id, task.payload.len()), (ID, 4));
}

#[test]
fn errors_are_built_from_outside() {
    let text = |error: Error| error.to_string();
    assert!(matches!(
        Error::no_such_task(ID, "is over"),
        Error::NoSuchTask { id: ID, problem: "is over", .. }
    ));
    assert!(
        text(Error::newer_queue("q")).starts_with("queue `q` was configured by a newer version")
    );
    let in_use = text(Error::queue_in_use("q", 1, 2));
    assert!(in_use.starts_with("queue `q` holds 1 task and 2 dead letters, so"), "{in_use}");
    assert!(
        text(Error::queue_in_use("q", 2, 1))
            .starts_with("queue `q` holds 2 tasks and 1 dead letter, so")
    );
    assert_eq!(
        text(Error::unsupported("shelf", "names")),
        "the `shelf` backend does not support names"
    );
    let error = Error::storage("shelf", "is full", "no room");
    assert!(matches!(&error, Error::Storage { source, .. } if source.to_string() == "no room"));
    assert_eq!(text(error), "the `shelf` storage is full");
}
