//! Builds a worker.

mod queues;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Client;
use super::future::boxed_future;
use super::left_out::{leave_out, no_queues};
use super::serving::{Role, Serving};
use super::terms::Terms;
use crate::backend::Pull;
use crate::error::{Error, no_problems};
use crate::queue::QueueName;
use crate::worker::{self, WorkerSettings};

/// The number of concurrent attempts unless [`Worker::concurrency`] sets another.
const DEFAULT_CONCURRENCY: usize = 50;

/// How long the async handler of a cancelled task may go on unless [`Worker::cancel_grace`] sets
/// another time.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// A higher concurrency is treated as a mistake.
const MAX_CONCURRENCY: usize = 100_000;

/// Runs stored tasks until it is shut down: `.await` the worker. See the guide
/// [operating](crate::guide::operating).
///
/// Storage errors do not end the worker: it reports them, waits, and goes on.
///
/// # Errors
/// The `.await` fails at once, with a list of every problem, if the registered tasks of the
/// worker's queues cannot be run ([`Error::Misconfigured`]), or if the backend calls handlers over
/// HTTP ([`Error::Unsupported`]).
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
/// // A server uses `gae_tasks::signals()`.
/// let soon = tokio::time::sleep(Duration::from_millis(50));
/// tasks.worker().concurrency(10).with_graceful_shutdown(soon).await?;
/// assert_eq!(tasks.stats().await?.open(), 0);
/// # Ok(())
/// # }
/// ```
#[must_use = "a worker runs nothing unless awaited"]
pub struct Worker {
    client: Client,
    queues: Option<Vec<String>>,
    left_out: Vec<String>,
    concurrency: usize,
    queue_concurrency: Vec<(String, usize)>,
    cancel_grace: Duration,
    terms: Terms,
}

impl Client {
    /// Creates a worker that runs this client's tasks.
    pub fn worker(&self) -> Worker {
        Worker {
            client: self.clone(),
            queues: None,
            left_out: Vec::new(),
            concurrency: DEFAULT_CONCURRENCY,
            queue_concurrency: Vec::new(),
            cancel_grace: CANCEL_GRACE,
            terms: Terms::default(),
        }
    }
}

impl Worker {
    /// Creates a worker on `backend` that runs every linked task, with no state; a backend that
    /// calls handlers over HTTP does not compile here. For state and settings see
    /// [`Client::builder`].
    pub fn new(backend: impl Pull) -> Self {
        Client::of(backend).worker()
    }

    /// Sets the queues that the worker serves; by default all queues that the registered tasks
    /// name.
    ///
    /// Of these queues, those that registered tasks name exist from the start: the worker creates
    /// what is missing, and changes nothing. So they can be paused and configured before their
    /// first tasks.
    ///
    /// Tasks that were deferred to other queues with `.queue(..)` or `.spread(..)` are run only if
    /// these queues are named here.
    pub fn queues<Q: Into<String>>(mut self, queues: impl IntoIterator<Item = Q>) -> Self {
        self.queues = Some(queues.into_iter().map(Into::into).collect());
        self
    }

    /// Leaves out these queues of those that the registered tasks name: another worker serves them.
    /// The worker needs nothing that only their tasks need, such as state, and does not report that
    /// their tasks wait.
    ///
    /// A queue that no registered task names is refused when the worker starts, as it may be
    /// misspelt, unless the worker has [`.queues([..])`](Self::queues). A queue that is there too
    /// is refused, and so is a worker that is left without queues.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// # let tasks = gae_tasks::Client::open("memory:").await?;
    /// // The machines with much memory: `.queues(["thumbnails"])`. All others:
    /// let worker = tasks.worker().without_queues(["thumbnails"]);
    /// # drop(worker);
    /// # Ok(())
    /// # }
    /// ```
    pub fn without_queues<Q: Into<String>>(mut self, queues: impl IntoIterator<Item = Q>) -> Self {
        self.left_out = queues.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how many attempts run at the same time; 50 by default, at most 100,000. Zero is refused
    /// when the worker starts.
    ///
    /// Queues take turns, so that a long backlog of one queue does not delay the others. If the
    /// attempts of one queue are so long that they occupy all runners, only a
    /// [bound](Self::queue_concurrency) keeps some runners free for the others.
    pub fn concurrency(mut self, attempts: usize) -> Self {
        self.concurrency = attempts.min(MAX_CONCURRENCY);
        self
    }

    /// Sets how many of these attempts may be from one queue; unbounded by default. Zero is refused
    /// when the worker starts: pause the queue, or do not serve it. The last call for a queue
    /// counts. The bound is per worker, and the worker leases no task ahead for a bounded queue, so
    /// a bounded queue of very short tasks is processed more slowly.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// # let tasks = gae_tasks::Client::open("memory:").await?;
    /// // Of 16 runners, 8 are always left to other queues.
    /// let worker = tasks.worker().queues(["bulk", "emails"]);
    /// let worker = worker.concurrency(16).queue_concurrency("bulk", 8);
    /// # drop(worker);
    /// # Ok(())
    /// # }
    /// ```
    pub fn queue_concurrency(mut self, queue: impl Into<String>, attempts: usize) -> Self {
        self.queue_concurrency.push((queue.into(), attempts));
        self
    }

    /// Ends the worker when `signal` is ready: the worker leases no more tasks, waits up to the
    /// [grace time](Self::grace) for running attempts, and releases the other tasks.
    /// [`signals()`](crate::signals) is the signal for servers.
    pub fn with_graceful_shutdown(
        mut self,
        signal: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        self.terms.shutdown = Box::pin(signal);
        self
    }

    /// Sets how long running attempts may go on after the shutdown signal, and how long their
    /// outcomes wait for unavailable storage; 8 seconds by default, as containers are killed after
    /// 10. Attempts that still run then are cancelled and released: they are not counted. Cancelled
    /// attempts and unrecorded outcomes have one more second: the worker ends at most a second
    /// after the grace time, and as soon as nothing runs and everything is recorded.
    ///
    /// An attempt that cannot be stopped (a plain function, or an async one that computes without
    /// awaiting) keeps its lease and goes on in the background until it returns or the process
    /// ends.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.terms.grace = grace;
        self
    }

    /// Sets how long an async handler may go on after its task was
    /// [cancelled](Client::cancel), before it is dropped; 5 seconds by default. A plain function
    /// goes on until it returns.
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.cancel_grace = grace;
        self
    }

    /// Sets how long a lease lasts unless it is extended, which happens three times as often; 30
    /// seconds by default, at least 1. If this machine dies, its tasks run elsewhere after that
    /// time.
    ///
    /// On Postgres the tasks of a killed worker are mostly recovered after half of that time,
    /// and at least 15 seconds ([why](crate::guide::postgres#when-a-worker-dies)).
    ///
    /// On SQLite the tasks of a killed worker are recovered at once. If the lock file that shows
    /// its death is missing, as in a restored backup, a worker must have seen a lease unchanged for
    /// the lease's whole duration: a worker that never lives that long recovers none.
    pub fn lease(mut self, duration: Duration) -> Self {
        self.terms.set_lease(duration);
        self
    }

    /// Sets how often the worker polls for due tasks without a notification; every second by
    /// default.
    ///
    /// Tasks that this process defers, and schedule times, are known at once, and tasks that other
    /// processes defer within milliseconds; polling only guards against lost wake-ups.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.terms.set_poll_interval(interval);
        self
    }

    async fn run(self) -> Result<(), Error> {
        let settings = self.settings()?;
        let queues = Arc::clone(&settings.queues);
        let _serving =
            Serving::begin(&self.client.place(), Role::Worker, &*queues).map_err(|taken| {
                Error::Misconfigured { problems: taken.iter().map(is_relayed).collect() }
            })?;
        let first = async move { queues::prepare(&self.client, &queues).await };
        worker::work(settings, first, self.terms.shutdown, self.terms.grace).await
    }

    /// Checks that all settings fit together, and combines them.
    fn settings(&self) -> Result<WorkerSettings, Error> {
        let client = &self.client;
        let backend = client.capabilities().backend;
        let pull = client.pull().ok_or(Error::Unsupported {
            backend,
            what: "workers, as it calls handlers over HTTP",
        })?;
        let mut misnamed = Vec::new();
        let mut queues = self.served_queues(&mut misnamed);
        let are_stated = self.queues.is_some();
        let left_out = leave_out(&self.left_out, are_stated, &mut queues, &mut misnamed);
        // The intended name of a misspelt queue is unknown: any task may belong to it.
        let serves = |queue: &QueueName| !misnamed.is_empty() || queues.contains(queue);
        let mut problems =
            client.problems_among(|registration| client.queues_of(registration).iter().any(serves));
        problems.extend(misnamed);
        if queues.is_empty() && problems.is_empty() {
            problems.push(no_queues(!left_out.is_empty()).to_owned());
        }
        if self.concurrency == 0 {
            problems.push(
                "the worker has `.concurrency(0)` and would run nothing: use 1 or more".to_owned(),
            );
        }
        let relayed = queues.iter().filter(|queue| !client.destinations_of(queue).is_empty());
        problems.extend(relayed.map(is_relayed));
        let queue_concurrency = self.bounds(&queues, &mut problems);
        #[cfg(feature = "cron")]
        let declaration = client.declaration(&mut problems);
        no_problems(problems)?;
        Ok(WorkerSettings {
            pull: Arc::clone(pull),
            clock: Arc::clone(client.clock()),
            registry: client.runnable(),
            dispatcher: client.dispatcher().with_cancel_grace(self.cancel_grace),
            queues: Arc::new(queues),
            left_out,
            concurrency: self.concurrency,
            queue_concurrency,
            lease: self.terms.lease(),
            poll_interval: self.terms.poll_interval(),
            retention: client.stated_retention(),
            suspects: Arc::clone(client.suspects()),
            errand: None,
            ahead: Duration::ZERO,
            #[cfg(feature = "cron")]
            declaration,
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
                    "`.queue_concurrency(\"{queue}\", 0)` would run no task of the queue: use 1 or \
                     more, or pause the queue"
                )),
                Ok(queue) if served.contains(&queue) => _ = bounds.insert(queue, *attempts),
                Ok(queue) => problems.push(format!(
                    "`.queue_concurrency(\"{queue}\", {attempts})` bounds a queue that the worker \
                     does not serve: add the queue to `.queues([..])`, or remove the bound"
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

fn is_relayed(queue: &QueueName) -> String {
    format!(
        "the queue `{queue}` is relayed, and a worker would run tasks that are to be created \
         elsewhere: leave the queue out of the worker's `.queues([..])`, or name it in \
         `.without_queues([..])`"
    )
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
            .field("left_out", &self.left_out)
            .field("concurrency", &self.concurrency)
            .field("queue_concurrency", &self.queue_concurrency)
            .finish_non_exhaustive()
    }
}

boxed_future! {
    /// The future of a [`Worker`]. Dropping it drops its handlers, and their tasks run again once
    /// their leases have expired.
    WorkerFuture -> Result<(), Error>
}
