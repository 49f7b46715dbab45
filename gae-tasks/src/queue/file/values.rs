//! The values of a `queue.yaml`: rates, ages, numbers.

use std::time::Duration;

use crate::queue::Rate;

/// The units of rates and ages, with their seconds.
const UNITS: [(char, u32); 4] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];

/// How fast the tasks of a queue are dispatched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Speed {
    /// Not at all: the queue is paused.
    Paused,
    /// So many in a second.
    PerSecond(f64),
}

/// How tasks leave a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The queue calls handlers.
    Push,
    /// Programs lease tasks.
    Pull,
}

/// Reads a rate: `0`, or a number with its unit, such as `5/s`.
pub(super) fn speed(text: &str) -> Result<Speed, String> {
    const FORMS: &str = "use a number for a second, a minute, an hour or a day: `5/s`, `1.5/m`, \
                         `100/h`, `1/d`; or `0` to pause the queue";
    let not_a_rate = || format!("is not a rate: {FORMS}");
    let text = text.trim();
    if text == "0" {
        return Ok(Speed::Paused);
    }
    let Some((number, unit)) = text.split_once('/') else {
        return Err(if decimal(text).is_some() {
            format!("has no unit: {FORMS}")
        } else {
            not_a_rate()
        });
    };
    let number = decimal(number).ok_or_else(not_a_rate)?;
    let seconds = seconds_of(unit).ok_or_else(not_a_rate)?;
    let (rate, most) = (number / f64::from(seconds), Rate::MAX_PER_SECOND);
    if number == 0.0 {
        return Ok(Speed::Paused);
    }
    if Rate::per_second(rate) > Rate::per_second(most.into()) {
        return Err(format!("is too fast: use {most}/s at most"));
    }
    if Rate::per_second(rate).micros() == 0 {
        return Err("is too slow: use 0.05/d at least, or `0` to pause the queue".to_owned());
    }
    Ok(Speed::PerSecond(rate))
}

/// Reads an age, such as `2d`: a number with its unit, of which the whole seconds count.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    const FORMS: &str = "use a number with its unit, `s`, `m`, `h` or `d`: `90s`, `1.5h`, `2d`";
    let text = text.trim();
    let unit = text.chars().next_back().and_then(|unit| {
        UNITS.iter().find(|(known, _)| *known == unit).map(|(_, seconds)| *seconds)
    });
    let Some(seconds) = unit else {
        let problem = if decimal(text).is_some() { "has no unit" } else { "is not an age" };
        return Err(format!("{problem}: {FORMS}"));
    };
    // The units are single bytes.
    let number = text.get(..text.len() - 1).and_then(decimal);
    let number = number.ok_or_else(|| format!("is not an age: {FORMS}"))?;
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
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let number = decimal(text.trim())
        .ok_or("is not a number of seconds: use one without a unit, such as `0.5` or `3600`")?;
    Duration::try_from_secs_f64(number).map_err(|_| "is too long a time".to_owned())
}

/// Reads a whole number from `least` on.
pub(super) fn whole(least: u32) -> impl Fn(&str) -> Result<u32, String> {
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

/// Reads `push` or `pull`.
pub(super) fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "push" => Ok(Mode::Push),
        "pull" => Ok(Mode::Pull),
        _ => Err("is no mode: use `push`, or remove the key".to_owned()),
    }
}

/// Reads a truth value.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err("is neither `true` nor `false`".to_owned()),
    }
}

/// Reads a storage limit, such as `120M`, and returns it as written.
pub(super) fn storage(text: &str) -> Result<String, String> {
    let number = text.strip_suffix(['B', 'K', 'M', 'G', 'T']).unwrap_or(text);
    match decimal(number) {
        Some(_) => Ok(text.to_owned()),
        None => Err("is not a size: use a number with B, K, M, G or T, such as `120M`".to_owned()),
    }
}

/// Reads a service, with its version before it, and returns both as written.
pub(super) fn target(text: &str) -> Result<String, String> {
    let is_name = |name: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !name.is_empty() && !name.starts_with('-') && name.bytes().all(allowed)
    };
    let (version, service) = text.split_once('.').unwrap_or(("any", text));
    if is_name(version) && is_name(service) {
        Ok(text.to_owned())
    } else {
        Err("is no target: use a service, or a version and a service: `worker`, `v2.worker`"
            .to_owned())
    }
}

fn seconds_of(unit: &str) -> Option<u32> {
    UNITS.iter().find(|(known, _)| unit.chars().eq([*known])).map(|(_, seconds)| *seconds)
}

/// Reads a decimal number without a sign or an exponent.
fn decimal(text: &str) -> Option<f64> {
    let allowed = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let is_decimal = text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(allowed);
    text.parse().ok().filter(|number: &f64| is_decimal && number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_a_unit() {
        let paused = Ok(Speed::Paused);
        for (text, speed_of) in [
            ("0", paused.clone()),
            ("0/s", paused.clone()),
            (" 0.0/d ", paused),
            ("5/s", Ok(Speed::PerSecond(5.0))),
            ("0.5/s", Ok(Speed::PerSecond(0.5))),
            ("5./s", Ok(Speed::PerSecond(5.0))),
            ("30/m", Ok(Speed::PerSecond(0.5))),
            ("1800/h", Ok(Speed::PerSecond(0.5))),
            ("43200/d", Ok(Speed::PerSecond(0.5))),
            ("1000000/s", Ok(Speed::PerSecond(1e6))),
        ] {
            assert_eq!(speed(text), speed_of, "{text}");
        }
        for (text, problem) in [
            ("5", "has no unit"),
            ("fast", "is not a rate"),
            ("5/sec", "is not a rate"),
            ("5/", "is not a rate"),
            ("/s", "is not a rate"),
            ("-5/s", "is not a rate"),
            ("5e3/s", "is not a rate"),
            ("5/s/s", "is not a rate"),
            ("1000001/s", "is too fast"),
            ("0.01/d", "is too slow"),
        ] {
            assert!(speed(text).unwrap_err().starts_with(problem), "{text}: {:?}", speed(text));
        }
        assert!(matches!(speed("0.05/d"), Ok(Speed::PerSecond(_))));
    }

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
    fn words_are_those_of_app_engine() {
        assert_eq!((mode("push"), mode("pull")), (Ok(Mode::Push), Ok(Mode::Pull)));
        assert!(mode("Push").is_err());
        assert_eq!((truth("True"), truth("no")), (Ok(true), Ok(false)));
        assert!(truth("1").is_err());
        assert!(storage("120M").is_ok() && storage("1.5").is_ok());
        assert!(storage("lots").is_err() && storage("M").is_err());
        assert!(target("worker").is_ok() && target("v2.worker").is_ok());
        for wrong in ["", "Worker", "-w", "a.b.c", ".w", "v2.", "a b"] {
            assert!(target(wrong).is_err(), "{wrong}");
        }
    }
}
