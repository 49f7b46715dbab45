//! Formats durations for messages.

use std::fmt;
use std::time::Duration;

/// The units of a duration of a minute or more: the number of seconds, the singular, the plural.
const UNITS: [(u64, &str, &str); 5] = [
    (365 * 86_400, "year", "years"),
    (86_400, "day", "days"),
    (3_600, "h", "h"),
    (60, "min", "min"),
    (1, "s", "s"),
];

/// Formats a duration: `20 years`, `1 h 30 min`, `1.5 s`. At most two units are shown, as seconds
/// do not matter beside days.
pub(crate) const fn readable(duration: Duration) -> impl fmt::Display {
    Readable(duration)
}

struct Readable(Duration);

impl fmt::Display for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            return f.write_str("0 s");
        }
        if self.0 < Duration::from_secs(60) {
            // `1.5s`, `100ms`
            let text = format!("{:?}", self.0);
            let (number, unit) =
                text.split_at(text.find(char::is_alphabetic).unwrap_or(text.len()));
            return write!(f, "{number} {unit}");
        }
        let mut rest = self.0.as_secs();
        let parts = UNITS.map(|(seconds, one, several)| {
            let count = rest / seconds;
            rest %= seconds;
            (count, if count == 1 { one } else { several })
        });
        let parts = parts.into_iter().filter(|(count, _)| *count > 0).take(2);
        parts.enumerate().try_for_each(|(place, (count, unit))| {
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{count} {unit}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_the_units_that_fit_them() {
        const DAY: u64 = 86_400;
        for (seconds, text) in [
            (20 * 365 * DAY, "20 years"),
            (365 * DAY, "1 year"),
            (365 * DAY + 30 * DAY, "1 year 30 days"),
            (3_650 * DAY + 3, "10 years 3 s"),
            (30 * DAY, "30 days"),
            (DAY + 60, "1 day 1 min"),
            (5_400, "1 h 30 min"),
            (3_600, "1 h"),
            (90, "1 min 30 s"),
            (60, "1 min"),
            (59, "59 s"),
            (0, "0 s"),
        ] {
            assert_eq!(readable(Duration::from_secs(seconds)).to_string(), text);
        }
        for (nanos, text) in [
            (1_500_000_000, "1.5 s"),
            (100_000_000, "100 ms"),
            (1_000, "1 µs"),
            (9_999_000_000, "9.999 s"),
            (7, "7 ns"),
        ] {
            assert_eq!(readable(Duration::from_nanos(nanos)).to_string(), text);
        }
        assert_eq!(readable(Duration::MAX).to_string(), "584942417355 years 26 days");
    }
}
