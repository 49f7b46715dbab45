//! How a client is put together.

use std::sync::Arc;
use std::time::Duration;

use super::retention::StatedRetention;
use super::spilling::{PayloadSettings, Payloads};
use super::storage::Storage;
use super::trace::TraceHook;
use super::{Client, Inner, url};
use crate::backend::{Backend, Pull};
use crate::clock::{Clock, SystemClock};
use crate::context::States;
use crate::error::{Error, no_problems};
use crate::queue::QueueName;
use crate::registry::Registry;
use crate::retention::Retention;

/// Puts a [`Client`] together: its state, its tasks, its settings, and last its backend.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), gae_tasks::Error> {
/// use gae_tasks::{Client, deferred};
///
/// struct Greeting(&'static str);
///
/// #[deferred]
/// async fn greet(name: String, #[state] greeting: &Greeting) {
///     println!("{} {name}", greeting.0);
/// }
///
/// let tasks = Client::builder().state(Greeting("hello")).open("memory:").await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `open` or `build`"]
#[derive(Debug)]
pub struct ClientBuilder {
    states: States,
    registry: Option<Registry>,
    clock: Arc<dyn Clock>,
    default_queues: Vec<String>,
    inline: bool,
    retention: Retention,
    pub(super) payloads: PayloadSettings,
    trace: TraceHook,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            states: States::default(),
            registry: None,
            clock: Arc::new(SystemClock),
            default_queues: Vec::new(),
            inline: false,
            retention: Retention::default(),
            payloads: PayloadSettings::default(),
            trace: TraceHook::default(),
        }
    }
}

impl ClientBuilder {
    /// Gives handlers a value for their `#[state]` parameters of type `S`; one of each type, the last one given.
    ///
    /// A trait object is found as one only if `S` is named: `.state::<Arc<dyn Gateway>>(Arc::new(Stripe))` is for
    /// parameters `#[state] gateway: &Arc<dyn Gateway>`, without `S` it would be for those of type `Arc<Stripe>`.
    pub fn state<S: Send + Sync + 'static>(mut self, value: S) -> Self {
        self.states.insert(value);
        self
    }

    /// The tasks the client can run, in place of every linked one.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Runs tasks where they are deferred, in place of storing them: a handler's error is the error of its `defer`.
    ///
    /// Options such as `after` are checked and then ignored. As a worker, such a client is made only if all its tasks
    /// can be run.
    pub fn inline(mut self, inline: bool) -> Self {
        self.inline = inline;
        self
    }

    /// The queues, spread over, for tasks of the queue `default`: those whose attribute names none.
    pub fn default_queues<Q: Into<String>>(mut self, queues: impl IntoIterator<Item = Q>) -> Self {
        self.default_queues = queues.into_iter().map(Into::into).collect();
        self
    }

    /// For how long at least dead letters are kept in the queues that this client defers to or works on.
    ///
    /// The retention is a part of the queue's stored configuration. This one replaces a shorter one there, or none (which
    /// means 30 days); a longer one, which another program has set, stays. [`put_queue`](Client::put_queue) shortens it,
    /// until a program that states a longer one starts. If another program deletes the queue and it is made anew, a worker
    /// that serves it stores this again with its next sweep; a client that only defers does so when it is built anew. Cloud
    /// Tasks keeps no dead letters, so a client for it cannot be
    /// built with this.
    pub fn dead_letter_retention(mut self, retention: Duration) -> Self {
        self.retention.dead_letters = Some(retention);
        self
    }

    /// The shortest time for which the name of a task stays blocked after its end; 24 hours by default. It is stored
    /// with the queue, as [`dead_letter_retention`](Self::dead_letter_retention) is.
    pub fn tombstone_retention(mut self, retention: Duration) -> Self {
        self.retention.tombstones = Some(retention);
        self
    }

    /// The clock that the client and its workers read; the machine's by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Asks `hook` at every `defer`, on the thread that polls it, for the current trace: the value of a header
    /// `traceparent` of W3C's [Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header).
    ///
    /// It travels beside the task, is a field of the span of every attempt, and handlers read it with
    /// [`TaskContext::traceparent`](crate::TaskContext::traceparent). Where the hook gives none, what a handler defers
    /// belongs to the trace of its own task. A value that is no `traceparent` is left out, with a warning.
    pub fn trace_context(
        mut self,
        hook: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.trace = TraceHook::new(hook);
        self
    }

    /// A client of the backend that `url` names: see [`Client::open`].
    ///
    /// # Errors
    /// [`Error::Url`] if the URL names no backend of this build, [`Error::Storage`] if it cannot be opened,
    /// [`Error::PayloadStoreUrl`] and [`Error::PayloadStore`] if the payload store cannot be, [`Error::QueueName`] if a
    /// default queue is not a valid queue name, [`Error::Misconfigured`] in inline mode if tasks cannot be run,
    /// [`Error::Unsupported`] if a retention is stated and the backend keeps nothing.
    pub async fn open(self, url: &str) -> Result<Client, Error> {
        self.finish(url::open(url).await?)
    }

    /// A client of the backend that the environment variable `GAE_TASKS_URL` names.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::Url`] if the variable is not set: a service whose variable was forgotten is
    /// not to keep its tasks in a file that its container loses. See [`from_env_or`](Self::from_env_or).
    // The name users of object_store and others know; it takes `self` because it is the builder's last word.
    #[allow(clippy::wrong_self_convention)]
    pub async fn from_env(self) -> Result<Client, Error> {
        self.open(&url::from_env(None)?).await
    }

    /// As [`from_env`](Self::from_env), with the backend that `url` names if the variable is not set.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[allow(clippy::wrong_self_convention)]
    pub async fn from_env_or(self, url: &str) -> Result<Client, Error> {
        self.open(&url::from_env(Some(url))?).await
    }

    /// A client of this backend.
    ///
    /// # Errors
    /// [`Error::QueueName`] if a default queue is not a valid queue name, [`Error::PayloadStoreUrl`] and
    /// [`Error::PayloadStore`] if the payload store cannot be opened, [`Error::Misconfigured`] in inline mode if tasks
    /// cannot be run, [`Error::Unsupported`] if a retention is stated and the backend keeps nothing.
    pub fn build(self, backend: impl Pull) -> Result<Client, Error> {
        self.finish(Storage::Pull(Arc::new(backend)))
    }

    /// A client of a backend that calls handlers over HTTP (or of any other: no worker can be made of the client).
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_push(self, backend: impl Backend) -> Result<Client, Error> {
        self.finish(Storage::Push(Arc::new(backend)))
    }

    fn finish(mut self, mut storage: Storage) -> Result<Client, Error> {
        let default_queues =
            self.default_queues.iter().cloned().map(QueueName::new).collect::<Result<_, _>>()?;
        let payloads = std::mem::take(&mut self.payloads).open(&self.clock, &mut storage)?;
        let capabilities = storage.backend().capabilities();
        if self.retention.is_stated() && !capabilities.retention {
            let what = "a retention of dead letters or of names: state none in the builder";
            return Err(Error::Unsupported { backend: capabilities.backend, what });
        }
        let client = self.assemble(default_queues, payloads, storage);
        if client.is_inline() {
            no_problems(client.problems())?;
        }
        Ok(client)
    }

    fn assemble(
        self,
        default_queues: Vec<QueueName>,
        payloads: Payloads,
        storage: Storage,
    ) -> Client {
        Client(Arc::new(Inner {
            capabilities: storage.backend().capabilities(),
            storage,
            registry: Arc::new(self.registry.unwrap_or_else(Registry::linked)),
            states: Arc::new(self.states),
            clock: self.clock,
            default_queues,
            inline: self.inline,
            retention: StatedRetention::new(self.retention),
            payloads,
            trace: self.trace,
            suspects: Arc::default(),
        }))
    }
}

impl Client {
    /// A client of the backend that `url` names, with every linked task and no state.
    ///
    /// `memory:` is a new, empty queue in this process, for tests. `sqlite:FILE` is a file that is made if missing,
    /// for any number of processes of one machine (feature `sqlite`). URLs of sqlx mean what they mean there:
    /// `sqlite://app.db?mode=rwc` is that file, with `mode=rw` it must exist, escapes such as `%20` are read, and
    /// `sqlite::memory:` is the same as `memory:`; a parameter that a queue cannot have is an error that names it. `cloudtasks://PROJECT/LOCATION?..` is Google Cloud
    /// Tasks, which calls handlers over HTTP (feature `cloud-tasks`); its parameters are described at `CloudTasks::open`.
    ///
    /// # Errors
    /// [`Error::Url`] if the URL names no backend of this build, [`Error::Storage`] if it cannot be opened.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::builder().open(url).await
    }

    /// A client of the backend that the environment variable `GAE_TASKS_URL` names.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::Url`] if the variable is not set.
    pub async fn from_env() -> Result<Self, Error> {
        Self::builder().from_env().await
    }

    /// As [`from_env`](Self::from_env), with the backend that `url` names if the variable is not set:
    /// `Client::from_env_or("sqlite:tasks.db")`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn from_env_or(url: &str) -> Result<Self, Error> {
        Self::builder().from_env_or(url).await
    }

    /// A builder, for a client with state, a chosen set of tasks, or other settings.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client of this backend, with every linked task, no state and no settings.
    pub(super) fn of(backend: impl Pull) -> Self {
        let storage = Storage::Pull(Arc::new(backend));
        ClientBuilder::default().assemble(Vec::new(), Payloads::none(&storage), storage)
    }
}
