//! Postpones a task to the time that its handler chose: the queue takes that from no answer, so a copy is scheduled.

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
    /// Stores a copy of a task that has failed as `facts` say and is attempted again at `next`. Returns whether that is
    /// done, so that the queue may forget this one. If it is not, the queue's own pause decides.
    ///
    /// In a box, as all that is rare: the future of every request stays small.
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
                        "a named task is not copied: the queue's pause stands in for the time that its handler chose"
                    );
                });
                return false;
            };
            let number = copy.number;
            match self.settings.queue.copy(copy).await {
                Ok(()) => {
                    log::say(
                        || tracing::debug!(id = %envelope.spec.id, number, ?next, "postponed: a copy is stored"),
                    );
                    true
                }
                Err(error) => {
                    self.say_not_copied(envelope, &error);
                    false
                }
            }
        })
    }

    /// Stores a copy of a task that is granted one more attempt at `next`: the copy carries how many
    /// attempts came before, so that no answer which others give in between grants another one. The
    /// status remembers it for a task that has no copy.
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

    /// `None` for a named task: its name is what keeps it from being stored twice, and a copy cannot have it.
    fn copy_of(&self, envelope: &Envelope, facts: Facts, next: Timestamp) -> Option<CopyTask> {
        let before = envelope.copied.unwrap_or_default();
        let number = before.number.checked_add(1).filter(|_| !envelope.named)?;
        let schedule = Schedule::At(next);
        let task =
            NewTask { schedule, ..NewTask::new(envelope.spec.clone(), envelope.payload.clone()) };
        Some(CopyTask {
            attempts: facts.attempts,
            first_attempt: facts.first_attempt,
            replayed: before.replayed,
            ..CopyTask::new(self.settings.clock.now(), task, number)
        })
    }

    /// A backend that stores no copies is no news with the next task: a queue of one's own may honour `Retry-After`.
    fn say_not_copied(&self, envelope: &Envelope, error: &Error) {
        let is_never = matches!(error, Error::Unsupported { .. });
        if is_never && self.settings.has_warned.swap(true, Ordering::Relaxed) {
            return;
        }
        log::say(|| {
            tracing::warn!(
                id = %envelope.spec.id,
                error = chain(error),
                "a copy for the time that the handler chose cannot be stored: the queue's pause stands in for it"
            );
        });
    }
}
