//! Makes the attempt that a request asks for, unless the task has been tried enough or nothing here can run it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::dead_letter::DeadLetter;
use super::request::{self, Told};
use super::response::Answer;
use super::service::Plan;
use crate::backend::{BoxFuture, NewTask};
use crate::context::{AttemptInfo, TaskContext};
use crate::dispatch::{DEFAULT_DEADLINE, DeadlineMissed};
use crate::envelope::{Envelope, EnvelopeError};
use crate::outcome::{Failure, Outcome, chain};
use crate::queue::{Attempts, QueueName, RetryConfig};
use crate::registry::Registration;
use crate::task::{Kind, Shape, TaskId};
use crate::time::{Schedule, Timestamp};

/// How long a dead letter may take to be kept.
const SINK_TIME: Duration = Duration::from_secs(30);

/// One authentic request, its body read.
#[derive(Debug)]
pub(super) struct Delivery<'a> {
    pub(super) plan: &'a Plan,
    /// The kind that the URL names: for people, and for what is no task.
    pub(super) path_kind: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Bytes,
    /// Given back when the last code of the attempt has ended.
    pub(super) permit: Arc<dyn Any + Send + Sync>,
}

impl Delivery<'_> {
    pub(super) async fn attempt(&self) -> Answer {
        let told = Told::by(self.headers);
        let envelope = match Envelope::decode(&self.body) {
            Ok(envelope) => envelope,
            Err(error @ EnvelopeError::Malformed) => return self.bury_unreadable(&told, error.to_string()).await,
            Err(error @ EnvelopeError::Newer(_)) => {
                let since = Envelope::id_in(&self.body).and_then(TaskId::made);
                if self.is_given_up(since) {
                    return self.bury_unreadable(&told, error.to_string()).await;
                }
                tracing::warn!("{error}: the queue will try it elsewhere, or here after an update");
                return Answer::Unroutable;
            }
        };
        let Some(registration) = self.plan.registry.find(envelope.kind.as_str(), envelope.shape) else {
            let problem = self.plan.registry.explain_unroutable(envelope.kind.as_str(), envelope.shape);
            if self.is_given_up(Some(envelope.created)) {
                return self.bury(&envelope, told.retries, problem).await;
            }
            tracing::warn!(id = %envelope.id, "{problem}: the queue will try it elsewhere, or here after an update");
            return Answer::Unroutable;
        };
        self.run(&envelope, registration, told).await
    }

    /// Whether a task that nobody has been able to run since then has waited long enough.
    fn is_given_up(&self, since: Option<Timestamp>) -> bool {
        since.is_some_and(|since| self.plan.clock.wall().since(since) >= self.plan.give_up)
    }

    async fn run(&self, envelope: &Envelope, registration: &Registration, told: Told) -> Answer {
        let began = self.plan.clock.wall();
        let limits = Limits::of(envelope, registration, told.retries, began);
        if told.retries > 0 && limits.are_reached(told.retries, began) {
            let made = told.retries;
            let problem = format!("tried enough: {made} attempts were made, the last of which no instance answered");
            return self.bury(envelope, made, problem).await;
        }
        let made = told.retries.saturating_add(1);
        let context = self.context(envelope, registration, told);
        // The caller may go away and drop all this: a plain function that goes on must learn of it.
        let cancelling = CancelOnDrop(&context);
        let permit = Some(Arc::clone(&self.permit));
        let Envelope { payload, attributes, .. } = &envelope;
        let outcome =
            self.plan.dispatcher.dispatch_with(registration, payload, attributes.as_deref(), &context, permit);
        let outcome = outcome.await;
        std::mem::forget(cancelling);
        match outcome {
            Outcome::Done => Answer::Done,
            Outcome::Released => Answer::Failed(None),
            Outcome::Permanent(failure) => self.bury(envelope, made, failure.to_string()).await,
            Outcome::Retry(failure) if limits.are_reached(made, self.plan.clock.wall()) => {
                self.bury(envelope, made, failure.to_string()).await
            }
            Outcome::Retry(failure) => failed(&failure),
        }
    }

    fn context(&self, envelope: &Envelope, registration: &Registration, told: Told) -> TaskContext {
        let is_own = envelope.kind.as_str() == registration.kind;
        TaskContext::new(AttemptInfo {
            id: envelope.id,
            kind: if is_own { Kind::from_static(registration.kind) } else { envelope.kind.clone() },
            queue: envelope.queue.clone(),
            name: if envelope.named { request::task_name(self.headers) } else { None },
            attempt: told.retries.saturating_add(1),
            schedule_time: told.schedule_time,
            deadline: envelope.deadline.or(registration.deadline).unwrap_or(DEFAULT_DEADLINE),
            traceparent: told.traceparent,
        })
    }

    /// Keeps a task that is not attempted again, and lets the queue forget it once it is safe.
    ///
    /// In a box, as all that is rare: the future of every request stays small.
    fn bury(&self, envelope: &Envelope, attempts: u32, error: String) -> BoxFuture<'_, Answer> {
        let created = Some(envelope.created);
        let task = NewTask {
            id: envelope.id,
            kind: envelope.kind.clone(),
            shape: envelope.shape,
            payload: envelope.payload.clone(),
            queue: envelope.queue.clone(),
            name: if envelope.named { request::task_name(self.headers) } else { None },
            schedule: Schedule::Now,
            max_attempts: envelope.max_attempts,
            retry: envelope.retry.clone(),
            deadline: envelope.deadline,
            attributes: envelope.attributes.clone(),
        };
        Box::pin(self.keep(DeadLetter { task, attempts, created, died: self.plan.clock.wall(), error }))
    }

    /// As [`bury`](Self::bury), of a body that cannot be opened.
    fn bury_unreadable(&self, told: &Told, error: String) -> BoxFuture<'_, Answer> {
        let id = Envelope::id_in(&self.body).unwrap_or_else(|| self.id_of_unreadable());
        let task = NewTask {
            id,
            kind: Kind::new(self.path_kind).unwrap_or(Kind::from_static("unreadable")),
            shape: Shape::from_bits(0),
            payload: self.body.to_vec(),
            queue: request::queue_name(self.headers).unwrap_or(QueueName::DEFAULT),
            name: None,
            schedule: Schedule::Now,
            max_attempts: None,
            retry: None,
            deadline: None,
            attributes: None,
        };
        let attempts = told.retries.saturating_add(1);
        let (created, died) = (id.made(), self.plan.clock.wall());
        Box::pin(self.keep(DeadLetter { task, attempts, created, died, error }))
    }

    /// The same id each time the queue sends the same bytes under the same name: they are kept once.
    fn id_of_unreadable(&self) -> TaskId {
        let name = request::task_name(self.headers);
        let queue = request::queue_name(self.headers);
        let name = name.as_ref().map_or("", |name| name.as_str());
        let queue = queue.as_ref().map_or("", |queue| queue.as_str());
        let bytes = queue.bytes().chain([0]).chain(name.bytes()).chain([0]).chain(self.body.iter().copied());
        // FNV-1a of 128 bits.
        let step = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul(0x0000000001000000000000000000013B);
        TaskId::from_bytes(bytes.fold(0x6c62272e07bb014262b821756295c58d, step).to_be_bytes())
    }

    async fn keep(&self, letter: DeadLetter) -> Answer {
        let (id, kind, attempts) = (letter.task.id, letter.task.kind.clone(), letter.attempts);
        let error = letter.error.clone();
        let kept = tokio::select! {
            biased;
            kept = self.plan.sink.keep(letter) => kept,
            () = self.plan.clock.sleep(SINK_TIME) => Err(format!("it took longer than {SINK_TIME:?}").into()),
        };
        match kept {
            Ok(()) => {
                tracing::error!(%id, %kind, attempts, error, "now a dead letter: the queue forgets it");
                Answer::Done
            }
            Err(problem) => {
                let problem = chain(&*problem);
                tracing::error!(%id, %kind, attempts, error, problem, "a dead letter cannot be kept: it stays queued");
                Answer::Failed(None)
            }
        }
    }
}

/// The answer to an attempt that is to be made again.
fn failed(failure: &Failure) -> Answer {
    if failure.error().is::<DeadlineMissed>() {
        Answer::DeadlineMissed
    } else if failure.is_quiet() {
        Answer::Singular
    } else {
        Answer::Failed(failure.retry_after())
    }
}

/// When a task has been tried enough; the queue itself has no limits.
struct Limits<'a> {
    retry: &'a RetryConfig,
    first: Timestamp,
    cap: Option<u32>,
}

/// The limits of tasks that bring none.
static UNLIMITED: RetryConfig = RetryConfig::new().with_max_attempts(None);

impl<'a> Limits<'a> {
    fn of(envelope: &'a Envelope, registration: &Registration, retries: u32, now: Timestamp) -> Self {
        let caps = [envelope.max_attempts, registration.max_attempts];
        Self {
            retry: envelope.retry.as_ref().unwrap_or(&UNLIMITED),
            // The first attempt begins now; later, nothing but the envelope tells when it did.
            first: if retries == 0 { now } else { envelope.created },
            cap: caps.into_iter().flatten().min(),
        }
    }

    fn are_reached(&self, made: u32, now: Timestamp) -> bool {
        self.retry.is_exhausted(Attempts::new(made, self.first, self.cap), now)
    }
}

/// Cancels an attempt that is given up.
struct CancelOnDrop<'a>(&'a TaskContext);

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn limits(retry: &RetryConfig, retries: u32, now: Timestamp) -> Limits<'_> {
        let first = if retries == 0 { now } else { Timestamp::from_micros(0) };
        Limits { retry, first, cap: None }
    }

    #[test]
    fn a_task_that_waited_long_for_its_first_attempt_is_retried_still() {
        let retry = RetryConfig::new().with_max_attempts(None).with_max_retry_duration(Some(10 * MINUTE));
        let late = Timestamp::from_micros(0).plus(60 * MINUTE);
        assert!(!limits(&retry, 0, late).are_reached(1, late));
        assert!(limits(&retry, 1, late).are_reached(1, late));
    }

    #[test]
    fn limits_of_the_retry_settings_stop_together_only() {
        let retry = RetryConfig::new().with_max_attempts(Some(2)).with_max_retry_duration(Some(10 * MINUTE));
        let (early, late) = (Timestamp::from_micros(0).plus(MINUTE), Timestamp::from_micros(0).plus(10 * MINUTE));
        assert!(!limits(&retry, 2, early).are_reached(3, early));
        assert!(!limits(&retry, 1, late).are_reached(1, late));
        assert!(limits(&retry, 1, late).are_reached(2, late));
    }
}
