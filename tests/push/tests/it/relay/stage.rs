//! A storage, a Cloud Tasks server, and relays between them.

use std::time::Duration;

use gae_tasks::backend::cloud_tasks::{CloudTasks, CloudTasksBuilder};
use gae_tasks::backend::memory::Memory;
use gae_tasks::testing::Faulty;
use gae_tasks::{Client, ClientBuilder, Registry, Relay, deferred};
use gae_tasks_tests_push::server::{Fault, Server};
use serde_json::Value;

pub(super) use crate::running::Running;
use crate::running::within;

pub(super) const PLACE: &str = "projects/shop/locations/europe-west1";

#[deferred(name = "shop/mail", queue = "emails", deadline = "20m", max_attempts = 7)]
pub(super) async fn mail(text: String) {
    _ = text;
}

/// A deadline that Google does not have.
#[deferred(name = "shop/report", queue = "emails", deadline = "2h")]
pub(super) async fn report() {}

/// A backoff, which no task of Google has.
#[deferred(name = "shop/patient", queue = "emails", min_backoff = "30s")]
pub(super) async fn patient() {}

/// A client with the tasks of these tests.
pub(super) fn builder() -> ClientBuilder {
    let tasks = Registry::new().with::<mail>().with::<report>().with::<patient>();
    Client::builder().registry(tasks)
}

/// The parts of a relay.
pub(super) struct Stage {
    pub(super) server: Server,
    /// The storage, whose calls can be made to fail.
    pub(super) backend: Faulty<Memory>,
    pub(super) tasks: Client,
    pub(super) google: Client,
}

impl Stage {
    pub(super) async fn open() -> Self {
        Self::open_with(|client| client, |google| google).await
    }

    /// Opens both clients; that of Google waits for `patience` for an answer. Its first calls to
    /// create a task meet this fault.
    pub(super) async fn open_with_faults(patience: Duration, fault: Fault, calls: usize) -> Self {
        let stage = Self::open_with(|client| client, |google| google.time_limit(patience)).await;
        for _ in 0..calls {
            stage.server.fault("CreateTask", fault);
        }
        stage
    }

    /// Opens both clients with these settings.
    pub(super) async fn open_with(
        client: impl Fn(ClientBuilder) -> ClientBuilder,
        google: impl FnOnce(CloudTasksBuilder) -> CloudTasksBuilder,
    ) -> Self {
        let server = Server::start().await;
        for queue in ["emails", "invoices"] {
            server.create_queue(PLACE, queue);
        }
        let backend = Faulty::new(Memory::new());
        let tasks = client(builder()).build(backend.clone()).unwrap();
        let cloud = CloudTasks::builder("shop", "europe-west1").http("http://worker.test");
        let cloud = google(cloud.endpoint(server.url()).anonymous()).build().await.unwrap();
        let google = client(builder()).build_push(cloud).unwrap();
        Self { server, backend, tasks, google }
    }

    /// A relay of the queue `emails`.
    pub(super) fn relay(&self) -> Relay {
        self.tasks
            .relay_to(&self.google)
            .queues(["emails"])
            .poll_interval(Duration::from_millis(20))
            .lease(Duration::from_secs(1))
    }

    pub(super) fn created(&self) -> Vec<Value> {
        self.server.tasks(PLACE, "emails")
    }

    /// Waits until nothing is left in the storage but dead letters.
    pub(super) async fn all_relayed(&self) {
        self.until(async || self.tasks.stats().await.unwrap().open() == 0).await;
    }

    /// Waits until `is_so`.
    pub(super) async fn until(&self, is_so: impl AsyncFnMut() -> bool) {
        self.within(Duration::from_secs(20), is_so).await;
    }

    /// Waits until `is_so`, for at most `limit`.
    pub(super) async fn within(&self, limit: Duration, is_so: impl AsyncFnMut() -> bool) {
        within(limit, is_so).await;
    }
}
