//! The Cloud Tasks backend, through Google's own client and a real socket.

mod administration;
mod answers;
mod cancel;
mod deploys;
mod dispatch;
mod enqueue;
mod queues;
mod refusals;
mod sizes;
mod targets;

use gae_tasks::backend::cloud_tasks::{CloudTasks, CloudTasksBuilder};
use gae_tasks::{Client, deferred};
use gae_tasks_tests_push::server::Server;
use serde_json::Value;

const PLACE: &str = "projects/shop/locations/europe-west1";

/// The target of tasks; no server runs there, because most of these tests dispatch no task.
const WORKER: &str = "http://worker.test";

#[deferred(name = "shop/greet", queue = "emails")]
async fn greet(name: String) {
    _ = name;
}

/// Starts a server with the queues `emails` and `default`.
async fn server() -> Server {
    let server = Server::start().await;
    server.create_queue(PLACE, "emails");
    server.create_queue(PLACE, "default");
    server
}

fn builder(server: &Server) -> CloudTasksBuilder {
    CloudTasks::builder("shop", "europe-west1").http(WORKER).endpoint(server.url()).anonymous()
}

async fn client_of(builder: CloudTasksBuilder) -> Client {
    Client::builder().build_push(builder.build().await.unwrap()).unwrap()
}

async fn client(server: &Server) -> Client {
    client_of(builder(server)).await
}

/// Returns the only task of the queue `emails`.
fn only_task(server: &Server) -> Value {
    let mut tasks = server.tasks(PLACE, "emails");
    assert_eq!(tasks.len(), 1, "{tasks:#?}");
    tasks.remove(0)
}

/// Returns an error and its sources in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}
