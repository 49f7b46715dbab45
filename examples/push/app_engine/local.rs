//! A queue in this process that calls this process as both services, in place of App Engine.

use anyhow::Result;
use gae_tasks::backend::cloud_tasks::CloudTasks;
use gae_tasks::{Client, ClientBuilder, QueueConfig};
use gae_tasks_tests_push::server::Server;

/// Returns a client of the service `default`, whose tasks are sent to `url`, and the server that is
/// the queue.
pub(crate) async fn client(builder: ClientBuilder, url: &str) -> Result<(Client, Server)> {
    let server = Server::builder()
        .service("default", url)
        .service("worker", url)
        .dispatching()
        .start()
        .await;
    let backend =
        CloudTasks::builder("local", "here").endpoint(server.url()).anonymous().app_engine();
    let backend =
        backend.background_service("worker").deferring_from("default", "local").build().await?;
    let tasks = builder.build_push(backend)?;
    tasks.put_queue("counting", QueueConfig::new()).await?;
    Ok((tasks, server))
}
