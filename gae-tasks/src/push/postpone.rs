//! Postpones a task to the time that its handler chose. The queue reads no time from an answer, so
//! a copy is scheduled.

use std::sync::atomic::Ordering;

use super::attempt::Delivery;
use super::response::Reply;
use crate::backend::lifecycle::Facts;
use crate::backend::{BoxFuture, CopyTask, NewTask};
use crate::envelope::Envelope;
use crate::error::Error;
use crate::log;
use crate::outcome::chain;
use crate::time::{Schedule, Timestamp};

impl Delivery<'_> {
    /// Stores a copy of a task that has failed as `facts` say, to be attempted at `next`. Returns
    /// whether the copy is stored, so that the queue may delete the original. Otherwise the queue's
    /// own backoff decides.
    ///
    /// Boxed, as postponed tasks are rare: the future of every request stays small.
    pub(super) fn postpone<'a>(
        &'a self,
        envelope: &'a Envelope,
        facts: Facts,
        next: Timestamp,
    ) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let Some(copy) = self.copy_of(envelope, facts, next) else {
                log::say(|| {
                    tracing::warn!(
                        id = %envelope.spec.id,
                        "a named task is not copied: the queue's backoff replaces the time that \
                         its handler chose"
                    );
                });
                return false;
            };
            let number = copy.number;
            match self.settings.queue.copy(copy).await {
                Ok(()) => {
                    log::say(|| {
                        tracing::debug!(
                            id = %envelope.spec.id, number, ?next,
                            "postponed: a copy is stored"
                        )
                    });
                    true
                }
                Err(error) => {
                    self.say_not_copied(envelope, &error);
                    false
                }
            }
        })
    }

    /// Stores a copy of a task that is granted one more attempt at `next`. The copy carries the
    /// number of earlier attempts, so no answer of another instance grants a further one. For a
    /// task without a copy, the status of the answer remembers the grant.
    pub(super) fn grant_one_more<'a>(
        &'a self,
        envelope: &'a Envelope,
        facts: Facts,
        next: Timestamp,
    ) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let Some(copy) = self.copy_of(envelope, facts, next) else { return Reply::OneMore };
            match self.settings.queue.copy(copy).await {
                Ok(()) => Reply::Done,
                Err(Error::Unsupported { .. }) => Reply::OneMore,
                Err(error) => {
                    self.say_not_copied(envelope, &error);
                    Reply::OneMore
                }
            }
        })
    }

    /// `None` for a named task: the name keeps the task from being stored twice, and a copy cannot
    /// have the same name.
    fn copy_of(&self, envelope: &Envelope, facts: Facts, next: Timestamp) -> Option<CopyTask> {
        let before = envelope.copied.unwrap_or_default();
        let number = before.number.checked_add(1).filter(|_| !envelope.named)?;
        let schedule = Schedule::At(next);
        let Envelope { spec, payload, schema, sensitive, .. } = envelope.clone();
        let task = NewTask::new(spec, payload, schema).with(|task| {
            task.sensitive = sensitive;
            task.schedule = schedule;
        });
        Some(CopyTask {
            attempts: facts.attempts,
            first_attempt: facts.first_attempt,
            replayed: before.replayed,
            ..CopyTask::new(self.settings.clock.now(), task, number)
        })
    }

    /// Warns only once about a backend that stores no copies: a queue server of your own may honour
    /// `Retry-After`.
    fn say_not_copied(&self, envelope: &Envelope, error: &Error) {
        let is_never = matches!(error, Error::Unsupported { .. });
        if is_never && self.settings.has_warned.swap(true, Ordering::Relaxed) {
            return;
        }
        log::say(|| {
            tracing::warn!(
                id = %envelope.spec.id,
                error = chain(error),
                "a copy for the time that the handler chose cannot be stored: the queue's backoff \
                 replaces that time"
            );
        });
    }
}
