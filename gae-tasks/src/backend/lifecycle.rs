//! What becomes of a task: pure functions of its facts, an event, what its queue says, and the moment. Backends store the
//! change.

use std::time::Duration;

use super::lease::Standing;
use super::record::{TaskError, TaskRecord, TaskState, error_text};
use super::settle::Verdict;
use crate::queue::{Attempts, QueueConfig, RetryConfig, TypeBackoff, jitter};
use crate::task::{Deferred, TaskId, TaskSpec};
use crate::time::{Schedule, Timestamp};

/// The facts of a stored task that decide what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// When the task was stored.
    pub(crate) created: Timestamp,
    /// What the task waits for; while it is leased or dead, what it waited for before.
    pub(crate) wait: Wait,
    /// Attempts that began and ended, in whatever way.
    pub(crate) attempts: u32,
    /// When the first of them began.
    pub(crate) first_attempt: Option<Timestamp>,
    /// Leases lost since the task was stored, replayed or answered with a retry.
    pub(crate) lost_leases: u32,
    /// Of these, those that were attempts.
    pub(crate) lost_attempts: u32,
    /// A cap on its attempts that stops alone.
    pub(crate) max_attempts: Option<u32>,
    /// When it became a dead letter.
    pub(crate) died: Option<Timestamp>,
}

/// What a task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// A worker, whatever the clock says; the moment is its place in the order.
    Worker(Timestamp),
    /// This moment.
    Until(Timestamp),
    /// This moment, which was chosen at the moment `since`: if the clock is set back, as long from then on.
    Pause { until: Timestamp, since: Timestamp },
}

impl Wait {
    /// Its place in the order, and from when on it is due if it is timed.
    pub(crate) const fn due(self) -> Timestamp {
        match self {
            Self::Worker(due) | Self::Until(due) | Self::Pause { until: due, .. } => due,
        }
    }

    /// Whether it ends with a moment.
    pub(crate) const fn is_timed(self) -> bool {
        !matches!(self, Self::Worker(_))
    }

    /// When its pause was chosen, if it is one.
    #[cfg(any(test, feature = "sqlite"))]
    pub(crate) const fn since(self) -> Option<Timestamp> {
        match self {
            Self::Pause { since, .. } => Some(since),
            Self::Worker(_) | Self::Until(_) => None,
        }
    }

    /// The wait of these parts.
    #[cfg(any(test, feature = "sqlite"))]
    pub(crate) const fn of(is_timed: bool, since: Option<Timestamp>, due: Timestamp) -> Self {
        match (is_timed, since) {
            (false, _) => Self::Worker(due),
            (true, None) => Self::Until(due),
            (true, Some(since)) => Self::Pause { until: due, since },
        }
    }

    /// The wait of a task that is stored at `now`.
    pub(crate) fn scheduled(schedule: Schedule, now: Timestamp) -> Self {
        let due = schedule.resolve(now);
        if schedule.is_timed() { Self::Until(due) } else { Self::Worker(due) }
    }

    /// Whether it is over: nothing but a worker is missing.
    pub(crate) fn is_over(self, now: Timestamp) -> bool {
        !self.is_timed() || self.due() <= now
    }

    /// If it is a pause that began in the future, as the clock was set back: the pause that begins anew.
    pub(crate) fn shortened(self, now: Timestamp) -> Option<Self> {
        match self {
            Self::Pause { until, since } if since > now => {
                Some(Self::Pause { until: now.plus(until.since(since)), since: now })
            }
            _ => None,
        }
    }
}

/// What limits the attempts of a task, of what its queue and the task itself say.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// How a failed attempt is followed by another.
    pub(crate) retry: RetryConfig,
    /// Whether the backoff was given when the task was deferred, so that its type's gives way.
    pub(crate) is_own_backoff: bool,
    /// The task whose default pauses are a little longer than others'; `None` adds nothing.
    pub(crate) jitter_of: Option<TaskId>,
    /// So many attempts may end by the loss of the worker.
    pub(crate) max_lost_attempts: u32,
    /// When the storage itself forgets the task, whatever else is said.
    pub(crate) ends: Option<Timestamp>,
}

impl Rules {
    /// Those of a queue for a task with retry settings of its `own`.
    pub(crate) fn of(queue: &QueueConfig, own: Option<RetryConfig>) -> Self {
        let is_own_backoff = own.as_ref().is_some_and(RetryConfig::has_own_backoff);
        let retry = own.unwrap_or_else(|| queue.retry().clone());
        Self {
            retry,
            is_own_backoff,
            jitter_of: None,
            max_lost_attempts: queue.max_lost_attempts(),
            ends: None,
        }
    }

    /// These, where this crate decides when a task is tried again: default pauses of the task `id` get their jitter.
    pub(crate) fn jittered(self, id: TaskId) -> Self {
        Self { jitter_of: Some(id), ..self }
    }

    /// The pause after the failed attempt of this number, under what the task's type states of its backoff.
    pub(crate) fn pause(&self, attempt: u32, of_type: TypeBackoff) -> Duration {
        let stated = if self.is_own_backoff { TypeBackoff::NONE } else { of_type };
        let retry = self.retry.clone().with_type_backoff(stated);
        let pause = retry.backoff(attempt);
        match self.jitter_of.filter(|_| !retry.has_own_backoff()) {
            Some(id) => pause.saturating_add(jitter(id, attempt, pause)),
            None => pause,
        }
    }
}

/// What becomes of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    /// It is over and deleted; its name leaves a tombstone.
    Over,
    /// It waits as it did, and no fact of it has changed.
    Back,
    /// It has these facts, and waits or is dead as they say. An error is added to those kept with it.
    To { facts: Facts, error: Option<&'a str> },
}

impl Facts {
    /// Those of a task that is stored at `now`.
    pub(crate) fn new(schedule: Schedule, max_attempts: Option<u32>, now: Timestamp) -> Self {
        Self {
            created: now,
            wait: Wait::scheduled(schedule, now),
            attempts: 0,
            first_attempt: None,
            lost_leases: 0,
            lost_attempts: 0,
            max_attempts,
            died: None,
        }
    }

    /// What its lost leases make of the task.
    pub(crate) const fn standing(&self) -> Standing {
        Standing::of(self.lost_leases)
    }

    /// Where the task stands.
    pub(crate) const fn state(&self, is_leased: bool) -> TaskState {
        match (self.died, is_leased) {
            (Some(_), _) => TaskState::Dead,
            (None, true) => TaskState::Leased,
            (None, false) => TaskState::Scheduled,
        }
    }

    /// The record of the task with these facts.
    pub(crate) fn record(
        &self,
        spec: TaskSpec,
        payload: Option<Vec<u8>>,
        is_leased: bool,
        errors: Vec<TaskError>,
    ) -> TaskRecord {
        TaskRecord {
            state: self.state(is_leased),
            schedule_time: self.wait.due(),
            first_attempt: self.first_attempt,
            attempts: self.attempts,
            lost_leases: self.lost_leases,
            lost_attempts: self.lost_attempts,
            errors,
            died: self.died,
            ..TaskRecord::new(spec, payload, self.created)
        }
    }

    /// Whether the task has been tried enough, under the smaller of its own cap and another one.
    pub(crate) fn is_exhausted(&self, rules: &Rules, cap: Option<u32>, now: Timestamp) -> bool {
        let is_past = rules.ends.is_some_and(|end| now >= end);
        is_past || rules.retry.is_exhausted(self.tried(cap, now), now)
    }

    /// How many more attempts a number allows; `None` where no number of attempts ends the task.
    pub(crate) fn left(&self, rules: &Rules, cap: Option<u32>) -> Option<u32> {
        // The queue's limits stop together only.
        let of_queue =
            rules.retry.max_attempts().filter(|_| rules.retry.max_retry_duration().is_none());
        let most = [self.max_attempts, cap, of_queue].into_iter().flatten().min();
        most.map(|most| most.saturating_sub(self.attempts))
    }

    fn tried(&self, cap: Option<u32>, now: Timestamp) -> Attempts {
        let cap = [self.max_attempts, cap].into_iter().flatten().min();
        Attempts::new(self.attempts, self.first_attempt.unwrap_or(now), cap)
    }

    fn count_attempt(&mut self, began: Timestamp) {
        self.attempts = self.attempts.saturating_add(1);
        self.first_attempt.get_or_insert(began);
    }

    fn forget_losses(&mut self) {
        (self.lost_leases, self.lost_attempts) = (0, 0);
    }
}

/// How the attempt under a lease ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended<'a> {
    pub(crate) verdict: &'a Verdict,
    /// When the attempt began; `None` is unknown.
    pub(crate) began: Option<Timestamp>,
    /// The backoff of the task's type.
    pub(crate) backoff: TypeBackoff,
}

impl<'a> Ended<'a> {
    /// An attempt of unknown begin, of a task whose type states no backoff.
    #[cfg(any(test, feature = "push"))]
    pub(crate) const fn of(verdict: &'a Verdict) -> Self {
        Self { verdict, began: None, backoff: TypeBackoff::NONE }
    }
}

/// A leased task whose worker answers. Where nobody here can read the rules, a failed task is left to a program that can.
pub(crate) fn settle<'a>(
    facts: Facts,
    ended: Ended<'a>,
    rules: Option<&Rules>,
    now: Timestamp,
) -> Change<'a> {
    let mut facts = facts;
    let began = ended.began.unwrap_or(now);
    match ended.verdict {
        Verdict::Done => Change::Over,
        Verdict::Release => Change::Back,
        Verdict::Unreadable { error } => {
            facts.wait = Wait::Pause { until: after_unreadable(facts.created, now), since: now };
            Change::To { facts, error: Some(error) }
        }
        Verdict::Permanent { error } => {
            facts.count_attempt(began);
            facts.died = Some(now);
            Change::To { facts, error: Some(error) }
        }
        Verdict::Retry { error, after, max_attempts } => {
            // A task that answers does not kill its worker.
            facts.forget_losses();
            facts.count_attempt(began);
            match rules {
                None => facts.wait = Wait::Worker(facts.wait.due()),
                Some(rules) if facts.is_exhausted(rules, *max_attempts, now) => {
                    facts.died = Some(now)
                }
                Some(rules) => {
                    let pause = after.unwrap_or_else(|| rules.pause(facts.attempts, ended.backoff));
                    facts.wait = Wait::Pause { until: now.plus(pause), since: now };
                }
            }
            Change::To { facts, error: Some(error) }
        }
    }
}

/// A leased task whose worker is gone. If it ran `alone`, that was an attempt; else it may never have started, or another
/// task may be to blame. Whether it dies is left to a program that can read the rules.
pub(crate) fn lose(
    facts: Facts,
    alone: bool,
    rules: Option<&Rules>,
    now: Timestamp,
) -> Change<'static> {
    let mut facts = facts;
    facts.lost_leases = facts.lost_leases.saturating_add(1);
    if !alone {
        return Change::To { facts, error: None };
    }
    facts.lost_attempts = facts.lost_attempts.saturating_add(1);
    facts.count_attempt(now);
    let is_over = |rules: &Rules| {
        facts.is_exhausted(rules, None, now) || facts.lost_attempts >= rules.max_lost_attempts
    };
    if rules.is_some_and(is_over) {
        facts.died = Some(now);
    }
    Change::To { facts, error: Some(error_text::LEASE_LOST) }
}

/// A task that is to run at once.
///
/// # Errors
/// Why it cannot.
pub(crate) fn run_now(
    facts: Facts,
    is_leased: bool,
    now: Timestamp,
) -> Result<Facts, &'static str> {
    match facts.state(is_leased) {
        TaskState::Scheduled => {
            Ok(Facts { wait: Wait::Worker(facts.wait.due().min(now)), ..facts })
        }
        TaskState::Leased => Err(error_text::RUNNING),
        TaskState::Dead => Err(error_text::DEAD),
    }
}

/// A dead letter that gets a new life.
///
/// # Errors
/// It is not dead.
pub(crate) fn replay(facts: Facts, now: Timestamp) -> Result<Facts, &'static str> {
    if facts.died.is_none() {
        return Err(error_text::NOT_DEAD);
    }
    let new = Facts::new(Schedule::Now, facts.max_attempts, now);
    Ok(Facts { created: facts.created, ..new })
}

/// A task that ended elsewhere and is kept as a dead letter.
pub(crate) fn bury(
    facts: Facts,
    attempts: u32,
    first_attempt: Option<Timestamp>,
    now: Timestamp,
) -> Facts {
    Facts { attempts, first_attempt, died: Some(now), ..facts }
}

/// Whether a dead letter has been kept for as long as its queue says.
pub(crate) fn is_forgotten(died: Timestamp, queue: &QueueConfig, now: Timestamp) -> bool {
    died <= forgotten_before(queue, now)
}

/// When the youngest dead letter died that is forgotten `now`.
pub(crate) fn forgotten_before(queue: &QueueConfig, now: Timestamp) -> Timestamp {
    now.minus(queue.dead_letter_retention())
}

/// What has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A stored task.
    Task(TaskId),
    /// A task that is over, until this moment.
    Tombstone { of: TaskId, until: Timestamp },
}

/// The answer to who defers the task `id` under a name that has this holder; `None` if the name is free.
pub(crate) fn refuse_name(holder: Option<Holder>, id: TaskId, now: Timestamp) -> Option<Deferred> {
    match holder? {
        Holder::Task(of) => Some(Deferred::new(of, false)),
        // The task may be this very one, already over: its first answer was lost.
        Holder::Tombstone { of, until } if until > now => Some(Deferred::new(of, of == id)),
        Holder::Tombstone { .. } => None,
    }
}

/// Until when the name of a task is blocked that ends `now`; longer than most queues say, where this one cannot be read.
pub(crate) fn tombstone(queue: Option<&QueueConfig>, now: Timestamp) -> Timestamp {
    now.plus(queue.map_or(LONGEST_TOMBSTONE, QueueConfig::tombstone_retention))
}

/// How long a name is blocked if its queue cannot be read.
const LONGEST_TOMBSTONE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The shortest and the longest pause of a task whose payload could not be read.
const UNREADABLE: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(60 * 60)];

/// When a task that was stored at `created`, and whose payload could not be read at `now`, is leased again. Its pause
/// is about as long as it has been stored, so it is leased less and less often.
pub(crate) fn after_unreadable(created: Timestamp, now: Timestamp) -> Timestamp {
    now.plus(now.since(created).clamp(UNREADABLE[0], UNREADABLE[1]))
}

#[cfg(test)]
mod tests;
