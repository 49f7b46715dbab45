//! The pauses before retries: their growth, a task type's own settings, and the jitter of the
//! defaults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::task::TaskId;

/// How the pauses before retries grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Backoff {
    /// The first pause.
    pub(super) min: Duration,
    /// The longest pause.
    pub(super) max: Duration,
    /// The number of doublings of the pause before it grows linearly.
    pub(super) max_doublings: u32,
}

impl Backoff {
    /// Cloud Tasks' own default begins at 100 ms, with five attempts within 1.5 s: too short for an
    /// outage.
    pub(super) const DEFAULT: Self =
        Self { min: Duration::from_secs(1), max: Duration::from_secs(3600), max_doublings: 16 };

    /// The pause before the `retry`-th retry, counted from 1.
    pub(super) fn pause(&self, retry: u32) -> Duration {
        let retry = retry.max(1);
        let doublings = (retry - 1).min(self.max_doublings);
        let factor = 1_u128.checked_shl(doublings).unwrap_or(u128::MAX);
        let steps = u128::from((retry - doublings).max(1));
        let nanos = self.min.as_nanos().saturating_mul(factor).saturating_mul(steps);
        // `max` fits a `Duration`, so the smaller of the two does.
        from_nanos(nanos.min(self.max.as_nanos()))
    }
}

/// The backoff that a task type states in its attribute, in place of its queue's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[doc(hidden)]
pub struct TypeBackoff {
    /// The first pause; `None` means the queue's.
    pub min: Option<Duration>,
    /// The longest pause; `None` means the queue's.
    pub max: Option<Duration>,
}

impl TypeBackoff {
    /// No backoff of the type's own: the queue's applies.
    pub const NONE: Self = Self { min: None, max: None };

    /// The keys of the attribute that state the backoff, for messages.
    pub(crate) const KEYS: &str = "`min_backoff` or `max_backoff` in its attribute";

    /// Whether the type states a backoff.
    pub(crate) const fn is_stated(&self) -> bool {
        self.min.is_some() || self.max.is_some()
    }
}

/// The jitter that is added to a default `pause` before a retry: up to a tenth of the pause.
///
/// The jitter is a function of the task and the number of its failed attempt, so that a repeated
/// settlement computes the same moment.
pub(crate) fn jitter(id: TaskId, attempt: u32, pause: Duration) -> Duration {
    let bits = u128::from_be_bytes(*id.as_bytes());
    let seed = (bits >> 64) as u64 ^ (bits as u64).rotate_left(32) ^ u64::from(attempt);
    // The upper half of the hash is a fraction of 2^32.
    from_nanos((pause.as_nanos() / 10).saturating_mul(u128::from(mixed(seed) >> 32)) >> 32)
}

/// SplitMix64: each bit of `seed` affects every bit of the result.
const fn mixed(seed: u64) -> u64 {
    let x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn from_nanos(nanos: u128) -> Duration {
    Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn id(number: u128) -> TaskId {
        TaskId::from_bytes(number.to_be_bytes())
    }

    #[test]
    fn tasks_that_fail_together_are_not_retried_together() {
        // Ids of one millisecond, which differ only in their last bits, and attempts of one task.
        let moments: HashSet<_> = (0..1000).map(|number| jitter(id(number), 1, SECOND)).collect();
        assert!(moments.len() > 990, "{}", moments.len());
        let moments: HashSet<_> = (1..=100).map(|attempt| jitter(id(7), attempt, SECOND)).collect();
        assert!(moments.len() > 95, "{}", moments.len());
    }

    #[test]
    fn the_jitter_is_spread_over_a_tenth() {
        let mean = (0..1000).map(|number| jitter(id(number), 1, SECOND)).sum::<Duration>() / 1000;
        assert!((45..=55).contains(&mean.as_millis()), "{mean:?}");
    }

    #[test]
    fn the_jitter_of_a_task_and_attempt_never_changes() {
        // Two versions of a program that share a storage must agree.
        assert_eq!(jitter(id(7), 1, SECOND), Duration::from_nanos(10_251_869));
    }

    proptest! {
        #[test]
        fn the_jitter_is_at_most_a_tenth(
            number in any::<u128>(),
            attempt in any::<u32>(),
            nanos in any::<u64>(),
        ) {
            for pause in [Duration::from_nanos(nanos), Duration::from_secs(nanos), Duration::MAX] {
                let added = jitter(id(number), attempt, pause);
                prop_assert!(added <= pause / 10);
                prop_assert_eq!(added, jitter(id(number), attempt, pause));
            }
        }
    }
}
