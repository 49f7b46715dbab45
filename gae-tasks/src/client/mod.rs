//! What an application holds: the way to a backend, and everything that goes through it.

mod admin;
mod builder;
mod current;
mod list;
mod payloads;
#[cfg(feature = "push")]
mod push;
mod retention;
mod storage;
mod sweep_payloads;
mod trace;
mod url;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use builder::ClientBuilder;
pub use current::ClientGuard;
pub use list::{ListTasks, ListTasksFuture};
#[cfg(feature = "push")]
#[cfg_attr(docsrs, doc(cfg(feature = "push")))]
pub use push::PushServiceBuilder;
pub use sweep_payloads::{SweepPayloads, SweepPayloadsFuture};
pub use worker::{Worker, WorkerFuture};

use self::payloads::Payloads;
use self::retention::StatedRetention;
use self::storage::Storage;
use self::trace::TraceHook;
use crate::backend::{Backend, Capabilities, Enqueue, NewTask, Pull};
use crate::clock::Clock;
use crate::context::{States, TaskContext};
use crate::defer::{Defer, Prepared, inline_answer, judge};
use crate::dispatch::Dispatcher;
use crate::error::{Error, no_problems};
use crate::outcome::{BoxError, Outcome};
use crate::queue::{QueueName, spread};
use crate::registry::{Registration, Registry};
use crate::task::{Deferred, TaskId, TaskName};
use crate::time::Now;
use crate::worker::Suspects;

/// The way to a queue: defers tasks, looks at them, and makes workers. Cloning is cheap and gives the same client.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), gae_tasks::Error> {
/// use gae_tasks::{Client, deferred};
///
/// #[deferred]
/// async fn greet(name: String) {
///     println!("hello {name}");
/// }
///
/// let tasks = Client::open("memory:").await?;
/// greet::defer("you").on(&tasks).await?;
/// assert_eq!(tasks.stats().await?.open(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    storage: Storage,
    capabilities: Capabilities,
    registry: Arc<Registry>,
    states: Arc<States>,
    clock: Arc<dyn Clock>,
    default_queues: Vec<QueueName>,
    inline: bool,
    retention: StatedRetention,
    payloads: Payloads,
    trace: TraceHook,
    /// Shared by all its workers.
    suspects: Arc<Suspects>,
}

impl Client {
    /// A client of the backend that `url` names, with every linked task and no state.
    ///
    /// `memory:` is a new, empty queue in this process, for tests. `sqlite:FILE` is a file that is made if missing,
    /// for any number of processes of one machine (feature `sqlite`). `cloudtasks://PROJECT/LOCATION?..` is Google Cloud
    /// Tasks, which calls handlers over HTTP (feature `cloud-tasks`); its parameters are told at `CloudTasks::open`.
    ///
    /// # Errors
    /// [`Error::Url`] if the URL names no backend of this build, [`Error::Storage`] if it cannot be opened.
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::builder().open(url).await
    }

    /// A client of the backend that the environment variable `GAE_TASKS_URL` names; `sqlite:gae-tasks.db` if unset.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn from_env() -> Result<Self, Error> {
        Self::builder().from_env().await
    }

    /// A builder, for a client with state, a chosen set of tasks, or other settings.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// What the backend can promise.
    pub fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    /// The tasks this client can run.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Stores many tasks, of one type or several, in one transaction.
    ///
    /// Options and payloads of all are checked before any is stored. They are stored with this client, whatever their
    /// [`.on(..)`](Defer::on) says. In inline mode they run one after the other, up to the first failure.
    ///
    /// # Errors
    /// As for a single [`Defer`]; [`Error::Partial`] says what became of each task where the backend refused some.
    pub async fn defer_many(&self, tasks: impl IntoIterator<Item = Defer>) -> Result<Vec<Deferred>, Error> {
        if self.is_inline() {
            let mut answers = Vec::new();
            for task in tasks {
                answers.push(self.run_inline(task).await?);
            }
            return Ok(answers);
        }
        let prepared = tasks.into_iter().map(|task| task.prepare(self)).collect::<Result<Vec<_>, _>>()?;
        self.raise_retention(prepared.iter().map(|prepared| &prepared.task.spec.queue)).await?;
        let results = self.enqueue(prepared).await?;
        if results.iter().any(Result::is_err) {
            return Err(Error::Partial { results });
        }
        results.into_iter().collect()
    }

    /// Not an `async fn`, whose future would have room for the task beside the backend's.
    pub(crate) fn enqueue_one(&self, prepared: Prepared) -> impl Future<Output = Result<Deferred, Error>> + Send {
        let new_name = prepared.new_name();
        let answers = self.backend().enqueue(Enqueue::new(self.now(), vec![prepared.task]));
        async { judge(self.one_of(answers.await?)?, new_name) }
    }

    /// As [`enqueue_one`](Self::enqueue_one), and blocks this thread.
    pub(crate) fn enqueue_one_blocking(&self, prepared: Prepared) -> Result<Deferred, Error> {
        let new_name = prepared.new_name();
        let request = Enqueue::new(self.now(), vec![prepared.task]);
        judge(self.one_of(self.backend().enqueue_blocking(request)?)?, new_name)
    }

    /// The answer for the only task of a request.
    fn one_of(&self, mut answers: Vec<Result<Deferred, Error>>) -> Result<Deferred, Error> {
        answers.pop().unwrap_or_else(|| {
            let backend = self.capabilities().backend;
            Err(Error::Storage { backend, problem: "gave no answer".to_owned(), source: "no answer".into() })
        })
    }

    async fn enqueue(&self, prepared: Vec<Prepared>) -> Result<Vec<Result<Deferred, Error>>, Error> {
        let (new_names, tasks): (Vec<_>, Vec<_>) = prepared.into_iter().map(|p| (p.new_name(), p.task)).unzip();
        let answers = self.backend().enqueue(Enqueue::new(self.now(), tasks)).await?;
        Ok(answers.into_iter().zip(new_names).map(|(answer, new_name)| judge(answer?, new_name)).collect())
    }

    /// Whether tasks run where they are deferred.
    pub fn is_inline(&self) -> bool {
        self.0.inline
    }

    /// Runs a task in place of storing it; its options never reach the function.
    pub(crate) async fn run_inline(&self, defer: Defer) -> Result<Deferred, Error> {
        let registration = defer.registration();
        self.run_prepared(registration, defer.prepare_inline(self)?).await
    }

    /// As [`run_inline`](Self::run_inline), with its options checked.
    pub(crate) async fn run_prepared(&self, registration: &Registration, task: NewTask) -> Result<Deferred, Error> {
        let (id, outcome) = self.attempt_prepared(registration, task).await?;
        inline_answer(registration.kind, id, outcome)
    }

    /// Does for a caller that blocks what may need a runtime (handlers that run inline, payload stores): on a thread with
    /// a runtime of its own, because that of the caller, if there is any, may be the one that is blocked.
    pub(crate) fn on_a_thread(
        &self,
        work: impl Future<Output = Result<Deferred, Error>> + Send,
    ) -> Result<Deferred, Error> {
        let backend = self.capabilities().backend;
        let failed = |source: BoxError| Error::Storage {
            backend,
            problem: "is not reached: this call needs a thread with a runtime of its own".to_owned(),
            source,
        };
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|error| failed(error.into()))?.block_on(work)
        };
        let ended = std::thread::scope(|scope| scope.spawn(run).join());
        ended.unwrap_or_else(|_| Err(failed("the thread panicked".into())))
    }

    /// Makes one attempt at a task that is not stored.
    #[cfg(feature = "testing")]
    pub(crate) async fn attempt_once(&self, defer: Defer) -> Result<(TaskId, Outcome), Error> {
        let registration = defer.registration();
        self.attempt_prepared(registration, defer.prepare_inline(self)?).await
    }

    async fn attempt_prepared(&self, registration: &Registration, task: NewTask) -> Result<(TaskId, Outcome), Error> {
        no_problems(self.0.registry.problems_of(registration, &self.0.states))?;
        let context = TaskContext::of_new(&task, registration);
        let attributes = task.spec.attributes.as_deref();
        let outcome = self.dispatcher().dispatch(registration, &task.payload, attributes, &context).await;
        Ok((task.spec.id, outcome))
    }

    /// What runs handlers for this client.
    pub(crate) fn dispatcher(&self) -> Dispatcher {
        let (states, clock) = (Arc::clone(&self.0.states), Arc::clone(&self.0.clock));
        Dispatcher::new(states, clock, Arc::new(self.clone()), self.shelf().cloned())
    }

    /// The queues a task goes to that is deferred without naming any.
    pub(crate) fn queues_of(&self, registration: &Registration) -> Vec<QueueName> {
        match self.default_queues(registration) {
            Some(queues) => queues.to_vec(),
            None => registration.queues.iter().map(|queue| QueueName::from_static(queue)).collect(),
        }
    }

    /// Of these queues the one for the task with this name or, if it has none, this id.
    pub(crate) fn queue_of(
        &self,
        registration: &Registration,
        name: Option<&TaskName>,
        id: TaskId,
    ) -> Option<QueueName> {
        match self.default_queues(registration) {
            Some(queues) => spread(queues, name, id).cloned(),
            None => spread(registration.queues, name, id).map(|queue| QueueName::from_static(queue)),
        }
    }

    /// The client's own queues, if they stand in for those of the attribute.
    fn default_queues(&self, registration: &Registration) -> Option<&[QueueName]> {
        let is_default = registration.queues == [QueueName::DEFAULT.as_str()] && !self.0.default_queues.is_empty();
        is_default.then_some(&self.0.default_queues)
    }

    /// Everything that keeps this client's tasks from being run.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = self.0.registry.problems(&self.0.states);
        let limits = &self.0.capabilities;
        for registration in self.0.registry.registrations() {
            let in_range = |deadline: &Duration| (limits.min_deadline..=limits.max_deadline).contains(deadline);
            if let Some(deadline) = registration.deadline.filter(|deadline| !in_range(deadline)) {
                problems.push(format!(
                    "task `{}` at {} has a deadline of {deadline:?}, `{}` accepts {:?} to {:?}",
                    registration.kind, registration.location, limits.backend, limits.min_deadline, limits.max_deadline
                ));
            }
        }
        problems
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    pub(crate) fn suspects(&self) -> &Arc<Suspects> {
        &self.0.suspects
    }

    pub(crate) fn shared_registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        self.0.storage.backend()
    }

    pub(crate) fn pull(&self) -> Option<&Arc<dyn Pull>> {
        self.0.storage.pull()
    }

    fn now(&self) -> Now {
        self.0.clock.now()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("backend", &self.backend())
            .field("inline", &self.0.inline)
            .finish_non_exhaustive()
    }
}
