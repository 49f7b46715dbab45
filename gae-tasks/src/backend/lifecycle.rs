//! Decides what becomes of a task: pure functions of its facts, an event, its queue's
//! configuration, and the time. Backends store the change.

use std::borrow::Cow;
use std::time::Duration;

use super::lease::Standing;
use super::record::{TaskError, TaskRecord, TaskState, error_text};
use super::refusers::Refusers;
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
    /// The number of attempts that began and ended, in whatever way.
    pub(crate) attempts: u32,
    /// When the first attempt began.
    pub(crate) first_attempt: Option<Timestamp>,
    /// The number of leases lost since the task was stored, replayed or answered with a retry.
    pub(crate) lost_leases: u32,
    /// The number of these losses that count as attempts.
    pub(crate) lost_attempts: u32,
    /// How often readers have refused the value since an attempt ended otherwise.
    pub(crate) refusals: u32,
    /// The readers that refused it. Only they obey the [wait](Self::wait); any other reader may
    /// have the task at once.
    pub(crate) refusers: Refusers,
    /// Whether the task was made due by hand, and no attempt has been answered since: it is leased
    /// even while its queue is paused, and before the other tasks of its queue.
    pub(crate) forced: bool,
    /// The task's own cap on attempts, which ends it whatever its queue allows.
    pub(crate) max_attempts: Option<u32>,
    /// When the task became a dead letter.
    pub(crate) died: Option<Timestamp>,
}

/// What a task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// A worker, whatever the clock says; the timestamp is the task's place in the order.
    Worker(Timestamp),
    /// This time.
    Until(Timestamp),
    /// This time, which was chosen at `since`: if the clock is set back, the pause begins anew.
    Pause { until: Timestamp, since: Timestamp },
}

impl Wait {
    /// Returns the task's place in the order, which for a timed wait is also the time it ends.
    pub(crate) const fn due(self) -> Timestamp {
        match self {
            Self::Worker(due) | Self::Until(due) | Self::Pause { until: due, .. } => due,
        }
    }

    /// Whether the wait ends at a time.
    pub(crate) const fn is_timed(self) -> bool {
        !matches!(self, Self::Worker(_))
    }

    /// Returns when a pause was chosen; `None` for other waits.
    #[cfg(any(test, feature = "postgres", feature = "sqlite"))]
    pub(crate) const fn since(self) -> Option<Timestamp> {
        match self {
            Self::Pause { since, .. } => Some(since),
            Self::Worker(_) | Self::Until(_) => None,
        }
    }

    /// Creates a wait from its parts.
    #[cfg(any(test, feature = "postgres", feature = "sqlite"))]
    pub(crate) const fn of(is_timed: bool, since: Option<Timestamp>, due: Timestamp) -> Self {
        match (is_timed, since) {
            (false, _) => Self::Worker(due),
            (true, None) => Self::Until(due),
            (true, Some(since)) => Self::Pause { until: due, since },
        }
    }

    /// Returns the wait of a task that is stored at `now`.
    pub(crate) fn scheduled(schedule: Schedule, now: Timestamp) -> Self {
        let due = schedule.resolve(now);
        if schedule.is_timed() { Self::Until(due) } else { Self::Worker(due) }
    }

    /// Whether the wait is over: nothing but a worker is missing.
    pub(crate) fn is_over(self, now: Timestamp) -> bool {
        !self.is_timed() || self.due() <= now
    }

    /// Returns the pause begun anew if this is a pause that began in the future, because the clock
    /// was set back.
    pub(crate) fn shortened(self, now: Timestamp) -> Option<Self> {
        match self {
            Self::Pause { until, since } if since > now => {
                Some(Self::Pause { until: now.plus(until.since(since)), since: now })
            }
            _ => None,
        }
    }
}

/// The limits on the attempts of a task, from its queue's configuration and its own settings.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// How failed attempts are retried.
    pub(crate) retry: RetryConfig,
    /// Whether the backoff was given when the task was deferred, so that the backoff of its type is
    /// ignored.
    pub(crate) is_own_backoff: bool,
    /// The task whose default pauses are lengthened by jitter; `None` adds no jitter.
    pub(crate) jitter_of: Option<TaskId>,
    /// The number of attempts that may end by the loss of the worker.
    pub(crate) max_lost_attempts: u32,
    /// When the storage itself deletes the task, whatever the other limits are.
    pub(crate) ends: Option<Timestamp>,
}

impl Rules {
    /// Returns the rules of a queue for a task with `own` retry settings.
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

    /// Adds jitter to the default pauses of the task `id`; for tasks whose next attempt this crate
    /// schedules.
    pub(crate) fn jittered(self, id: TaskId) -> Self {
        Self { jitter_of: Some(id), ..self }
    }

    /// Returns the pause after failed attempt number `attempt`, with the backoff of the task's
    /// type.
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

/// A change of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    /// The task is over and deleted; its name leaves a tombstone.
    Over,
    /// The task waits as before, and none of its facts has changed.
    Back,
    /// The task has these facts, and waits or is dead accordingly. An error is added to its kept
    /// errors.
    To { facts: Facts, error: Option<Cow<'a, str>> },
}

impl Facts {
    /// Returns the facts of a task that is stored at `now`.
    pub(crate) fn new(schedule: Schedule, max_attempts: Option<u32>, now: Timestamp) -> Self {
        Self {
            created: now,
            wait: Wait::scheduled(schedule, now),
            attempts: 0,
            first_attempt: None,
            lost_leases: 0,
            lost_attempts: 0,
            refusals: 0,
            refusers: Refusers::NONE,
            forced: false,
            max_attempts,
            died: None,
        }
    }

    /// Returns the standing that follows from the lost leases.
    pub(crate) const fn standing(&self) -> Standing {
        Standing::of(self.lost_leases)
    }

    /// Returns the state of the task.
    pub(crate) const fn state(&self, is_leased: bool) -> TaskState {
        match (self.died, is_leased) {
            (Some(_), _) => TaskState::Dead,
            (None, true) => TaskState::Leased,
            (None, false) => TaskState::Scheduled,
        }
    }

    /// Returns the record of the task with these facts.
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
            refusals: self.refusals,
            refused_by: self.refusers.ids(),
            errors,
            died: self.died,
            ..TaskRecord::new(spec, payload, self.created)
        }
    }

    /// Whether the task has been tried enough, under the smaller of its own cap and `cap`.
    pub(crate) fn is_exhausted(&self, rules: &Rules, cap: Option<u32>, now: Timestamp) -> bool {
        let is_past = rules.ends.is_some_and(|end| now >= end);
        is_past || rules.retry.is_exhausted(self.tried(cap, now), now)
    }

    /// Returns how many more attempts are allowed; `None` if no number of attempts ends the task.
    pub(crate) fn left(&self, rules: &Rules, cap: Option<u32>) -> Option<u32> {
        // The queue's limits end a task only if both are reached.
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

    fn forget_refusals(&mut self) {
        (self.refusals, self.refusers) = (0, Refusers::NONE);
    }

    /// Forgets what sets the task apart until an attempt was answered.
    fn forget_exceptions(&mut self) {
        self.forget_refusals();
        self.forced = false;
    }
}

/// How the attempt under a lease ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended<'a> {
    pub(crate) verdict: &'a Verdict,
    /// When the attempt began, if known.
    pub(crate) began: Option<Timestamp>,
    /// The backoff of the task's type.
    pub(crate) backoff: TypeBackoff,
    /// Whether the cancellation of the task was requested while it was leased.
    pub(crate) cancelled: bool,
}

impl<'a> Ended<'a> {
    /// Creates the end of an attempt with an unknown start, for a task whose type sets no backoff.
    pub(crate) const fn of(verdict: &'a Verdict) -> Self {
        Self { verdict, began: None, backoff: TypeBackoff::NONE, cancelled: false }
    }
}

/// Settles a leased task. If this program cannot read the rules, a failed task is left to a program
/// that can. A task that was cancelled meanwhile is done or a dead letter.
pub(crate) fn settle<'a>(
    facts: Facts,
    ended: Ended<'a>,
    rules: Option<&Rules>,
    now: Timestamp,
) -> Change<'a> {
    let change = settle_uncancelled(facts, ended, rules, now);
    if ended.cancelled { cancelled(facts, change, now) } else { change }
}

fn settle_uncancelled<'a>(
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
        Verdict::Unreadable { error, reader } => {
            facts.refusals = facts.refusals.saturating_add(1);
            facts.refusers = facts.refusers.with(*reader);
            let until = now.plus(refusal_pause(facts.refusals));
            facts.wait = Wait::Pause { until, since: now };
            Change::To { facts, error: Some(error.into()) }
        }
        Verdict::Undeliverable { error } => {
            facts.forget_exceptions();
            facts.died = Some(now);
            Change::To { facts, error: Some(error.into()) }
        }
        Verdict::Permanent { error } => {
            facts.forget_exceptions();
            facts.count_attempt(began);
            facts.died = Some(now);
            Change::To { facts, error: Some(error.into()) }
        }
        Verdict::Retry { error, after, max_attempts } => {
            // A task that answers does not kill its worker. The pause before its next attempt is
            // for every reader, also for those that had refused it.
            facts.forget_losses();
            facts.forget_exceptions();
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
            Change::To { facts, error: Some(error.into()) }
        }
    }
}

/// How a leased task ran whose worker is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loss {
    /// Whether the task was the only suspect of its client's workers.
    pub(crate) alone: bool,
    /// Whether the cancellation of the task was requested while it was leased.
    pub(crate) cancelled: bool,
}

/// Recovers a leased task whose worker is gone. If the task ran alone, the loss counts as an
/// attempt; otherwise the task may never have started, or another task may be to blame. If this
/// program cannot read the rules, a program that can decides whether the task dies. A task that was
/// cancelled meanwhile is a dead letter.
pub(crate) fn lose(
    facts: Facts,
    loss: Loss,
    rules: Option<&Rules>,
    now: Timestamp,
) -> Change<'static> {
    let change = lose_uncancelled(facts, loss.alone, rules, now);
    if loss.cancelled { cancelled(facts, change, now) } else { change }
}

fn lose_uncancelled(
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
    Change::To { facts, error: Some(error_text::LEASE_LOST.into()) }
}

/// Ends the lease of a task whose cancellation was requested: the task is not attempted again,
/// whatever else would become of it.
fn cancelled<'a>(facts: Facts, change: Change<'a>, now: Timestamp) -> Change<'a> {
    let (mut facts, error) = match change {
        Change::Over => return Change::Over,
        Change::Back => (facts, None),
        Change::To { facts, error } => (facts, error),
    };
    facts.died = Some(now);
    Change::To { facts, error: Some(error_text::cancelled(error.as_deref()).into()) }
}

/// Makes a waiting task due at once, for every reader, even if its queue is paused.
///
/// # Errors
/// The reason why the task cannot run now.
pub(crate) fn run_now(
    facts: Facts,
    is_leased: bool,
    now: Timestamp,
) -> Result<Facts, &'static str> {
    match facts.state(is_leased) {
        TaskState::Scheduled => {
            let mut facts = Facts { wait: Wait::Worker(facts.wait.due().min(now)), ..facts };
            facts.forget_refusals();
            facts.forced = true;
            Ok(facts)
        }
        TaskState::Leased => Err(error_text::RUNNING),
        TaskState::Dead => Err(error_text::DEAD),
    }
}

/// Gives a dead letter a new life.
///
/// # Errors
/// The task is not dead.
pub(crate) fn replay(facts: Facts, now: Timestamp) -> Result<Facts, &'static str> {
    if facts.died.is_none() {
        return Err(error_text::NOT_DEAD);
    }
    let new = Facts::new(Schedule::Now, facts.max_attempts, now);
    Ok(Facts { created: facts.created, ..new })
}

/// Makes a dead letter of a task that ended elsewhere.
pub(crate) fn bury(
    facts: Facts,
    attempts: u32,
    first_attempt: Option<Timestamp>,
    now: Timestamp,
) -> Facts {
    Facts { attempts, first_attempt, died: Some(now), ..facts }
}

/// Whether the retention of a dead letter has passed.
pub(crate) fn is_forgotten(died: Timestamp, queue: &QueueConfig, now: Timestamp) -> bool {
    died <= forgotten_before(queue, now)
}

/// Returns the latest time of death of dead letters that are deleted at `now`.
pub(crate) fn forgotten_before(queue: &QueueConfig, now: Timestamp) -> Timestamp {
    now.minus(queue.dead_letter_retention())
}

/// The holder of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A stored task.
    Task(TaskId),
    /// A task that is over; its name is blocked until this time.
    Tombstone { of: TaskId, until: Timestamp },
}

/// Returns the answer for a caller that defers the task `id` under a name with this holder; `None`
/// if the name is free.
pub(crate) fn refuse_name(holder: Option<Holder>, id: TaskId, now: Timestamp) -> Option<Deferred> {
    match holder? {
        Holder::Task(of) => Some(Deferred::new(of, false)),
        // A tombstone of this same task means that the first answer was lost.
        Holder::Tombstone { of, until } if until > now => Some(Deferred::new(of, of == id)),
        Holder::Tombstone { .. } => None,
    }
}

/// Returns until when the name of a task that ends at `now` is blocked. If the queue cannot be
/// read, the time is longer than most queues set.
pub(crate) fn tombstone(queue: Option<&QueueConfig>, now: Timestamp) -> Timestamp {
    now.plus(queue.map_or(LONGEST_TOMBSTONE, QueueConfig::tombstone_retention))
}

/// How long a name is blocked if its queue's configuration cannot be read.
const LONGEST_TOMBSTONE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The pauses of a reader after the first refusal, and at most.
const REFUSED: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(60 * 60)];

/// Returns the pause of the readers that refused the value of a task, after so many refusals by all
/// of them.
pub(crate) fn refusal_pause(refusals: u32) -> Duration {
    let doublings = 1_u32.checked_shl(refusals.saturating_sub(1)).unwrap_or(u32::MAX);
    REFUSED[0].saturating_mul(doublings).min(REFUSED[1])
}

#[cfg(test)]
mod tests;
