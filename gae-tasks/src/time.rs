//! Moments and schedules as values; nothing here reads a clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment in microseconds since 1970-01-01T00:00:00Z, the resolution Cloud Tasks uses.
///
/// Arithmetic saturates: a moment beyond the range of `i64` is the last one that fits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The last moment that can be told.
    pub const MAX: Self = Self(i64::MAX);

    /// The moment `micros` microseconds after 1970-01-01T00:00:00Z (before it, if negative).
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// This moment moved on by `duration`, at the most to [`Timestamp::MAX`].
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// This moment moved back by `duration`.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }
}

/// A duration as whole microseconds that fit the storage's integers; too long a one saturates.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A duration as people say it, in one unit or two: `100 milliseconds`, `2.5 seconds`, `1 minute 30 seconds`, `20 years`.
///
/// Less than the smaller unit is left out, and of seconds less than a tenth.
pub(crate) fn readable(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds == 0 && duration.subsec_millis() > 0 {
        return amount(duration.subsec_millis().into(), "millisecond");
    }
    if seconds == 0 && !duration.is_zero() {
        return amount(duration.subsec_micros().into(), "microsecond");
    }
    let tenth = duration.subsec_millis() / 100;
    if seconds < 60 && tenth > 0 {
        return format!("{seconds}.{tenth} seconds");
    }
    let place = UNITS.iter().rposition(|(length, _)| seconds >= *length).unwrap_or_default();
    let (length, unit) = UNITS[place];
    let whole = amount(seconds / length, unit);
    match place.checked_sub(1).map(|smaller| (seconds % length / UNITS[smaller].0, UNITS[smaller].1)) {
        Some((rest, unit)) if rest > 0 => format!("{whole} {}", amount(rest, unit)),
        _ => whole,
    }
}

/// The units of [`readable`], in seconds.
const UNITS: [(u64, &str); 5] =
    [(1, "second"), (60, "minute"), (60 * 60, "hour"), (24 * 60 * 60, "day"), (365 * 24 * 60 * 60, "year")];

fn amount(count: u64, unit: &str) -> String {
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({}.{:06}s)", self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000))
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

/// When a task may be dispatched first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Schedule {
    /// At once.
    #[default]
    Now,
    /// This long after the moment the backend stores the task.
    After(Duration),
    /// At this moment, or at once if it has passed.
    At(Timestamp),
}

impl Schedule {
    /// Whether it names a moment to wait for. A task without one is due, whatever a clock says later.
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

/// What "now" means in a request to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Now {
    /// The storage's own clock, so that machines need not agree on theirs.
    #[default]
    Storage,
    /// This moment: tests with a clock of their own.
    At(Timestamp),
}

impl Now {
    /// The moment that is meant, where `storage` tells the storage's clock.
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
    fn durations_are_readable() {
        let day = 24 * 60 * 60 * 1_000_000;
        let texts = [
            (0, "0 seconds"),
            (250, "250 microseconds"),
            (1_000, "1 millisecond"),
            (100_999, "100 milliseconds"),
            (1_000_000, "1 second"),
            (1_083_000, "1 second"),
            (2_560_000, "2.5 seconds"),
            (59_999_999, "59.9 seconds"),
            (90_000_000, "1 minute 30 seconds"),
            (3_600_000_000, "1 hour"),
            (3_661_000_000, "1 hour 1 minute"),
            (day + 3_600_000_000, "1 day 1 hour"),
            (7 * day, "7 days"),
            (20 * 365 * day, "20 years"),
            (366 * day, "1 year 1 day"),
        ];
        for (micros, text) in texts {
            assert_eq!(readable(Duration::from_micros(micros)), text);
        }
        assert!(readable(Duration::MAX).ends_with("days"));
    }

    #[test]
    fn a_schedule_in_the_past_is_now() {
        let now = Timestamp::from_micros(10);
        assert_eq!(Schedule::At(Timestamp::from_micros(3)).resolve(now), now);
        assert_eq!(Schedule::After(Duration::from_micros(3)).resolve(now), Timestamp::from_micros(13));
    }
}
