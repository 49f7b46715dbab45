//! The token bucket of a queue with a rate: pure, so that every backend dispatches alike.

use std::time::Duration;

use super::rate::{Rate, RateLimits};
use crate::time::Timestamp;

/// What one token counts: buckets hold whole millionths, so that slow rates add up.
const TOKEN: u64 = 1_000_000;

/// A token bucket as of a moment. The bucket is full at first; a dispatch takes one token.
///
/// A fraction of a millionth is lost with each change, so the rate is never exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Millionths of a token.
    millionths: u64,
    at: Timestamp,
}

impl Bucket {
    /// Creates a bucket from its stored form.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) const fn stored(millionths: u64, at: Timestamp) -> Self {
        Self { millionths, at }
    }

    /// Creates the full bucket of a queue at `now`.
    pub(crate) fn full(limits: RateLimits, now: Timestamp) -> Self {
        Self { millionths: size(limits), at: now }
    }

    /// The millionths of a token in the bucket, and as of when: its stored form.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) const fn parts(self) -> (u64, Timestamp) {
        (self.millionths, self.at)
    }

    /// The bucket at `now`, with what has flowed in since, under limits that may have changed.
    ///
    /// If the clock was set back, nothing flows in for the time until `now`, and time counts from
    /// `now` on: the caller stores the bucket if [the clock was](Self::is_ahead_of).
    pub(crate) fn filled(self, limits: RateLimits, now: Timestamp) -> Self {
        let since = now.since(self.at).as_micros();
        let rate = limits.rate().map_or(0, Rate::micros);
        let flown = since.saturating_mul(rate.into()) / 1_000_000;
        let flown = u64::try_from(flown).unwrap_or(u64::MAX);
        Self { millionths: self.millionths.saturating_add(flown).min(size(limits)), at: now }
    }

    /// Whether the bucket is of a moment after `now`: the clock was set back.
    pub(crate) fn is_ahead_of(self, now: Timestamp) -> bool {
        self.at > now
    }

    /// How many tasks may be dispatched now.
    pub(crate) fn tokens(self) -> usize {
        usize::try_from(self.millionths / TOKEN).unwrap_or(usize::MAX)
    }

    /// The bucket after so many dispatches, at most as many as it has tokens.
    pub(crate) fn without(self, tasks: usize) -> Self {
        Self { millionths: self.millionths.saturating_sub(millionths(tasks)), ..self }
    }

    /// The bucket after so many of the dispatches were released, their tokens given back.
    pub(crate) fn with(self, limits: RateLimits, tasks: usize) -> Self {
        let given = self.millionths.saturating_add(millionths(tasks));
        Self { millionths: given.min(size(limits)), ..self }
    }

    /// How long after the bucket's moment it has a token; zero if it has one.
    pub(crate) fn wait(self, limits: RateLimits) -> Duration {
        let missing = u128::from(TOKEN.saturating_sub(self.millionths)) * 1_000_000;
        let rate = limits.rate().map_or(1, |rate| rate.micros().max(1));
        let micros = missing.div_ceil(rate.into());
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

/// The most millionths of a token that the bucket of a queue holds.
fn size(limits: RateLimits) -> u64 {
    let of_a_second = || limits.rate().map_or(0, Rate::micros).div_ceil(TOKEN);
    limits.burst().map_or_else(of_a_second, u64::from).max(1) * TOKEN
}

fn millionths(tasks: usize) -> u64 {
    u64::try_from(tasks).unwrap_or(u64::MAX).saturating_mul(TOKEN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn limits(per_second: f64, burst: Option<u32>) -> RateLimits {
        let limits = RateLimits::NONE.with_rate(Rate::per_second(per_second));
        burst.map_or(limits, |burst| limits.with_burst(burst))
    }

    fn after(micros: u64) -> Timestamp {
        START.plus(Duration::from_micros(micros))
    }

    #[test]
    fn a_bucket_is_full_at_first_and_holds_the_tokens_of_a_second() {
        let tokens = |rate, burst| Bucket::full(limits(rate, burst), START).tokens();
        assert_eq!([tokens(100.0, None), tokens(0.1, None), tokens(2.5, None)], [100, 1, 3]);
        assert_eq!([tokens(100.0, Some(7)), tokens(0.1, Some(7))], [7, 7]);
    }

    #[test]
    fn a_slow_rate_adds_up() {
        let limits = limits(0.1, None);
        let empty = Bucket::full(limits, START).without(1);
        assert_eq!(empty.wait(limits), Duration::from_secs(10));
        assert_eq!(empty.filled(limits, after(9_999_999)).tokens(), 0);
        assert_eq!(empty.filled(limits, after(10_000_000)).tokens(), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_stops_no_bucket() {
        let limits = limits(1.0, None);
        let empty = Bucket::full(limits, after(3_600_000_000)).without(1);
        assert!(empty.is_ahead_of(START) && !empty.is_ahead_of(after(3_600_000_000)));
        let back = empty.filled(limits, START);
        assert_eq!((back.tokens(), back.filled(limits, after(1_000_000)).tokens()), (0, 1));
    }

    #[test]
    fn new_limits_hold_at_once() {
        let full = Bucket::full(limits(100.0, Some(50)), START);
        assert_eq!(full.filled(limits(100.0, Some(5)), START).tokens(), 5);
        let empty = full.without(50);
        assert_eq!(empty.filled(limits(10.0, Some(50)), after(1_000_000)).tokens(), 10);
    }

    #[test]
    fn a_released_task_gives_its_token_back_and_no_more() {
        let limits = limits(10.0, Some(5));
        let full = Bucket::full(limits, START);
        assert_eq!(full.without(3).with(limits, 2).tokens(), 4);
        assert_eq!(full.with(limits, 2).tokens(), 5);
    }

    proptest! {
        /// The rule, in exact arithmetic: in no window more than rate × window + burst.
        #[test]
        fn no_window_has_more_than_its_share(
            rate in 1..=2_000_000_000_u64,
            burst in 1..=1_000_u32,
            steps in prop::collection::vec((0..=5_000_000_u64, 0..=2_000_usize), 1..60),
        ) {
            let limits = limits(rate as f64 / 1e6, Some(burst));
            let (mut bucket, mut now) = (Bucket::full(limits, START), 0);
            let mut taken = Vec::new();
            for (pause, wanted) in steps {
                now += pause;
                let filled = bucket.filled(limits, after(now));
                let tasks = wanted.min(filled.tokens());
                if tasks > 0 {
                    bucket = filled.without(tasks);
                    taken.push((now, tasks as u128));
                }
            }
            for first in 0..taken.len() {
                let mut sum = 0;
                for (at, tasks) in &taken[first..] {
                    sum += tasks;
                    let window = u128::from(at - taken[first].0);
                    let most = window * u128::from(rate) + u128::from(burst) * 1_000_000_000_000;
                    prop_assert!(sum * 1_000_000_000_000 <= most);
                }
            }
        }

        /// Who takes every token as soon as it is there has nearly the whole rate.
        #[test]
        fn the_rate_is_reached(rate in 1_000..=500_000_000_u64, burst in 1..=100_u32) {
            let limits = limits(rate as f64 / 1e6, Some(burst));
            let mut bucket = Bucket::full(limits, START).without(burst as usize);
            let mut now = START;
            for _ in 0..1_000 {
                now = now.plus(bucket.wait(limits));
                bucket = bucket.filled(limits, now);
                prop_assert!(bucket.tokens() >= 1, "{bucket:?}");
                bucket = bucket.without(1);
            }
            let exact = 1_000 * 1_000_000_000_000_u128 / u128::from(rate);
            let took = now.since(START).as_micros();
            // Above that the time of a token is a few microseconds, which round up.
            prop_assert!(took >= exact && took <= exact + exact / 100 + 2_000, "{took} {exact}");
        }
    }
}
