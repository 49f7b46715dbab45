//! The `retry_parameters` of a queue in a `queue.yaml`.

use std::time::Duration;

use crate::queue::{RetryConfig, Taken};
use crate::yaml::{Fields, Keys, Mistakes, values};

const KEYS: Keys = Keys {
    of: "`retry_parameters`",
    known: &[
        "task_retry_limit",
        "task_age_limit",
        "min_backoff_seconds",
        "max_backoff_seconds",
        "max_doublings",
    ],
    foreign: &[
        ("max_attempts", "write `task_retry_limit`, one less, as it does not count the first"),
        ("max_retry_duration", "write `task_age_limit`"),
        ("min_backoff", "write `min_backoff_seconds`"),
        ("max_backoff", "write `max_backoff_seconds`"),
    ],
};

/// App Engine's pauses before retries.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(3_600);
const MAX_DOUBLINGS: u32 = 16;

/// Reads how a queue retries, with App Engine's values where none are stated.
pub(super) fn read(
    queue: &Fields<'_>,
    taken: &mut Vec<Taken>,
    mistakes: &mut Mistakes,
) -> RetryConfig {
    let node = queue.node("retry_parameters");
    let fields = node.and_then(|node| Fields::of(node, &KEYS, mistakes));
    let Some(fields) = fields else { return undeclared(taken) };
    let number = values::whole(0);
    let attempts = fields.value("task_retry_limit", mistakes, |text| {
        // App Engine counts retries, this crate attempts.
        let retries = number(text)?;
        retries.checked_add(1).ok_or_else(|| "is too many: remove the key for no limit".to_owned())
    });
    let age = fields.value("task_age_limit", mistakes, values::age);
    let (min, max) = backoff(&fields, taken, mistakes);
    let doublings = fields.value("max_doublings", mistakes, number);
    for key in ["task_retry_limit", "task_age_limit"] {
        if fields.node(key).is_none() {
            taken.push((key, "none".to_owned()));
        }
    }
    if fields.node("max_doublings").is_none() {
        taken.push(("max_doublings", MAX_DOUBLINGS.to_string()));
    }
    RetryConfig::new()
        .with_max_attempts(attempts)
        .with_max_retry_duration(age)
        .with_min_backoff(min)
        .with_max_backoff(max)
        .with_max_doublings(doublings.unwrap_or(MAX_DOUBLINGS))
}

/// How App Engine retries the tasks of a queue that does not say: for ever.
pub(super) fn undeclared(taken: &mut Vec<Taken>) -> RetryConfig {
    for key in ["task_retry_limit", "task_age_limit"] {
        taken.push((key, "none".to_owned()));
    }
    taken.push(("min_backoff_seconds", shown(MIN_BACKOFF)));
    taken.push(("max_backoff_seconds", shown(MAX_BACKOFF)));
    taken.push(("max_doublings", MAX_DOUBLINGS.to_string()));
    RetryConfig::new()
        .with_max_attempts(None)
        .with_min_backoff(MIN_BACKOFF)
        .with_max_backoff(MAX_BACKOFF)
        .with_max_doublings(MAX_DOUBLINGS)
}

/// The shortest and the longest pause. A default that contradicts the one that is stated follows
/// it, as on App Engine.
fn backoff(
    fields: &Fields<'_>,
    taken: &mut Vec<Taken>,
    mistakes: &mut Mistakes,
) -> (Duration, Duration) {
    let min = fields.value("min_backoff_seconds", mistakes, values::seconds);
    let max = fields.value("max_backoff_seconds", mistakes, values::seconds);
    if let (Some(least), Some(most), Some(node)) = (min, max, fields.node("min_backoff_seconds"))
        && least > most
    {
        let problem = "`min_backoff_seconds` is above `max_backoff_seconds`: lower the first, or \
                       raise the second";
        mistakes.add(node.place, problem);
    }
    let pauses = match (min, max) {
        (Some(min), Some(max)) => (min, max),
        (Some(min), None) => (min, MAX_BACKOFF.max(min)),
        (None, Some(max)) => (MIN_BACKOFF.min(max), max),
        (None, None) => (MIN_BACKOFF, MAX_BACKOFF),
    };
    if fields.node("min_backoff_seconds").is_none() {
        taken.push(("min_backoff_seconds", shown(pauses.0)));
    }
    if fields.node("max_backoff_seconds").is_none() {
        taken.push(("max_backoff_seconds", shown(pauses.1)));
    }
    pauses
}

/// A pause as a file writes it.
fn shown(pause: Duration) -> String {
    pause.as_secs_f64().to_string()
}
