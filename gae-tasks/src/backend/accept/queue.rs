//! The limits of a backend on the configuration of a queue.

use crate::backend::capabilities::{Capabilities, QueueLimits};
use crate::queue::{QueueConfig, Rate, RateLimits};

/// Every field of a configuration that the backend does not support, or not with this value: texts
/// that follow the name of the queue.
pub(crate) fn problems(config: &QueueConfig, backend: &Capabilities) -> Vec<String> {
    let mut problems = problems_of_limits(config.limits(), backend.backend, backend.queue_limits);
    let mut lacks = |name: &str| {
        let backend = backend.backend;
        problems.push(format!(
            "has a `{name}`, which the `{backend}` backend does not support: remove it"
        ));
    };
    let retention = config.own_retention();
    // Every backend can keep no dead letters.
    if !backend.retention && retention.dead_letters.is_some_and(|kept| !kept.is_zero()) {
        lacks("dead_letter_retention");
    }
    if !backend.retention && retention.tombstones.is_some() {
        lacks("tombstone_retention");
    }
    if !backend.pull && config.own_max_lost_attempts().is_some() {
        lacks("max_lost_attempts");
    }
    if !backend.priorities && config.own_priority_step().is_some() {
        lacks("priority_step");
    }
    problems
}

/// Every limit of the rate and of what runs at a time that the backend does not support: texts that
/// follow the name of the queue.
pub(crate) fn problems_of_limits(
    limits: RateLimits,
    backend: &str,
    accepted: QueueLimits,
) -> Vec<String> {
    let mut problems = Vec::new();
    let most = accepted.max_dispatches_per_second;
    if let Some(rate) = limits.rate().filter(|rate| *rate > Rate::per_second(most.into())) {
        let rate = rate.as_per_second();
        problems.push(format!(
            "has a `max_dispatches_per_second` of {rate}, but the `{backend}` backend accepts at \
             most {most}"
        ));
    }
    if limits.burst().is_some() && !accepted.burst_size {
        problems.push(format!(
            "has a `max_burst_size` (`bucket_size` in a `queue.yaml`), but the `{backend}` backend \
             chooses that itself: remove it"
        ));
    }
    let most = accepted.max_concurrent_dispatches;
    if let Some(concurrent) = limits.concurrent().filter(|concurrent| *concurrent > most) {
        problems.push(format!(
            "has a `max_concurrent_dispatches` of {concurrent}, but the `{backend}` backend \
             accepts at most {most}"
        ));
    }
    problems
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// A backend that calls handlers, with limits as Google's.
    fn far() -> Capabilities {
        let queue_limits = QueueLimits {
            max_dispatches_per_second: 500,
            max_concurrent_dispatches: 5_000,
            burst_size: false,
            ..QueueLimits::ALL
        };
        Capabilities {
            pull: false,
            retention: false,
            priorities: false,
            queue_limits,
            ..Capabilities::new("far")
        }
    }

    #[test]
    fn what_a_backend_supports_has_no_problem() {
        let config = QueueConfig::new()
            .with_max_dispatches_per_second(500.0)
            .with_max_concurrent_dispatches(5_000)
            .with_dead_letter_retention(Duration::ZERO);
        assert_eq!(problems(&config, &far()), [""; 0]);
        let config = config
            .with_max_dispatches_per_second(1_000_000.0)
            .with_max_burst_size(u32::MAX)
            .with_max_concurrent_dispatches(u32::MAX)
            .with_dead_letter_retention(DAY)
            .with_tombstone_retention(DAY)
            .with_max_lost_attempts(1);
        assert_eq!(problems(&config, &Capabilities::new("near")), [""; 0]);
    }

    #[test]
    fn every_field_that_a_backend_lacks_is_named() {
        let config = QueueConfig::new()
            .with_max_dispatches_per_second(500.5)
            .with_max_burst_size(1)
            .with_max_concurrent_dispatches(5_001)
            .with_dead_letter_retention(DAY)
            .with_tombstone_retention(Duration::ZERO)
            .with_max_lost_attempts(1)
            .with_priority_step(DAY);
        let problems = problems(&config, &far());
        let named = [
            "`max_dispatches_per_second` of 500.5, but the `far` backend accepts at most 500",
            "`max_burst_size` (`bucket_size` in a `queue.yaml`), but the `far` backend chooses",
            "`max_concurrent_dispatches` of 5001, but the `far` backend accepts at most 5000",
            "`dead_letter_retention`, which the `far` backend does not support",
            "`tombstone_retention`, which",
            "`max_lost_attempts`, which",
            "`priority_step`, which",
        ];
        assert_eq!(problems.len(), named.len(), "{problems:#?}");
        for (problem, name) in problems.iter().zip(named) {
            assert!(problem.contains(name), "{problem}");
        }
    }
}
