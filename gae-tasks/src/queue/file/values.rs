//! The values that only a `queue.yaml` has: rates, modes, sizes, services.

use crate::queue::Rate;
use crate::yaml::values::{decimal, seconds_of};

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
