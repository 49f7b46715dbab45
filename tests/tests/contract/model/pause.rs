//! The pause before a retry: exactly the backoff, or up to a tenth longer for the default backoff.

use std::time::Duration;

use gae_tasks::backend::{TaskRecord, TypeBackoff};
use gae_tasks::{QueueConfig, RetryConfig};
use proptest::prelude::*;

/// Checks the `pause` after the last attempt of `record`, a task whose type states the backoff
/// `of_type`.
pub(super) fn check(
    record: &TaskRecord,
    queue: &QueueConfig,
    of_type: TypeBackoff,
    pause: Duration,
) -> Result<(), TestCaseError> {
    let own = record.spec.retry.as_ref();
    let retry = own.unwrap_or_else(|| queue.retry()).clone();
    let of_type = if own.is_some_and(|own| !is_default(own)) { TypeBackoff::NONE } else { of_type };
    let is_default = is_default(&retry) && of_type == TypeBackoff::NONE;
    let exact = stated(retry, of_type).backoff(record.attempts);
    let most = if is_default { exact + exact / 10 } else { exact };
    prop_assert!(
        (exact..=most).contains(&pause),
        "{:?} is not between {:?} and {:?}",
        pause,
        exact,
        most
    );
    Ok(())
}

/// Whether no backoff is given, which steps mark by this number of doublings.
fn is_default(retry: &RetryConfig) -> bool {
    retry.max_doublings() == RetryConfig::new().max_doublings()
}

/// Returns the settings, replaced where the type states a backoff.
fn stated(retry: RetryConfig, of_type: TypeBackoff) -> RetryConfig {
    let (least, most) = (retry.min_backoff(), retry.max_backoff());
    match (of_type.min, of_type.max) {
        (None, None) => retry,
        (Some(min), None) => retry.with_min_backoff(min).with_max_backoff(most.max(min)),
        (None, Some(max)) => retry.with_min_backoff(least.min(max)).with_max_backoff(max),
        (Some(min), Some(max)) => retry.with_min_backoff(min).with_max_backoff(max),
    }
}
