//! Builds a relay.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Client;
use super::future::boxed_future;
use super::serving::{Role, Serving};
use super::terms::Terms;
use crate::error::{Error, no_problems};
use crate::queue::QueueName;
use crate::relay::{Carrier, Destination};
use crate::worker::{self, WorkerSettings};

/// How many tasks of a queue are created at the same time unless [`Relay::concurrency`] sets
/// another number.
const DEFAULT_CONCURRENCY: usize = 32;

/// A higher concurrency is treated as a mistake.
const MAX_CONCURRENCY: usize = 1_000;

/// Creates the tasks of some queues of a storage in the queues of Google Cloud Tasks that have the
/// same names, until it is shut down: `.await` the relay. Other words for this are *outbox* and
/// *forwarder*. See the guide [transactions](crate::guide::transactions#to-cloud-tasks).
///
/// A task that was stored in a transaction of the application reaches Google when, and only when,
/// that transaction has committed, and the push service there runs it.
///
/// - *Each task is created once* while Google remembers its name (up to 24 hours after its end),
///   however often the relay is killed: the name at Google is the task's own, or follows from its
///   id. Delivery is at least once, as ever.
/// - *Everything travels*: schema, name, limits of attempts, deadline, trace, headers and target,
///   and the schedule time. A task is created as soon as Google accepts its time, 30 days ahead,
///   and stays in the storage before that.
/// - *A name that another task has at Google* is a warning; the task is over, as `defer` would have
///   answered.
/// - *Google is unavailable*, or the queue is missing there: the task waits with its lease, its
///   queue is tried again after a second to a minute, and other queues are not delayed. That is no
///   attempt.
/// - *Google refuses a task for good*: the task is a dead letter of this storage, with no attempt.
///   Until a first task of the queue has been created by this relay, what Google calls invalid is
///   logged and tried again instead: a mistake in the settings of `to` would be one in every task.
/// - *A queue has workers or relays, never both*: whichever starts second is refused, if both are
///   in one process. Workers of other processes must not serve the queue.
/// - *Options that Google lacks* (a backoff of single tasks, deadlines above 30 minutes, payloads
///   that are too large) are refused when the task is deferred, in a transaction too, once the
///   client knows that the queue is relayed: as soon as this relay starts, or by
///   [`declare`](Self::declare) in programs that only defer. The relay makes a dead letter of a
///   task that was stored unchecked. The deadline and backoff of a type are known only to a relay
///   whose program has that type.
/// - *A task that is deleted or purged* is not created, unless it is being created at that moment:
///   then it is at Google, where the same call for `to` deletes it.
/// - *A dead letter of the push service* may be kept in this storage or in a payload store, and be
///   replayed with this client: the relay creates it again, without a name. If it died in a worker
///   here, before the queue was relayed, a backoff of its own is lost then.
/// - *Payload stores*: if this client has one, the client of Google has the same, where the push
///   service finds the payload.
///
/// Nothing ends a relay but its shutdown: errors of the storage and of Google are logged, waited
/// for and tried again. Several relays, of one process or of many, share their queues.
///
/// # Errors
/// The `.await` fails at once, with a list of every problem, if the relay cannot be as it is set up
/// ([`Error::Misconfigured`]), or if this client's backend calls handlers over HTTP itself, or the
/// other's does not ([`Error::Unsupported`]).
///
/// ```no_run
/// # async fn example() -> Result<(), gae_tasks::Error> {
/// use gae_tasks::Client;
///
/// let tasks = Client::open("sqlite:shop.db").await?;
/// let google = Client::open("cloudtasks://shop-prod/europe-west1?url=https://worker.run.app\
///                           &service_account=queue@shop-prod.iam.gserviceaccount.com").await?;
/// let relay = tasks.relay_to(&google).queues(["emails", "invoices"]);
/// relay.with_graceful_shutdown(gae_tasks::signals()).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a relay does nothing unless awaited"]
pub struct Relay {
    client: Client,
    to: Client,
    queues: Vec<String>,
    concurrency: usize,
    terms: Terms,
}

impl Client {
    /// Creates a relay that creates tasks of this client's storage with the client `to`, of Google
    /// Cloud Tasks.
    #[doc(alias = "outbox")]
    #[doc(alias = "forward")]
    pub fn relay_to(&self, to: &Client) -> Relay {
        Relay {
            client: self.clone(),
            to: to.clone(),
            queues: Vec::new(),
            concurrency: DEFAULT_CONCURRENCY,
            terms: Terms::default(),
        }
    }
}

impl Client {
    /// Whether queues of this client are known to be relayed.
    pub(crate) fn has_relays(&self) -> bool {
        !self.0.relays.is_empty()
    }

    /// The destinations that `queue` is relayed to, as far as it is known: none or one, unless
    /// several relays with different destinations share the queue.
    pub(crate) fn destinations_of(&self, queue: &QueueName) -> Vec<Arc<Destination>> {
        self.0.relays.of(|known| known == queue)
    }

    /// All destinations, each once for each of its queues.
    pub(super) fn destinations(&self) -> Vec<Arc<Destination>> {
        self.0.relays.of(|_| true)
    }
}

impl Relay {
    /// Sets the queues whose tasks are relayed: none by default, which is refused.
    pub fn queues<Q: Into<String>>(mut self, queues: impl IntoIterator<Item = Q>) -> Self {
        self.queues = queues.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how many tasks of each queue are created at the same time; 32 by default, at most
    /// 1,000. Zero is refused when the relay starts.
    pub fn concurrency(mut self, tasks: usize) -> Self {
        self.concurrency = tasks.min(MAX_CONCURRENCY);
        self
    }

    /// Ends the relay when `signal` is ready: it leases no more tasks, waits up to the
    /// [grace time](Self::grace) for answers of Google, and releases the other tasks.
    pub fn with_graceful_shutdown(
        mut self,
        signal: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        self.terms.shutdown = Box::pin(signal);
        self
    }

    /// Sets how long answers of Google are waited for after the shutdown signal; 8 seconds by
    /// default. A task whose answer did not come is created again under the same name, after its
    /// lease.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.terms.grace = grace;
        self
    }

    /// Sets how long a lease lasts unless it is extended; 30 seconds by default, at least 1: as
    /// [`Worker::lease`](crate::Worker::lease).
    pub fn lease(mut self, duration: Duration) -> Self {
        self.terms.set_lease(duration);
        self
    }

    /// Sets how often the relay looks for tasks without a notification; every second by default.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.terms.set_poll_interval(interval);
        self
    }

    /// Makes known to the client that these queues are relayed, and relays nothing: for programs
    /// that defer to queues which another program relays. From now on the client refuses options
    /// that Google lacks, and workers on these queues.
    ///
    /// # Errors
    /// As the `.await` of the relay.
    ///
    /// ```no_run
    /// # async fn example(tasks: gae_tasks::Client, google: gae_tasks::Client)
    /// # -> Result<(), gae_tasks::Error> {
    /// tasks.relay_to(&google).queues(["emails", "invoices"]).declare()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn declare(&self) -> Result<(), Error> {
        self.set_up().map(drop)
    }

    /// Checks the settings, and makes known that the queues are relayed.
    fn set_up(&self) -> Result<SetUp, Error> {
        self.check_backends()?;
        let mut problems = Vec::new();
        let names = self.queues.iter().map(|queue| QueueName::new(queue.clone()));
        let queues: BTreeSet<_> = names
            .filter_map(|name| name.map_err(|error| problems.push(error.to_string())).ok())
            .collect();
        if self.queues.is_empty() {
            problems.push("the relay has no queues: name them in `.queues([..])`".to_owned());
        }
        if self.concurrency == 0 {
            problems.push(
                "the relay has `.concurrency(0)` and would create nothing: use 1 or more"
                    .to_owned(),
            );
        }
        problems.extend(self.problem_of_stores());
        no_problems(problems)?;
        let destination = Arc::new(Destination::new(self.to.shared_backend(), self.to.sizes()));
        let serving = Serving::begin(&self.client.place(), Role::Relay, &queues)
            .map_err(|taken| misconfigured(&taken))?;
        queues.iter().for_each(|queue| self.client.0.relays.add(queue, &destination));
        Ok(SetUp { queues, destination, serving })
    }

    fn check_backends(&self) -> Result<(), Error> {
        if self.client.pull().is_none() {
            return Err(calls_handlers(&self.client));
        }
        if self.to.capabilities().pull {
            let what = "relayed tasks: they are created where a queue calls handlers over HTTP, \
                        such as Cloud Tasks";
            return Err(Error::Unsupported { backend: self.to.capabilities().backend, what });
        }
        Ok(())
    }

    /// Payloads in a store are not moved, so the push service must look into the same one.
    fn problem_of_stores(&self) -> Option<String> {
        let own = self.client.shelf()?.store.name();
        let other = self.to.shelf().map(|shelf| shelf.store.name());
        let is = match other {
            Some(other) if other == own => return None,
            Some(other) => format!("has the payload store `{other}`"),
            None => "has no payload store".to_owned(),
        };
        Some(format!(
            "large payloads of this client are in the payload store `{own}`, and the client that \
             tasks are relayed to {is}: give both, and the push service, the same \
             `.payload_store(..)`"
        ))
    }

    async fn run(self, set_up: Result<SetUp, Error>) -> Result<(), Error> {
        let SetUp { queues, destination, serving: _serving } = set_up?;
        let settings = self.settings(queues, destination)?;
        worker::work(settings, std::future::ready(()), self.terms.shutdown, self.terms.grace).await
    }

    fn settings(
        &self,
        queues: BTreeSet<QueueName>,
        destination: Arc<Destination>,
    ) -> Result<WorkerSettings, Error> {
        let (client, clock) = (&self.client, self.client.clock());
        let Some(pull) = client.pull() else { return Err(calls_handlers(client)) };
        let registry = Arc::clone(client.shared_registry());
        let ahead = destination.ahead();
        let carrier = Carrier::new(
            Arc::clone(pull),
            destination,
            Arc::clone(&registry),
            Arc::clone(clock),
            self.terms.grace,
        );
        // A queue whose tasks cannot be created keeps none of the others waiting.
        let of_each: HashMap<_, _> =
            queues.iter().map(|queue| (queue.clone(), self.concurrency)).collect();
        #[cfg(feature = "cron")]
        let declaration = {
            let mut problems = Vec::new();
            let declaration = client.declaration(&mut problems);
            no_problems(problems)?;
            declaration
        };
        Ok(WorkerSettings {
            pull: Arc::clone(pull),
            clock: Arc::clone(clock),
            registry,
            dispatcher: client.dispatcher(),
            concurrency: self.concurrency.saturating_mul(queues.len()),
            queues: Arc::new(queues),
            left_out: BTreeSet::new(),
            queue_concurrency: of_each,
            lease: self.terms.lease(),
            poll_interval: self.terms.poll_interval(),
            retention: client.stated_retention(),
            // Of its own: the tasks of a relay do not run here.
            suspects: Arc::default(),
            errand: Some(Arc::new(carrier)),
            ahead,
            #[cfg(feature = "cron")]
            declaration,
        })
    }
}

fn calls_handlers(client: &Client) -> Error {
    let what = "relays, as it calls handlers over HTTP itself";
    Error::Unsupported { backend: client.capabilities().backend, what }
}

/// A relay whose settings are checked.
struct SetUp {
    queues: BTreeSet<QueueName>,
    destination: Arc<Destination>,
    /// Keeps workers away.
    serving: Serving,
}

fn misconfigured(worked_on: &BTreeSet<QueueName>) -> Error {
    let problem = |queue| {
        format!(
            "a worker of this program serves the queue `{queue}`, and would run tasks that are to \
             be relayed: take the queue out of the worker's `.queues([..])`, or out of the relay's"
        )
    };
    Error::Misconfigured { problems: worked_on.iter().map(problem).collect() }
}

impl IntoFuture for Relay {
    type Output = Result<(), Error>;
    type IntoFuture = RelayFuture;

    /// The client knows from now on that the queues are relayed.
    fn into_future(self) -> RelayFuture {
        let set_up = self.set_up();
        RelayFuture(Box::pin(self.run(set_up)))
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("client", &self.client)
            .field("to", &self.to)
            .field("queues", &self.queues)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

boxed_future! {
    /// The future of a [`Relay`]. If it is dropped, tasks that were being created are created again
    /// under the same names, once their leases have expired.
    RelayFuture -> Result<(), Error>
}
