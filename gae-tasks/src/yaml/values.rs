//! The values of App Engine's files: times, ages, whole numbers.

use std::time::Duration;

/// The units of ages and rates, with their seconds.
const UNITS: [(&str, u32); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];

/// Reads an age, such as `2d`: a number with its unit, of which the whole seconds count.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    const FORMS: &str = "use a number with its unit, `s`, `m`, `h` or `d`: `90s`, `1.5h`, `2d`";
    let text = text.trim();
    let in_unit =
        UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(*unit)?, *seconds)));
    let Some((number, seconds)) = in_unit else {
        let problem = if decimal(text).is_some() { "has no unit" } else { "is not an age" };
        return Err(format!("{problem}: {FORMS}"));
    };
    let number = decimal(number).ok_or_else(|| format!("is not an age: {FORMS}"))?;
    let whole = Duration::try_from_secs_f64((number * f64::from(seconds)).floor());
    match whole {
        Ok(Duration::ZERO) => {
            Err("is no age: use 1s or more, or remove the key for no limit".to_owned())
        }
        Ok(whole) => Ok(whole),
        Err(_) => Err("is too long: remove the key for no limit".to_owned()),
    }
}

/// Reads a number of seconds, such as `0.5`.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number = decimal(text.trim())
        .ok_or("is not a number of seconds: use one without a unit, such as `0.5` or `3600`")?;
    Duration::try_from_secs_f64(number).map_err(|_| "is too long a time".to_owned())
}

/// Reads a whole number from `least` on.
pub(crate) fn whole(least: u32) -> impl Fn(&str) -> Result<u32, String> {
    move |text: &str| {
        let digits = text.trim();
        let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_whole {
            return Err(format!("is not a whole number: use {least} or more"));
        }
        let number: u32 = digits.parse().map_err(|_| format!("is above {}", u32::MAX))?;
        if number < least { Err(format!("is too few: use {least} or more")) } else { Ok(number) }
    }
}

/// The seconds of a unit.
pub(crate) fn seconds_of(unit: &str) -> Option<u32> {
    UNITS.iter().find(|(known, _)| *known == unit).map(|(_, seconds)| *seconds)
}

/// Reads a decimal number without a sign or an exponent.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let allowed = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let is_decimal = text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(allowed);
    text.parse().ok().filter(|number: &f64| is_decimal && number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_whole_seconds() {
        for (text, whole) in [("1s", 1), ("1.9s", 1), ("2m", 120), ("1.5h", 5_400), ("2d", 172_800)]
        {
            assert_eq!(age(text), Ok(Duration::from_secs(whole)), "{text}");
        }
        for (text, problem) in [
            ("90", "has no unit"),
            ("s", "is not an age"),
            ("", "is not an age"),
            ("2 weeks", "is not an age"),
            ("é", "is not an age"),
            ("-1s", "is not an age"),
            ("0d", "is no age"),
            ("0.5s", "is no age"),
        ] {
            assert!(age(text).unwrap_err().starts_with(problem), "{text}: {:?}", age(text));
        }
        assert!(age(&format!("{}d", "9".repeat(30))).unwrap_err().starts_with("is too long"));
    }

    #[test]
    fn numbers_have_their_bounds() {
        assert_eq!(seconds("0.1"), Ok(Duration::from_millis(100)));
        assert!(seconds("1s").is_err() && seconds("-1").is_err() && seconds("inf").is_err());
        assert!(seconds(&"9".repeat(30)).unwrap_err().starts_with("is too long"));
        assert_eq!((whole(1)("7"), whole(0)(" 0 ")), (Ok(7), Ok(0)));
        for text in ["0", "1.5", "", "-1", "4294967296", "0x10"] {
            assert!(whole(1)(text).is_err(), "{text}");
        }
    }

    #[test]
    fn units_are_written_in_one_letter() {
        assert_eq!((seconds_of("s"), seconds_of("d")), (Some(1), Some(86_400)));
        for unit in ["", "S", "sec", "ms"] {
            assert_eq!(seconds_of(unit), None, "{unit}");
        }
    }
}
