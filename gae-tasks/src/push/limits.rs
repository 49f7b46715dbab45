//! Decides when a task has been tried enough: the queue itself has no limits.

use std::time::Duration;

use super::request::Reported;
use super::response::ONE_MORE;
use crate::backend::Verdict;
use crate::backend::lifecycle::{self, Change, Ended, Facts, Rules, Wait};
use crate::backend::outlook::{Next, Outlook};
use crate::envelope::Envelope;
use crate::queue::{QueueConfig, TypeBackoff};
use crate::task::TaskId;
use crate::time::{Schedule, Timestamp};

/// The time after its deferring at which a failing task becomes a dead letter whatever its limits:
/// Cloud Tasks deletes tasks after 31 days without notice, and the last attempt must come earlier.
/// Source: [quotas of Cloud Tasks](https://cloud.google.com/tasks/docs/quotas).
const LIFE: Duration = Duration::from_secs((31 * 24 - 12) * 60 * 60);

/// The limits of one task.
#[derive(Debug)]
pub(super) struct Limits {
    facts: Facts,
    rules: Rules,
    /// The cap of the task's type.
    cap: Option<u32>,
    /// Attempts made before this copy of the task was stored: the queue does not count them.
    before: u32,
}

impl Limits {
    /// The limits of the task in `envelope`, whose type has the cap `of_type`. A task without
    /// limits has those of a queue that states none.
    pub(super) fn of(
        envelope: &Envelope,
        of_type: Option<u32>,
        reported: &Reported,
        now: Timestamp,
    ) -> Self {
        let mut facts = Facts::new(Schedule::Now, envelope.spec.max_attempts, envelope.first_due);
        let copied = envelope.copied.unwrap_or_default();
        facts.attempts = copied.attempts.saturating_add(made(reported));
        // The first attempt begins now; in later attempts only the envelope says when it began.
        let first_attempt = copied.first_attempt.unwrap_or(envelope.first_due);
        facts.first_attempt = Some(if facts.attempts == 0 { now } else { first_attempt });
        let rules = Rules::of(&QueueConfig::new(), envelope.spec.retry.clone());
        let ends = ends(envelope.spec.id, copied.replayed);
        Self { facts, rules: Rules { ends, ..rules }, cap: of_type, before: copied.attempts }
    }

    /// The number of earlier attempts, as far as the queue's headers say: never too few, and too
    /// many if refusals cannot be distinguished.
    pub(super) const fn made(&self) -> u32 {
        self.facts.attempts
    }

    /// Decides what happens to the task after one more attempt.
    pub(super) fn settle<'a>(&self, verdict: &'a Verdict, now: Timestamp) -> Change<'a> {
        lifecycle::settle(self.facts, Ended::of(verdict), Some(&self.rules), now)
    }

    /// When a task that has failed with these `facts` is attempted again. If its handler chose a
    /// moment after the end of the task's life, the last attempt is at that end.
    pub(super) fn next(&self, facts: Facts) -> Timestamp {
        let due = facts.wait.due();
        self.rules.ends.map_or(due, |end| due.min(end))
    }

    /// Whether a task that is delivered again must not be run: it was tried enough, and the
    /// instance was lost before it could say so.
    ///
    /// The status of the previous answer says what happened.
    pub(super) fn are_reached_already(&self, reported: &Reported, now: Timestamp) -> bool {
        let made = self.before.saturating_add(made(reported));
        match reported.previous {
            // The attempt that made a copy has seen that the limits are not reached.
            _ if reported.retries == 0 => false,
            // The status does not distinguish a lost instance from a refusal where the platform
            // answers 503 itself, and the queue soon forgets the task.
            _ if is_past(self.rules.ends, now) => true,
            _ if made == self.before => false,
            // The task was not run, or failed as expected and was judged then, or was promised one
            // more attempt.
            Some(status) if is_refusal(status) || status == SINGULAR || status == ONE_MORE => false,
            // The task was judged then, so the only case left is a dead letter that could not be
            // stored. The task is older now.
            Some(500) => {
                let rules = Rules { ends: None, ..self.rules.clone() };
                self.facts.first_attempt.is_some_and(|first| self.are_reached(&rules, made, first))
            }
            _ => self.are_reached(&self.rules, made, now),
        }
    }

    /// Whether a failed task is attempted once more although its limits are reached: the delivery
    /// before was refused, so perhaps all were, and this was the first attempt. With a cap of 1 no
    /// second attempt is needed.
    ///
    /// A copy whose first attempt is its last one is not granted another: a grant made the copy.
    pub(super) fn grant_one_more(&self, reported: &Reported, now: Timestamp) -> bool {
        let caps = [self.facts.max_attempts, self.cap, self.rules.retry.max_attempts()];
        let is_last = || self.are_reached(&self.rules, self.before.saturating_add(1), now);
        reported.previous.is_some_and(is_refusal)
            && made(reported) > 0
            && (self.before == 0 || !is_last())
            && caps.into_iter().flatten().min() != Some(1)
            && !is_past(self.rules.ends, now)
            && self.are_reached(
                &self.rules,
                self.before.saturating_add(made(reported)).saturating_add(1),
                now,
            )
    }

    /// Returns the facts of a task that has failed as `facts` say and is granted one more attempt.
    /// That attempt is the last one, whatever is refused before it.
    pub(super) fn granted(&self, facts: Facts, after: Option<Duration>, now: Timestamp) -> Facts {
        let backoff = || self.rules.pause(facts.attempts, TypeBackoff::NONE);
        let until = now.plus(after.unwrap_or_else(backoff));
        let wait = Wait::Pause { until, since: now };
        Facts { attempts: self.facts.attempts, died: None, wait, ..facts }
    }

    /// Predicts what follows if the attempt fails.
    ///
    /// `after` is the pause that the handler chose, for a task that is copied.
    pub(super) fn outlook(
        &self,
        reported: &Reported,
        after: Option<Duration>,
        now: Timestamp,
    ) -> Outlook {
        let made = self.made().saturating_add(1);
        if self.grant_one_more(reported, now) {
            return Outlook { left: Some(1), next: Next::Pushed };
        }
        if self.are_reached(&self.rules, made, now) {
            return Outlook::LAST;
        }
        let left = Facts { attempts: made, ..self.facts }.left(&self.rules, self.cap);
        Outlook { left, next: after.map_or(Next::Pushed, Next::After) }
    }

    /// Whether one of these limits counts attempts.
    pub(super) fn count(&self) -> bool {
        self.facts.max_attempts.or(self.cap).or(self.rules.retry.max_attempts()).is_some()
    }

    /// Whether a task that has failed is not to be retried.
    fn are_reached(&self, rules: &Rules, made: u32, now: Timestamp) -> bool {
        Facts { attempts: made, ..self.facts }.is_exhausted(rules, self.cap, now)
    }
}

/// The status that answers an expected failure.
const SINGULAR: u16 = 408;

/// Whether a delivery with this status ran nothing.
const fn is_refusal(status: u16) -> bool {
    matches!(status, 400 | 403 | 404 | 405 | 413 | 503)
}

/// The number of earlier attempts. If the queue counts the answers other than 5xx, these are
/// refusals or expected failures: the status of the previous answer shows which.
fn made(reported: &Reported) -> u32 {
    let refused = reported.executions.filter(|_| reported.previous != Some(SINGULAR));
    reported.retries.saturating_sub(refused.unwrap_or(0))
}

/// Whether the life of the task, which was last `replayed` at this moment if ever, is nearly over.
pub(super) fn is_nearly_over(id: TaskId, replayed: Option<Timestamp>, now: Timestamp) -> bool {
    is_past(ends(id, replayed), now)
}

fn ends(id: TaskId, replayed: Option<Timestamp>) -> Option<Timestamp> {
    Some(replayed.or_else(|| id.made())?.plus(LIFE))
}

fn is_past(end: Option<Timestamp>, now: Timestamp) -> bool {
    end.is_some_and(|end| now >= end)
}

#[cfg(test)]
mod tests;
