//! Refused requests in the log. Anybody can send requests, so strangers must not decide how much is
//! logged.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::log;

/// The shortest time between reports of refusals.
const PAUSE: Duration = Duration::from_secs(60);

/// The number of reasons that are counted separately: a reason may contain what a stranger has
/// sent.
const REASONS: usize = 8;

/// The number of characters of a reason or a path that are logged.
const LENGTH: usize = 300;

/// Counts refused requests and reports them: the first at once, then once a minute at most.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Counted>);

/// The counts since the last report.
#[derive(Debug, Default)]
struct Counted {
    /// When the last report was written, on the monotonic clock.
    reported: Option<Duration>,
    /// The number of refused requests for each reason.
    reasons: BTreeMap<String, u64>,
}

impl Refusals {
    /// Records a request to `path` that was refused for `reason`.
    pub(super) fn note(&self, path: &str, reason: &str, now: Duration) {
        let Some(reasons) = self.due(cut(reason), now) else { return };
        let refused: u64 = reasons.values().sum();
        let reasons = reasons
            .iter()
            .map(|(reason, count)| format!("{reason} ({count})"))
            .collect::<Vec<_>>()
            .join("; ");
        let path = cut(path);
        log::say(|| {
            tracing::error!(
                refused,
                reasons,
                last = path,
                "refused: the request is not proven to come from the task queue"
            );
        });
    }

    /// Counts a refusal; returns all counts, and resets them, if it is time for a report.
    fn due(&self, reason: &str, now: Duration) -> Option<BTreeMap<String, u64>> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !counted.reasons.contains_key(reason);
        let reason =
            if is_new && counted.reasons.len() >= REASONS { "other reasons" } else { reason };
        *counted.reasons.entry(reason.to_owned()).or_default() += 1;
        if counted.reported.is_some_and(|last| now.saturating_sub(last) < PAUSE) {
            return None;
        }
        counted.reported = Some(now);
        Some(std::mem::take(&mut counted.reasons))
    }
}

/// The beginning of a text.
fn cut(text: &str) -> &str {
    text.char_indices().nth(LENGTH).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_is_reported_at_once_and_the_others_once_a_minute_with_their_reasons() {
        let refusals = Refusals::default();
        let count = |reason: &str, count| BTreeMap::from([(reason.to_owned(), count)]);
        assert_eq!(refusals.due("no token", SECOND), Some(count("no token", 1)));
        for reason in ["no token", "late", "no token"] {
            assert_eq!(refusals.due(reason, PAUSE), None);
        }
        let expected = BTreeMap::from([("late".to_owned(), 2), ("no token".to_owned(), 2)]);
        assert_eq!(refusals.due("late", PAUSE + SECOND), Some(expected));
        assert_eq!(refusals.due("late", 3 * PAUSE), Some(count("late", 1)));
    }

    #[test]
    fn strangers_cannot_fill_the_memory_with_reasons() {
        let refusals = Refusals::default();
        refusals.due("first", SECOND);
        for number in 0..100 {
            refusals.due(&number.to_string(), SECOND);
        }
        let reasons = refusals.due("last", 2 * PAUSE).unwrap();
        assert_eq!((reasons.len(), reasons["other reasons"]), (REASONS + 1, 93));
        assert_eq!((cut(&"ä".repeat(400)).chars().count(), cut("short")), (LENGTH, "short"));
    }
}
