//! What travels beside a payload and concerns neither its handler nor how it is stored: opaque bytes to backends.

use serde::{Deserialize, Serialize};

/// The first byte of encoded attributes. Postcard does not describe itself: a changed type gets a new number here.
const FORMAT: u8 = 1;

/// What a task carries beside its payload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attributes {
    /// Where the payload is, if it was too large to travel itself.
    pub(crate) spilled: Option<String>,
    /// The trace that deferred the task, as in W3C's header `traceparent`.
    pub(crate) traceparent: Option<String>,
    /// The service that is to run it, in place of the backend's own.
    pub(crate) target: Option<Target>,
    /// HTTP headers of its requests.
    pub(crate) headers: Vec<(String, String)>,
}

/// A service of the platform, and a version of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) service: String,
    /// `None` is the version that gets the service's traffic at the time of the attempt.
    pub(crate) version: Option<String>,
}

impl Attributes {
    /// The attributes as bytes; `None` if there are none.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        if *self == Self::default() {
            return None;
        }
        // Strings and options: nothing of which postcard can refuse.
        postcard::to_extend(self, vec![FORMAT]).ok()
    }

    /// The attributes in `bytes`; `None` if a newer version of this crate wrote them, or nobody did.
    pub(crate) fn decode(bytes: Option<&[u8]>) -> Option<Self> {
        let Some(bytes) = bytes else { return Some(Self::default()) };
        let (&FORMAT, rest) = bytes.split_first()? else { return None };
        postcard::from_bytes(rest).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_attributes_take_no_bytes() {
        assert_eq!(Attributes::default().encode(), None);
        assert_eq!(Attributes::decode(None), Some(Attributes::default()));
    }

    #[test]
    fn attributes_are_read_back() {
        let attributes = Attributes {
            spilled: Some("0190".to_owned()),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            target: Some(Target { service: "worker".to_owned(), version: None }),
            headers: vec![("x-shop".to_owned(), "7".to_owned())],
        };
        assert_eq!(Attributes::decode(attributes.encode().as_deref()), Some(attributes));
    }

    #[test]
    fn attributes_of_another_format_are_not_guessed_at() {
        assert_eq!(Attributes::decode(Some(&[FORMAT + 1, 0, 0, 0, 0])), None);
        assert_eq!(Attributes::decode(Some(&[])), None);
    }
}
