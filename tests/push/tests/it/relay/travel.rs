//! What a relay creates at Google.

use std::time::Duration;

use super::stage::{PLACE, Running, Stage, mail};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_task_is_created_with_all_that_was_said_of_it() {
    let trace = |client: gae_tasks::ClientBuilder| client.trace_context(|| Some(TRACE.to_owned()));
    let stage = Stage::open_with(trace, |google| google).await;
    stage.relay().declare().unwrap();
    let hour = Duration::from_secs(3600);
    let task = mail::defer("hello").named("once").after(hour).header("X-Tenant", "7");
    let deferred = task.max_attempts(3).on(&stage.tasks).await.unwrap();
    assert!(deferred.created);
    let relay = Running::start(stage.relay());
    stage.all_relayed().await;
    let created = stage.created();
    assert_eq!(created.len(), 1, "{created:#?}");
    let (task, request) = (&created[0], &created[0]["httpRequest"]);
    assert!(task["name"].as_str().unwrap().ends_with("/emails/tasks/once"), "{task}");
    assert_eq!(task["dispatchDeadline"], "1200s", "the deadline of the type");
    assert_eq!(request["url"], "http://worker.test/_cb/deferred/shop/mail");
    assert_eq!(
        (&request["headers"]["X-Tenant"], &request["headers"]["traceparent"]),
        (&"7".into(), &TRACE.into())
    );
    let record = stage.google.find("emails", "once").await.unwrap().unwrap();
    assert_eq!((record.spec.max_attempts, record.spec.deadline), (Some(3), Some(hour / 3)));
    assert!(record.schema.is_some() || record.payload.is_none(), "the schema travels");
    let ahead = record.schedule_time.since(record.created);
    assert!(ahead.abs_diff(hour) < Duration::from_secs(5), "{ahead:?}");
    relay.stop().await;
}

#[tokio::test]
async fn many_tasks_of_several_queues_are_created_once_each_and_no_others() {
    let stage = Stage::open().await;
    let queues = ["emails", "invoices", "own"];
    let many = (0..300).map(|i| mail::defer(i.to_string()).queue(queues[i % 3]));
    stage.tasks.defer_many(many).await.unwrap();
    let relays = stage.tasks.relay_to(&stage.google).queues(["emails", "invoices"]);
    let relay = Running::start(relays);
    stage.until(async || stage.tasks.stats().await.unwrap().open() == 100).await;
    relay.stop().await;
    let created = |queue| stage.server.tasks(PLACE, queue).len();
    assert_eq!((created("emails"), created("invoices"), created("own")), (100, 100, 0));
    assert_eq!(stage.server.calls("CreateTask"), 200);
}

#[tokio::test]
async fn a_task_that_is_deferred_while_the_relay_waits_is_created_at_once() {
    let stage = Stage::open().await;
    let relay = Running::start(stage.relay().poll_interval(Duration::from_secs(60)));
    for count in 1..=3 {
        mail::defer("hello").on(&stage.tasks).await.unwrap();
        stage.until(async || stage.created().len() == count).await;
    }
    relay.stop().await;
}
