//! The attributes of a task: data beside the payload that concerns neither the handler nor the
//! storage. Opaque bytes to backends.

mod header;

use serde::{Deserialize, Serialize};

pub(crate) use self::header::problem_of_header;
use crate::version;

/// The attributes of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attributes {
    /// The location of the payload, if the payload was too large for the task.
    pub(crate) spilled: Option<Spilled>,
    /// The trace that deferred the task, as in W3C's header `traceparent`.
    pub(crate) traceparent: Option<String>,
    /// The service that runs the task, in place of the backend's own.
    pub(crate) target: Option<Target>,
    /// HTTP headers of the task's requests.
    pub(crate) headers: Vec<(String, String)>,
}

/// A payload in a payload store, and the length and checksum that verify the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spilled {
    pub(crate) key: String,
    /// The name of the payload store.
    pub(crate) store: String,
    /// The size of the payload, in bytes.
    pub(crate) length: u64,
    checksum: u64,
}

impl Spilled {
    /// Describes `payload` as stored in `store` under `key`.
    pub(crate) fn new(key: String, store: String, payload: &[u8]) -> Self {
        Self { key, store, length: payload.len() as u64, checksum: checksum(payload) }
    }

    /// Whether `payload` has the recorded length and checksum.
    pub(crate) fn is(&self, payload: &[u8]) -> bool {
        payload.len() as u64 == self.length && checksum(payload) == self.checksum
    }
}

/// FNV-1a, 64 bit: protects against accidents, not against anyone who may write into the store.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A service of the platform, and optionally one of its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) service: String,
    /// `None` is the version that receives the service's traffic at the time of the attempt.
    pub(crate) version: Option<String>,
}

impl Attributes {
    /// Encodes the attributes; `None` if there are none.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        if *self == Self::default() {
            return None;
        }
        // Strings and options only: postcard refuses none of these.
        version::encode(self)
    }

    /// The location of a spilled payload; `None` if the payload is stored with the task.
    pub(crate) fn spilled_in(bytes: Option<&[u8]>) -> Option<Spilled> {
        Self::decode(bytes)?.spilled
    }

    /// Decodes the attributes; `None` if a newer version of this crate wrote `bytes`, or `bytes`
    /// are damaged.
    pub(crate) fn decode(bytes: Option<&[u8]>) -> Option<Self> {
        let Some(bytes) = bytes else { return Some(Self::default()) };
        version::decode(bytes).ok()
    }
}

/// Whether `text` is a valid value of the header `traceparent` of W3C's Trace Context, §3.2:
/// version, trace, parent and flags in lower-case hexadecimal digits. Later versions may append
/// more after another hyphen.
pub(crate) fn is_traceparent(text: &str) -> bool {
    let mut parts = text.splitn(5, '-');
    let mut hex = |digits: usize| {
        let is_hex = |part: &&str| {
            part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        parts.next().filter(is_hex)
    };
    let (Some(version), Some(trace), Some(parent), Some(_flags)) =
        (hex(2), hex(32), hex(16), hex(2))
    else {
        return false;
    };
    let is_zero = |part: &str| part.bytes().all(|b| b == b'0');
    let more_is_fine = match parts.next() {
        Some(more) => {
            version != "00" && more.len() <= 256 && more.bytes().all(|b| b.is_ascii_graphic())
        }
        None => true,
    };
    version != "ff" && !is_zero(trace) && !is_zero(parent) && more_is_fine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spilled_payload_is_told_from_any_other() {
        let spilled = Spilled::new("key".to_owned(), "memory:".to_owned(), b"payload");
        assert!(spilled.is(b"payload"));
        for other in [&b"payloae"[..], b"payloa", b"payload\0", b""] {
            assert!(!spilled.is(other), "{other:?}");
        }
        // The published vectors of FNV-1a: stored tasks carry these numbers.
        assert_eq!(
            (checksum(b""), checksum(b"foobar")),
            (0xcbf2_9ce4_8422_2325, 0x8594_4171_f739_67e8)
        );
    }

    #[test]
    fn trace_parents_are_those_of_the_standard() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_traceparent(good) && is_traceparent(&good.replacen("00", "cc", 1)));
        assert!(is_traceparent(&format!("{}-what.comes", good.replacen("00", "cc", 1))));
        let bad = [
            String::new(),
            good.to_uppercase(),
            good[..54].to_owned(),
            format!("{good}0"),
            format!("{good}-more"),
            good.replacen("00", "ff", 1),
            good.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            good.replace("b7ad6b7169203331", &"0".repeat(16)),
            format!("{good}\r\nx: y"),
            format!("{}-\r\nx: y", good.replacen("00", "cc", 1)),
        ];
        for text in bad {
            assert!(!is_traceparent(&text), "{text}");
        }
    }

    #[test]
    fn no_attributes_take_no_bytes() {
        assert_eq!(Attributes::default().encode(), None);
        assert_eq!(Attributes::decode(None), Some(Attributes::default()));
    }

    #[test]
    fn attributes_are_read_back() {
        let attributes = Attributes {
            spilled: Some(Spilled::new(
                "0190".to_owned(),
                "gs://shop/tasks".to_owned(),
                b"payload",
            )),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            target: Some(Target { service: "worker".to_owned(), version: None }),
            headers: vec![("x-shop".to_owned(), "7".to_owned())],
        };
        assert_eq!(Attributes::decode(attributes.encode().as_deref()), Some(attributes));
    }

    /// Stored attributes outlive this program: changed bytes need a new version.
    #[test]
    fn the_bytes_of_attributes_stay() {
        let spilled =
            Spilled { key: "k".to_owned(), store: "s".to_owned(), length: 1, checksum: 2 };
        let attributes = Attributes {
            spilled: Some(spilled),
            traceparent: Some("t".to_owned()),
            target: Some(Target { service: "w".to_owned(), version: Some("v".to_owned()) }),
            headers: vec![("h".to_owned(), "x".to_owned())],
        };
        let bytes = b"\x01\x01\x01k\x01s\x01\x02\x01\x01t\x01\x01w\x01\x01v\x01\x01h\x01x";
        assert_eq!(attributes.encode().as_deref(), Some(&bytes[..]));
    }

    #[test]
    fn attributes_of_another_format_are_not_guessed_at() {
        assert_eq!(Attributes::decode(Some(&[version::KNOWN + 1, 0, 0, 0, 0])), None);
        assert_eq!(Attributes::decode(Some(&[])), None);
    }
}
