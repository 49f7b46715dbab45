//! Google refuses, is slow, or is away.

use std::time::Duration;

use gae_tasks::testing::{Fault as StorageFault, ManualClock, Operation};
use gae_tasks::{Cancelled, RetryConfig, TaskFilter, TaskState};
use gae_tasks_tests_push::server::Fault;

use super::stage::{PLACE, Running, Stage, mail, patient, report};

#[tokio::test]
async fn an_outage_of_google_is_waited_for_and_is_no_attempt() {
    let quick = Duration::from_millis(100);
    let stage = Stage::open_with_faults(quick, Fault::Refuse(503), 3).await;
    let id = mail::defer("hello").on(&stage.tasks).await.unwrap().id;
    let relay = Running::start(stage.relay());
    stage.until(async || stage.server.calls("CreateTask") >= 2).await;
    let record = stage.tasks.get(id).await.unwrap().unwrap();
    assert_eq!((record.state, record.attempts, record.errors.len()), (TaskState::Leased, 0, 0));
    stage.all_relayed().await;
    assert_eq!(stage.created().len(), 1);
    relay.stop().await;
}

#[tokio::test]
async fn a_task_that_is_cancelled_during_an_outage_is_not_created() {
    let quick = Duration::from_millis(100);
    let stage = Stage::open_with_faults(quick, Fault::Refuse(400), 1_000).await;
    let id = mail::defer("hello").on(&stage.tasks).await.unwrap().id;
    let relay = Running::start(stage.relay());
    stage.until(async || stage.server.calls("CreateTask") >= 1).await;
    assert_eq!(stage.tasks.cancel(id).await.unwrap(), Cancelled::Requested);
    stage.all_relayed().await;
    relay.stop().await;
    let record = stage.tasks.get(id).await.unwrap().unwrap();
    assert_eq!((record.state, record.attempts), (TaskState::Dead, 0));
    assert!(stage.created().is_empty());
}

#[tokio::test]
async fn a_queue_that_is_missing_at_google_delays_no_other() {
    let stage = Stage::open().await;
    let many = (0..100).map(|i| mail::defer(i.to_string()).queue("missing"));
    stage.tasks.defer_many(many).await.unwrap();
    let relay = stage.tasks.relay_to(&stage.google).queues(["missing", "emails"]).concurrency(4);
    let relay = Running::start(relay);
    stage.until(async || stage.server.calls("CreateTask") >= 4).await;
    stage.tasks.defer_many((0..20).map(|i| mail::defer(i.to_string()))).await.unwrap();
    stage.until(async || stage.created().len() == 20).await;
    // None is lost, none is dead.
    stage.until(async || stage.tasks.stats().await.unwrap().open() == 100).await;
    stage.server.create_queue(PLACE, "missing");
    stage.all_relayed().await;
    assert_eq!(stage.server.tasks(PLACE, "missing").len(), 100);
    relay.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_task() {
    let quick = Duration::from_millis(300);
    let stage = Stage::open_with_faults(quick, Fault::LoseAnswer, 6).await;
    stage.tasks.defer_many([mail::defer("a").named("a"), mail::defer("b")]).await.unwrap();
    let relay = Running::start(stage.relay());
    stage.all_relayed().await;
    relay.stop().await;
    assert_eq!(stage.created().len(), 2);
}

#[tokio::test]
async fn a_permanent_refusal_is_a_dead_letter_that_names_queue_and_task() {
    let stage = Stage::open().await;
    // Nobody knows yet that the queue is relayed.
    let id = report::defer().on(&stage.tasks).await.unwrap().id;
    let good = mail::defer("hello").on(&stage.tasks).await.unwrap().id;
    let relay = Running::start(stage.relay());
    stage.all_relayed().await;
    relay.stop().await;
    let dead = stage.tasks.get(id).await.unwrap().unwrap();
    let error = &dead.errors[0].message;
    assert_eq!((dead.state, dead.errors.len(), dead.attempts), (TaskState::Dead, 1, 0));
    for part in ["`emails`", &id.to_string(), "deadline", "cloudtasks"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(stage.created().len(), 1);
    assert!(stage.tasks.get(good).await.unwrap().is_none());
}

#[tokio::test]
async fn a_task_that_google_does_not_accept_is_a_dead_letter() {
    let stage = Stage::open().await;
    let relay = Running::start(stage.relay());
    mail::defer("good").on(&stage.tasks).await.unwrap();
    stage.all_relayed().await;
    stage.server.fault("CreateTask", Fault::Refuse(400));
    mail::defer("hello").on(&stage.tasks).await.unwrap();
    stage.all_relayed().await;
    relay.stop().await;
    let dead = TaskFilter::new().state(TaskState::Dead);
    assert_eq!(stage.tasks.list(dead, None, 10).await.unwrap().len(), 1);
    assert_eq!((stage.created().len(), stage.server.calls("CreateTask")), (1, 2));
}

#[tokio::test]
async fn a_mistake_in_the_settings_of_the_destination_makes_no_dead_letters_of_a_backlog() {
    let stage = Stage::open().await;
    for _ in 0..20 {
        stage.server.fault("CreateTask", Fault::Refuse(400));
    }
    stage.tasks.defer_many((0..20).map(|i| mail::defer(i.to_string()))).await.unwrap();
    let relay = Running::start(stage.relay());
    stage.all_relayed().await;
    relay.stop().await;
    assert_eq!((stage.created().len(), stage.tasks.stats().await.unwrap().dead), (20, 0));
}

#[tokio::test]
async fn a_backoff_that_google_lacks_makes_a_dead_letter_after_a_replay_too() {
    let stage = Stage::open().await;
    let own = RetryConfig::new().with_min_backoff(Duration::from_secs(30));
    let ids = [
        patient::defer().on(&stage.tasks).await.unwrap().id,
        mail::defer("hello").retry(own).on(&stage.tasks).await.unwrap().id,
    ];
    let relay = Running::start(stage.relay());
    for refusals in 1..=2 {
        stage.all_relayed().await;
        for id in ids {
            let dead = stage.tasks.get(id).await.unwrap().unwrap();
            let seen = (dead.state, dead.attempts, dead.errors.len());
            assert_eq!(seen, (TaskState::Dead, 0, refusals), "{:?}", dead.errors);
            assert!(dead.errors[0].message.contains("backoff"), "{:?}", dead.errors);
            stage.tasks.replay(id).await.unwrap();
        }
    }
    relay.stop().await;
    assert_eq!(stage.server.calls("CreateTask"), 0);
}

#[tokio::test]
async fn a_priority_that_was_stored_unchecked_makes_a_dead_letter() {
    let stage = Stage::open().await;
    let id = mail::defer("hello").priority(3).on(&stage.tasks).await.unwrap().id;
    let relay = Running::start(stage.relay());
    stage.all_relayed().await;
    relay.stop().await;
    let dead = stage.tasks.get(id).await.unwrap().unwrap();
    assert_eq!((dead.state, dead.spec.priority), (TaskState::Dead, 3));
    assert!(dead.errors[0].message.contains("has a priority"), "{:?}", dead.errors);
    assert_eq!(stage.server.calls("CreateTask"), 0);
}

#[tokio::test]
async fn a_task_that_is_deleted_after_it_was_leased_is_not_created() {
    let stage = Stage::open().await;
    let id = mail::defer("gone").on(&stage.tasks).await.unwrap().id;
    _ = stage.backend.clone().with(Operation::Schemas, 1, StorageFault::Stall);
    let relay = Running::start(stage.relay());
    stage.until(async || stage.backend.stalled() == 1).await;
    assert!(stage.tasks.delete(id).await.unwrap());
    stage.backend.let_go();
    mail::defer("stays").on(&stage.tasks).await.unwrap();
    stage.all_relayed().await;
    relay.stop().await;
    assert_eq!((stage.created().len(), stage.server.calls("CreateTask")), (1, 1));
}

#[tokio::test]
async fn a_name_of_another_task_at_google_ends_the_task_as_at_defer() {
    let stage = Stage::open().await;
    mail::defer("first").named("once").on(&stage.google).await.unwrap();
    mail::defer("second").named("once").on(&stage.tasks).await.unwrap();
    let relay = Running::start(stage.relay());
    stage.all_relayed().await;
    relay.stop().await;
    let stats = stage.tasks.stats().await.unwrap();
    assert_eq!((stats.dead, stage.created().len()), (0, 1));
}

#[tokio::test]
async fn a_schedule_beyond_the_horizon_stays_until_it_fits() {
    let clock = ManualClock::at(std::time::SystemTime::now().into());
    let time = clock.clone();
    let stage = Stage::open_with(move |client| client.clock(time.clone()), |google| google).await;
    let day = Duration::from_secs(24 * 3600);
    mail::defer("far").named("far").after(day * 45).on(&stage.tasks).await.unwrap();
    mail::defer("near").named("near").after(day * 29).on(&stage.tasks).await.unwrap();
    let relay = Running::start(stage.relay());
    stage.until(async || stage.created().len() == 1).await;
    assert!(stage.created()[0]["name"].as_str().unwrap().ends_with("/near"));
    stage.until(async || stage.tasks.stats().await.unwrap().open() == 1).await;
    stage.server.advance(day * 16);
    for _ in 0..16 {
        clock.advance(day);
        tokio::task::yield_now().await;
    }
    stage
        .until(async || {
            clock.advance(Duration::from_millis(100));
            stage.created().len() == 2
        })
        .await;
    stage
        .until(async || {
            clock.advance(Duration::from_millis(100));
            stage.tasks.stats().await.unwrap().open() == 0
        })
        .await;
    relay.kill().await;
    assert_eq!(stage.server.calls("CreateTask"), 2, "none was asked for in vain");
}

#[tokio::test]
async fn nothing_but_its_shutdown_ends_a_relay() {
    let stage = Stage::open().await;
    for call in 1..=3 {
        for operation in [Operation::Lease, Operation::Sweep, Operation::Settle] {
            _ = stage.backend.clone().with(operation, call, StorageFault::Fail);
        }
        _ = stage.backend.clone().with(Operation::Schemas, call, StorageFault::Fail);
    }
    mail::defer("hello").on(&stage.tasks).await.unwrap();
    let relay = Running::start(stage.relay());
    stage.all_relayed().await;
    assert_eq!((stage.created().len(), stage.server.calls("CreateTask")), (1, 1));
    relay.stop().await;
}

#[tokio::test]
async fn a_task_that_is_deleted_during_an_outage_is_not_created() {
    let quick = Duration::from_millis(100);
    let stage = Stage::open_with_faults(quick, Fault::Refuse(503), 9).await;
    let id = mail::defer("hello").on(&stage.tasks).await.unwrap().id;
    let relay = Running::start(stage.relay());
    stage.until(async || stage.server.calls("CreateTask") > 0).await;
    // It waits for a second; the lease is missed when it is next extended, after a third of one.
    assert!(stage.tasks.delete(id).await.unwrap());
    tokio::time::sleep(Duration::from_millis(3500)).await;
    assert!(stage.created().is_empty() && stage.server.calls("CreateTask") < 5);
    relay.stop().await;
}

#[tokio::test]
async fn a_relay_that_is_shut_down_during_an_outage_ends_at_once_and_loses_nothing() {
    let quick = Duration::from_millis(100);
    let stage = Stage::open_with_faults(quick, Fault::Refuse(503), 4).await;
    mail::defer("hello").named("once").on(&stage.tasks).await.unwrap();
    let relay = Running::start(stage.relay());
    stage.until(async || stage.server.calls("CreateTask") == 1).await;
    tokio::time::timeout(Duration::from_secs(5), relay.stop()).await.expect("it ends");
    assert_eq!((stage.tasks.stats().await.unwrap().open(), stage.created().len()), (1, 0));
    let relay = Running::start(stage.relay());
    stage.all_relayed().await;
    assert_eq!(stage.created().len(), 1);
    relay.stop().await;
}
