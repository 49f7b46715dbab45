//! Refused requests in the log: anybody can send them, so strangers do not decide how much is
//! written.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::log;

/// How often refusals are reported at most.
const PAUSE: Duration = Duration::from_secs(60);

/// How many reasons are counted apart: a reason may name what a stranger has sent.
const REASONS: usize = 8;

/// How many characters of a reason or a path are written.
const LENGTH: usize = 300;

/// Counts refused requests, and reports them: the first at once, then once a minute at most.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Counted>);

/// What was counted since the last report.
#[derive(Debug, Default)]
struct Counted {
    /// When the last report was written, on the monotonic clock.
    reported: Option<Duration>,
    /// How many requests were refused for each reason.
    reasons: BTreeMap<String, u64>,
}

impl Refusals {
    /// Takes note of a request to `path` that was refused for `reason`.
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
                "refused: not proven to come from the task queue"
            );
        });
    }

    /// Counts one more, and takes all that was counted if it is time for a report.
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
