//! The configuration of a queue, the same type for every backend.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::RetryConfig;
use super::priority::STEP;
use super::rate::{Rate, RateLimits};
use crate::retention::Retention;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The number of lost attempts that make a task a dead letter by default.
const MAX_LOST_ATTEMPTS: u32 = 5;

/// The retry settings of a queue that states none.
static RETRY: RetryConfig = RetryConfig::new();

/// The configuration of a queue: the fields that were set, and a default for each other field.
///
/// [`put_queue`](crate::Client::put_queue) writes the fields that were set; the others keep their
/// stored values. [`plan_queues`](crate::Client::plan_queues) makes whole queues as they are
/// configured. Configurations are built in constants too. See the guides
/// [queues](crate::guide::queues) and [limits](crate::guide::limits).
///
/// ```
/// use std::time::Duration;
/// use gae_tasks::{QueueConfig, RetryConfig};
///
/// let emails = QueueConfig::new().with_retry(RetryConfig::new().with_max_attempts(Some(10)));
/// assert_eq!(emails.retry().max_attempts(), Some(10));
/// assert_eq!(emails.dead_letter_retention(), Duration::from_secs(30 * 24 * 60 * 60));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueConfig {
    retry: Option<RetryConfig>,
    retention: Retention,
    max_lost_attempts: Option<u32>,
    limits: RateLimits,
    priority_step: Option<Duration>,
}

impl QueueConfig {
    /// Creates a configuration with no field set.
    pub const fn new() -> Self {
        Self {
            retry: None,
            retention: Retention::new(),
            max_lost_attempts: None,
            limits: RateLimits::NONE,
            priority_step: None,
        }
    }

    /// Sets how failed tasks are retried; all of these settings are one field.
    pub const fn with_retry(mut self, retry: RetryConfig) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sets how long dead letters are kept; 30 days by default. Cloud Tasks keeps none and accepts
    /// only zero.
    pub const fn with_dead_letter_retention(mut self, retention: Duration) -> Self {
        self.retention.dead_letters = Some(retention);
        self
    }

    /// Sets how long the name of a task stays blocked after the task's end; 24 hours by default. So
    /// does the key of a [unique](crate::Unique::over_finished) task that outlives it. Not
    /// supported on Cloud Tasks, which has a fixed time.
    pub const fn with_tombstone_retention(mut self, retention: Duration) -> Self {
        self.retention.tombstones = Some(retention);
        self
    }

    /// Sets how many attempts of a task may be lost with their worker before the task is a dead
    /// letter; 5 by default. [`put_queue`](crate::Client::put_queue) refuses zero. Not supported on
    /// Cloud Tasks, where no worker holds a task.
    pub const fn with_max_lost_attempts(mut self, attempts: u32) -> Self {
        self.max_lost_attempts = Some(attempts);
        self
    }

    /// Sets how many tasks of the queue are dispatched in a second, by all workers together;
    /// fractions too. Without it there is no limit; on Cloud Tasks, Google's own applies.
    ///
    /// The rate is that of a token bucket: each dispatch, retries included, takes a token, and the
    /// bucket is filled at this rate up to [its size](Self::with_max_burst_size). The rate is
    /// rounded to a millionth. [`put_queue`](crate::Client::put_queue) refuses a rate that is not
    /// above zero, or above a million (on Cloud Tasks, 500).
    pub const fn with_max_dispatches_per_second(mut self, rate: f64) -> Self {
        self.limits = self.limits.with_rate(Rate::per_second(rate));
        self
    }

    /// Sets the size of the token bucket: how many tasks may be dispatched at once after a quiet
    /// time. Without it, the bucket holds the tokens of one second, at least one; without a
    /// [rate](Self::with_max_dispatches_per_second), it limits nothing. Cloud Tasks chooses the
    /// size itself and accepts none. [`put_queue`](crate::Client::put_queue) refuses zero.
    pub const fn with_max_burst_size(mut self, tasks: u32) -> Self {
        self.limits = self.limits.with_burst(tasks);
        self
    }

    /// Sets how many tasks of the queue run at a time, in all workers together. Without it there is
    /// no limit; on Cloud Tasks, Google's own applies. [`put_queue`](crate::Client::put_queue)
    /// refuses zero.
    pub const fn with_max_concurrent_dispatches(mut self, tasks: u32) -> Self {
        self.limits = self.limits.with_concurrent(tasks);
        self
    }

    /// Sets what one step of [priority](crate::Defer::priority) is worth: a task stands in the
    /// order of the queue as if it had been due this much earlier for each; 30 seconds by default.
    /// It counts for tasks that wait already, too. [`put_queue`](crate::Client::put_queue) refuses
    /// less than a microsecond. Not supported on Cloud Tasks, which has no priorities.
    pub const fn with_priority_step(mut self, step: Duration) -> Self {
        self.priority_step = Some(step);
        self
    }

    /// How failed tasks are retried; [`RetryConfig::new`] by default.
    pub fn retry(&self) -> &RetryConfig {
        self.retry.as_ref().unwrap_or(&RETRY)
    }

    /// How long dead letters are kept; 30 days by default.
    pub fn dead_letter_retention(&self) -> Duration {
        self.retention.dead_letters.unwrap_or(DAY * 30)
    }

    /// How long the name of a task stays blocked after the task's end; 24 hours by default.
    pub fn tombstone_retention(&self) -> Duration {
        self.retention.tombstones.unwrap_or(DAY)
    }

    /// How many attempts of a task may be lost with their worker before the task is a dead letter;
    /// 5 by default.
    pub fn max_lost_attempts(&self) -> u32 {
        self.max_lost_attempts.unwrap_or(MAX_LOST_ATTEMPTS).max(1)
    }

    /// How many tasks are dispatched in a second; `None` is unlimited.
    pub fn max_dispatches_per_second(&self) -> Option<f64> {
        self.limits.rate().map(Rate::as_per_second)
    }

    /// The size of the token bucket, if set.
    pub const fn max_burst_size(&self) -> Option<u32> {
        self.limits.burst()
    }

    /// How many tasks run at a time; `None` is unlimited.
    pub const fn max_concurrent_dispatches(&self) -> Option<u32> {
        self.limits.concurrent()
    }

    /// What one step of priority is worth; 30 seconds by default.
    pub fn priority_step(&self) -> Duration {
        self.priority_step.unwrap_or(STEP)
    }

    /// The limits of the queue.
    pub(crate) const fn limits(&self) -> RateLimits {
        self.limits
    }

    /// The number of lost attempts, if set.
    pub(crate) const fn own_max_lost_attempts(&self) -> Option<u32> {
        self.max_lost_attempts
    }

    /// What one step of priority is worth, if set.
    pub(crate) const fn own_priority_step(&self) -> Option<Duration> {
        self.priority_step
    }

    /// The retention, if set.
    pub(crate) const fn own_retention(&self) -> Retention {
        self.retention
    }

    /// The retry settings, if set.
    pub(crate) fn own_retry(&self) -> Option<&RetryConfig> {
        self.retry.as_ref()
    }

    /// This configuration with every field that is set in `other`.
    pub(crate) fn merged(mut self, other: Self) -> Self {
        self.retry = other.retry.or(self.retry);
        self.retention.dead_letters = other.retention.dead_letters.or(self.retention.dead_letters);
        self.retention.tombstones = other.retention.tombstones.or(self.retention.tombstones);
        self.max_lost_attempts = other.max_lost_attempts.or(self.max_lost_attempts);
        self.limits = self.limits.merged(other.limits);
        self.priority_step = other.priority_step.or(self.priority_step);
        self
    }

    /// This configuration with the retries and limits of `other`, whether set or not, and with
    /// every other field that is set in `other`.
    pub(crate) fn replaced(self, other: Self) -> Self {
        let (retry, limits) = (other.retry.clone(), other.limits);
        Self { retry, limits, ..self.merged(other) }
    }

    /// This configuration without a size of the token bucket.
    pub(crate) const fn without_burst_size(mut self) -> Self {
        self.limits = self.limits.without_burst();
        self
    }

    /// This configuration with at least the `stated` retention, which replaces a shorter or unset
    /// one.
    pub(crate) fn raised(mut self, stated: Retention) -> Self {
        self.retention.dead_letters = self.retention.dead_letters.max(stated.dead_letters);
        self.retention.tombstones = self.retention.tombstones.max(stated.tombstones);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version;

    fn keeping(days: u32) -> Retention {
        Retention { dead_letters: Some(DAY * days), tombstones: Some(DAY * days) }
    }

    #[test]
    fn only_the_fields_that_are_set_replace_others() {
        let stored = QueueConfig::new()
            .with_retry(RetryConfig::new().with_max_attempts(Some(3)))
            .with_max_lost_attempts(9);
        let stored = stored.with_dead_letter_retention(DAY).with_tombstone_retention(DAY * 2);
        let stored = stored.with_priority_step(DAY);
        assert_eq!(stored.clone().merged(QueueConfig::new()), stored);
        let shorter = QueueConfig::new().with_dead_letter_retention(Duration::ZERO);
        let merged = stored.clone().merged(shorter);
        assert_eq!(merged.dead_letter_retention(), Duration::ZERO);
        assert_eq!(merged, stored.with_dead_letter_retention(Duration::ZERO));
    }

    /// A configuration is built where a program has its constants.
    const PATIENT: QueueConfig = QueueConfig::new()
        .with_retry(RetryConfig::new().with_max_attempts(Some(3)))
        .with_max_dispatches_per_second(0.5)
        .with_max_burst_size(8)
        .with_max_concurrent_dispatches(9)
        .with_dead_letter_retention(DAY)
        .with_tombstone_retention(DAY)
        .with_max_lost_attempts(6);

    #[test]
    fn a_replaced_configuration_has_no_retries_and_limits_but_those_of_the_other() {
        let kept = QueueConfig::new().with_dead_letter_retention(DAY).with_tombstone_retention(DAY);
        let kept = kept.with_max_lost_attempts(6);
        assert_eq!(PATIENT.replaced(QueueConfig::new()), kept, "what is not set stays beside them");
        let other = QueueConfig::new().with_max_burst_size(7).with_tombstone_retention(DAY * 2);
        let replaced = PATIENT.replaced(other);
        assert_eq!(replaced, kept.with_max_burst_size(7).with_tombstone_retention(DAY * 2));
        assert_eq!(replaced.without_burst_size().max_burst_size(), None);
    }

    /// Stored configurations outlive this program: changed bytes need a new version.
    #[test]
    fn the_bytes_of_a_configuration_stay() {
        let second = Duration::from_secs(1);
        let retry =
            RetryConfig::new().with_max_attempts(Some(3)).with_max_retry_duration(Some(second * 9));
        let retry =
            retry.with_min_backoff(second).with_max_backoff(second * 2).with_max_doublings(4);
        let config =
            QueueConfig::new().with_retry(retry.clone()).with_dead_letter_retention(second * 5);
        let config = config.with_tombstone_retention(second * 7).with_max_lost_attempts(6);
        let config = config.with_max_dispatches_per_second(0.5).with_max_burst_size(8);
        let config = config.with_max_concurrent_dispatches(9).with_priority_step(second * 10);
        assert_eq!(version::encode(&retry).unwrap(), [1, 1, 3, 1, 9, 0, 1, 1, 0, 2, 0, 4]);
        let mut bytes = vec![1, 1, 1, 3, 1, 9, 0, 1, 1, 0, 2, 0, 4, 1, 5, 0, 1, 7, 0, 1, 6];
        bytes.extend([1, 0xa0, 0xc2, 0x1e, 1, 8, 1, 9, 1, 10, 0]);
        assert_eq!(version::encode(&config).unwrap(), bytes);
    }

    #[test]
    fn a_stated_retention_raises_and_never_shortens() {
        for (first, second) in [(7, 90), (90, 7)] {
            let both = QueueConfig::new().raised(keeping(first)).raised(keeping(second));
            assert_eq!(
                (both.dead_letter_retention(), both.tombstone_retention()),
                (DAY * 90, DAY * 90)
            );
        }
        assert_eq!(
            QueueConfig::new().raised(keeping(7)).dead_letter_retention(),
            DAY * 7,
            "an unset retention is not a set one of 30 days"
        );
        let unstated = QueueConfig::new().raised(keeping(7)).raised(Retention::new());
        assert_eq!(unstated, QueueConfig::new().raised(keeping(7)));
    }

    #[test]
    fn a_step_of_priority_is_thirty_seconds_unless_it_is_set() {
        let stated = QueueConfig::new().with_priority_step(DAY);
        assert_eq!(QueueConfig::new().priority_step(), Duration::from_secs(30));
        assert_eq!(QueueConfig::new().merged(stated.clone()).priority_step(), DAY);
        assert_eq!(stated.merged(QueueConfig::new()).priority_step(), DAY);
    }

    #[test]
    fn a_task_may_be_lost_once_at_least() {
        assert_eq!(QueueConfig::new().with_max_lost_attempts(0).max_lost_attempts(), 1);
    }
}
