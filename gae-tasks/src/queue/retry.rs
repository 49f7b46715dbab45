//! When a failed task is retried, and when it is not: Cloud Tasks' own rules as pure functions.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backoff::{Backoff, TypeBackoff};
use crate::time::Timestamp;

/// How the tasks of a queue are retried. Fields, meaning and defaults are those of Cloud Tasks'
/// `RetryConfig`, except that the default backoff begins at one second.
///
/// The n-th retry comes `min(max_backoff, min_backoff · 2^e · max(1, n − e))` after the failure,
/// with `e = min(n − 1, max_doublings)`: exponential at first, then linear. Retrying stops when
/// **both** `max_attempts` and `max_retry_duration` are reached; a limit that is not set is
/// ignored.
///
/// If no setting of the backoff is given, backends that workers lease from add up to a tenth to
/// each pause, so that tasks that failed together are not retried together. Given pauses are kept
/// exactly.
///
/// Source:
/// [`RetryConfig`](https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues#RetryConfig).
///
/// ```
/// use std::time::Duration;
/// use gae_tasks::RetryConfig;
///
/// let patient = RetryConfig::new()
///     .with_min_backoff(Duration::from_secs(10))
///     .with_max_attempts(Some(5));
/// assert_eq!(patient.backoff(2), Duration::from_secs(20));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryConfig {
    max_attempts: Option<u32>,
    max_retry_duration: Option<Duration>,
    /// `None` if no setting of the backoff is given.
    backoff: Option<Backoff>,
}

impl RetryConfig {
    /// Creates the default settings: 100 attempts, backoff from 1 second to 1 hour with 16
    /// doublings.
    pub const fn new() -> Self {
        Self { max_attempts: Some(100), max_retry_duration: None, backoff: None }
    }

    /// Sets the most attempts, including the first; `None` is unlimited. Zero is refused where the
    /// settings are used.
    pub const fn with_max_attempts(mut self, attempts: Option<u32>) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Sets how long after its first attempt a task is retried; `None` and zero are unlimited.
    pub const fn with_max_retry_duration(mut self, duration: Option<Duration>) -> Self {
        self.max_retry_duration = match duration {
            Some(Duration::ZERO) => None,
            other => other,
        };
        self
    }

    /// Sets the pause before the first retry. A pause longer than `max_backoff` is refused where
    /// the settings are used.
    pub const fn with_min_backoff(mut self, backoff: Duration) -> Self {
        self.backoff = Some(Backoff { min: backoff, ..self.effective() });
        self
    }

    /// Sets the longest pause before a retry.
    pub const fn with_max_backoff(mut self, backoff: Duration) -> Self {
        self.backoff = Some(Backoff { max: backoff, ..self.effective() });
        self
    }

    /// Sets how often the pause doubles before it grows linearly.
    pub const fn with_max_doublings(mut self, doublings: u32) -> Self {
        self.backoff = Some(Backoff { max_doublings: doublings, ..self.effective() });
        self
    }

    /// The most attempts, including the first; `None` is unlimited.
    pub const fn max_attempts(&self) -> Option<u32> {
        self.max_attempts
    }

    /// How long after its first attempt a task is retried; `None` is unlimited.
    pub const fn max_retry_duration(&self) -> Option<Duration> {
        self.max_retry_duration
    }

    /// The pause before the first retry.
    pub const fn min_backoff(&self) -> Duration {
        self.effective().min
    }

    /// The longest pause before a retry.
    pub const fn max_backoff(&self) -> Duration {
        self.effective().max
    }

    /// How often the pause doubles before it grows linearly.
    pub const fn max_doublings(&self) -> u32 {
        self.effective().max_doublings
    }

    /// Whether a setting of the backoff is given, so that pauses are kept exactly.
    pub(crate) const fn has_own_backoff(&self) -> bool {
        self.backoff.is_some()
    }

    /// These settings with the backoff that a task type states.
    ///
    /// The type's values take precedence: if the type states only one of them and the other one of
    /// these settings contradicts it, the other one is adjusted.
    pub(crate) fn with_type_backoff(self, stated: TypeBackoff) -> Self {
        let (min, max) = match (stated.min, stated.max) {
            (None, None) => return self,
            (Some(min), None) => (min, self.max_backoff().max(min)),
            (None, Some(max)) => (self.min_backoff().min(max), max),
            (Some(min), Some(max)) => (min, max),
        };
        self.with_min_backoff(min).with_max_backoff(max)
    }

    /// The given backoff, or the default.
    pub(super) const fn effective(&self) -> Backoff {
        match self.backoff {
            Some(backoff) => backoff,
            None => Backoff::DEFAULT,
        }
    }

    /// The pause before the `retry`-th retry, counted from 1; without jitter.
    pub fn backoff(&self, retry: u32) -> Duration {
        self.effective().pause(retry)
    }

    /// When a task that failed at `now` is retried; `None` if it has been tried enough.
    pub fn next(&self, attempts: Attempts, now: Timestamp) -> Option<Timestamp> {
        if self.is_exhausted(attempts, now) {
            None
        } else {
            Some(now.plus(self.backoff(attempts.made)))
        }
    }

    /// Whether a task that failed at `now` has been tried enough.
    pub fn is_exhausted(&self, attempts: Attempts, now: Timestamp) -> bool {
        if attempts.cap.is_some_and(|cap| attempts.made >= cap) {
            return true;
        }
        let by_count = self.max_attempts.map(|max| attempts.made >= max);
        let by_age = self.max_retry_duration.map(|max| now.since(attempts.first) >= max);
        match (by_count, by_age) {
            (None, None) => false,
            (by_count, by_age) => by_count.unwrap_or(true) && by_age.unwrap_or(true),
        }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// The attempts made at one task so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempts {
    /// The number of attempts, including the failed one.
    pub made: u32,
    /// When the first attempt began.
    pub first: Timestamp,
    /// The task's own `max_attempts`: reaching it is enough to stop retrying.
    pub cap: Option<u32>,
}

impl Attempts {
    /// Creates the facts of `made` attempts, the first of which began at `first`, with the task's
    /// own `cap`.
    pub const fn new(made: u32, first: Timestamp, cap: Option<u32>) -> Self {
        Self { made, first, cap }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(min: f64, max: f64, doublings: u32) -> RetryConfig {
        RetryConfig::new()
            .with_min_backoff(Duration::from_secs_f64(min))
            .with_max_backoff(Duration::from_secs_f64(max))
            .with_max_doublings(doublings)
    }

    #[test]
    fn backoff_follows_the_vectors_of_the_app_engine_sdk() {
        let vectors: [(RetryConfig, [f64; 12]); 7] = [
            (
                config(10., 300., 3),
                [10., 20., 40., 80., 160., 240., 300., 300., 300., 300., 300., 300.],
            ),
            (RetryConfig::new(), [1., 2., 4., 8., 16., 32., 64., 128., 256., 512., 1024., 2048.]),
            (
                config(0.1, 3600., 16),
                [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8],
            ),
            (config(1., 8., 1), [1., 2., 4., 6., 8., 8., 8., 8., 8., 8., 8., 8.]),
            (config(1., 10., 0), [1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 10., 10.]),
            (config(5., 5., 4), [5.; 12]),
            (config(2., 1000., 4), [2., 4., 8., 16., 32., 64., 96., 128., 160., 192., 224., 256.]),
        ];
        for (config, delays) in vectors {
            for (retry, delay) in (1..).zip(delays) {
                assert_eq!(
                    config.backoff(retry),
                    Duration::from_secs_f64(delay),
                    "{config:?} retry {retry}"
                );
            }
        }
    }

    #[test]
    fn a_backoff_is_given_where_any_of_its_settings_is_though_the_value_is_the_default() {
        let default = RetryConfig::new().with_max_attempts(Some(3)).with_max_retry_duration(None);
        assert!(!default.has_own_backoff());
        let given = [
            default.clone().with_min_backoff(Backoff::DEFAULT.min),
            default.clone().with_max_backoff(Backoff::DEFAULT.max),
            default.with_max_doublings(Backoff::DEFAULT.max_doublings),
        ];
        for retry in given {
            assert!(retry.has_own_backoff() && retry.effective() == Backoff::DEFAULT, "{retry:?}");
        }
    }

    #[test]
    fn what_a_type_states_holds_and_the_rest_is_the_queues() {
        let second = Duration::from_secs(1);
        let queue = RetryConfig::new().with_min_backoff(second * 4).with_max_backoff(second * 60);
        let over = |min: Option<u32>, max: Option<u32>| {
            let [min, max] = [min, max].map(|seconds| seconds.map(|seconds| second * seconds));
            let retry = queue
                .clone()
                .with_max_attempts(Some(3))
                .with_type_backoff(TypeBackoff { min, max });
            assert_eq!(retry.max_attempts(), Some(3));
            (retry.min_backoff().as_secs(), retry.max_backoff().as_secs(), retry.has_own_backoff())
        };
        assert_eq!(over(Some(7), None), (7, 60, true));
        assert_eq!(over(None, Some(30)), (4, 30, true));
        assert_eq!(over(Some(7), Some(9)), (7, 9, true));
        assert_eq!(over(Some(90), None), (90, 90, true), "the queue's longest pause is adjusted");
        assert_eq!(over(None, Some(2)), (2, 2, true), "the queue's shortest pause is adjusted");
        assert_eq!(RetryConfig::new().with_type_backoff(TypeBackoff::NONE), RetryConfig::new());
    }

    #[test]
    fn both_limits_must_be_reached() {
        let config = RetryConfig::new()
            .with_max_attempts(Some(3))
            .with_max_retry_duration(Some(Duration::from_secs(10)));
        let first = Timestamp::from_micros(0);
        let exhausted = |made, seconds| {
            config.is_exhausted(
                Attempts::new(made, first, None),
                first.plus(Duration::from_secs(seconds)),
            )
        };
        assert!(!exhausted(3, 9), "the duration is not reached");
        assert!(!exhausted(2, 11), "the attempts are not reached");
        assert!(exhausted(3, 10));
    }

    #[test]
    fn without_limits_a_task_is_retried_for_ever() {
        let config = RetryConfig::new().with_max_attempts(None);
        let attempts = Attempts::new(u32::MAX, Timestamp::from_micros(0), None);
        assert!(!config.is_exhausted(attempts, Timestamp::MAX));
    }

    #[test]
    fn a_tasks_own_cap_stops_alone() {
        let config = RetryConfig::new().with_max_attempts(None);
        let at = Timestamp::from_micros(0);
        assert!(config.is_exhausted(Attempts::new(2, at, Some(2)), at));
        assert!(!config.is_exhausted(Attempts::new(1, at, Some(2)), at));
    }

    proptest! {
        #[test]
        fn backoff_grows_and_stays_in_bounds(
            min in any::<u64>(),
            max in any::<u64>(),
            doublings in any::<u32>(),
            retry in 1..u32::MAX,
        ) {
            let config = RetryConfig::new()
                .with_min_backoff(Duration::from_nanos(min))
                .with_max_backoff(Duration::from_nanos(max))
                .with_max_doublings(doublings);
            let (this, next) = (config.backoff(retry), config.backoff(retry + 1));
            prop_assert!(this <= next);
            prop_assert!(this <= Duration::from_nanos(max));
            prop_assert!(this >= Duration::from_nanos(min.min(max)));
        }

        #[test]
        fn a_retry_is_never_before_its_failure(
            made in any::<u32>(),
            now in any::<i64>(),
            first in any::<i64>(),
        ) {
            let now = Timestamp::from_micros(now);
            let attempts = Attempts::new(made, Timestamp::from_micros(first), None);
            if let Some(next) = RetryConfig::new().next(attempts, now) {
                prop_assert!(next >= now);
            }
        }
    }
}
