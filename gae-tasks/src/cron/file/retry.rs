//! The `retry_parameters` of an entry.

use std::time::Duration;

use super::mistakes::{Mistakes, Place};
use super::node::{Field, Keys};
use crate::queue::RetryConfig;

const KEYS: Keys = Keys {
    known: &[
        "job_retry_limit",
        "job_age_limit",
        "min_backoff_seconds",
        "max_backoff_seconds",
        "max_doublings",
    ],
    // The first two are those of a `queue.yaml`.
    synonyms: &[
        ("task_retry_limit", "job_retry_limit"),
        ("task_age_limit", "job_age_limit"),
        ("min_backoff", "min_backoff_seconds"),
        ("max_backoff", "max_backoff_seconds"),
    ],
};

/// The most retries that App Engine makes, and the number that it makes if none is given.
const MOST_RETRIES: u32 = 5;

/// Reads the settings. App Engine counts retries, and [`RetryConfig`] counts attempts.
pub(super) fn read(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<RetryConfig> {
    let retry = RetryConfig::new().with_max_attempts(Some(MOST_RETRIES + 1));
    if field.is_empty() {
        return Some(retry);
    }
    let Some(fields) = Field::of(field.value) else {
        mistakes.add(field.place(), "`retry_parameters` has keys: write `job_retry_limit: 3`");
        return None;
    };
    let mut read = Some(retry);
    for one in fields {
        match setting(read.clone().unwrap_or_default(), one) {
            Ok(settings) => read = read.is_some().then_some(settings),
            Err((place, mistake)) => {
                mistakes.add(place, mistake);
                read = None;
            }
        }
    }
    if let Some(problem) = read.as_ref().and_then(RetryConfig::problem) {
        mistakes.add(field.key_place, format!("`retry_parameters` {problem}"));
        return None;
    }
    read
}

/// The settings with one more, or what is wrong with that one.
fn setting(
    retry: RetryConfig,
    field: Result<Field<'_>, Place>,
) -> Result<RetryConfig, (Place, String)> {
    let no_text = |place| (place, "a key is not a text: write `job_retry_limit`".to_owned());
    let field = field.map_err(no_text)?;
    if !KEYS.known.contains(&field.key) {
        return Err((field.key_place, KEYS.unknown(field.key)));
    }
    changed(retry, &field).map_err(|mistake| (field.place(), mistake))
}

/// The settings with the one of this field.
fn changed(retry: RetryConfig, field: &Field<'_>) -> Result<RetryConfig, String> {
    Ok(match field.key {
        "job_retry_limit" => {
            let attempts = field.whole(MOST_RETRIES)? + 1;
            retry.with_max_attempts(Some(attempts))
        }
        "job_age_limit" => retry.with_max_retry_duration(Some(age(field)?)),
        "min_backoff_seconds" => retry.with_min_backoff(seconds(field)?),
        "max_backoff_seconds" => retry.with_max_backoff(seconds(field)?),
        _ => retry.with_max_doublings(field.whole(u32::MAX)?),
    })
}

fn seconds(field: &Field<'_>) -> Result<Duration, String> {
    let number = field.number()?;
    duration(number).ok_or_else(|| format!("`{}` is not a time: write 0 or more", field.key))
}

/// Reads an age, as in `2d`.
fn age(field: &Field<'_>) -> Result<Duration, String> {
    let key = field.key;
    let fix = "write a number and `s`, `m`, `h` or `d`, as in `2d`";
    let text = field.text().map_err(|_| format!("`{key}` is not an age: {fix}"))?;
    let units = [('s', 1.0), ('m', 60.0), ('h', 3_600.0), ('d', 86_400.0)];
    let read = units.iter().find_map(|(unit, seconds)| {
        let number = text.strip_suffix(*unit)?;
        let is_number = number.starts_with(|first: char| first.is_ascii_digit());
        number.parse::<f64>().ok().filter(|_| is_number).map(|number| number * seconds)
    });
    read.and_then(duration).ok_or_else(|| format!("`{text}` is not an age: {fix}"))
}

/// So many seconds, up to 100 years.
fn duration(seconds: f64) -> Option<Duration> {
    let most = 100.0 * 365.0 * 86_400.0;
    (0.0..=most).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}
