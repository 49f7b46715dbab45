//! Makes one attempt: finds the handler, calls it under its deadline, and returns the outcome.

mod blocking;
mod report;
mod spilled;
mod surrounded;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use self::report::{OutlookOf, report, span};
use self::surrounded::Surrounded;
use crate::attributes::Attributes;
use crate::backend::transaction::Storage;
use crate::backend::{Capabilities, LeasedTask, NewTask};
use crate::clock::Clock;
use crate::context::{AttemptInfo, Held, States, Surroundings, TaskContext};
use crate::handler::{Call, CallError, Work};
use crate::log;
use crate::outcome::Outcome;
use crate::payload_store::Shelf;
use crate::registration::Registration;
use crate::routed::Routed;
use crate::time::readable;
use crate::unwind;

/// The default time that one attempt may take, as on Cloud Tasks.
pub(crate) const DEFAULT_DEADLINE: Duration = Duration::from_secs(600);

/// Room for one attempt, given back when it is dropped.
pub(crate) trait Permit: Send + Sync {}

/// Runs attempts with the tasks and the state of one client.
#[derive(Clone)]
pub(crate) struct Dispatcher {
    states: Arc<States>,
    clock: Arc<dyn Clock>,
    /// The client that handlers defer with; it surrounds each handler itself.
    client: Arc<dyn Surroundings>,
    /// The store of payloads that are not stored with their tasks.
    payloads: Option<Shelf>,
    /// The most bytes of a payload that is loaded from the store.
    max_stored_payload: u64,
    /// The storage of leased tasks.
    storage: Arc<Storage>,
    /// How long the async handler of a cancelled task may go on.
    cancel_grace: Duration,
}

impl Dispatcher {
    pub(crate) fn new(
        states: Arc<States>,
        clock: Arc<dyn Clock>,
        client: Arc<dyn Surroundings>,
        payloads: Option<Shelf>,
    ) -> Self {
        let storage = Arc::new(Storage { backend: "none", home: None, clock: Arc::clone(&clock) });
        let (max_stored_payload, cancel_grace) = (u64::MAX, Duration::ZERO);
        Self { states, clock, client, payloads, max_stored_payload, storage, cancel_grace }
    }

    /// Sets the backend from which the tasks are leased.
    pub(crate) fn with_backend(mut self, limits: &Capabilities) -> Self {
        let (home, clock) = (limits.home.clone(), Arc::clone(&self.clock));
        self.storage = Arc::new(Storage { backend: limits.backend, home, clock });
        self
    }

    /// Sets how long the async handler of a cancelled task may go on.
    pub(crate) fn with_cancel_grace(mut self, grace: Duration) -> Self {
        self.cancel_grace = grace;
        self
    }

    /// Creates the context of the next attempt at a leased task.
    pub(crate) fn context_of(&self, task: &LeasedTask, registration: &Registration) -> TaskContext {
        TaskContext::of_leased(task, registration, &self.storage)
    }

    /// Limits the bytes of a loaded payload: an attempt at a task with a larger one fails for good.
    #[cfg(feature = "push")]
    pub(crate) fn with_max_stored_payload(mut self, bytes: u64) -> Self {
        self.max_stored_payload = bytes;
        self
    }

    /// Makes one attempt, in its own span, and logs the outcome.
    ///
    /// If `context` is cancelled from outside (the lease is lost), an async handler is dropped and
    /// the outcome is [`Outcome::Released`]. If the task was cancelled, the handler is dropped
    /// after a grace, and has failed. If `attributes` say that the payload is in a payload store,
    /// the payload is loaded from there. `outlook` predicts what follows a failure.
    pub(crate) async fn dispatch(
        &self,
        routed: &Routed,
        payload: &[u8],
        attributes: Option<&[u8]>,
        context: &TaskContext,
        outlook: OutlookOf<'_>,
    ) -> Outcome {
        self.dispatch_with(routed, payload, attributes, context, None, outlook).await
    }

    /// Like [`dispatch`](Self::dispatch), with a permit that is dropped only when the handler has
    /// ended: a plain function goes on even if the caller has stopped waiting.
    pub(crate) async fn dispatch_with(
        &self,
        routed: &Routed,
        payload: &[u8],
        attributes: Option<&[u8]>,
        context: &TaskContext,
        permit: Option<Arc<dyn Permit>>,
        outlook: OutlookOf<'_>,
    ) -> Outcome {
        let span = log::Scope::new(|| span(context, payload.len()));
        let mut attempt = pin!(async {
            let outcome = match Attributes::decode(attributes).map(|attributes| attributes.spilled)
            {
                // Without its attributes the task is not run: they may say where the payload is.
                None => Outcome::unreadable(UnreadableAttributes.into()),
                Some(None) => {
                    caught(pin!(Some(self.attempt(
                        routed,
                        payload,
                        context,
                        context.deadline(),
                        permit
                    ))))
                    .await
                }
                // Boxed: the future of every other attempt stays small.
                Some(Some(spilled)) => {
                    Box::pin(self.attempt_spilled(routed, &spilled, context, permit)).await
                }
            };
            report(&outcome, context, outlook);
            outcome
        });
        std::future::poll_fn(|cx| span.within(|| attempt.as_mut().poll(cx))).await
    }

    /// Calls the handler, which may take the time that is `left` of the deadline.
    async fn attempt(
        &self,
        routed: &Routed,
        payload: impl AsRef<[u8]>,
        context: &TaskContext,
        left: Duration,
        permit: Option<Arc<dyn Permit>>,
    ) -> Outcome {
        let work = match self.work(routed, payload.as_ref(), context) {
            Ok(work) => work,
            Err(outcome) => return outcome,
        };
        // The payload may be large, and the handler has decoded it.
        drop(payload);
        match work {
            Work::Async(handler) => {
                let handler = Surrounded::new(&*self.client, handler);
                context.around(self.run_async(handler, context, left)).await
            }
            // Boxed, as its thread's work is: the future of every other attempt stays small.
            Work::Blocking(handler) => {
                Box::pin(self.run_blocking(handler, context, left, permit)).await
            }
        }
    }

    /// Reads the args and prepares the call. A reading that turns out to fit no payload of the
    /// schema gives way to the next, as the task is not to blame.
    fn work(
        &self,
        routed: &Routed,
        payload: &[u8],
        context: &TaskContext,
    ) -> Result<Work, Outcome> {
        let run = |reading: &_| (routed.run)(&Call::new(payload, reading, &self.states, context));
        let mut reading = routed.reading.clone();
        loop {
            let made = match reading.is_own() {
                true => run(&reading),
                // The code that panics is about an older version: the handler has not begun.
                false => unwind::catch(|| run(&reading))
                    .map_err(|_| Outcome::unreadable(ReadingPanicked.into()))?,
            };
            match made {
                Ok(work) => return Ok(work),
                Err(error @ CallError::Unreadable(_)) => match routed.next_after(&reading) {
                    Some(next) => reading = next,
                    None => return Err(Outcome::unreadable(error.into())),
                },
                Err(error) => return Err(Outcome::failed(None, error.into())),
            }
        }
    }

    async fn run_async(
        &self,
        mut handler: Surrounded<'_>,
        context: &TaskContext,
        left: Duration,
    ) -> Outcome {
        // Most handlers of a busy queue are ready at their first poll: no timer is made for them.
        let first = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut handler).poll(cx))).await;
        match first {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Box::pin(self.run_on(&mut handler, context, left)).await,
        }
    }

    /// Waits for a started handler, until its deadline.
    async fn run_on(
        &self,
        handler: &mut Surrounded<'_>,
        context: &TaskContext,
        left: Duration,
    ) -> Outcome {
        tokio::select! {
            biased;
            outcome = handler => outcome,
            outcome = self.stopped(context) => outcome,
            () = self.clock.sleep(left) => {
                context.cancel();
                Outcome::failed(None, DeadlineMissed(context.deadline()).into())
            }
        }
    }

    /// Waits until a handler is to be dropped, and returns the outcome of its attempt: at once if
    /// the lease is lost, after the grace if the task was cancelled.
    async fn stopped(&self, context: &TaskContext) -> Outcome {
        context.cancelled().await;
        tokio::select! {
            biased;
            () = context.stopped() => Outcome::Released,
            () = self.clock.sleep(self.cancel_grace) => {
                context.cancel();
                Outcome::failed(None, GraceOver(self.cancel_grace).into())
            }
        }
    }
}

impl TaskContext {
    /// The context of the next attempt at a leased task.
    fn of_leased(task: &LeasedTask, registration: &Registration, storage: &Arc<Storage>) -> Self {
        let attempt = AttemptInfo {
            id: task.lease.id,
            kind: task.spec.kind.clone(),
            queue: task.spec.queue.clone(),
            name: task.spec.name.clone(),
            attempt: task.attempts.saturating_add(1),
            schedule_time: Some(task.schedule_time),
            deadline: task.spec.deadline.or(registration.deadline).unwrap_or(DEFAULT_DEADLINE),
            traceparent: traceparent(task.spec.attributes.as_deref()),
        };
        let &LeasedTask { lease, lost_leases, attempts, .. } = task;
        let (unique, storage) = (task.spec.unique, Arc::clone(storage));
        Self::leased(attempt, Held { lease, lost_leases, attempts, unique, storage })
    }

    /// The context of the only attempt at a task that is not stored.
    pub(crate) fn of_new(task: &NewTask, registration: &Registration) -> Self {
        Self::new(AttemptInfo {
            id: task.spec.id,
            kind: task.spec.kind.clone(),
            queue: task.spec.queue.clone(),
            name: task.spec.name.clone(),
            attempt: 1,
            schedule_time: None,
            deadline: task.spec.deadline.or(registration.deadline).unwrap_or(DEFAULT_DEADLINE),
            traceparent: traceparent(task.spec.attributes.as_deref()),
        })
    }
}

fn traceparent(attributes: Option<&[u8]>) -> Option<String> {
    attributes.and_then(|bytes| Attributes::decode(Some(bytes))?.traceparent)
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher").field("states", &self.states).finish_non_exhaustive()
    }
}

/// The outcome of an attempt that may panic wherever user code runs: in the handler, where args are
/// decoded, where an error is formatted, where the handler is dropped.
async fn caught(attempt: Pin<&mut Option<impl Future<Output = Outcome>>>) -> Outcome {
    unwind::caught(attempt).await.unwrap_or_else(panicked)
}

/// A newer version of this crate wrote the attributes, or they are damaged.
#[derive(Debug, thiserror::Error)]
#[error(
    "the stored attributes of the task cannot be read: a newer version of gae-tasks wrote them, or \
     they are damaged"
)]
pub(crate) struct UnreadableAttributes;

/// An upgrade function, a default or a type panicked while it read a payload of another schema.
/// What it said is dropped: that may hold values.
#[derive(Debug, thiserror::Error)]
#[error("the code that reads the payload of other parameters panicked")]
struct ReadingPanicked;

/// An attempt took longer than its dispatch deadline.
#[derive(Debug, thiserror::Error)]
#[error("the attempt took longer than its deadline of {}", readable(*.0))]
pub(crate) struct DeadlineMissed(Duration);

/// The handler of a cancelled task did not end in time.
#[derive(Debug, thiserror::Error)]
#[error("the handler did not end within {} and was dropped", readable(*.0))]
struct GraceOver(Duration);

/// A handler panicked.
#[derive(Debug, thiserror::Error)]
#[error("the handler panicked: {0}")]
struct Panicked(String);

fn panicked(panic: String) -> Outcome {
    Outcome::failed(None, Panicked(panic).into())
}
