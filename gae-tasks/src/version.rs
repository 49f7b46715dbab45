//! The version of the data stored beside payloads: attributes, retry settings and queue
//! configurations.
//!
//! Postcard does not describe itself, so the first byte of stored bytes is the version that must
//! understand them. A program that meets a higher one leaves the task, or the queue, to a newer
//! program.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version this program writes, and the highest one it reads. A type that changes raises it.
pub(crate) const KNOWN: u8 = 1;

/// Why stored bytes cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// A newer program wrote them.
    Newer,
    /// They are not a valid encoding.
    Damaged,
}

/// `value` as it is stored; `None` if postcard refuses it.
pub(crate) fn encode<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    postcard::to_extend(value, vec![KNOWN]).ok()
}

/// The value that is stored as `bytes`.
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
