//! Cancellation: of tasks that wait, and of no other.

use std::time::Duration;

use gae_tasks::{Cancelled, Error, TaskId, TaskState};
use gae_tasks_tests_push::server::Fault;
use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn a_waiting_task_that_is_cancelled_is_deleted() {
    let server = server().await;
    let tasks = client(&server).await;
    let later = greet::defer("you").after(Duration::from_secs(60));
    for defer in [greet::defer("you"), greet::defer("you").named("you"), later] {
        let id = defer.on(&tasks).await.unwrap().id;
        assert_eq!(tasks.cancel(id).await.unwrap(), Cancelled::Removed);
        assert_eq!(tasks.get(id).await.unwrap(), None);
        assert_eq!(tasks.cancel(id).await.unwrap(), Cancelled::Gone);
    }
    let again = greet::defer("you").named("you").on(&tasks).await.unwrap();
    assert!(!again.created, "its name is blocked");
}

#[tokio::test]
async fn an_unknown_task_cannot_be_cancelled() {
    let server = server().await;
    let tasks = client(&server).await;
    greet::defer("you").on(&tasks).await.unwrap();
    let unknown = TaskId::from_bytes([7; 16]);
    assert_eq!(tasks.cancel(unknown).await.unwrap(), Cancelled::Gone);
    assert_eq!(server.tasks(PLACE, "emails").len(), 1);
}

#[tokio::test]
async fn a_task_that_a_handler_has_is_not_cancelled_and_named_as_running() {
    let server = Server::builder().dispatching().start().await;
    server.create_queue(PLACE, "emails");
    // It takes connections, and never answers.
    let handler = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", handler.local_addr().unwrap());
    let tasks = client_of(builder(&server).http(url)).await;
    let id = greet::defer("you").on(&tasks).await.unwrap().id;
    let _running = handler.accept().await.unwrap();
    assert_eq!(tasks.get(id).await.unwrap().unwrap().state, TaskState::Leased);
    let refused = tasks.cancel(id).await.unwrap_err();
    assert!(matches!(refused, Error::Unsupported { backend: "cloudtasks", .. }), "{refused:?}");
    assert!(refused.to_string().contains("whose handler runs"), "{refused}");
    assert_eq!(server.calls("DeleteTask"), 0);
    assert!(tasks.get(id).await.unwrap().is_some());
    assert!(tasks.delete(id).await.unwrap(), "what the error advises");
}

#[tokio::test]
async fn a_cancellation_whose_answer_is_lost_has_removed_the_task() {
    let server = server().await;
    let tasks = client(&server).await;
    let id = greet::defer("you").on(&tasks).await.unwrap().id;
    server.fault("DeleteTask", Fault::LoseAnswer);
    assert_eq!(tasks.cancel(id).await.unwrap(), Cancelled::Removed);
    let id = greet::defer("you").on(&tasks).await.unwrap().id;
    server.fault("DeleteTask", Fault::Refuse(403));
    let refused = tasks.cancel(id).await.unwrap_err();
    assert!(chain(&refused).contains("cloudtasks.tasks.delete"), "{refused:?}");
    assert!(tasks.get(id).await.unwrap().is_some());
}
