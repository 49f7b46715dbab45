//! The retries of a queue in Google's terms.

use std::time::Duration;

use google_cloud_tasks_v2::model::RetryConfig as GoogleRetries;

use crate::queue::RetryConfig;

/// How Google writes "without limit".
const UNLIMITED: i32 = -1;

/// Returns the pauses of `retries` without limits: the limits travel with each task, and the
/// handler enforces them, because a task that Google gives up is gone without a trace.
pub(super) fn unlimited(retries: &RetryConfig) -> GoogleRetries {
    GoogleRetries::new()
        .set_max_attempts(UNLIMITED)
        .set_max_retry_duration(google_cloud_wkt::Duration::default())
        .set_min_backoff(duration(retries.min_backoff().min(retries.max_backoff())))
        .set_max_backoff(duration(retries.max_backoff()))
        .set_max_doublings(i32::try_from(retries.max_doublings()).unwrap_or(i32::MAX))
}

/// Converts Google's settings to this crate's.
pub(super) fn limited(retries: &GoogleRetries) -> RetryConfig {
    let mut config = RetryConfig::new()
        .with_max_attempts(
            u32::try_from(retries.max_attempts).ok().filter(|attempts| *attempts > 0),
        )
        .with_max_retry_duration(retries.max_retry_duration.map(std_duration))
        .with_max_doublings(u32::try_from(retries.max_doublings).unwrap_or_default());
    if let Some(least) = retries.min_backoff {
        config = config.with_min_backoff(std_duration(least));
    }
    if let Some(most) = retries.max_backoff {
        config = config.with_max_backoff(std_duration(most));
    }
    config
}

/// The retries of a queue without limits at Google: its limits are those that this process holds,
/// and its pauses the stored ones, which others may have changed.
pub(super) fn with_own_limits(stored: RetryConfig, own: Option<RetryConfig>) -> RetryConfig {
    let Some(own) = own else { return stored };
    if limited(&unlimited(&own)) == stored {
        return own;
    }
    stored.with_max_attempts(own.max_attempts()).with_max_retry_duration(own.max_retry_duration())
}

pub(super) fn duration(duration: Duration) -> google_cloud_wkt::Duration {
    let nanos = i32::try_from(duration.subsec_nanos()).unwrap_or_default();
    google_cloud_wkt::Duration::clamp(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), nanos)
}

fn std_duration(duration: google_cloud_wkt::Duration) -> Duration {
    Duration::try_from(duration).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_of_ours_gives_no_task_up() {
        let config = RetryConfig::new()
            .with_max_attempts(Some(3))
            .with_max_retry_duration(Some(Duration::from_secs(60)))
            .with_min_backoff(Duration::from_millis(1500))
            .with_max_doublings(u32::MAX);
        let google = unlimited(&config);
        assert_eq!((google.max_attempts, google.max_doublings), (-1, i32::MAX));
        assert_eq!(google.min_backoff.map(std_duration), Some(Duration::from_millis(1500)));
        assert_eq!(limited(&google).max_attempts(), None);
        assert_eq!(limited(&google).max_retry_duration(), None);
    }

    #[test]
    fn settings_of_others_are_read_as_they_are() {
        let google = GoogleRetries::new()
            .set_max_attempts(5)
            .set_max_retry_duration(duration(Duration::from_secs(9)))
            .set_min_backoff(duration(Duration::from_secs(1)))
            .set_max_backoff(duration(Duration::from_secs(8)))
            .set_max_doublings(1);
        let config = limited(&google);
        assert_eq!(
            (config.max_attempts(), config.max_retry_duration()),
            (Some(5), Some(Duration::from_secs(9)))
        );
        assert_eq!(
            (config.backoff(3), config.backoff(5)),
            (Duration::from_secs(4), Duration::from_secs(8))
        );
    }

    #[test]
    fn pauses_are_the_stored_ones_and_limits_those_of_this_process() {
        let own = RetryConfig::new().with_max_attempts(Some(3));
        let stored = limited(&unlimited(&own));
        assert_eq!(with_own_limits(stored.clone(), Some(own.clone())), own);
        assert_eq!(with_own_limits(stored.clone(), None), stored);
        let changed = stored.with_max_backoff(Duration::from_secs(9));
        let expected = changed.clone().with_max_attempts(Some(3));
        assert_eq!(with_own_limits(changed, Some(own)), expected);
    }
}
