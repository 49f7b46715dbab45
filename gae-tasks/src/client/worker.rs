//! How a worker is put together.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Client;
use crate::backend::{BoxFuture, Pull};
use crate::error::{Error, no_problems};
use crate::log;
use crate::queue::QueueName;
use crate::worker::{self, WorkerSettings};

/// How many attempts run at the same time unless [`Worker::concurrency`] says otherwise.
const DEFAULT_CONCURRENCY: usize = 50;

/// More attempts at the same time than this are a mistake.
const MAX_CONCURRENCY: usize = 100_000;

/// Runs stored tasks until it is shut down: `.await` it. The guide:
/// [operating](crate::guide::operating).
///
/// Storage errors never end it: it reports them, waits a little, and goes on.
///
/// # Errors
/// The `.await` fails at once, with every problem named, if the registered tasks of its queues
/// cannot be run ([`Error::Misconfigured`]), or if the backend calls handlers over HTTP
/// ([`Error::Unsupported`]).
///
/// ```standalone_crate
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), gae_tasks::Error> {
/// use std::time::Duration;
/// use gae_tasks::{Client, deferred};
///
/// #[deferred]
/// async fn greet(name: String) {
///     println!("hello {name}");
/// }
///
/// let tasks = Client::open("memory:").await?;
/// greet::defer("you").on(&tasks).await?;
///
/// let soon = tokio::time::sleep(Duration::from_millis(50)); // a server takes `gae_tasks::signals()`
/// tasks.worker().concurrency(10).with_graceful_shutdown(soon).await?;
/// assert_eq!(tasks.stats().await?.open(), 0);
/// # Ok(())
/// # }
/// ```
#[must_use = "a worker runs nothing unless awaited"]
pub struct Worker {
    client: Client,
    queues: Option<Vec<String>>,
    concurrency: usize,
    queue_concurrency: Vec<(String, usize)>,
    grace: Duration,
    lease: Duration,
    poll_interval: Duration,
    shutdown: BoxFuture<'static, ()>,
}

impl Client {
    /// A worker that runs this client's tasks.
    pub fn worker(&self) -> Worker {
        Worker {
            client: self.clone(),
            queues: None,
            concurrency: DEFAULT_CONCURRENCY,
            queue_concurrency: Vec::new(),
            grace: Duration::from_secs(8),
            lease: Duration::from_secs(30),
            poll_interval: Duration::from_secs(1),
            shutdown: Box::pin(std::future::pending()),
        }
    }
}

impl Worker {
    /// A worker on `backend` that runs every linked task, with no state: a backend that calls
    /// handlers over HTTP does not compile here. With state and settings: [`Client::builder`].
    pub fn new(backend: impl Pull) -> Self {
        Client::of(backend).worker()
    }

    /// The queues it serves; by default all that the registered tasks name.
    ///
    /// Tasks that were deferred to other queues by `.queue(..)` or `.spread(..)` are run only if
    /// named here.
    pub fn queues<Q: Into<String>>(mut self, queues: impl IntoIterator<Item = Q>) -> Self {
        self.queues = Some(queues.into_iter().map(Into::into).collect());
        self
    }

    /// How many attempts run at the same time; 50 by default, at most 100,000. Zero is refused when
    /// the worker starts.
    ///
    /// Queues take turns, so that a long backlog of one keeps no other waiting. Where the attempts
    /// of one queue are so long that they hold all runners, only a [bound](Self::queue_concurrency)
    /// keeps some free for the others.
    pub fn concurrency(mut self, attempts: usize) -> Self {
        self.concurrency = attempts.min(MAX_CONCURRENCY);
        self
    }

    /// How many of these attempts may be of one queue; without a bound by default. Zero is refused
    /// when the worker starts: pause the queue, or do not serve it. The last call for a queue
    /// counts. Each worker has a bound of its own, and leases no task ahead of it, so that a
    /// bounded queue of very short tasks is worked on more slowly.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// # let tasks = gae_tasks::Client::open("memory:").await?;
    /// // Of 16 runners, 8 are always left to other queues.
    /// let worker = tasks.worker().queues(["bulk", "emails"]).concurrency(16).queue_concurrency("bulk", 8);
    /// # drop(worker);
    /// # Ok(())
    /// # }
    /// ```
    pub fn queue_concurrency(mut self, queue: impl Into<String>, attempts: usize) -> Self {
        self.queue_concurrency.push((queue.into(), attempts));
        self
    }

    /// Ends the worker when `signal` is ready: it leases no more, waits up to the [grace
    /// time](Self::grace) for what is running, and gives the rest back.
    /// [`signals()`](crate::signals) is the signal for servers.
    pub fn with_graceful_shutdown(
        mut self,
        signal: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        self.shutdown = Box::pin(signal);
        self
    }

    /// How long running attempts may go on after the shutdown signal, and their outcomes wait for
    /// storage that is away; 8 seconds by default, as containers are killed after 10. What still
    /// runs then is cancelled and given back: no attempt is counted. For that, and for outcomes
    /// that are yet to be recorded, there is one more second: the worker ends at most a second
    /// after the grace time, and as soon as nothing runs and everything is recorded.
    ///
    /// What cannot be stopped (a plain function, an async one that computes without awaiting) keeps
    /// its lease and goes on in the background until it returns or the process ends.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How long a lease lasts unless it is extended, which happens three times as often; 30 seconds
    /// by default, at least 1. If this machine dies, its tasks run elsewhere after that.
    ///
    /// On SQLite a killed worker's tasks are known to be free at once. Where the lock file that
    /// shows it is gone, as in a restored backup, a worker must have seen a lease unchanged for as
    /// long as it lasts: one that never lives that long recovers none.
    pub fn lease(mut self, duration: Duration) -> Self {
        self.lease = duration.max(Duration::from_secs(1));
        self
    }

    /// How often it looks for due tasks that nothing told it of; every second by default.
    ///
    /// Tasks that this process defers, and schedule times, are known at once, and tasks that other
    /// processes defer within milliseconds; the slow look is against lost wake-ups.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval.max(Duration::from_millis(1));
        self
    }

    async fn run(self) -> Result<(), Error> {
        let settings = self.settings()?;
        let queues = Arc::clone(&settings.queues);
        let first = async move { warn_of_unknown(&self.client, &queues).await };
        worker::work(settings, first, self.shutdown, self.grace).await
    }

    /// Checks that everything fits together, and puts it together.
    fn settings(&self) -> Result<WorkerSettings, Error> {
        let client = &self.client;
        let backend = client.capabilities().backend;
        let pull = client
            .pull()
            .ok_or(Error::Unsupported { backend, what: "workers: it calls handlers over HTTP" })?;
        let mut misnamed = Vec::new();
        let queues = self.served_queues(&mut misnamed);
        // What a misspelt queue was to be is not known: any task may be of it.
        let serves = |queue: &QueueName| !misnamed.is_empty() || queues.contains(queue);
        let mut problems =
            client.problems_among(|registration| client.queues_of(registration).iter().any(serves));
        problems.extend(misnamed);
        if queues.is_empty() && problems.is_empty() {
            problems
                .push("the worker has no queues: name at least one in `.queues([..])`".to_owned());
        }
        if self.concurrency == 0 {
            problems.push(
                "the worker has `.concurrency(0)` and would run nothing: choose 1 or more"
                    .to_owned(),
            );
        }
        let queue_concurrency = self.bounds(&queues, &mut problems);
        no_problems(problems)?;
        Ok(WorkerSettings {
            pull: Arc::clone(pull),
            clock: Arc::clone(client.clock()),
            registry: client.runnable(),
            dispatcher: client.dispatcher(),
            queues: Arc::new(queues),
            concurrency: self.concurrency,
            queue_concurrency,
            lease: self.lease,
            poll_interval: self.poll_interval,
            retention: client.stated_retention(),
            suspects: Arc::clone(client.suspects()),
        })
    }

    fn bounds(
        &self,
        served: &BTreeSet<QueueName>,
        problems: &mut Vec<String>,
    ) -> HashMap<QueueName, usize> {
        let mut bounds = HashMap::new();
        for (queue, attempts) in &self.queue_concurrency {
            match QueueName::new(queue.clone()) {
                Ok(queue) if *attempts == 0 => problems.push(format!(
                    "`.queue_concurrency(\"{queue}\", 0)` leaves the queue no attempt: choose 1 or more, or pause the queue"
                )),
                Ok(queue) if served.contains(&queue) => _ = bounds.insert(queue, *attempts),
                Ok(queue) => problems.push(format!(
                    "`.queue_concurrency(\"{queue}\", {attempts})` is of a queue that the worker does not serve: name it in \
                     `.queues([..])`, or remove the bound"
                )),
                Err(error) => problems.push(error.to_string()),
            }
        }
        bounds
    }

    fn served_queues(&self, problems: &mut Vec<String>) -> BTreeSet<QueueName> {
        let Some(queues) = &self.queues else {
            let registrations = self.client.registry().registrations().iter();
            return registrations
                .flat_map(|registration| self.client.queues_of(registration))
                .collect();
        };
        let names = queues.iter().map(|queue| QueueName::new(queue.clone()));
        names
            .filter_map(|name| name.map_err(|error| problems.push(error.to_string())).ok())
            .collect()
    }
}

/// Queues are made as tasks arrive, so one that nobody has heard of may be right, and is more
/// likely misspelt.
async fn warn_of_unknown(client: &Client, served: &BTreeSet<QueueName>) {
    let registrations = client.registry().registrations().iter();
    let mut known: BTreeSet<_> =
        registrations.flat_map(|registration| client.queues_of(registration)).collect();
    // What is wrong with the storage is told by the worker's roles.
    known.extend(client.queues().await.unwrap_or_default().into_iter().map(|queue| queue.name));
    for queue in served.difference(&known) {
        let known = known.iter().map(QueueName::as_str).collect::<Vec<_>>().join(", ");
        log::say(|| {
            tracing::warn!(%queue, known, "the worker serves a queue that no task names and that is not stored: misspelt?");
        });
    }
}

impl IntoFuture for Worker {
    type Output = Result<(), Error>;
    type IntoFuture = WorkerFuture;

    fn into_future(self) -> WorkerFuture {
        WorkerFuture(Box::pin(self.run()))
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("client", &self.client)
            .field("queues", &self.queues)
            .field("concurrency", &self.concurrency)
            .field("queue_concurrency", &self.queue_concurrency)
            .finish_non_exhaustive()
    }
}

/// A running worker: what `.await` on a [`Worker`] polls. If it is dropped, so are its handlers,
/// and their tasks run again once their leases have expired.
#[must_use = "futures do nothing unless awaited"]
pub struct WorkerFuture(BoxFuture<'static, Result<(), Error>>);

impl Future for WorkerFuture {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for WorkerFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorkerFuture")
    }
}
