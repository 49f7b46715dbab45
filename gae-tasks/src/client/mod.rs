//! The client: an application's connection to a backend.

mod admin;
mod builder;
mod cancel;
mod check_deploy;
#[cfg(all(feature = "cron", any(feature = "cloud-tasks", feature = "push")))]
mod cloud_scheduler;
#[cfg(all(feature = "cron", feature = "yaml"))]
mod cron_file;
mod current;
#[cfg(feature = "cron")]
mod declaration;
mod defer;
mod defer_many;
mod describe;
mod future;
#[cfg(feature = "cron")]
mod identity;
mod in_tx;
mod known_schemas;
mod left_out;
#[cfg(feature = "push")]
mod letters;
mod list;
mod payloads;
mod plan_queues;
#[cfg(feature = "cron")]
mod program;
#[cfg(feature = "push")]
mod push;
mod relay;
mod relays;
mod retention;
#[cfg(feature = "cron")]
mod schedules;
mod serving;
mod spilling;
mod storage;
mod sweep_payloads;
mod terms;
mod trace;
mod unroutable;
mod url;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use builder::ClientBuilder;
pub use check_deploy::{
    CheckDeploy, CheckDeployFuture, DeployReport, DeployRoute, DeployValues, DeployVerdict,
};
#[cfg(all(feature = "cron", any(feature = "cloud-tasks", feature = "push")))]
#[cfg_attr(docsrs, doc(cfg(feature = "cron")))]
pub use cloud_scheduler::{CloudScheduler, CloudSchedulerJob};
pub use current::ClientGuard;
pub use defer_many::DeferManyFuture;
pub use describe::Description;
pub(crate) use future::boxed_future;
pub use list::{ListTasks, ListTasksFuture};
pub use plan_queues::QueuePlan;
#[cfg(feature = "push")]
#[cfg_attr(docsrs, doc(cfg(feature = "push")))]
pub use push::PushServiceBuilder;
pub use relay::{Relay, RelayFuture};
#[cfg(feature = "cron")]
#[cfg_attr(docsrs, doc(cfg(feature = "cron")))]
pub use schedules::{MakeSchedule, MakeScheduleFuture, ScheduleRecord};
pub use sweep_payloads::{SweepPayloads, SweepPayloadsFuture};
pub use unroutable::Unroutable;
pub use worker::{Worker, WorkerFuture};

use self::known_schemas::KnownSchemas;
use self::relays::Relays;
use self::retention::StatedRetention;
use self::serving::Place;
use self::spilling::Payloads;
use self::storage::Storage;
use self::trace::TraceHook;
use crate::backend::{Backend, Capabilities, Pull};
use crate::clock::Clock;
use crate::context::States;
use crate::dispatch::Dispatcher;
use crate::error::Error;
use crate::queue::{QueueName, TypeBackoff, spread};
use crate::registration::Registration;
use crate::registry::Registry;
use crate::retention::Retention;
use crate::task::{TaskId, TaskName};
use crate::time::{Now, readable};
use crate::worker::Suspects;

/// A connection to a queue: defers tasks, inspects them, and creates workers. Cloning is cheap and
/// returns the same client.
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
    schemas: KnownSchemas,
    trace: TraceHook,
    relays: Relays,
    #[cfg(feature = "cron")]
    program: program::Program,
    #[cfg(all(feature = "cron", feature = "yaml"))]
    cron_file: Option<crate::cron::CronFile>,
    /// Shared by all workers of the client.
    suspects: Arc<Suspects>,
}

impl Client {
    /// The capabilities of the backend.
    pub fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    /// The tasks this client can run.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Whether tasks run where they are deferred.
    pub fn is_inline(&self) -> bool {
        self.0.inline
    }

    /// Creates the dispatcher that runs this client's handlers.
    pub(crate) fn dispatcher(&self) -> Dispatcher {
        let (states, clock) = (Arc::clone(&self.0.states), Arc::clone(&self.0.clock));
        Dispatcher::new(states, clock, Arc::new(self.clone()), self.shelf().cloned())
            .with_backend(&self.0.capabilities)
    }

    /// The queues of a task that is deferred without naming any.
    pub(crate) fn queues_of(&self, registration: &Registration) -> Vec<QueueName> {
        match self.default_queues(registration) {
            Some(queues) => queues.to_vec(),
            None => registration.queues.iter().map(|queue| QueueName::from_static(queue)).collect(),
        }
    }

    /// The queue among `queues` for the task with this name or, if it has none, this id.
    pub(crate) fn queue_of(
        &self,
        registration: &Registration,
        name: Option<&TaskName>,
        id: TaskId,
    ) -> Option<QueueName> {
        match self.default_queues(registration) {
            Some(queues) => spread(queues, name, id).cloned(),
            None => {
                spread(registration.queues, name, id).map(|queue| QueueName::from_static(queue))
            }
        }
    }

    /// The client's own queues, if they replace those of the attribute.
    fn default_queues(&self, registration: &Registration) -> Option<&[QueueName]> {
        let is_default = registration.queues == [QueueName::DEFAULT.as_str()]
            && !self.0.default_queues.is_empty();
        is_default.then_some(&self.0.default_queues)
    }

    /// Every problem that keeps this client's tasks from being run.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems_among(|_| true)
    }

    /// Every problem that keeps a task from being run, among the tasks that a consumer `meets`.
    pub(crate) fn problems_among(&self, meets: impl Fn(&Registration) -> bool) -> Vec<String> {
        let mut problems = self.0.registry.problems(&self.0.states, &meets);
        let limits = &self.0.capabilities;
        for registration in
            self.0.registry.registrations().iter().filter(|registration| meets(registration))
        {
            let in_range = |deadline: &Duration| {
                (limits.min_deadline..=limits.max_deadline).contains(deadline)
            };
            if let Some(deadline) = registration.deadline.filter(|deadline| !in_range(deadline)) {
                problems.push(format!(
                    "task `{}` at {} has a deadline of {}, but the `{}` backend accepts only {} to \
                     {}",
                    registration.kind,
                    registration.location,
                    readable(deadline),
                    limits.backend,
                    readable(limits.min_deadline),
                    readable(limits.max_deadline)
                ));
            }
            if registration.backoff.is_stated() && !limits.backoff {
                problems.push(format!(
                    "task `{}` at {} has {}, but the `{}` backend retries all tasks of a queue \
                     alike: remove the keys, and set the queue's backoff with `put_queue`",
                    registration.kind,
                    registration.location,
                    TypeBackoff::KEYS,
                    limits.backend
                ));
            }
            problems.extend(problem_of_priority(registration, limits));
        }
        problems
    }

    /// This client's tasks, without those whose state is missing.
    fn runnable(&self) -> Arc<Registry> {
        let lacks = |registration: &Registration| {
            !self.0.registry.missing_states(registration, &self.0.states).is_empty()
        };
        match self.0.registry.registrations().iter().any(|registration| lacks(registration)) {
            true => Arc::new(self.0.registry.withholding(lacks)),
            false => Arc::clone(&self.0.registry),
        }
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    pub(crate) fn suspects(&self) -> &Arc<Suspects> {
        &self.0.suspects
    }

    /// This client's tasks, whether they can be run or not.
    pub(crate) fn shared_registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        self.0.storage.backend()
    }

    /// The storage, to tell it from others of this process.
    fn place(&self) -> Place {
        match &self.0.capabilities.home {
            Some(home) => Place::Home(home.clone()),
            None => Place::Client(Arc::as_ptr(&self.0).addr()),
        }
    }

    fn shared_backend(&self) -> Arc<dyn Backend> {
        self.0.storage.shared()
    }

    pub(crate) fn pull(&self) -> Option<&Arc<dyn Pull>> {
        self.0.storage.pull()
    }

    /// Stores the stated retention with these queues, once each.
    pub(crate) async fn raise_retention(
        &self,
        queues: impl IntoIterator<Item = &QueueName>,
    ) -> Result<(), Error> {
        self.0.retention.raise(self.backend(), queues).await
    }

    /// The retention that the builder stated.
    fn stated_retention(&self) -> Retention {
        self.0.retention.stated()
    }

    /// Whether the stated retention is stored with `queue`, or none is stated.
    pub(crate) fn has_raised(&self, queue: &QueueName) -> bool {
        self.0.retention.is_raised(queue)
    }

    /// The trace of a task that is deferred by the calling code.
    pub(crate) fn traceparent(&self) -> Option<String> {
        self.0.trace.traceparent()
    }

    fn now(&self) -> Now {
        self.0.clock.now()
    }
}

/// The problem of a task type with a priority, if the backend has none.
fn problem_of_priority(registration: &Registration, limits: &Capabilities) -> Option<String> {
    let is_refused = registration.priority != 0 && !limits.priorities;
    is_refused.then(|| {
        format!(
            "task `{}` at {} has `priority` in its attribute, but the `{}` backend has none: \
             remove the key, and give the tasks that others must not delay a queue of their own",
            registration.kind, registration.location, limits.backend
        )
    })
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("backend", &self.backend())
            .field("inline", &self.0.inline)
            .finish_non_exhaustive()
    }
}
