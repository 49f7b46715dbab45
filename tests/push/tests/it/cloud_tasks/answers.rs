//! Late, lost or useless responses: no task is stored twice, and no caller waits longer than the
//! limit.

use std::time::{Duration, Instant};

use gae_tasks::backend::{Backend, Enqueue, NewTask};
use gae_tasks::{Kind, Now, QueueName, Shape, TaskId, TaskName, TaskSpec};
use gae_tasks_tests_push::server::Fault;

use super::*;

async fn patient(server: &Server, limit: Duration) -> Client {
    client_of(builder(server).time_limit(limit)).await
}

/// Waits for one call, with a second of tolerance after its limit for a busy machine.
fn in_time(started: Instant, limit: Duration) {
    assert!(started.elapsed() < limit + Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_service_that_is_unavailable_twice_stores_the_task_once() {
    let server = server().await;
    let tasks = client(&server).await;
    for fault in [Fault::Refuse(503), Fault::Refuse(503)] {
        server.fault("CreateTask", fault);
    }
    assert!(greet::defer("you").on(&tasks).await.unwrap().created);
    assert_eq!(server.calls("CreateTask"), 3);
    only_task(&server);
}

#[tokio::test]
async fn throttling_and_proxies_in_trouble_are_waited_for() {
    let server = server().await;
    let tasks = client(&server).await;
    for fault in [Fault::Refuse(429), Fault::Proxy(502), Fault::Refuse(500)] {
        server.fault("CreateTask", fault);
    }
    assert!(greet::defer("you").on(&tasks).await.unwrap().created);
    assert_eq!(server.calls("CreateTask"), 4);
    only_task(&server);
}

#[tokio::test]
async fn a_lost_answer_is_no_duplicate_of_an_unnamed_task() {
    let server = server().await;
    let tasks = client(&server).await;
    server.fault("CreateTask", Fault::LoseAnswer);
    let deferred = greet::defer("you").on(&tasks).await.unwrap();
    assert!(deferred.created);
    assert_eq!(server.calls("CreateTask"), 2, "the second call was answered with 409");
    only_task(&server);
    assert!(tasks.get(deferred.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_lost_answer_is_told_from_a_name_in_use() {
    let server = server().await;
    let tasks = client(&server).await;
    server.fault("CreateTask", Fault::LoseAnswer);
    let own = greet::defer("you").named("own").must_be_new().on(&tasks).await.unwrap();
    assert!(own.created, "the call's own task has the name");
    server.fault("CreateTask", Fault::LoseAnswer);
    let taken = greet::defer("me").named("own").on(&tasks).await.unwrap();
    assert_eq!((taken.created, taken.id), (false, own.id), "the task of another call has the name");
    only_task(&server);
}

/// Deleting the payload of a duplicate must not delete the payload of the stored task.
#[tokio::test]
async fn a_named_task_with_a_spilled_payload_is_answered_as_the_first_time() {
    let server = server().await;
    let backend = builder(&server).build().await.unwrap();
    let task = |number| {
        let kind = Kind::new("shop/greet").unwrap();
        let id = TaskId::from_bytes([number; 16]);
        NewTask::new(
            TaskSpec::new(id, kind, Shape::from_bits(7), QueueName::new("emails").unwrap()),
            Vec::new(),
            [],
        )
        .with(|task| {
            task.spec.name = Some(TaskName::new("once").unwrap());
            // Attributes that name the key `k` in the store `s`.
            task.spec.attributes = Some(vec![1, 1, 1, b'k', 1, b's', 1, 2, 0, 0, 0]);
        })
    };
    for (number, created) in [(1, true), (1, true), (2, false)] {
        let answers =
            backend.enqueue(Enqueue::new(Now::Storage, vec![task(number)])).await.unwrap();
        assert_eq!(answers[0].as_ref().unwrap().created, created, "{number}");
    }
    only_task(&server);
}

#[tokio::test]
async fn a_named_task_that_ran_while_its_answer_was_lost_counts_as_created() {
    let server = Server::builder().dispatching().start().await;
    server.create_queue(PLACE, "emails");
    let handler = super::dispatch::Handler::answering(&[200]).await;
    let limit = Duration::from_secs(6);
    let tasks = client_of(builder(&server).http(handler.url()).time_limit(limit)).await;
    // While the caller waits for the lost response, the task runs and is deleted.
    server.fault("CreateTask", Fault::NeverAnswer);
    let deferred = greet::defer("you").named("fast").must_be_new().on(&tasks).await.unwrap();
    assert!(deferred.created);
    assert_eq!(server.deliveries(1).await.len(), 1);
}

#[tokio::test]
async fn an_answer_that_never_comes_ends_at_the_time_limit() {
    let server = server().await;
    let limit = Duration::from_secs(2);
    let tasks = patient(&server, limit).await;
    server.fault_always("CreateTask", Fault::NeverAnswer);
    let started = Instant::now();
    let error = greet::defer("you").on(&tasks).await.unwrap_err();
    in_time(started, limit);
    assert!(
        error
            .to_string()
            .contains("gave no answer within 2 s; whether the task is stored is not known"),
        "{error}"
    );
}

#[tokio::test]
async fn one_answer_that_never_comes_leaves_time_for_another() {
    let server = server().await;
    let tasks = patient(&server, Duration::from_secs(6)).await;
    server.fault("CreateTask", Fault::NeverAnswer);
    assert!(greet::defer("you").on(&tasks).await.unwrap().created);
    only_task(&server);
}

#[tokio::test]
async fn a_refused_connection_ends_at_the_time_limit() {
    let nobody = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", socket.local_addr().unwrap())
    };
    let limit = Duration::from_secs(1);
    let builder =
        CloudTasks::builder("shop", "europe-west1").http(WORKER).endpoint(nobody).anonymous();
    let tasks = client_of(builder.time_limit(limit)).await;
    let started = Instant::now();
    let error = greet::defer("you").on(&tasks).await.unwrap_err();
    in_time(started, limit);
    assert!(
        error.to_string().contains("could not be reached within 1 s; nothing was stored"),
        "{error}"
    );
    // Many tasks do not wait one after the other.
    let started = Instant::now();
    let error = tasks.defer_many((0..500).map(|i| greet::defer(i.to_string()))).await.unwrap_err();
    in_time(started, 2 * limit);
    assert!(error.to_string().starts_with("500 of 500 tasks were not stored"), "{error}");
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_has_happened() {
    let server = server().await;
    let tasks = client(&server).await;
    let id = greet::defer("you").on(&tasks).await.unwrap().id;
    server.fault("DeleteTask", Fault::LoseAnswer);
    assert!(tasks.delete(id).await.unwrap());
    assert!(!tasks.delete(id).await.unwrap(), "the task is gone");
}
