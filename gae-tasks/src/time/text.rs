//! Moments as text: RFC 3339, in UTC.

use std::fmt;
use std::str::FromStr;

use super::Timestamp;
use crate::error::Error;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 24 * 60 * 60 * SECOND;

/// Days from 0000-03-01 to 1970-01-01. Years are counted from March here, so that a leap day is the
/// last day of its year.
const EPOCH: i64 = 719_468;

/// Days of 400 years, after which the calendar repeats.
const ERA: i64 = 146_097;

/// RFC 3339 in UTC, to the microsecond if the moment is not a whole second:
/// `2026-03-01T09:30:00.250000Z`.
///
/// Years outside of 0 to 9999, which RFC 3339 lacks, have a sign and six digits, as in ISO 8601.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, micros) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (year, month, day) = date(days);
        match year {
            0..=9999 => write!(f, "{year:04}")?,
            _ => write!(f, "{year:+07}")?,
        }
        let (seconds, micros) = (micros / SECOND, micros % SECOND);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if micros != 0 {
            write!(f, ".{micros:06}")?;
        }
        f.write_str("Z")
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    /// Reads RFC 3339, and the output of `Display`. Digits below a microsecond are cut off. A leap
    /// second is read as the first second of the next minute.
    ///
    /// # Errors
    /// [`Error::Timestamp`] if the text does not have this form, or its time is out of range.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut rest = Rest(text.as_bytes());
        let read = rest.timestamp().filter(|_| rest.0.is_empty());
        read.ok_or_else(|| {
            Error::timestamp(
                text.to_owned(),
                "does not have the form `2026-03-01T09:30:00Z` (RFC 3339)",
            )
        })
    }
}

/// The unread rest of a text.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn timestamp(&mut self) -> Option<Timestamp> {
        let days = self.date()?;
        self.byte(b"Tt ")?;
        let seconds = self.time()?;
        let micros = self.fraction()?;
        let offset = self.offset()?;
        let all = i128::from(days * 24 * 60 * 60 + seconds - offset) * i128::from(SECOND);
        Some(Timestamp(i64::try_from(all + i128::from(micros)).ok()?))
    }

    /// Reads a date as days from the epoch.
    fn date(&mut self) -> Option<i64> {
        let year = match self.byte(b"+-") {
            Some(b'-') => -self.number(6)?,
            Some(_) => self.number(6)?,
            None => self.number(4)?,
        };
        self.byte(b"-")?;
        let month = self.number(2).filter(|month| (1..=12).contains(month))?;
        self.byte(b"-")?;
        let day = self.number(2).filter(|day| *day >= 1)?;
        let days = days(year, month, day);
        // A day that its month does not have converts to a day of the next month.
        (date(days) == (year, month, day)).then_some(days)
    }

    /// Reads a time as seconds from midnight.
    fn time(&mut self) -> Option<i64> {
        let hour = self.number(2).filter(|hour| *hour < 24)?;
        self.byte(b":")?;
        let minute = self.number(2).filter(|minute| *minute < 60)?;
        self.byte(b":")?;
        let second = self.number(2).filter(|second| *second <= 60)?;
        Some((hour * 60 + minute) * 60 + second)
    }

    /// Reads a fraction of a second as microseconds.
    fn fraction(&mut self) -> Option<i64> {
        if self.byte(b".,").is_none() {
            return Some(0);
        }
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (fraction, rest) = self.0.split_at(digits);
        self.0 = rest;
        let padded = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(6);
        (digits > 0).then(|| padded.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0')))
    }

    /// Reads an offset as seconds ahead of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.byte(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hours = self.number(2).filter(|hours| *hours < 24)?;
        self.byte(b":")?;
        let minutes = self.number(2).filter(|minutes| *minutes < 60)?;
        Some(sign * (hours * 60 + minutes) * 60)
    }

    /// Reads a number of this many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        let digit = |byte: &u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
        number.iter().try_fold(0, |number, byte| Some(number * 10 + digit(byte)?))
    }

    /// Reads the next byte, if it is one of `of`.
    fn byte(&mut self, of: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first().filter(|(first, _)| of.contains(first))?;
        self.0 = rest;
        Some(*first)
    }
}

/// Returns year, month and day of the day `days` after 1970-01-01, in the Gregorian calendar.
const fn date(days: i64) -> (i64, i64, i64) {
    let (era, of_era) = ((days + EPOCH).div_euclid(ERA), (days + EPOCH).rem_euclid(ERA));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + (month <= 2) as i64, month, day)
}

/// Returns the number of days from 1970-01-01 to this day; the inverse of [`date`].
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let from_march = (month + 9) % 12;
    let year = year - (month <= 2) as i64;
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap_or_else(|error| panic!("{error}")).as_micros()
    }

    #[test]
    fn moments_are_written_as_rfc_3339_has_them() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00Z"),
            (1_709_251_199_000_000, "2024-02-29T23:59:59Z"),
            (1_795_357_374_291_664, "2026-11-22T14:22:54.291664Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
            (253_402_300_800_000_000, "+010000-01-01T00:00:00Z"),
            (-62_167_219_200_000_001, "-000001-12-31T23:59:59.999999Z"),
            (i64::MAX, "+294247-01-10T04:00:54.775807Z"),
            (i64::MIN, "-290308-12-21T19:59:05.224192Z"),
        ] {
            assert_eq!(Timestamp::from_micros(micros).to_string(), text);
            assert_eq!(read(text), micros, "{text}");
        }
    }

    #[test]
    fn what_others_write_is_read() {
        let noon = read("2026-03-01T12:00:00Z");
        for same in [
            "2026-03-01t12:00:00z",
            "2026-03-01 12:00:00Z",
            "2026-03-01T13:30:00+01:30",
            "2026-03-01T00:00:00.000-12:00",
            "2026-03-01T12:00:00.0000009Z",
            "2026-03-01T12:00:00-00:00",
        ] {
            assert_eq!(read(same), noon, "{same}");
        }
        assert_eq!(read("2026-03-01T12:00:00.25Z"), noon + 250_000);
        assert_eq!(read("1998-12-31T23:59:60Z"), read("1999-01-01T00:00:00Z"), "a leap second");
    }

    #[test]
    fn what_is_no_moment_is_refused_and_named() {
        for bad in [
            "",
            "now",
            "2026-03-01",
            "2026-03-01T12:00:00",
            "2026-03-01T12:00Z",
            "2026-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-04-31T12:00:00Z",
            "2026-00-01T12:00:00Z",
            "2026-01-00T12:00:00Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T12:60:00Z",
            "2026-03-01T12:00:61Z",
            "2026-03-01T12:00:00.Z",
            "2026-03-01T12:00:00+0100",
            "2026-03-01T12:00:00Zulu",
            "2026-03-01T12:00:0٣Z",
            "+294247-01-10T04:00:54.775808Z",
        ] {
            let error = bad.parse::<Timestamp>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{bad}`")) && error.contains("RFC 3339"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_read_back(micros in any::<i64>()) {
            let moment = Timestamp::from_micros(micros);
            prop_assert_eq!(moment.to_string().parse::<Timestamp>().unwrap(), moment);
        }

        #[test]
        fn later_moments_of_four_digit_years_are_later_texts(
            a in 0..253_402_300_799_i64,
            b in 0..253_402_300_799_i64,
        ) {
            let text = |seconds| Timestamp::from_micros(seconds * SECOND).to_string();
            prop_assert_eq!(a.cmp(&b), text(a).cmp(&text(b)));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9TtZz:., ]{0,40}") {
            _ = text.parse::<Timestamp>();
        }
    }
}
