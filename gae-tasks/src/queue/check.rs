//! Finds invalid settings of a queue when they are stored, as the setters return no `Result`.

use std::time::Duration;

use super::{QueueConfig, Rate, RateLimits, RetryConfig};
use crate::time::readable;

/// The problem of a limit of zero attempts.
pub(crate) const NO_ATTEMPT: &str = "the first attempt counts too, so use 1 or more";

impl RetryConfig {
    /// What is wrong with these retry settings, in words that follow their name.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.max_attempts() == Some(0) {
            return Some(format!("has a `max_attempts` of 0: {NO_ATTEMPT}"));
        }
        let (min, max) = (self.min_backoff(), self.max_backoff());
        (min > max).then(|| {
            let (min, max) = (readable(min), readable(max));
            format!(
                "has a `min_backoff` of {min}, above its `max_backoff` of {max}: lower the first, \
                 or raise the second too"
            )
        })
    }
}

impl QueueConfig {
    /// What is wrong with this configuration, in words that follow the queue's name.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.own_max_lost_attempts() == Some(0) {
            return Some(format!("has a `max_lost_attempts` of 0: {NO_ATTEMPT}"));
        }
        if self.own_priority_step().is_some_and(|step| step < Duration::from_micros(1)) {
            return Some(
                "has a `priority_step` of less than 1 µs, with which priorities order nothing: use \
                 a longer one, or leave it away for 30 s"
                    .to_owned(),
            );
        }
        self.limits().problem().or_else(|| self.retry().problem())
    }
}

impl RateLimits {
    /// What is wrong with these limits, in words that follow the queue's name.
    fn problem(&self) -> Option<String> {
        let most = Rate::MAX_PER_SECOND;
        let is_rate = |rate: Rate| (1..=u64::from(most) * 1_000_000).contains(&rate.micros());
        if self.rate().is_some_and(|rate| !is_rate(rate)) {
            return Some(format!(
                "has a `max_dispatches_per_second` that is not above 0 and at most {most}: pause \
                 the queue to dispatch nothing, or leave the rate away for no limit"
            ));
        }
        let zero = [
            ("max_burst_size", self.burst(), "leave it away for the tokens of one second"),
            ("max_concurrent_dispatches", self.concurrent(), "pause the queue to run nothing"),
        ];
        let found = zero.into_iter().find(|(_, value, _)| *value == Some(0));
        found.map(|(name, _, fix)| format!("has a `{name}` of 0: use 1 or more, or {fix}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(retry: RetryConfig) -> String {
        let problem = retry.problem();
        assert_eq!(QueueConfig::new().with_retry(retry).problem(), problem);
        problem.unwrap_or_default()
    }

    #[test]
    fn settings_that_make_sense_have_no_problem() {
        let second = Duration::from_secs(1);
        let retries = RetryConfig::new()
            .with_max_attempts(Some(1))
            .with_min_backoff(second)
            .with_max_backoff(second);
        assert_eq!((problem(RetryConfig::new()), problem(retries)), (String::new(), String::new()));
        assert_eq!(QueueConfig::new().with_max_lost_attempts(1).problem(), None);
    }

    #[test]
    fn a_setting_that_makes_none_is_named() {
        assert!(
            problem(RetryConfig::new().with_max_attempts(Some(0))).contains("`max_attempts` of 0")
        );
        let above = problem(RetryConfig::new().with_min_backoff(Duration::from_secs(5_400)));
        assert!(
            above.contains("`min_backoff` of 1 h 30 min, above its `max_backoff` of 1 h:"),
            "{above}"
        );
        let lost = QueueConfig::new().with_max_lost_attempts(0).problem().unwrap();
        assert!(lost.contains("`max_lost_attempts` of 0"), "{lost}");
        for rate in [0.0, -1.0, f64::NAN, 1e-7, 1_000_001.0, f64::INFINITY] {
            let problem = QueueConfig::new().with_max_dispatches_per_second(rate).problem();
            assert!(problem.unwrap().contains("`max_dispatches_per_second`"), "{rate}");
        }
        for step in [Duration::ZERO, Duration::from_nanos(999)] {
            let problem = QueueConfig::new().with_priority_step(step).problem();
            assert!(problem.unwrap().contains("`priority_step` of less than 1 µs"), "{step:?}");
        }
        let exact = QueueConfig::new().with_priority_step(Duration::from_micros(1));
        assert_eq!(exact.problem(), None);
        let burst = QueueConfig::new().with_max_burst_size(0).problem().unwrap();
        assert!(burst.contains("`max_burst_size` of 0"), "{burst}");
        let concurrent = QueueConfig::new().with_max_concurrent_dispatches(0).problem().unwrap();
        assert!(concurrent.contains("`max_concurrent_dispatches` of 0"), "{concurrent}");
    }
}
