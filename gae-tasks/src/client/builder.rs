//! Builds a client.

use std::sync::Arc;
use std::time::Duration;

use super::known_schemas::KnownSchemas;
#[cfg(feature = "cron")]
use super::program::StatedProgram;
use super::relays::Relays;
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

/// Builds a [`Client`] from its state, its tasks, its settings, and finally its backend.
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
    #[cfg(feature = "cron")]
    pub(super) program: StatedProgram,
    #[cfg(all(feature = "cron", feature = "yaml"))]
    pub(super) cron_file: Option<crate::cron::CronFile>,
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
            #[cfg(feature = "cron")]
            program: StatedProgram::default(),
            #[cfg(all(feature = "cron", feature = "yaml"))]
            cron_file: None,
        }
    }
}

impl ClientBuilder {
    /// Sets the value of `#[state]` parameters of type `S`. There is one value per type; a later
    /// value replaces an earlier one.
    ///
    /// A trait object needs `S` to be named: `.state::<Arc<dyn Gateway>>(Arc::new(Stripe))` sets
    /// the value of parameters `#[state] gateway: &Arc<dyn Gateway>`. Without `S`, the value is for
    /// parameters of type `Arc<Stripe>`.
    pub fn state<S: Send + Sync + 'static>(mut self, value: S) -> Self {
        self.states.insert(value);
        self
    }

    /// Sets the tasks that the client can run; by default all linked tasks.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Runs tasks where they are deferred instead of storing them: a handler's error is the error
    /// of its `defer`.
    ///
    /// Options such as `after` are checked and then ignored. Like a worker, such a client is built
    /// only if all its tasks can be run.
    pub fn inline(mut self, inline: bool) -> Self {
        self.inline = inline;
        self
    }

    /// Sets the queues over which tasks of the queue `default` are spread: tasks whose attribute
    /// names no queue.
    pub fn default_queues<Q: Into<String>>(mut self, queues: impl IntoIterator<Item = Q>) -> Self {
        self.default_queues = queues.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the least time for which dead letters are kept in the queues that this client defers to
    /// or works on.
    ///
    /// The retention is part of the queue's stored configuration. This value replaces a shorter one
    /// there, or none (which means 30 days); a longer value, which another program has set, stays.
    /// [`put_queue`](Client::put_queue) shortens the retention until a program that states a longer
    /// one starts. If another program deletes the queue and it is created again, a worker that
    /// serves the queue stores this value with its next sweep; a client that only defers does so
    /// when it is built again. Cloud Tasks keeps no dead letters, so a client of Cloud Tasks cannot
    /// be built with this setting.
    pub fn dead_letter_retention(mut self, retention: Duration) -> Self {
        self.retention.dead_letters = Some(retention);
        self
    }

    /// Sets the least time for which the name of a task stays blocked after the task's end; 24
    /// hours by default. The time is stored with the queue, as for
    /// [`dead_letter_retention`](Self::dead_letter_retention).
    pub fn tombstone_retention(mut self, retention: Duration) -> Self {
        self.retention.tombstones = Some(retention);
        self
    }

    /// Sets the clock of the client and its workers; the machine's clock by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Calls `hook` at every `defer`, on the thread that polls it, for the current trace: the value
    /// of a header `traceparent` of W3C's [Trace
    /// Context](https://www.w3.org/TR/trace-context/#traceparent-header).
    ///
    /// The trace is stored with the task, is a field of the span of every attempt, and is available
    /// to handlers as [`TaskContext::traceparent`](crate::TaskContext::traceparent). If the hook
    /// returns none, a task that a handler defers belongs to the trace of the handler's own task.
    /// An invalid value is ignored with a warning.
    pub fn trace_context(
        mut self,
        hook: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.trace = TraceHook::new(hook);
        self
    }

    /// Opens the backend that `url` names: see [`Client::open`].
    ///
    /// # Errors
    /// [`Error::Url`] if the URL names no backend of this build, [`Error::Storage`] if the backend
    /// cannot be opened, [`Error::PayloadStoreUrl`] and [`Error::PayloadStore`] if the payload
    /// store cannot be opened, [`Error::QueueName`] if a default queue is not a valid queue name,
    /// [`Error::Misconfigured`] in inline mode if tasks cannot be run, [`Error::Unsupported`] if a
    /// retention is stated and the backend keeps nothing, [`Error::Program`] if the program's name
    /// is not valid.
    pub async fn open(self, url: &str) -> Result<Client, Error> {
        self.finish(url::open(url).await?)
    }

    /// Opens the backend that the environment variable `GAE_TASKS_URL` names.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::Url`] if the variable is not set: a service whose
    /// variable was forgotten must not keep its tasks in a file that its container loses. See
    /// [`from_env_or`](Self::from_env_or).
    // Users know the name from object_store and others; it takes `self` as the final method of the
    // builder.
    #[allow(clippy::wrong_self_convention)]
    pub async fn from_env(self) -> Result<Client, Error> {
        self.open(&url::from_env(None)?).await
    }

    /// Like [`from_env`](Self::from_env), with the backend that `url` names if the variable is not
    /// set.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[allow(clippy::wrong_self_convention)]
    pub async fn from_env_or(self, url: &str) -> Result<Client, Error> {
        self.open(&url::from_env(Some(url))?).await
    }

    /// Builds a client of this backend.
    ///
    /// # Errors
    /// [`Error::QueueName`] if a default queue is not a valid queue name,
    /// [`Error::PayloadStoreUrl`] and [`Error::PayloadStore`] if the payload store cannot be
    /// opened, [`Error::Misconfigured`] in inline mode if tasks cannot be run,
    /// [`Error::Unsupported`] if a retention is stated and the backend keeps nothing.
    pub fn build(self, backend: impl Pull) -> Result<Client, Error> {
        self.finish(Storage::Pull(Arc::new(backend)))
    }

    /// Builds a client of a backend that calls handlers over HTTP (or of any other backend: the
    /// client makes no workers).
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_push(self, backend: impl Backend) -> Result<Client, Error> {
        self.finish(Storage::Push(Arc::new(backend)))
    }

    fn finish(mut self, mut storage: Storage) -> Result<Client, Error> {
        let default_queues =
            self.default_queues.iter().cloned().map(QueueName::new).collect::<Result<_, _>>()?;
        #[cfg(feature = "cron")]
        self.program.check()?;
        let payloads = std::mem::take(&mut self.payloads).open(&self.clock, &mut storage)?;
        let capabilities = storage.backend().capabilities();
        if self.retention.is_stated() && !capabilities.retention {
            let what = "a retention of dead letters or of names: remove it from the builder";
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
            schemas: KnownSchemas::default(),
            trace: self.trace,
            relays: Relays::default(),
            #[cfg(feature = "cron")]
            program: self.program.resolve(),
            #[cfg(all(feature = "cron", feature = "yaml"))]
            cron_file: self.cron_file,
            suspects: Arc::default(),
        }))
    }
}

impl Client {
    /// Opens the backend that `url` names, with every linked task and no state.
    ///
    /// `memory:` is a new, empty queue in this process, for tests. `sqlite:FILE` is a file that is
    /// created if missing, for any number of processes on one machine (feature `sqlite`). URLs of
    /// sqlx have their usual meaning: `sqlite://app.db?mode=rwc` is the file `app.db`, with
    /// `mode=rw` the file must exist, escapes such as `%20` are decoded, and `sqlite::memory:` is
    /// the same as `memory:`; an unsupported parameter is an error that names it.
    /// `cloudtasks://PROJECT/LOCATION?..` is Google Cloud Tasks, which calls handlers over HTTP
    /// (feature `cloud-tasks`); its parameters are described at `CloudTasks::open`.
    ///
    /// # Errors
    /// [`Error::Url`] if the URL names no backend of this build, [`Error::Storage`] if the backend
    /// cannot be opened.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::builder().open(url).await
    }

    /// Opens the backend that the environment variable `GAE_TASKS_URL` names.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::Url`] if the variable is not set.
    pub async fn from_env() -> Result<Self, Error> {
        Self::builder().from_env().await
    }

    /// Like [`from_env`](Self::from_env), with the backend that `url` names if the variable is not
    /// set: `Client::from_env_or("sqlite:tasks.db")`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn from_env_or(url: &str) -> Result<Self, Error> {
        Self::builder().from_env_or(url).await
    }

    /// Returns a builder, for a client with state, a chosen set of tasks, or other settings.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Creates a client of this backend, with every linked task, no state and default settings.
    pub(super) fn of(backend: impl Pull) -> Self {
        let storage = Storage::Pull(Arc::new(backend));
        ClientBuilder::default().assemble(Vec::new(), Payloads::none(&storage), storage)
    }
}
