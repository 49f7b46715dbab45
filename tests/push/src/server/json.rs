//! The API's JSON: names in either case, enums as names or numbers, times and bytes as text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::error::Refusal;

/// Returns the field `camelCase` of an object, under that name or the name with underscores.
pub(super) fn field<'a>(object: &'a Value, camel: &str) -> Option<&'a Value> {
    object.get(camel).or_else(|| object.get(snake(camel))).filter(|value| !value.is_null())
}

pub(super) fn text<'a>(object: &'a Value, camel: &str) -> &'a str {
    field(object, camel).and_then(Value::as_str).unwrap_or_default()
}

/// Returns a number, which may be written as text.
pub(super) fn number(object: &Value, camel: &str) -> Option<f64> {
    let value = field(object, camel)?;
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

pub(super) fn snake(camel: &str) -> String {
    let mut snake = String::new();
    for c in camel.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// Returns an enum's name, from its name or its number.
pub(super) fn variant(
    object: &Value,
    camel: &str,
    names: &[&'static str],
) -> Result<&'static str, Refusal> {
    let Some(value) = field(object, camel) else { return Ok(names[0]) };
    let by_number = value.as_u64().and_then(|number| names.get(usize::try_from(number).ok()?));
    let known = by_number.or_else(|| names.iter().find(|name| value.as_str() == Some(name)));
    known.copied().ok_or_else(|| Refusal::invalid(format!("Invalid value at '{camel}': {value}")))
}

pub(super) fn duration(object: &Value, camel: &str) -> Result<Option<Duration>, Refusal> {
    let Some(value) = field(object, camel) else { return Ok(None) };
    let invalid = || Refusal::invalid(format!("Invalid value at '{camel}': {value}"));
    let seconds = value.as_str().and_then(|text| text.strip_suffix('s')).ok_or_else(invalid)?;
    let seconds = seconds.parse().map_err(|_| invalid())?;
    Duration::try_from_secs_f64(seconds).map(Some).map_err(|_| invalid())
}

pub(super) fn duration_text(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    match nanos {
        0 => format!("{seconds}s"),
        _ if nanos.is_multiple_of(1_000_000) => format!("{seconds}.{:03}s", nanos / 1_000_000),
        _ => format!("{seconds}.{nanos:09}s"),
    }
}

pub(super) fn time(object: &Value, camel: &str) -> Result<Option<SystemTime>, Refusal> {
    let Some(value) = field(object, camel) else { return Ok(None) };
    let time = value.as_str().and_then(|text| humantime::parse_rfc3339(text).ok());
    time.map(Some).ok_or_else(|| Refusal::invalid(format!("Invalid value at '{camel}': {value}")))
}

pub(super) fn time_text(time: SystemTime) -> String {
    humantime::format_rfc3339_micros(time).to_string()
}

/// Seconds since 1970 with six decimals, as in the headers of requests.
pub(super) fn epoch_text(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:06}", since.as_secs(), since.subsec_micros())
}

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

pub(super) fn bytes(object: &Value, camel: &str) -> Result<Vec<u8>, Refusal> {
    let text = text(object, camel);
    let alphabet = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    let decoded = GeneralPurpose::new(&alphabet, LENIENT).decode(text);
    decoded.map_err(|_| {
        Refusal::invalid(format!("Invalid value at '{camel}' (TYPE_BYTES), Base64 decoding failed"))
    })
}

pub(super) fn bytes_text(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn either_case_and_either_form_of_an_enum_is_read() {
        const METHODS: &[&str] = &["HTTP_METHOD_UNSPECIFIED", "POST", "GET"];
        for object in [
            json!({"httpMethod": 1}),
            json!({"http_method": "POST"}),
            json!({"httpMethod": "POST"}),
        ] {
            assert_eq!(variant(&object, "httpMethod", METHODS), Ok("POST"));
        }
        assert!(variant(&json!({"httpMethod": 9}), "httpMethod", METHODS).is_err());
        assert_eq!(variant(&json!({}), "httpMethod", METHODS), Ok("HTTP_METHOD_UNSPECIFIED"));
    }

    #[test]
    fn times_and_bytes_are_written_as_google_writes_them() {
        assert_eq!(duration_text(Duration::from_millis(100)), "0.100s");
        assert_eq!(duration_text(Duration::from_secs(3600)), "3600s");
        assert_eq!(duration(&json!({"d": "3.5s"}), "d"), Ok(Some(Duration::from_millis(3500))));
        let at = UNIX_EPOCH + Duration::from_micros(1_795_357_374_291_664);
        assert_eq!(epoch_text(at), "1795357374.291664");
        assert_eq!(time(&json!({"t": time_text(at)}), "t"), Ok(Some(at)));
        for text in ["/+8=", "_-8=", "_-8"] {
            assert_eq!(bytes(&json!({"b": text}), "b"), Ok(vec![0xff, 0xef]), "{text}");
        }
        assert_eq!(bytes_text(&[0xff, 0xef]), "/+8=");
    }
}
