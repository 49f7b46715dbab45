//! A dead letter as bytes, for stores of bytes: the facts of its end, and its envelope.

use serde::{Deserialize, Serialize};

use super::{Copied, Envelope, EnvelopeError, MAGIC_OF_LETTERS, Preamble};
use crate::task::TaskName;
use crate::time::Timestamp;

/// The version of the data after the preamble.
const VERSION: u8 = 1;

/// A task that is not attempted again. Its bytes begin with a magic of their own, whatever their
/// version: a service that receives them refuses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// The task. Its name is stored outside of the envelope's bytes.
    pub(crate) envelope: Envelope,
    pub(crate) attempts: u32,
    /// When the first attempt began, if known.
    pub(crate) first_attempt: Option<Timestamp>,
    pub(crate) died: Timestamp,
    pub(crate) error: String,
}

/// The data before the envelope.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    name: Option<&'a str>,
    attempts: u32,
    first_attempt: Option<i64>,
    error: &'a str,
}

impl Letter {
    /// This letter, of the copy `number` of its task; 0 is the task as it was deferred.
    pub(crate) fn of_copy(mut self, number: u32) -> Self {
        let Self { attempts, first_attempt, .. } = self;
        self.envelope.copied =
            (number > 0).then_some(Copied { number, attempts, first_attempt, replayed: None });
        self
    }

    /// The number of the task's copy.
    pub(crate) fn number(&self) -> u32 {
        self.envelope.copied.map_or(0, |copied| copied.number)
    }

    /// Encodes the letter.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let wire = Wire {
            name: self.envelope.spec.name.as_ref().map(TaskName::as_str),
            attempts: self.attempts,
            first_attempt: self.first_attempt.map(Timestamp::as_micros),
            error: &self.error,
        };
        let mut bytes = Vec::new();
        Preamble { id: self.envelope.spec.id, first_due: self.died }.encode(
            MAGIC_OF_LETTERS,
            VERSION,
            &mut bytes,
        );
        // Numbers and strings only: postcard refuses none of these.
        let mut bytes = postcard::to_extend(&wire, bytes).unwrap_or_default();
        bytes.extend(self.envelope.encode());
        bytes
    }

    /// Decodes a letter.
    ///
    /// # Errors
    /// The bytes are not a letter, or a newer version wrote them.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let (version, preamble, rest) =
            Preamble::split(MAGIC_OF_LETTERS, bytes).ok_or(EnvelopeError::Malformed)?;
        if version > VERSION {
            return Err(EnvelopeError::Newer { version, preamble });
        }
        let (wire, rest): (Wire<'_>, _) =
            postcard::take_from_bytes(rest).map_err(|_| EnvelopeError::Malformed)?;
        let mut envelope = Envelope::decode(rest)?;
        envelope.spec.name =
            wire.name.map(TaskName::new).transpose().map_err(|_| EnvelopeError::Malformed)?;
        Ok(Self {
            envelope,
            attempts: wire.attempts,
            first_attempt: wire.first_attempt.map(Timestamp::from_micros),
            died: preamble.first_due,
            error: wire.error.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::queue::QueueName;
    use crate::task::{Kind, Shape, TaskId, TaskSpec};

    fn letter() -> Letter {
        let (id, kind) = (TaskId::from_bytes([7; 16]), Kind::from_static("shop/send"));
        let name = TaskName::new("order-7").unwrap();
        // Attributes of a newer version are kept unchanged.
        let attributes = Some(vec![9, 1, 2]);
        let spec = TaskSpec {
            name: Some(name),
            attributes,
            ..TaskSpec::new(id, kind, Shape::from_bits(1), QueueName::DEFAULT)
        };
        let copied = Some(Copied { number: 3, ..Copied::default() });
        let first_due = Timestamp::from_micros(5);
        let envelope = Envelope {
            spec,
            named: false,
            first_due,
            copied,
            payload: vec![1, 2],
            schema: Arc::default(),
            sensitive: Default::default(),
        };
        let (first_attempt, died) = (Some(Timestamp::from_micros(6)), Timestamp::from_micros(9));
        Letter { envelope, attempts: 4, first_attempt, died, error: "no such order".to_owned() }
    }

    #[test]
    fn a_letter_is_read_back_and_is_no_task() {
        let bytes = letter().encode();
        assert_eq!(Letter::decode(&bytes), Ok(letter()));
        assert_eq!(Envelope::decode(&bytes), Err(EnvelopeError::Letter));
        assert_eq!(Letter::decode(&letter().envelope.encode()), Err(EnvelopeError::Malformed));
    }

    #[test]
    fn a_newer_letter_is_told_from_a_newer_task_and_from_garbage() {
        let (mut bytes, mut task) = (letter().encode(), letter().envelope.encode());
        (bytes[2], task[2]) = (9, 9);
        let id = TaskId::from_bytes([7; 16]);
        let preamble = Preamble { id, first_due: Timestamp::from_micros(9) };
        let newer = Err(EnvelopeError::Newer { version: 9, preamble });
        assert_eq!(Letter::decode(&bytes), newer);
        assert_eq!(Envelope::decode(&bytes), Err(EnvelopeError::Letter));
        assert_eq!(Letter::decode(&task), Err(EnvelopeError::Malformed));
        bytes[2] = 0;
        assert_eq!(Letter::decode(&bytes), Err(EnvelopeError::Malformed));
        for garbage in [&b""[..], b"gl", b"gl\x01", &bytes[..3]] {
            assert_eq!(Envelope::decode(garbage), Err(EnvelopeError::Malformed), "{garbage:?}");
        }
    }

    #[test]
    fn the_bytes_of_letters_never_change() {
        let mut expected = b"gl\x01".to_vec();
        expected.extend([7; 16]);
        expected.extend(9_i64.to_be_bytes());
        expected.extend(b"\x01\x07order-7\x04\x01\x0c\x0dno such order");
        expected.extend(letter().envelope.encode());
        assert_eq!(letter().encode(), expected);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_letter_or_none(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            cut: prop::sample::Index,
        ) {
            _ = Letter::decode(&bytes);
            _ = Letter::decode(&[b"gl\x01", &[0; 24][..], &bytes[..]].concat());
            let whole = letter().encode();
            prop_assert!(Letter::decode(&whole[..cut.index(whole.len())]).is_err());
        }
    }
}
