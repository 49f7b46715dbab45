//! The version of the data stored beside payloads: attributes, retry settings and queue
//! configurations.
//!
//! Postcard is not self-describing, so the first byte of stored bytes is the version that a program
//! must know to read them. A program that finds a higher version leaves the task, or the queue, to
//! a newer program.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version that this program writes, and the highest version that it reads. Raised when a type
/// changes.
pub(crate) const KNOWN: u8 = 1;

/// Why stored bytes cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// A newer program wrote them.
    Newer,
    /// They are not a valid encoding.
    Damaged,
}

/// Encodes `value` for storage; `None` if postcard refuses the value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    postcard::to_extend(value, vec![KNOWN]).ok()
}

/// Decodes the value stored as `bytes`.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unread> {
    match bytes.split_first() {
        Some((&KNOWN, rest)) => match postcard::take_from_bytes(rest) {
            Ok((value, [])) => Ok(value),
            _ => Err(Unread::Damaged),
        },
        Some((&version, _)) if version > KNOWN => Err(Unread::Newer),
        _ => Err(Unread::Damaged),
    }
}

/// The version that a program needs to read `bytes`; zero if there are no bytes.
pub(crate) fn of(bytes: Option<&[u8]>) -> u8 {
    bytes.and_then(|bytes| bytes.first().copied()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_back() {
        let bytes = encode(&(7_u32, "text".to_owned())).unwrap();
        assert_eq!((of(Some(&bytes)), decode(&bytes)), (KNOWN, Ok((7_u32, "text".to_owned()))));
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut bytes = encode(&7_u32).unwrap();
        bytes[0] = KNOWN + 1;
        assert_eq!(decode::<u32>(&bytes), Err(Unread::Newer));
        for damaged in [&[][..], &[0, 7], &[KNOWN], &[KNOWN, 7, 7]] {
            assert_eq!(decode::<u32>(damaged), Err(Unread::Damaged), "{damaged:?}");
        }
        assert_eq!((of(None), of(Some(&[])), of(Some(&[9, 1]))), (0, 0, 9));
    }
}
