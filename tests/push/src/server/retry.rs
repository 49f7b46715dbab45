//! Retries of failed tasks, written from Google's documentation, independently of the tested
//! library.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::error::Refusal;
use super::json::{duration, duration_text, number};

/// The retry settings of a queue or of a task.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Retry {
    pub(super) max_attempts: i64,
    pub(super) max_retry_duration: Duration,
    pub(super) min_backoff: Duration,
    pub(super) max_backoff: Duration,
    pub(super) max_doublings: i64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 100,
            max_retry_duration: Duration::ZERO,
            min_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(3600),
            max_doublings: 16,
        }
    }
}

impl Retry {
    /// Returns these settings, replaced where `config` sets a field.
    pub(super) fn with(mut self, config: &Value) -> Result<Self, Refusal> {
        let whole = |name| number(config, name).map(|number| number as i64);
        let time = |name: &str| -> Result<Option<Duration>, Refusal> {
            let text = config
                .get(name)
                .or_else(|| config.get(super::json::snake(name)))
                .and_then(Value::as_str);
            if text.is_some_and(|text| text.starts_with('-')) {
                return Err(Refusal::invalid(format!("RetryConfig.{name} cannot be negative.")));
            }
            duration(config, name)
        };
        self.max_attempts = whole("maxAttempts").unwrap_or(self.max_attempts);
        self.max_doublings = whole("maxDoublings").unwrap_or(self.max_doublings);
        self.max_retry_duration = time("maxRetryDuration")?.unwrap_or(self.max_retry_duration);
        self.min_backoff = time("minBackoff")?.unwrap_or(self.min_backoff);
        self.max_backoff = time("maxBackoff")?.unwrap_or(self.max_backoff);
        self.checked()
    }

    fn checked(self) -> Result<Self, Refusal> {
        let problem = if self.max_attempts < -1 {
            "RetryConfig.maxAttempts must be greater or equal to -1."
        } else if self.max_doublings < 0 {
            "RetryConfig.maxDoublings cannot be negative."
        } else if self.min_backoff > self.max_backoff {
            "RetryConfig.minBackoff must be less than or equal to RetryConfig.maxBackoff."
        } else {
            return Ok(self);
        };
        Err(Refusal::invalid(problem))
    }

    /// Returns the pause before the n-th retry, counted from 1.
    pub(super) fn backoff(&self, n: u32) -> Duration {
        let doublings = u32::try_from(self.max_doublings).unwrap_or_default();
        let exponent = (n.max(1) - 1).min(doublings);
        let linear = n.saturating_sub(exponent).max(1);
        let pause =
            self.min_backoff.as_secs_f64() * 2_f64.powi(exponent as i32) * f64::from(linear);
        Duration::from_secs_f64(pause.min(self.max_backoff.as_secs_f64()))
    }

    /// Whether a task is dropped: every limit that is set must be reached.
    pub(super) fn is_over(&self, attempts: u32, first: SystemTime, now: SystemTime) -> bool {
        let by_count = (self.max_attempts > 0).then_some(i64::from(attempts) >= self.max_attempts);
        let age = now.duration_since(first).unwrap_or_default();
        let by_age = (!self.max_retry_duration.is_zero()).then_some(age >= self.max_retry_duration);
        match (by_count, by_age) {
            (None, None) => false,
            (by_count, by_age) => by_count.unwrap_or(true) && by_age.unwrap_or(true),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "maxAttempts": self.max_attempts,
            "maxRetryDuration": duration_text(self.max_retry_duration),
            "minBackoff": duration_text(self.min_backoff),
            "maxBackoff": duration_text(self.max_backoff),
            "maxDoublings": self.max_doublings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(min: f64, max: f64, doublings: i64) -> Retry {
        Retry {
            min_backoff: Duration::from_secs_f64(min),
            max_backoff: Duration::from_secs_f64(max),
            max_doublings: doublings,
            ..Retry::default()
        }
    }

    #[test]
    fn backoff_follows_the_vectors_of_the_app_engine_sdk() {
        let vectors: [(Retry, [f64; 12]); 4] = [
            (
                retry(10., 300., 3),
                [10., 20., 40., 80., 160., 240., 300., 300., 300., 300., 300., 300.],
            ),
            (retry(1., 8., 1), [1., 2., 4., 6., 8., 8., 8., 8., 8., 8., 8., 8.]),
            (retry(1., 10., 0), [1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 10., 10.]),
            (retry(2., 1000., 4), [2., 4., 8., 16., 32., 64., 96., 128., 160., 192., 224., 256.]),
        ];
        for (retry, pauses) in vectors {
            for (n, pause) in (1..).zip(pauses) {
                assert_eq!(
                    retry.backoff(n),
                    Duration::from_secs_f64(pause),
                    "{retry:?}, retry {n}"
                );
            }
        }
    }

    #[test]
    fn both_limits_must_be_reached_and_minus_one_is_none() {
        let first = SystemTime::UNIX_EPOCH;
        let limits = Retry {
            max_attempts: 3,
            max_retry_duration: Duration::from_secs(10),
            ..Retry::default()
        };
        let over = |attempts, seconds| {
            limits.is_over(attempts, first, first + Duration::from_secs(seconds))
        };
        assert!(!over(3, 9) && !over(2, 11) && over(3, 10));
        let unlimited = Retry { max_attempts: -1, ..Retry::default() };
        assert!(!unlimited.is_over(u32::MAX, first, first + Duration::from_secs(1 << 40)));
    }
}
