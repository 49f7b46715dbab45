//! A small Cloud Tasks v2 server: the REST API on a socket of the loopback, and a dispatcher that
//! calls handlers.
//!
//! Written from the API's documentation and from recordings of the real service. The server has the
//! calls for queues and tasks, but not batches, permissions, `httpTarget` of queues, and rates.

mod dispatch;
mod error;
mod fault;
mod headers;
mod json;
mod queues;
mod retry;
mod routes;
mod state;
mod tasks;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

pub use self::fault::Fault;
use self::fault::Faults;
use self::state::State;

/// A function that returns a token for an audience and a service account.
type Signer = Box<dyn Fn(&str, &str) -> String + Send + Sync>;

/// A server that runs until it is dropped.
pub struct Server {
    inner: Arc<Inner>,
    address: SocketAddr,
    /// The server's tasks, aborted on drop.
    _running: JoinSet<()>,
}

/// Builds a [`Server`].
#[derive(Default)]
pub struct ServerBuilder {
    dispatches: bool,
    signer: Option<Signer>,
    services: HashMap<String, String>,
    denied: HashSet<String>,
}

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The queue's full name.
    pub queue: String,
    /// The task's short name.
    pub task: String,
    /// The status of the handler's response; `None` if it did not respond in time, or could not be
    /// reached.
    pub status: Option<u16>,
}

struct Inner {
    state: Mutex<State>,
    faults: Mutex<Faults>,
    /// The offset of the server's clock from the machine's.
    ahead: Mutex<Duration>,
    numbers: AtomicU64,
    /// Wakes the dispatcher.
    changed: Notify,
    deliveries: watch::Sender<Vec<Delivery>>,
    http: reqwest::Client,
    signer: Option<Signer>,
    services: HashMap<String, String>,
    denied: HashSet<String>,
}

impl ServerBuilder {
    /// Calls handlers when tasks are due; without this only `RunTask` calls them.
    pub fn dispatching(mut self) -> Self {
        self.dispatches = true;
        self
    }

    /// Sets the function that returns the OIDC tokens of requests, from an audience and a service
    /// account's e-mail.
    pub fn sign(mut self, signer: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Self {
        self.signer = Some(Box::new(signer));
        self
    }

    /// Sets the address of an App Engine service, e.g. `http://127.0.0.1:8080`.
    pub fn service(mut self, name: &str, url: impl Into<String>) -> Self {
        self.services.insert(name.to_owned(), url.into());
        self
    }

    /// Refuses calls for this project, as for a missing permission.
    pub fn deny(mut self, project: &str) -> Self {
        self.denied.insert(project.to_owned());
        self
    }

    /// Starts the server on a free port of the loopback.
    pub async fn start(self) -> Server {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.expect("the loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let inner = Arc::new(Inner {
            state: Mutex::default(),
            faults: Mutex::default(),
            ahead: Mutex::default(),
            numbers: AtomicU64::new(0),
            changed: Notify::new(),
            deliveries: watch::Sender::default(),
            http: client(),
            signer: self.signer,
            services: self.services,
            denied: self.denied,
        });
        let mut running = JoinSet::new();
        let router = routes::router(Arc::clone(&inner));
        running.spawn(async {
            axum::serve(listener, router).await.expect("the server runs until it is dropped")
        });
        if self.dispatches {
            running.spawn(Arc::clone(&inner).dispatch_all());
        }
        Server { inner, address, _running: running }
    }
}

/// Returns a client that, like Google, follows no redirects and ignores local proxies.
fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    client.build().expect("a client needs nothing that could be missing")
}

impl Server {
    /// Returns a builder.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// Starts a server that stores tasks and calls no handlers.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Returns the URL of the server.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a queue with the default settings; `place` is `projects/p/locations/l`.
    pub fn create_queue(&self, place: &str, queue: &str) {
        let name = format!("{place}/queues/{queue}");
        self.inner.state().queues.insert(name, state::Queue::default());
    }

    /// Plans a fault for the next call of this name (`CreateTask`, ..); several faults queue up.
    pub fn fault(&self, call: &'static str, fault: Fault) {
        self.inner.faults().push(call, fault);
    }

    /// Plans a fault for every call of this name.
    pub fn fault_always(&self, call: &'static str, fault: Fault) {
        self.inner.faults().always(call, fault);
    }

    /// Returns the number of calls of this name.
    pub fn calls(&self, call: &str) -> usize {
        self.inner.faults().calls(call)
    }

    /// Returns the tasks of a queue in the full view, by their names.
    pub fn tasks(&self, place: &str, queue: &str) -> Vec<Value> {
        let page = queues::Page { size: usize::MAX, after: "" };
        let listed = self.inner.state().list_tasks(&format!("{place}/queues/{queue}"), page, true);
        let tasks =
            listed.ok().and_then(|mut listed| listed["tasks"].as_array_mut().map(std::mem::take));
        tasks.unwrap_or_default()
    }

    /// Returns a queue as shown by the API.
    pub fn queue(&self, place: &str, queue: &str) -> Option<Value> {
        self.inner.state().get_queue(&format!("{place}/queues/{queue}")).ok()
    }

    /// Moves the server's clock forward.
    pub fn advance(&self, duration: Duration) {
        *self.inner.ahead.lock().unwrap_or_else(PoisonError::into_inner) += duration;
        self.inner.changed.notify_one();
    }

    /// Waits until `count` attempts have ended, and returns all ended attempts.
    pub async fn deliveries(&self, count: usize) -> Vec<Delivery> {
        let mut deliveries = self.inner.deliveries.subscribe();
        let enough = deliveries.wait_for(|deliveries| deliveries.len() >= count).await;
        enough.map(|deliveries| deliveries.clone()).unwrap_or_default()
    }
}

impl Inner {
    fn now(&self) -> SystemTime {
        SystemTime::now() + *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("dispatches", &self.dispatches)
            .finish_non_exhaustive()
    }
}
