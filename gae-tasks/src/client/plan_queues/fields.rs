//! The fields of a queue's configuration in a form that can be compared and shown.

use std::fmt;
use std::time::Duration;

use crate::backend::Capabilities;
use crate::queue::{QueueConfig, Rate};
use crate::time::readable;

/// The most doublings that Google stores.
const MAX_DOUBLINGS: u32 = i32::MAX as u32;

/// A field, and its value in two configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) field: &'static str,
    pub(super) old: Shown,
    pub(super) new: Shown,
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// No limit.
    Unlimited,
    /// Dispatches a second.
    Rate(Rate),
    Number(u32),
    Time(Duration),
    /// A default pause, to which workers add up to a tenth.
    Jittered(Duration),
    /// A limit that the backend does not have, as it travels with each task.
    Travels,
    /// No queue for dead letters.
    NoLetters,
    /// A queue for dead letters.
    Letters,
}

/// What of a queue a comparison looks at, besides its configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) config: &'a QueueConfig,
    /// Whether the backend itself ends tasks at the limits of attempts.
    pub(super) ends_tasks: bool,
    /// Whether the queue for its dead letters is missing.
    pub(super) lacks_letters: bool,
}

impl<'a> Seen<'a> {
    /// A configuration as it is after it was written.
    pub(super) fn written(config: &'a QueueConfig) -> Self {
        Self { config, ends_tasks: false, lacks_letters: false }
    }
}

/// The fields that differ between a queue as it is and as it is wanted.
pub(super) fn differences(
    stored: Seen<'_>,
    wanted: &QueueConfig,
    backend: &Capabilities,
) -> Vec<Difference> {
    let old = fields(stored, wanted, backend);
    let new = fields(Seen::written(wanted), wanted, backend);
    let pairs = old.into_iter().zip(new);
    let differ = pairs.filter(|((_, old), (_, new))| old != new);
    differ.map(|((field, old), (_, new))| Difference { field, old, new }).collect()
}

/// The fields of a configuration that `wanted` decides, in a fixed order.
///
/// A plan decides all retries and limits. Of the retention and of lost attempts it decides what is
/// set: builders of clients state a retention too.
fn fields(
    seen: Seen<'_>,
    wanted: &QueueConfig,
    backend: &Capabilities,
) -> Vec<(&'static str, Shown)> {
    let mut fields = limits(seen.config, backend);
    fields.extend(retries(seen, backend));
    let (config, retention) = (seen.config, wanted.own_retention());
    if backend.retention && retention.dead_letters.is_some() {
        fields.push(("dead_letter_retention", Shown::Time(config.dead_letter_retention())));
    }
    if backend.retention && retention.tombstones.is_some() {
        fields.push(("tombstone_retention", Shown::Time(config.tombstone_retention())));
    }
    if backend.pull && wanted.own_max_lost_attempts().is_some() {
        fields.push(("max_lost_attempts", Shown::Number(config.max_lost_attempts())));
    }
    if backend.priorities && wanted.own_priority_step().is_some() {
        fields.push(("priority_step", Shown::Time(config.priority_step())));
    }
    let letters = if seen.lacks_letters { Shown::NoLetters } else { Shown::Letters };
    fields.push(("dead letters", letters));
    fields
}

fn limits(config: &QueueConfig, backend: &Capabilities) -> Vec<(&'static str, Shown)> {
    let (limits, of) = (config.limits(), backend.queue_limits);
    let own = of.own_dispatches_per_second.map(|rate| Rate::per_second(rate.into()));
    let number = |number: Option<u32>| number.map_or(Shown::Unlimited, Shown::Number);
    let rate = limits.rate().or(own).map_or(Shown::Unlimited, Shown::Rate);
    let concurrent = limits.concurrent().or(of.own_concurrent_dispatches);
    let mut fields = vec![("max_dispatches_per_second", rate)];
    if of.burst_size {
        fields.push(("max_burst_size", number(limits.burst())));
    }
    fields.push(("max_concurrent_dispatches", number(concurrent)));
    fields
}

fn retries(seen: Seen<'_>, backend: &Capabilities) -> [(&'static str, Shown); 5] {
    let retry = seen.config.retry();
    let attempts = retry.max_attempts().map_or(Shown::Unlimited, Shown::Number);
    let age = retry.max_retry_duration().map_or(Shown::Unlimited, Shown::Time);
    // Limits that are held in the envelope are no difference, whatever this process knows of them.
    let travel = !backend.pull && !seen.ends_tasks;
    let [attempts, age] = [attempts, age].map(|limit| if travel { Shown::Travels } else { limit });
    let min = retry.min_backoff().min(retry.max_backoff());
    let has_jitter = backend.pull && !retry.has_own_backoff();
    let min = if has_jitter { Shown::Jittered(min) } else { Shown::Time(min) };
    let doublings = retry.max_doublings();
    let doublings = if backend.pull { doublings } else { doublings.min(MAX_DOUBLINGS) };
    [
        ("retry.max_attempts", attempts),
        ("retry.max_retry_duration", age),
        ("retry.min_backoff", min),
        ("retry.max_backoff", Shown::Time(retry.max_backoff())),
        ("retry.max_doublings", Shown::Number(doublings)),
    ]
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("none"),
            Self::Rate(rate) => write!(f, "{}", rate.as_per_second()),
            Self::Number(number) => write!(f, "{number}"),
            Self::Time(time) => write!(f, "{}", Exact(*time)),
            Self::Jittered(time) => write!(f, "{} with jitter", Exact(*time)),
            Self::Travels => f.write_str("with each task"),
            Self::NoLetters => f.write_str("lost"),
            Self::Letters => f.write_str("kept"),
        }
    }
}

/// A duration with all of its seconds: two values that differ look different.
struct Exact(Duration);

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        // Two units, the most that are shown otherwise, say all of these.
        let is_said = match seconds {
            0..60 => true,
            60..3_600 => nanos == 0,
            3_600..86_400 => nanos == 0 && seconds.is_multiple_of(60),
            86_400.. => nanos == 0 && seconds.is_multiple_of(86_400),
        };
        match is_said {
            true => write!(f, "{}", readable(self.0)),
            false => write!(f, "{} s", self.0.as_secs_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::QueueLimits;
    use crate::queue::RetryConfig;

    const SECOND: Duration = Duration::from_secs(1);

    /// A backend that calls handlers, with limits as Google's.
    fn far() -> Capabilities {
        let queue_limits = QueueLimits {
            burst_size: false,
            own_dispatches_per_second: Some(500),
            own_concurrent_dispatches: Some(1_000),
            ..QueueLimits::ALL
        };
        Capabilities {
            priorities: false,
            pull: false,
            retention: false,
            queue_limits,
            ..Capabilities::new("far")
        }
    }

    fn told(stored: &QueueConfig, wanted: &QueueConfig, backend: &Capabilities) -> Vec<String> {
        let told = |Difference { field, old, new }| format!("{field}: {old} -> {new}");
        differences(Seen::written(stored), wanted, backend).into_iter().map(told).collect()
    }

    fn near(stored: &QueueConfig, wanted: &QueueConfig) -> Vec<String> {
        told(stored, wanted, &Capabilities::new("near"))
    }

    #[test]
    fn every_retry_and_limit_is_compared() {
        let retry = RetryConfig::new()
            .with_max_attempts(None)
            .with_max_retry_duration(Some(90 * SECOND))
            .with_min_backoff(SECOND / 10)
            .with_max_backoff(100 * SECOND)
            .with_max_doublings(3);
        let wanted = QueueConfig::new()
            .with_retry(retry)
            .with_max_dispatches_per_second(0.5)
            .with_max_burst_size(5)
            .with_max_concurrent_dispatches(7);
        let to = [
            "max_dispatches_per_second: none -> 0.5",
            "max_burst_size: none -> 5",
            "max_concurrent_dispatches: none -> 7",
            "retry.max_attempts: 100 -> none",
            "retry.max_retry_duration: none -> 1 min 30 s",
            "retry.min_backoff: 1 s with jitter -> 100 ms",
            "retry.max_backoff: 1 h -> 1 min 40 s",
            "retry.max_doublings: 16 -> 3",
        ];
        assert_eq!(near(&QueueConfig::new(), &wanted), to);
        assert_eq!(near(&wanted, &QueueConfig::new()).len(), to.len(), "what is not set goes");
        assert_eq!(near(&wanted, &wanted), [""; 0]);
        let defaults = QueueConfig::new().with_retry(RetryConfig::new());
        assert_eq!(near(&QueueConfig::new(), &defaults), [""; 0], "the same, though one is set");
    }

    #[test]
    fn the_other_fields_are_compared_where_they_are_set() {
        let kept = QueueConfig::new()
            .with_dead_letter_retention(SECOND)
            .with_tombstone_retention(2 * SECOND)
            .with_max_lost_attempts(3)
            .with_priority_step(4 * SECOND);
        assert_eq!(near(&kept, &QueueConfig::new()), [""; 0]);
        let to = [
            "dead_letter_retention: 30 days -> 1 s",
            "tombstone_retention: 1 day -> 2 s",
            "max_lost_attempts: 5 -> 3",
            "priority_step: 30 s -> 4 s",
        ];
        assert_eq!(near(&QueueConfig::new(), &kept), to);
        assert_eq!(told(&QueueConfig::new(), &kept, &far()), [""; 0], "there are none");
    }

    #[test]
    fn a_backends_own_limit_is_that_of_a_queue_without_one() {
        let own = QueueConfig::new()
            .with_max_dispatches_per_second(500.0)
            .with_max_concurrent_dispatches(1_000);
        assert_eq!(told(&own, &QueueConfig::new(), &far()), [""; 0]);
        assert_eq!(told(&QueueConfig::new(), &own, &far()), [""; 0]);
        let slow = QueueConfig::new().with_max_dispatches_per_second(1.0);
        let back = told(&slow, &QueueConfig::new(), &far());
        assert_eq!(back, ["max_dispatches_per_second: 1 -> 500"]);
    }

    #[test]
    fn attempts_that_travel_are_no_difference_unless_the_backend_ends_tasks() {
        let unlimited = QueueConfig::new().with_retry(RetryConfig::new().with_max_attempts(None));
        let eight = QueueConfig::new().with_retry(RetryConfig::new().with_max_attempts(Some(8)));
        assert_eq!(told(&unlimited, &eight, &far()), [""; 0]);
        assert_eq!(near(&unlimited, &eight), ["retry.max_attempts: none -> 8"]);
        let ends = Seen { ends_tasks: true, ..Seen::written(&eight) };
        let found = differences(ends, &eight, &far());
        let attempts = found.iter().find(|one| one.field == "retry.max_attempts").unwrap();
        assert_eq!((attempts.old, attempts.new), (Shown::Number(8), Shown::Travels));
        let lacks = Seen { lacks_letters: true, ..Seen::written(&eight) };
        assert_eq!(differences(lacks, &eight, &far())[0].field, "dead letters");
    }

    #[test]
    fn pauses_of_a_backend_without_jitter_are_compared_by_their_values() {
        let given = RetryConfig::new().with_min_backoff(SECOND).with_max_doublings(u32::MAX);
        let given = QueueConfig::new().with_retry(given);
        let read = RetryConfig::new().with_min_backoff(SECOND).with_max_doublings(MAX_DOUBLINGS);
        let read = QueueConfig::new().with_retry(read);
        assert_eq!(told(&read, &given, &far()), [""; 0]);
        let default = QueueConfig::new().with_retry(RetryConfig::new().with_max_doublings(16));
        assert_eq!(told(&default, &QueueConfig::new(), &far()), [""; 0]);
        let near = near(&default, &QueueConfig::new());
        assert_eq!(near, ["retry.min_backoff: 1 s -> 1 s with jitter"]);
    }

    #[test]
    fn times_that_differ_look_different() {
        for (time, said) in [
            (SECOND / 10, "100 ms"),
            (3_600 * SECOND, "1 h"),
            (3_601 * SECOND, "3601 s"),
            (Duration::from_millis(200_500), "200.5 s"),
            (172_800 * SECOND, "2 days"),
            (90_000 * SECOND, "90000 s"),
        ] {
            assert_eq!(Shown::Time(time).to_string(), said);
        }
    }
}
