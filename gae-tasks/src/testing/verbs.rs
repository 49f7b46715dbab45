//! The three verbs: perform, drain, run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::outlook::Outlook;
use crate::backend::settle::ROLLED_BACK;
use crate::backend::{
    Lease, LeasedTask, Pull, Room, Routes, Settle, Settled, Settlement, Verdict, stored_schema,
};
use crate::client::Client;
use crate::context::{AttemptInfo, TaskContext};
use crate::defer::Defer;
use crate::error::{Error, no_problems};
use crate::outcome::{Failure, Outcome};
use crate::queue::QueueName;
use crate::registration::Registration;
use crate::registry::readable::Readable;
use crate::routed::Routed;
use crate::task::{Kind, TaskId};

/// How often the outcome of a task is recorded that a transaction of the application has locked.
/// The storage waits a moment for it each time, which makes about 3 seconds.
const TRIES: usize = 15;

/// The error of an attempt whose outcome could not be recorded.
const LOCKED: &str = "the outcome of the task is not recorded: a transaction that has not ended, \
                      perhaps that of `complete_in`, has locked the task";

#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
impl Client {
    /// Calls one task's function without storing the task:
    /// `client.perform(send_welcome::defer(42, "hi")).await?`. Only the state of this task is
    /// needed.
    ///
    /// # Errors
    /// The task could not be called: its args or options are refused, or state is missing. A
    /// failure of the function itself is an [`Outcome`], not an error.
    pub async fn perform(&self, task: Defer) -> Result<Outcome, Error> {
        Ok(self.attempt_once(task).await?.1)
    }

    /// Runs the stored tasks of all queues one after the other, and the tasks that they defer,
    /// until no task is due. The rates of queues, and how many of their tasks may run at a time, do
    /// not matter. Returns the number of attempts.
    ///
    /// # Errors
    /// [`Error::TaskFailed`] with the handler's error at the first failure. The failure is recorded
    /// as by a worker: the task is scheduled again or becomes a dead letter, and `drain` may be
    /// called again. [`Error::Misconfigured`] if tasks of a stored kind cannot be run; kinds
    /// without stored tasks are not checked.
    pub async fn drain(&self) -> Result<usize, Error> {
        let backend = self.capabilities().backend;
        let pull = self
            .pull()
            .ok_or(Error::Unsupported { backend, what: "`drain`: it calls handlers over HTTP" })?;
        self.check_stored().await?;
        let routes = Routes::Read(Arc::new(Readable::new(Arc::clone(self.shared_registry()))));
        let mut attempts = 0;
        loop {
            let queues: BTreeSet<QueueName> =
                self.queues().await?.into_iter().map(|queue| queue.name).collect();
            let (room, lease) = (Room::new(1), Duration::from_secs(30));
            let room = Room { obeys_limits: false, ..room };
            let request =
                Lease::new(self.clock().now(), Arc::new(queues), routes.clone(), room, lease);
            let Some(task) = pull.lease(request).await?.tasks.pop() else { return Ok(attempts) };
            attempts += 1;
            self.attempt(pull, task).await?;
        }
    }

    /// Defers a task with this client and [drains](Self::drain).
    ///
    /// # Errors
    /// The errors of `defer` and of [`drain`](Self::drain).
    pub async fn run(&self, task: Defer) -> Result<usize, Error> {
        task.on(self).await?;
        self.drain().await
    }

    /// Fails with every problem if tasks of the stored kinds cannot be run.
    async fn check_stored(&self) -> Result<(), Error> {
        let lines = self.stats_by_route().await?;
        let stored: BTreeSet<_> = lines
            .iter()
            .filter(|line| line.stats.open() > 0)
            .map(|line| line.route.kind().as_str())
            .collect();
        no_problems(
            self.problems_among(|registration| {
                registration.kinds().any(|kind| stored.contains(kind))
            }),
        )
    }

    /// Releases `task` and fails if it cannot be run: a task deferred since `check_stored` has not
    /// been checked.
    async fn check_leased(&self, pull: &Arc<dyn Pull>, task: &LeasedTask) -> Result<(), Error> {
        let kind = task.spec.kind.as_str();
        let problems =
            self.problems_among(|registration| registration.kinds().any(|known| known == kind));
        if !problems.is_empty() {
            let given_back = vec![Settlement::new(task.lease, Verdict::Release)];
            pull.settle(Settle::new(self.clock().now(), given_back)).await?;
        }
        no_problems(problems)
    }

    async fn attempt(&self, pull: &Arc<dyn Pull>, task: LeasedTask) -> Result<(), Error> {
        self.check_leased(pull, &task).await?;
        let started = self.clock().wall();
        let Some((registration, outcome, is_completed)) = self.attempt_of(&task).await else {
            return Ok(());
        };
        let kind = task.spec.kind.to_string();
        let verdict = registration.verdict(&outcome);
        let mut settlement = Settlement::new(task.lease, verdict);
        settlement.started = Some(started);
        settlement.backoff = registration.backoff;
        let settlement = settlement.of_attempt(is_completed, registration.max_attempts);
        match self.record_outcome(pull, &settlement).await? {
            Some(Settled::Done) => return Ok(()),
            Some(Settled::Locked) if matches!(outcome, Outcome::Done) => {
                return Err(Error::TaskFailed { kind, source: LOCKED.into() });
            }
            Some(_) if is_completed && matches!(outcome, Outcome::Done) => {
                return Err(Error::TaskFailed { kind, source: ROLLED_BACK.into() });
            }
            _ => {}
        }
        outcome.into_result().map_err(|source| Error::TaskFailed { kind, source })
    }

    /// Records an outcome, as often as a worker would that cannot wait for ever.
    async fn record_outcome(
        &self,
        pull: &Arc<dyn Pull>,
        settlement: &Settlement,
    ) -> Result<Option<Settled>, Error> {
        let mut settled = Some(Settled::Locked);
        for _ in 0..TRIES {
            let request = Settle::new(self.clock().now(), vec![settlement.clone()]);
            settled = pull.settle(request).await?.pop();
            if settled != Some(Settled::Locked) {
                break;
            }
        }
        Ok(settled)
    }

    /// Runs a leased task to its outcome as a worker does, for benchmarks; returns `None` for an
    /// unroutable task.
    #[doc(hidden)]
    pub async fn attempt_leased(
        &self,
        task: &LeasedTask,
    ) -> Option<(&'static Registration, Outcome)> {
        let (registration, outcome, _) = self.attempt_of(task).await?;
        Some((registration, outcome))
    }

    /// Like [`attempt_leased`](Self::attempt_leased), with whether the handler has completed the
    /// task in a transaction.
    async fn attempt_of(
        &self,
        task: &LeasedTask,
    ) -> Option<(&'static Registration, Outcome, bool)> {
        let routed = self.find_leased(task).await?;
        let registration = routed.registration;
        let dispatcher = self.dispatcher();
        let context = dispatcher.context_of(task, registration);
        let attributes = task.spec.attributes.as_deref();
        let began = self.clock().wall();
        let outlook = |failure: &Failure| {
            Outlook::of_leased(task, registration, failure, began, self.clock().wall())
        };
        let outcome =
            dispatcher.dispatch(&routed, &task.payload, attributes, &context, &outlook).await;
        Some((registration, outcome, context.is_completed()))
    }

    async fn find_leased(&self, task: &LeasedTask) -> Option<Routed> {
        let (kind, shape) = (task.spec.kind.as_str(), task.spec.shape);
        let known = self.registry().find(kind, shape, None);
        if known.is_some() {
            return known;
        }
        let schema = stored_schema(self.backend(), shape).await;
        self.registry().find(kind, shape, schema.as_deref())
    }
}

#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
impl TaskContext {
    /// Returns a context of the first attempt of a task `test/task`, for calling a function that
    /// takes a context.
    ///
    /// ```
    /// use gae_tasks::TaskContext;
    ///
    /// assert_eq!(TaskContext::for_test().attempt(), 1);
    /// ```
    pub fn for_test() -> Self {
        Self::for_test_attempt(1)
    }

    /// Returns a context like [`for_test`](Self::for_test), of attempt number `attempt`, counted
    /// from 1.
    pub fn for_test_attempt(attempt: u32) -> Self {
        Self::new(AttemptInfo {
            id: TaskId::generate(),
            kind: Kind::from_static("test/task"),
            queue: QueueName::DEFAULT,
            name: None,
            attempt: attempt.max(1),
            schedule_time: None,
            deadline: Duration::from_secs(600),
            traceparent: None,
        })
    }

    /// Runs `future` as part of this attempt: inside, [`current()`](crate::current) returns this
    /// context.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> {
        self.around(future)
    }

    /// Cancels the attempt, as a missed deadline does.
    pub fn cancel_for_test(&self) {
        self.cancel();
    }
}
