//! The `retry_parameters` of an entry.

use std::time::Duration;

use crate::queue::RetryConfig;
use crate::yaml::{Fields, Keys, Mistakes, Value, values};

const KEYS: Keys = Keys {
    of: "`retry_parameters`",
    known: &["job_retry_limit", "job_age_limit", MIN_BACKOFF, MAX_BACKOFF, "max_doublings"],
    foreign: &[
        // Those of a `queue.yaml`.
        ("task_retry_limit", "write `job_retry_limit`"),
        ("task_age_limit", "write `job_age_limit`"),
        ("max_attempts", "write `job_retry_limit`, one less, as it does not count the first"),
        ("max_retry_duration", "write `job_age_limit`"),
        ("min_backoff", "write `min_backoff_seconds`"),
        ("max_backoff", "write `max_backoff_seconds`"),
    ],
};

const MIN_BACKOFF: &str = "min_backoff_seconds";
const MAX_BACKOFF: &str = "max_backoff_seconds";

/// The most retries that App Engine makes, and the number that it makes if none is given.
const MOST_RETRIES: u32 = 5;

/// Reads the settings of an entry, if it has any. App Engine counts retries, and [`RetryConfig`]
/// counts attempts.
pub(super) fn read(entry: &Fields<'_>, mistakes: &mut Mistakes) -> Option<RetryConfig> {
    let node = entry.node("retry_parameters")?;
    let retry = RetryConfig::new().with_max_attempts(Some(MOST_RETRIES + 1));
    if node.value == Value::Missing {
        return Some(retry);
    }
    let fields = Fields::of(node, &KEYS, mistakes)?;
    let attempts = fields.value("job_retry_limit", mistakes, attempts);
    let age = fields.value("job_age_limit", mistakes, values::age);
    let doublings = fields.value("max_doublings", mistakes, values::whole(0));
    let retry = retry.with_max_retry_duration(age);
    let retry = with(retry, attempts, |retry, attempts| retry.with_max_attempts(Some(attempts)));
    let retry = with(retry, doublings, RetryConfig::with_max_doublings);
    Some(backoff(retry, &fields, mistakes))
}

/// Reads a number of retries, and returns that of the attempts.
fn attempts(text: &str) -> Result<u32, String> {
    match values::whole(0)(text)? {
        retries @ 0..=MOST_RETRIES => Ok(retries + 1),
        _ => Err(format!("is too many: use 0 to {MOST_RETRIES}, as on App Engine")),
    }
}

/// The settings with the shortest and the longest pause that are stated.
fn backoff(retry: RetryConfig, fields: &Fields<'_>, mistakes: &mut Mistakes) -> RetryConfig {
    let min = fields.value(MIN_BACKOFF, mistakes, values::seconds);
    let max = fields.value(MAX_BACKOFF, mistakes, values::seconds);
    let retry = with(retry, min, RetryConfig::with_min_backoff);
    let retry = with(retry, max, RetryConfig::with_max_backoff);
    // A pause that is wrong contradicts nothing.
    let is_right =
        |key: &str, pause: Option<Duration>| pause.is_some() || fields.node(key).is_none();
    if is_right(MIN_BACKOFF, min)
        && is_right(MAX_BACKOFF, max)
        && let Some(problem) = retry.problem()
    {
        let stated = fields.node(MIN_BACKOFF).or_else(|| fields.node(MAX_BACKOFF));
        let place = stated.map_or(fields.place(), |node| node.place);
        mistakes.add(place, format!("`retry_parameters` {problem}"));
    }
    retry
}

/// The settings with a value that may be stated.
fn with<T>(
    retry: RetryConfig,
    stated: Option<T>,
    set: impl FnOnce(RetryConfig, T) -> RetryConfig,
) -> RetryConfig {
    match stated {
        Some(value) => set(retry, value),
        None => retry,
    }
}
