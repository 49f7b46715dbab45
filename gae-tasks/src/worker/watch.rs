//! Detects lost leases by time alone: leases that stay unchanged for their own duration.

use std::collections::HashMap;
use std::time::Duration;

use crate::backend::{HeldLease, LeaseRef};
use crate::time::Timestamp;

/// One look adds at most this part (1/`PARTS`) of a lease's duration to its unchanged time.
///
/// Between two looks that are far apart, this worker, the holder of the lease, or both may have
/// been frozen, and the storage may have been unreachable. A holder extends its lease three times
/// as often as it must, so a living holder extends it before several such looks add up.
const PARTS: u32 = 3;

/// The longest time between looks while no lease is short.
const INTERVAL: Duration = Duration::from_millis(500);

/// The number of looks within the shortest lease.
const LOOKS: u32 = 4;

/// Watches the leases of all workers with a monotonic clock: no clock of another process and no
/// wall clock decides.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: HashMap<LeaseRef, Seen>,
    /// When the storage answered the last look.
    answered: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    expires: Timestamp,
    duration: Duration,
    /// How long the lease has certainly been unchanged.
    unchanged: Duration,
}

impl Watch {
    /// Records the leases that were held in the answer to a look from `asked` to `answered`, on the
    /// monotonic clock.
    pub(super) fn look(&mut self, held: Vec<HeldLease>, asked: Duration, answered: Duration) {
        let passed = self.answered.map_or(Duration::ZERO, |last| asked.saturating_sub(last));
        let seen = |HeldLease { lease, expires, duration }| {
            let before = self.seen.get(&lease).filter(|seen| seen.expires == expires);
            let added = passed.min(duration / PARTS);
            let unchanged =
                before.map_or(Duration::ZERO, |seen| seen.unchanged.saturating_add(added));
            (lease, Seen { expires, duration, unchanged })
        };
        self.seen = held.into_iter().map(seen).collect();
        self.answered = Some(answered);
    }

    /// Records that a look failed: holders may have been unable to extend their leases, and get at
    /// least half of the duration again.
    pub(super) fn missed(&mut self) {
        for seen in self.seen.values_mut() {
            seen.unchanged = seen.unchanged.min(seen.duration / 2);
        }
        self.answered = None;
    }

    /// The leases that were unchanged for their own duration.
    pub(super) fn lost(&self) -> Vec<HeldLease> {
        let lost = self.seen.iter().filter(|(_, seen)| seen.unchanged >= seen.duration);
        lost.map(|(lease, seen)| HeldLease::new(*lease, seen.expires, seen.duration)).collect()
    }

    /// Whether there are lost leases.
    pub(super) fn has_lost(&self) -> bool {
        self.seen.values().any(|seen| seen.unchanged >= seen.duration)
    }

    /// The time to wait until the next look.
    pub(super) fn interval(&self) -> Duration {
        let shortest = self.seen.values().map(|seen| seen.duration / LOOKS).min();
        shortest.map_or(INTERVAL, |shortest| shortest.clamp(INTERVAL / 10, INTERVAL))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backend::LeaseToken;
    use crate::task::TaskId;

    const SECOND: Duration = Duration::from_secs(1);

    fn held(expires: i64, duration: Duration) -> HeldLease {
        let lease = LeaseRef::new(TaskId::from_bytes([1; 16]), LeaseToken::from_bits(1));
        HeldLease::new(lease, Timestamp::from_micros(expires), duration)
    }

    /// Looks at one lease regularly, starting at `from`, until the lease is lost; returns when that
    /// was.
    fn lost_after(watch: &mut Watch, lease: HeldLease, from: Duration) -> Duration {
        let mut now = from;
        for _ in 0..1_000 {
            watch.look(vec![lease], now, now);
            assert_eq!(watch.has_lost(), !watch.lost().is_empty());
            if watch.has_lost() {
                return now - from;
            }
            now += watch.interval();
        }
        panic!("the lease is never lost: {watch:?}");
    }

    #[test]
    fn a_lease_that_stays_as_it_is_is_lost_after_its_own_duration() {
        for millis in [1_000, 1_200, 5_000, 30_000] {
            let duration = Duration::from_millis(millis);
            let after = lost_after(&mut Watch::default(), held(7, duration), 100 * SECOND);
            assert!(
                after >= duration && after <= duration + SECOND,
                "{after:?} for a lease of {duration:?}"
            );
        }
    }

    #[test]
    fn the_shortest_lease_says_how_often_to_look() {
        for (millis, interval) in
            [(100, 50), (1_000, 250), (1_200, 300), (5_000, 500), (30_000, 500)]
        {
            let mut watch = Watch::default();
            watch.look(vec![held(7, Duration::from_millis(millis))], SECOND, SECOND);
            assert_eq!(
                watch.interval(),
                Duration::from_millis(interval),
                "for a lease of {millis} ms"
            );
        }
    }

    #[test]
    fn what_the_wall_clock_says_does_not_matter() {
        for expires in [i64::MIN, 0, i64::MAX] {
            let mut watch = Watch::default();
            watch.look(vec![held(expires, SECOND)], SECOND, SECOND);
            assert_eq!(watch.lost(), [], "however long it has expired");
            assert!(lost_after(&mut watch, held(expires, SECOND), 2 * SECOND) <= 2 * SECOND);
        }
    }

    #[test]
    fn a_change_begins_anew() {
        let mut watch = Watch::default();
        for look in 0..100 {
            let now = look * SECOND / 5;
            watch.look(vec![held(i64::from(look) / 4, SECOND)], now, now);
            assert_eq!(watch.lost(), [], "look {look}");
        }
    }

    #[test]
    fn a_long_silence_takes_no_lease() {
        let mut watch = Watch::default();
        for (look, second) in [0, 60, 120].into_iter().enumerate() {
            let now = second * SECOND;
            watch.look(vec![held(7, 30 * SECOND)], now, now);
            assert_eq!(watch.lost(), [], "look {look}");
        }
        watch.look(vec![held(8, 30 * SECOND)], 121 * SECOND, 121 * SECOND);
        assert!(
            lost_after(&mut watch, held(8, 30 * SECOND), 121 * SECOND) >= 29 * SECOND,
            "its holder is back"
        );
    }

    #[test]
    fn a_slow_answer_does_not_count() {
        let mut watch = Watch::default();
        for look in 0..10 {
            let asked = look * 5 * SECOND;
            watch.look(vec![held(7, SECOND)], asked, asked + 5 * SECOND);
        }
        assert_eq!(watch.lost(), [], "the storage never showed how long the lease was unchanged");
    }

    #[test]
    fn after_a_look_that_failed_a_holder_has_half_of_its_lease_again() {
        for seconds in [0, 3, 9, 60] {
            let mut watch = Watch::default();
            let lease = held(7, 30 * SECOND);
            for look in 0..=29 {
                watch.look(vec![lease], look * SECOND, look * SECOND);
            }
            watch.missed();
            let after = lost_after(&mut watch, lease, (29 + seconds) * SECOND);
            assert!(after >= 15 * SECOND && after <= 16 * SECOND, "{after:?} after {seconds} s");
        }
    }

    #[test]
    fn a_look_that_failed_adds_nothing() {
        let mut watch = Watch::default();
        let lease = held(7, 30 * SECOND);
        for look in 0..=5 {
            watch.look(vec![lease], look * SECOND, look * SECOND);
        }
        watch.missed();
        assert!(lost_after(&mut watch, lease, 60 * SECOND) >= 25 * SECOND);
    }

    #[test]
    fn a_lease_that_is_gone_is_forgotten() {
        let mut watch = Watch::default();
        lost_after(&mut watch, held(7, SECOND), SECOND);
        watch.look(Vec::new(), 60 * SECOND, 60 * SECOND);
        assert_eq!((watch.lost(), watch.seen.len(), watch.interval()), (Vec::new(), 0, INTERVAL));
    }

    proptest! {
        /// Whichever process freezes: a holder that extends its lease within a third of the
        /// duration, and as soon as it is awake again, does not lose the lease to looks that are at
        /// least that far apart.
        #[test]
        fn no_live_lease_is_taken(
            pauses in prop::collection::vec(0_u64..100_000, 1..60), millis in 1_000_u64..60_000,
        ) {
            let duration = Duration::from_millis(millis);
            let (mut watch, mut expires) = (Watch::default(), 0);
            let (mut now, mut extended) = (Duration::ZERO, Duration::ZERO);
            for pause in pauses {
                watch.look(vec![held(expires, duration)], now, now);
                prop_assert_eq!(watch.lost(), vec![]);
                now += Duration::from_millis(pause);
                if now.saturating_sub(extended) >= duration / 3 {
                    (extended, expires) = (now, expires + 1);
                }
            }
        }
    }
}
