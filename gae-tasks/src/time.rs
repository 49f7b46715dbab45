//! Moments and schedules as values; this module reads no clock.

mod duration;
#[cfg(feature = "chrono")]
mod of_chrono;
#[cfg(feature = "jiff")]
mod of_jiff;
#[cfg(feature = "time")]
mod of_time;
mod serde;
mod text;

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) use self::duration::readable;

/// A moment in microseconds since 1970-01-01T00:00:00Z, the resolution that Cloud Tasks uses.
///
/// Arithmetic saturates at the range of `i64`.
///
/// A moment is printed, and written by serde to text formats, as RFC 3339 in UTC; serde writes the
/// microseconds to binary formats. The features `chrono`, `jiff` and `time` convert from and into
/// the types of these crates, so that [`Defer::at`](crate::Defer::at) accepts these types.
///
/// ```
/// use gae_tasks::Timestamp;
///
/// let at: Timestamp = "2026-03-01T10:30:00+01:00".parse()?;
/// assert_eq!(at.to_string(), "2026-03-01T09:30:00Z");
/// # Ok::<(), gae_tasks::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The last moment that can be represented.
    pub const MAX: Self = Self(i64::MAX);

    /// Creates the moment `micros` microseconds after 1970-01-01T00:00:00Z (before it, if
    /// negative).
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The moment `nanos` nanoseconds after 1970-01-01T00:00:00Z, or the nearest that fits.
    #[cfg(any(feature = "jiff", feature = "time"))]
    fn from_nanos(nanos: i128) -> Self {
        let micros = nanos.div_euclid(1_000);
        Self(i64::try_from(micros).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX }))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// Returns this moment plus `duration`, at most [`Timestamp::MAX`].
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// Returns this moment minus `duration`.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }
}

/// A duration in whole microseconds that fit the storage's integers; a longer duration saturates.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Timestamp({}.{:06}s)",
            self.0.div_euclid(1_000_000),
            self.0.rem_euclid(1_000_000)
        )
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(micros(after)),
            Err(before) => Self(micros(before.duration()).saturating_neg()),
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        let distance = Duration::from_micros(timestamp.0.unsigned_abs());
        if timestamp.0 < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
    }
}

/// When a task may first be dispatched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Schedule {
    /// At once.
    #[default]
    Now,
    /// This long after the backend stores the task.
    After(Duration),
    /// At this moment, or at once if it has passed.
    At(Timestamp),
}

impl Schedule {
    /// Whether the schedule names a moment to wait for. A task without one is due, whatever a clock
    /// says later.
    pub(crate) const fn is_timed(self) -> bool {
        match self {
            Self::Now => false,
            Self::After(delay) => !delay.is_zero(),
            Self::At(_) => true,
        }
    }

    /// The schedule time of a task that is stored at `now`.
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Now => now,
            Self::After(delay) => now.plus(delay),
            Self::At(at) => at.max(now),
        }
    }
}

/// The meaning of "now" in a request to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Now {
    /// The storage's own clock, so that the clocks of machines need not agree.
    #[default]
    Storage,
    /// This moment, for tests with a clock of their own.
    At(Timestamp),
}

impl Now {
    /// Returns the moment, where `storage` reads the storage's clock.
    pub fn resolve(self, storage: impl FnOnce() -> Timestamp) -> Timestamp {
        match self {
            Self::Storage => storage(),
            Self::At(at) => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_time_goes_there_and_back() {
        for micros in [0, 1, -1, 1_795_357_374_291_664] {
            let at = Timestamp::from_micros(micros);
            assert_eq!(Timestamp::from(SystemTime::from(at)), at);
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::MAX.plus(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_micros(5).since(Timestamp::MAX), Duration::ZERO);
        assert!(Timestamp::MAX.since(Timestamp::from_micros(i64::MIN)) > Duration::ZERO);
    }

    #[test]
    fn a_schedule_in_the_past_is_now() {
        let now = Timestamp::from_micros(10);
        assert_eq!(Schedule::At(Timestamp::from_micros(3)).resolve(now), now);
        assert_eq!(
            Schedule::After(Duration::from_micros(3)).resolve(now),
            Timestamp::from_micros(13)
        );
    }
}
