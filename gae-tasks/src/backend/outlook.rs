//! What follows a failed attempt, for its log line: the number of attempts left and the time of the
//! next one.

use std::fmt;
use std::time::Duration;

use super::lease::LeasedTask;
use super::lifecycle::{Change, Ended, Facts, Rules, settle};
use super::settle::Verdict;
use crate::outcome::Failure;
use crate::queue::QueueConfig;
use crate::registration::Registration;
use crate::time::{Schedule, Timestamp, readable};

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// The number of attempts left; `None` if no number of attempts ends the task.
    pub(crate) left: Option<u32>,
    pub(crate) next: Next,
}

/// The time of the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// After this pause.
    After(Duration),
    /// When the pushing queue sends the task again.
    #[cfg(feature = "push")]
    Pushed,
    /// There is none.
    Never,
}

impl Outlook {
    /// No attempt follows.
    pub(crate) const LAST: Self = Self { left: Some(0), next: Next::Never };

    /// Returns what follows the attempt at a leased task that began at `began` and failed at `now`.
    ///
    /// When the outcome is recorded, the storage decides by the same function and the same
    /// settings.
    pub(crate) fn of_leased(
        task: &LeasedTask,
        registration: &Registration,
        failure: &Failure,
        began: Timestamp,
        now: Timestamp,
    ) -> Self {
        let mut facts = Facts::new(Schedule::Now, task.spec.max_attempts, now);
        (facts.attempts, facts.first_attempt) = (task.attempts, task.first_attempt);
        let queue = match &task.retry {
            Some(retry) => QueueConfig::new().with_retry(retry.as_ref().clone()),
            None => QueueConfig::new(),
        };
        let rules = Rules::of(&queue, task.spec.retry.clone()).jittered(task.spec.id);
        let cap = registration.max_attempts;
        let verdict = Verdict::Retry {
            error: String::new(),
            after: failure.retry_after(),
            max_attempts: cap,
        };
        let ended =
            Ended { began: Some(began), backoff: registration.backoff, ..Ended::of(&verdict) };
        match settle(facts, ended, Some(&rules), now) {
            Change::To { facts, .. } if facts.died.is_none() => Self {
                left: facts.left(&rules, cap),
                next: Next::After(facts.wait.due().since(now)),
            },
            _ => Self::LAST,
        }
    }
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(pause) if pause.is_zero() => f.write_str("at once"),
            Self::After(pause) => {
                // Jitter makes fractions of a millisecond, which are noise in a log line.
                let whole =
                    Duration::from_millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
                write!(f, "in {}", readable(whole))
            }
            #[cfg(feature = "push")]
            Self::Pushed => f.write_str("when the queue sends it again"),
            Self::Never => f.write_str("never"),
        }
    }
}

/// Writes the end of a sentence about the failed attempt.
impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.left, self.next) {
            (_, Next::Never) => f.write_str("it was the last one"),
            (Some(1), next) => write!(f, "1 more is left, {next}"),
            (Some(left), next) => write!(f, "{left} more are left, the next one {next}"),
            (None, next) => write!(f, "the next one is {next}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::{LeaseRef, LeaseToken};
    use crate::outcome::{Outcome, TaskFailure};
    use crate::queue::{QueueName, RetryConfig};
    use crate::task::{Kind, Shape, TaskId, TaskSpec};

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);

    fn leased(attempts: u32, retry: RetryConfig) -> LeasedTask {
        let id = TaskId::from_bytes([7; 16]);
        let spec = TaskSpec::new(
            id,
            Kind::from_static("shop/send"),
            Shape::from_bits(1),
            QueueName::DEFAULT,
        );
        let mut task =
            LeasedTask::new(LeaseRef::new(id, LeaseToken::from_bits(1)), spec, Vec::new(), NOW);
        (task.attempts, task.retry) = (attempts, Some(Arc::new(retry)));
        task.first_attempt = (attempts > 0).then(|| NOW.minus(Duration::from_secs(60)));
        task
    }

    fn registration(max_attempts: Option<u32>) -> Registration {
        Registration { max_attempts, ..Registration::for_test() }
    }

    fn text(task: &LeasedTask, cap: Option<u32>, after: Option<Duration>) -> String {
        let failure = match after {
            Some(after) => TaskFailure::retry_after(after).into(),
            None => "it failed".into(),
        };
        let outcome = Outcome::failed(None, failure);
        let Outcome::Retry(failure) = outcome else { panic!("{outcome:?}") };
        Outlook::of_leased(task, &registration(cap), &failure, NOW, NOW).to_string()
    }

    #[test]
    fn a_failure_says_how_many_attempts_are_left_and_when_the_next_one_is() {
        let retry =
            RetryConfig::new().with_min_backoff(Duration::from_secs(45)).with_max_attempts(Some(8));
        assert_eq!(
            text(&leased(0, retry.clone()), None, None),
            "7 more are left, the next one in 45 s"
        );
        assert_eq!(
            text(&leased(1, retry.clone()), None, None),
            "6 more are left, the next one in 1 min 30 s"
        );
        assert_eq!(text(&leased(1, retry.clone()), Some(3), None), "1 more is left, in 1 min 30 s");
        assert_eq!(text(&leased(2, retry.clone()), Some(3), None), "it was the last one");
        assert_eq!(text(&leased(7, retry), None, None), "it was the last one");
    }

    #[test]
    fn a_pause_that_the_handler_asks_for_is_said() {
        let task = leased(0, RetryConfig::new());
        assert_eq!(
            text(&task, None, Some(Duration::from_secs(600))),
            "99 more are left, the next one in 10 min"
        );
        assert_eq!(text(&task, Some(2), Some(Duration::ZERO)), "1 more is left, at once");
    }

    #[test]
    fn limits_that_stop_together_have_no_number_of_attempts() {
        let hours = Duration::from_secs(7200);
        let retry = RetryConfig::new()
            .with_min_backoff(Duration::from_secs(5))
            .with_max_retry_duration(Some(hours));
        let both = leased(0, retry.clone().with_max_attempts(Some(2)));
        assert_eq!(text(&both, None, None), "the next one is in 5 s");
        assert_eq!(
            text(&leased(0, retry.with_max_attempts(None)), None, None),
            "the next one is in 5 s"
        );
        let over = RetryConfig::new()
            .with_max_attempts(None)
            .with_max_retry_duration(Some(Duration::from_secs(60)));
        assert_eq!(
            text(&leased(1, over), None, None),
            "it was the last one",
            "60 seconds after its first attempt"
        );
    }
}
