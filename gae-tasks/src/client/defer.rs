//! Stores the tasks that a client is given, or runs them where they are deferred.

use super::Client;
use crate::backend::outlook::Outlook;
use crate::backend::{Enqueue, NewTask};
use crate::context::TaskContext;
use crate::defer::{Defer, Prepared, inline_answer, judge};
use crate::error::{Error, no_problems};
use crate::outcome::{BoxError, Outcome};
use crate::registration::Registration;
use crate::routed::Routed;
use crate::task::{Deferred, TaskId};

impl Client {
    /// Not an `async fn`: its future would hold the task twice, once for the backend.
    pub(crate) fn enqueue_one(
        &self,
        prepared: Prepared,
    ) -> impl Future<Output = Result<Deferred, Error>> + Send {
        let new_name = prepared.new_name();
        let answers = self.backend().enqueue(Enqueue::new(self.now(), vec![prepared.task]));
        async { judge(self.one_of(answers.await?)?, new_name) }
    }

    /// Like [`enqueue_one`](Self::enqueue_one), but blocks this thread.
    pub(crate) fn enqueue_one_blocking(&self, prepared: Prepared) -> Result<Deferred, Error> {
        let new_name = prepared.new_name();
        let request = Enqueue::new(self.now(), vec![prepared.task]);
        judge(self.one_of(self.backend().enqueue_blocking(request)?)?, new_name)
    }

    /// The answer for the only task of a request.
    fn one_of(&self, mut answers: Vec<Result<Deferred, Error>>) -> Result<Deferred, Error> {
        answers.pop().unwrap_or_else(|| {
            let backend = self.capabilities().backend;
            Err(Error::Storage {
                backend,
                problem: "returned no answer for the task".to_owned(),
                source: "no answer".into(),
            })
        })
    }

    /// Stores tasks; returns the answer for each, in their order.
    pub(super) async fn enqueue(
        &self,
        prepared: Vec<Prepared>,
    ) -> Result<Vec<Result<Deferred, Error>>, Error> {
        let (new_names, tasks): (Vec<_>, Vec<_>) =
            prepared.into_iter().map(|p| (p.new_name(), p.task)).unzip();
        let answers = self.backend().enqueue(Enqueue::new(self.now(), tasks)).await?;
        Ok(answers
            .into_iter()
            .zip(new_names)
            .map(|(answer, new_name)| judge(answer?, new_name))
            .collect())
    }

    /// Runs a task instead of storing it; the options do not affect the function.
    pub(crate) async fn run_inline(&self, defer: Defer) -> Result<Deferred, Error> {
        let registration = defer.registration();
        self.run_prepared(registration, defer.prepare_inline(self)?).await
    }

    /// Like [`run_inline`](Self::run_inline), after its options are checked.
    pub(crate) async fn run_prepared(
        &self,
        registration: &'static Registration,
        task: NewTask,
    ) -> Result<Deferred, Error> {
        let (id, outcome) = self.attempt_prepared(registration, task).await?;
        inline_answer(registration.kind, id, outcome)
    }

    /// Does blocking work that may need a runtime (handlers that run inline, payload stores) on a
    /// thread with a runtime of its own: the caller's runtime, if there is any, may be the one that
    /// is blocked.
    pub(crate) fn on_a_thread(
        &self,
        work: impl Future<Output = Result<Deferred, Error>> + Send,
    ) -> Result<Deferred, Error> {
        let backend = self.capabilities().backend;
        let failed = |source: BoxError| Error::Storage {
            backend,
            problem: "cannot be reached: the call needs a thread with its own runtime, which \
                      cannot be started"
                .to_owned(),
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

    async fn attempt_prepared(
        &self,
        registration: &'static Registration,
        task: NewTask,
    ) -> Result<(TaskId, Outcome), Error> {
        no_problems(self.0.registry.problems_of(registration, &self.0.states))?;
        let context = TaskContext::of_new(&task, registration);
        let attributes = task.spec.attributes.as_deref();
        let outcome = self
            .dispatcher()
            .dispatch(&Routed::own(registration), &task.payload, attributes, &context, &|_| {
                Outlook::LAST
            })
            .await;
        Ok((task.spec.id, outcome))
    }
}
