//! The rate and the concurrency of a queue in Google's terms.

use google_cloud_tasks_v2::model::RateLimits as GoogleLimits;

use super::limits::QUEUES;
use crate::queue::{QueueConfig, Rate, RateLimits};

/// The limit of the rate, named by itself, as the limits that are not set stay as they are.
const RATE_FIELD: &str = "rateLimits.maxDispatchesPerSecond";

/// The limit of what runs at a time.
const CONCURRENT_FIELD: &str = "rateLimits.maxConcurrentDispatches";

/// Returns limits in Google's form; what is not set is not in the mask either.
pub(super) fn google_limits(limits: RateLimits) -> GoogleLimits {
    let concurrent = limits.concurrent().unwrap_or_default();
    GoogleLimits::new()
        .set_max_dispatches_per_second(limits.rate().map_or(0.0, Rate::as_per_second))
        .set_max_concurrent_dispatches(i32::try_from(concurrent).unwrap_or(i32::MAX))
}

/// The fields of the limits that are set.
pub(super) fn fields_of(limits: RateLimits) -> impl Iterator<Item = &'static str> {
    let rate = limits.rate().map(|_| RATE_FIELD);
    rate.into_iter().chain(limits.concurrent().map(|_| CONCURRENT_FIELD))
}

/// These limits, and Google's own where one is not set: an update that names a field without a
/// value would write a zero, and the API does not say what that means.
pub(super) fn with_googles_own(limits: RateLimits) -> RateLimits {
    let mut own = RateLimits::NONE;
    if let Some(rate) = QUEUES.own_dispatches_per_second {
        own = own.with_rate(Rate::per_second(rate.into()));
    }
    if let Some(concurrent) = QUEUES.own_concurrent_dispatches {
        own = own.with_concurrent(concurrent);
    }
    own.merged(limits)
}

/// Adds Google's limits to a configuration. The size of the token bucket is not among them, as a
/// configuration that was read can be written.
pub(super) fn with_limits(mut config: QueueConfig, limits: Option<&GoogleLimits>) -> QueueConfig {
    let Some(limits) = limits else { return config };
    if limits.max_dispatches_per_second > 0.0 {
        config = config.with_max_dispatches_per_second(limits.max_dispatches_per_second);
    }
    match u32::try_from(limits.max_concurrent_dispatches) {
        Ok(concurrent) if concurrent > 0 => config.with_max_concurrent_dispatches(concurrent),
        _ => config,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_limits_that_are_set_are_in_the_mask() {
        let rate = RateLimits::NONE.with_rate(Rate::per_second(0.5));
        assert_eq!(fields_of(RateLimits::NONE).count(), 0);
        assert_eq!(fields_of(rate).collect::<Vec<_>>(), [RATE_FIELD]);
        let both = rate.with_concurrent(7);
        assert_eq!(fields_of(both).collect::<Vec<_>>(), [RATE_FIELD, CONCURRENT_FIELD]);
        let google = google_limits(both);
        assert_eq!((google.max_dispatches_per_second, google.max_concurrent_dispatches), (0.5, 7));
        let read = with_limits(QueueConfig::new(), Some(&google));
        assert_eq!(read.limits(), both);
        assert_eq!(with_googles_own(rate), rate.with_concurrent(1_000));
        assert_eq!(with_limits(QueueConfig::new(), Some(&GoogleLimits::new())), QueueConfig::new());
    }
}
