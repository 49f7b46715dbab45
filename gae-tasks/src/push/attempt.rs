//! Makes the attempt that a request asks for, unless the task has been tried enough or cannot be
//! run here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::dead_letter::DeadLetter;
use super::limits::{Limits, is_nearly_over};
use super::request::{self, Reported};
use super::response::Reply;
use super::room::{Patience, Room};
use super::settings::ServiceSettings;
use super::verify::HeaderFamily;
use crate::attributes::Attributes;
use crate::backend::lifecycle::{Change, Facts};
use crate::backend::{BoxFuture, NewTask, Verdict};
use crate::context::{AttemptInfo, TaskContext};
use crate::dispatch::{DEFAULT_DEADLINE, DeadlineMissed, Permit, UnreadableAttributes};
use crate::envelope::{Envelope, EnvelopeError, Preamble};
use crate::log;
use crate::outcome::{Failure, Outcome, chain};
use crate::payload::CannotRead;
use crate::queue::QueueName;
use crate::registration::Registration;
use crate::routed::Routed;
use crate::task::{Kind, Shape, TaskId, TaskName, TaskSpec};
use crate::time::{Timestamp, readable};

/// The longest time that storing a dead letter may take.
const SINK_TIME: Duration = Duration::from_secs(30);

/// How far ahead of now a task may be due: an envelope with a later due time was not written by any
/// version of gae-tasks.
const AHEAD: Duration = Duration::from_secs(40 * 24 * 60 * 60);

/// One authentic request whose body has been read.
pub(super) struct Delivery<'a> {
    pub(super) settings: &'a ServiceSettings,
    /// The kind in the URL, for messages only: the envelope decides.
    pub(super) kind: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// The family of the headers that describe the attempt.
    pub(super) family: HeaderFamily,
    pub(super) body: Bytes,
    /// Given back when the last code of the attempt has ended.
    pub(super) room: Arc<Room>,
}

impl Delivery<'_> {
    pub(super) async fn attempt(mut self) -> Reply {
        let reported = Reported::by(self.headers, self.family);
        let envelope = match Envelope::decode(&self.body) {
            Ok(envelope) => envelope,
            Err(error) => return self.refuse_unopened(error).await,
        };
        // The envelope has a copy of the payload: what room was made for is in memory once.
        self.body = Bytes::new();
        if Attributes::decode(envelope.spec.attributes.as_deref()).is_none() {
            return self.leave_newer(&envelope).await;
        }
        let (kind, shape) = (envelope.spec.kind.as_str(), envelope.spec.shape);
        if !envelope.schema.is_empty() && !shape.may_be_of(&envelope.schema) {
            // Whatever wrote this: the bytes may mean something else than they seem to.
            return self.leave(&envelope, CannotRead::OfAnotherShape.to_string()).await;
        }
        let schema = Some(&*envelope.schema).filter(|schema| !schema.is_empty());
        let registry = &self.settings.registry;
        let Some(routed) = registry.find(kind, shape, schema) else {
            let problem = registry.explain_unroutable(kind, shape, schema);
            return self.leave(&envelope, problem).await;
        };
        self.run(&envelope, &routed, reported).await
    }

    /// Answers a body that is not an envelope which this program can open.
    ///
    /// Boxed, because it is rare: the future of every request stays small.
    fn refuse_unopened(&self, error: EnvelopeError) -> BoxFuture<'_, Reply> {
        match error {
            EnvelopeError::Malformed => return self.bury_unreadable(error.to_string()),
            EnvelopeError::Letter => log::say(|| {
                let id =
                    Preamble::of(&self.body).map(|preamble| tracing::field::display(preamble.id));
                tracing::warn!(
                    id,
                    "{error}: the dead-letter queue was created paused, and is not paused now"
                );
            }),
            EnvelopeError::Newer { preamble, .. } => {
                if self.is_given_up(preamble, None) || self.is_far_ahead(preamble) {
                    return self.bury_unreadable(error.to_string());
                }
                log::say(|| {
                    tracing::warn!(
                        id = %preamble.id,
                        "{error}: the queue retries the task on another instance, or here after an \
                         update"
                    );
                });
            }
        }
        Box::pin(std::future::ready(Reply::Unroutable))
    }

    /// Like [`leave`](Self::leave), for a task whose attributes a newer version wrote. Nothing else
    /// of the task is evaluated, not even its limits: the attributes may change their meaning.
    async fn leave_newer(&self, envelope: &Envelope) -> Reply {
        let problem = UnreadableAttributes.to_string();
        if self.is_far_ahead(envelope.preamble()) {
            return self.bury(envelope, 0, problem).await;
        }
        self.leave(envelope, problem).await
    }

    /// Leaves a task that this instance cannot run to another instance, or to this one after an
    /// update, until the task is given up.
    async fn leave(&self, envelope: &Envelope, problem: String) -> Reply {
        let replayed = envelope.copied.and_then(|copied| copied.replayed);
        if self.is_given_up(envelope.preamble(), replayed) {
            let made = envelope.copied.map_or(0, |copied| copied.attempts);
            return self.bury(envelope, made, problem).await;
        }
        log::say(|| {
            tracing::warn!(
                id = %envelope.spec.id,
                "{problem}: the queue retries the task on another instance, or here after an \
                 update"
            )
        });
        Reply::Unroutable
    }

    /// Whether a task that no instance could run has waited long enough, or the queue soon deletes
    /// the task.
    fn is_given_up(&self, preamble: Preamble, replayed: Option<Timestamp>) -> bool {
        let now = self.settings.clock.wall();
        now.since(preamble.first_due) >= self.settings.give_up
            || is_nearly_over(preamble.id, replayed, now)
    }

    fn is_far_ahead(&self, preamble: Preamble) -> bool {
        preamble.first_due.since(self.settings.clock.wall()) > AHEAD
    }

    async fn run(&self, envelope: &Envelope, routed: &Routed, reported: Reported) -> Reply {
        let began = self.settings.clock.wall();
        let limits = Limits::of(envelope, routed.max_attempts, &reported, began);
        if limits.are_reached_already(&reported, began) {
            return self.bury_tried_enough(envelope, &limits, &reported).await;
        }
        if limits.count() && !reported.is_counted {
            log::say(|| {
                tracing::warn!(
                    id = %envelope.spec.id,
                    "the queue does not number its requests: `max_attempts` is never reached"
                );
            });
        }
        let context = self.context(envelope, routed, &reported, limits.made());
        if !self.has_room_for_payload(envelope, context.deadline(), &reported).await {
            return Reply::Overloaded;
        }
        let outcome = self.call(envelope, routed, &limits, &reported, &context).await;
        if matches!(outcome, Outcome::Done) {
            return Reply::Done;
        }
        let verdict = routed.verdict(&outcome);
        self.conclude(envelope, &limits, &reported, &verdict, outcome).await
    }

    /// Calls the handler, and writes the marker of a task that is done.
    async fn call(
        &self,
        envelope: &Envelope,
        routed: &Routed,
        limits: &Limits,
        reported: &Reported,
        context: &TaskContext,
    ) -> Outcome {
        // The caller may disconnect and drop this future: a plain function that goes on must see
        // that.
        let cancelling = CancelOnDrop(context);
        let permit: Arc<dyn Permit> = Arc::clone(&self.room) as _;
        let Envelope { spec: TaskSpec { attributes, .. }, payload, .. } = envelope;
        let outlook = |failure: &Failure| {
            // A named task is not copied.
            let after = failure.retry_after().filter(|_| !envelope.named);
            limits.outlook(reported, after, self.settings.clock.wall())
        };
        let (attributes, dispatcher) = (attributes.as_deref(), &self.settings.dispatcher);
        let outcome = dispatcher
            .dispatch_with(routed, payload, attributes, context, Some(permit), &outlook)
            .await;
        if matches!(outcome, Outcome::Done) {
            Box::pin(dispatcher.mark_done(attributes)).await;
        }
        std::mem::forget(cancelling);
        outcome
    }

    /// Decides what becomes of a task whose attempt is not done.
    async fn conclude(
        &self,
        envelope: &Envelope,
        limits: &Limits,
        reported: &Reported,
        verdict: &Verdict,
        outcome: Outcome,
    ) -> Reply {
        let now = self.settings.clock.wall();
        match (limits.settle(verdict, now), outcome) {
            (Change::To { facts, .. }, Outcome::Retry(failure))
                if limits.grant_one_more(reported, now) =>
            {
                let facts = limits.granted(facts, failure.retry_after(), now);
                self.grant_one_more(envelope, facts, limits.next(facts)).await
            }
            (Change::To { facts: Facts { died: Some(_), attempts, .. }, error }, _) => {
                self.bury(envelope, attempts, error.unwrap_or_default().into_owned()).await
            }
            (_, Outcome::Unreadable(failure)) => self.leave(envelope, failure.to_string()).await,
            (Change::To { facts, .. }, Outcome::Retry(failure))
                if failure.retry_after().is_some() =>
            {
                match self.postpone(envelope, facts, limits.next(facts)).await {
                    true => Reply::Done,
                    false => failed(&failure),
                }
            }
            (_, Outcome::Retry(failure)) => failed(&failure),
            _ => Reply::Failed(None),
        }
    }

    /// Buries a task whose attempts were used up before this delivery.
    fn bury_tried_enough(
        &self,
        envelope: &Envelope,
        limits: &Limits,
        reported: &Reported,
    ) -> BoxFuture<'_, Reply> {
        let made = limits.made();
        let ended = match reported.previous.filter(|status| *status != 0) {
            Some(status) => format!("the last was answered with {status}"),
            None => "the last was not answered by any instance".to_owned(),
        };
        self.bury(envelope, made, format!("the attempts are used up: {made} were made, {ended}"))
    }

    /// Makes room for the payload, if it is in a payload store.
    ///
    /// A task that waits for room leaves its handler half of the deadline: the queue closes the
    /// connection at the end of the deadline.
    async fn has_room_for_payload(
        &self,
        envelope: &Envelope,
        deadline: Duration,
        reported: &Reported,
    ) -> bool {
        let Some(spilled) = Attributes::spilled_in(envelope.spec.attributes.as_deref()) else {
            return true;
        };
        // A payload that is too large is not loaded.
        if spilled.length > self.settings.max_stored_payload {
            return true;
        }
        let waits = reported.may_have_had_no_room();
        let patience = Patience { clock: &*self.settings.clock, waits, time: deadline / 2 };
        self.room.reserve(spilled.length, patience).await
    }

    fn context(
        &self,
        envelope: &Envelope,
        registration: &Registration,
        reported: &Reported,
        made: u32,
    ) -> TaskContext {
        let is_own = envelope.spec.kind.as_str() == registration.kind;
        TaskContext::new(AttemptInfo {
            id: envelope.spec.id,
            kind: if is_own {
                Kind::from_static(registration.kind)
            } else {
                envelope.spec.kind.clone()
            },
            queue: envelope.spec.queue.clone(),
            name: self.name(envelope),
            attempt: made.saturating_add(1),
            schedule_time: reported.schedule_time,
            deadline: envelope.spec.deadline.or(registration.deadline).unwrap_or(DEFAULT_DEADLINE),
            traceparent: reported.traceparent.clone(),
        })
    }

    /// The name that the caller gave the task.
    fn name(&self, envelope: &Envelope) -> Option<TaskName> {
        request::task_name(self.headers, self.family).filter(|_| envelope.named)
    }

    /// Stores a dead letter, and then lets the queue delete the task.
    ///
    /// Boxed, as dead letters are rare: the future of every request stays small.
    fn bury(&self, envelope: &Envelope, attempts: u32, error: String) -> BoxFuture<'_, Reply> {
        // A copy is due later than its task was.
        let created =
            envelope.copied.and_then(|copied| copied.first_attempt).or(Some(envelope.first_due));
        let spec = TaskSpec { name: self.name(envelope), ..envelope.spec.clone() };
        let (schema, sensitive) = (Arc::clone(&envelope.schema), envelope.sensitive.clone());
        let task = NewTask { sensitive, ..NewTask::new(spec, envelope.payload.clone(), schema) };
        let number = envelope.copied.map_or(0, |copied| copied.number);
        Box::pin(self.keep(DeadLetter {
            task,
            attempts,
            created,
            died: self.settings.clock.wall(),
            error,
            number,
        }))
    }

    /// Like [`bury`](Self::bury), for a body that cannot be opened.
    fn bury_unreadable(&self, error: String) -> BoxFuture<'_, Reply> {
        let preamble = Preamble::of(&self.body);
        let id = preamble.map_or_else(|| self.id_of_unreadable(), |preamble| preamble.id);
        let kind = Kind::new(self.kind).unwrap_or(Kind::from_static("unreadable"));
        let queue = request::queue_name(self.headers, self.family).unwrap_or(QueueName::DEFAULT);
        let task =
            NewTask::new(TaskSpec::new(id, kind, Shape::UNREADABLE, queue), self.body.to_vec(), []);
        let (created, died) =
            (preamble.map(|preamble| preamble.first_due), self.settings.clock.wall());
        Box::pin(self.keep(DeadLetter { task, attempts: 0, created, died, error, number: 0 }))
    }

    /// Returns the same id each time the queue sends the same bytes under the same name, so that
    /// the bytes are kept once.
    fn id_of_unreadable(&self) -> TaskId {
        let name = request::task_name(self.headers, self.family);
        let queue = request::queue_name(self.headers, self.family);
        let name = name.as_ref().map_or("", |name| name.as_str());
        let queue = queue.as_ref().map_or("", |queue| queue.as_str());
        let bytes = queue
            .bytes()
            .chain([0])
            .chain(name.bytes())
            .chain([0])
            .chain(self.body.iter().copied());
        // FNV-1a of 128 bits.
        let step = |hash: u128, byte: u8| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0000000001000000000000000000013B)
        };
        TaskId::from_bytes(bytes.fold(0x6c62272e07bb014262b821756295c58d, step).to_be_bytes())
    }

    async fn keep(&self, letter: DeadLetter) -> Reply {
        let (id, kind, attempts) =
            (letter.task.spec.id, letter.task.spec.kind.clone(), letter.attempts);
        let error = letter.error.clone();
        let kept = tokio::select! {
            biased;
            kept = self.settings.sink.keep(letter) => kept,
            () = self.settings.clock.sleep(SINK_TIME) => Err(format!(
                "storing the dead letter took longer than {}",
                readable(SINK_TIME)
            ).into()),
        };
        match kept {
            Ok(()) => {
                log::say(|| {
                    tracing::error!(
                        %id, %kind, attempts, error,
                        "the task is now a dead letter, and the queue deletes it"
                    )
                });
                Reply::Done
            }
            Err(problem) => {
                let problem = chain(&*problem);
                log::say(|| {
                    tracing::error!(
                        %id, %kind, attempts, error, problem,
                        "a dead letter cannot be stored: the task stays in the queue"
                    )
                });
                Reply::Failed(None)
            }
        }
    }
}

/// The reply to an attempt that is to be repeated.
fn failed(failure: &Failure) -> Reply {
    if failure.error().is::<DeadlineMissed>() {
        Reply::DeadlineMissed
    } else if failure.is_quiet() {
        Reply::Singular
    } else {
        Reply::Failed(failure.retry_after())
    }
}

/// Cancels the attempt when the attempt's future is dropped.
struct CancelOnDrop<'a>(&'a TaskContext);

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
