//! The body of a task's HTTP request: what a push queue does not keep itself, around the payload.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::queue::{QueueName, RetryConfig};
use crate::task::{Kind, Shape, TaskId};
use crate::time::Timestamp;

/// What every envelope begins with.
const MAGIC: [u8; 2] = *b"gt";

/// The version of what follows. Postcard does not describe itself: a changed type gets a new number here; the id of the
/// task comes first in every version.
const VERSION: u8 = 1;

/// Bytes that nearly every envelope has room in, without its payload.
#[cfg(any(test, feature = "cloud-tasks", feature = "testing"))]
const ROOM: usize = 160;

/// A task on its way through a push queue.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) id: TaskId,
    /// What it is: decides, whatever the URL says.
    pub(crate) kind: Kind,
    pub(crate) shape: Shape,
    pub(crate) queue: QueueName,
    /// Whether the queue's own name of the task is one that the caller chose.
    pub(crate) named: bool,
    /// When it was deferred or, if it is scheduled, when it is due first: its age is counted from there.
    pub(crate) created: Timestamp,
    /// A cap on its attempts that stops alone.
    pub(crate) max_attempts: Option<u32>,
    /// The retry settings whose limits the handler is to keep, as the queue has none.
    pub(crate) retry: Option<RetryConfig>,
    /// The time one attempt may take; `None` is the task type's.
    pub(crate) deadline: Option<Duration>,
    pub(crate) attributes: Option<Vec<u8>>,
    pub(crate) payload: Vec<u8>,
}

/// The envelope as it is encoded; the payload follows.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    id: [u8; 16],
    kind: &'a str,
    shape: u64,
    queue: &'a str,
    named: bool,
    created: i64,
    max_attempts: Option<u32>,
    retry: Option<RetryConfig>,
    deadline: Option<Duration>,
    attributes: Option<&'a [u8]>,
    /// Bytes of the payload: copied as a whole, which postcard does byte by byte.
    payload: usize,
}

/// Why a body is no envelope that can be opened here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EnvelopeError {
    /// It does not begin as one, or cannot be read.
    #[error("the body is no task of gae-tasks")]
    Malformed,
    /// Another instance may be able to open it.
    #[error("the body is a task in format {0}, which a newer version of gae-tasks wrote")]
    Newer(u8),
}

impl Envelope {
    /// The envelope as the body of a request.
    #[cfg(any(test, feature = "cloud-tasks", feature = "testing"))]
    pub(crate) fn encode(&self) -> Vec<u8> {
        let wire = Wire {
            id: *self.id.as_bytes(),
            kind: self.kind.as_str(),
            shape: self.shape.to_bits(),
            queue: self.queue.as_str(),
            named: self.named,
            created: self.created.as_micros(),
            max_attempts: self.max_attempts,
            retry: self.retry.clone(),
            deadline: self.deadline,
            attributes: self.attributes.as_deref(),
            payload: self.payload.len(),
        };
        let mut body = Vec::with_capacity(ROOM + self.payload.len());
        body.extend(MAGIC);
        body.push(VERSION);
        // Numbers, strings and bytes: nothing of which postcard can refuse.
        let mut body = postcard::to_extend(&wire, body).unwrap_or_default();
        body.extend_from_slice(&self.payload);
        body
    }

    /// The id of the task in `body`, whatever the version of its envelope: each begins with its magic, a version and an
    /// id.
    #[cfg(feature = "push")]
    pub(crate) fn id_in(body: &[u8]) -> Option<TaskId> {
        let id = body.strip_prefix(&MAGIC)?.get(1..17)?;
        Some(TaskId::from_bytes(id.try_into().ok()?))
    }

    /// The envelope in `body`, all of which must be used.
    ///
    /// # Errors
    /// The body is none, or one of a newer version.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, EnvelopeError> {
        let rest = body.strip_prefix(&MAGIC).ok_or(EnvelopeError::Malformed)?;
        let (version, rest) = rest.split_first().ok_or(EnvelopeError::Malformed)?;
        if *version != VERSION {
            return Err(EnvelopeError::Newer(*version));
        }
        let (wire, rest): (Wire<'_>, _) = postcard::take_from_bytes(rest).map_err(|_| EnvelopeError::Malformed)?;
        if rest.len() != wire.payload {
            return Err(EnvelopeError::Malformed);
        }
        wire.open(rest).ok_or(EnvelopeError::Malformed)
    }
}

impl Wire<'_> {
    fn open(self, payload: &[u8]) -> Option<Envelope> {
        Some(Envelope {
            id: TaskId::from_bytes(self.id),
            kind: Kind::new(self.kind).ok()?,
            shape: Shape::from_bits(self.shape),
            queue: QueueName::new(self.queue).ok()?,
            named: self.named,
            created: Timestamp::from_micros(self.created),
            max_attempts: self.max_attempts,
            retry: self.retry,
            deadline: self.deadline,
            attributes: self.attributes.map(<[u8]>::to_vec),
            payload: payload.to_vec(),
        })
    }
}

/// Of payload and attributes it tells the length only.
impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Envelope")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("shape", &self.shape)
            .field("queue", &self.queue)
            .field("payload", &format_args!("{} bytes", self.payload.len()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn envelope() -> Envelope {
        Envelope {
            id: TaskId::from_bytes([7; 16]),
            kind: Kind::from_static("shop.emails/send_welcome"),
            shape: Shape::from_bits(u64::MAX),
            queue: QueueName::DEFAULT,
            named: true,
            created: Timestamp::from_micros(1_800_000_000_000_000),
            max_attempts: Some(3),
            retry: Some(RetryConfig::new()),
            deadline: Some(Duration::from_secs(30)),
            attributes: Some(vec![1, 2]),
            payload: vec![1, 2, 3],
        }
    }

    #[test]
    fn an_envelope_is_read_back() {
        assert_eq!(Envelope::decode(&envelope().encode()), Ok(envelope()));
    }

    #[test]
    fn an_envelope_of_a_newer_version_is_told_from_garbage() {
        let mut body = envelope().encode();
        body[2] = VERSION + 1;
        assert_eq!(Envelope::decode(&body), Err(EnvelopeError::Newer(VERSION + 1)));
        for garbage in [&b""[..], b"g", b"gt", b"{\"a\":1}", b"gt\x01"] {
            assert_eq!(Envelope::decode(garbage), Err(EnvelopeError::Malformed), "{garbage:?}");
        }
    }

    #[test]
    fn bytes_behind_an_envelope_make_it_none() {
        let mut body = envelope().encode();
        body.push(0);
        assert_eq!(Envelope::decode(&body), Err(EnvelopeError::Malformed));
    }

    #[test]
    fn the_first_version_never_changes() {
        // Waiting tasks are encoded so: another encoding here would lose them.
        let body = envelope().encode();
        assert_eq!(&body[..20], b"gt\x01\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x18");
        assert_eq!(&body[20..44], b"shop.emails/send_welcome");
    }

    proptest! {
        #[test]
        fn any_body_is_opened_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            _ = Envelope::decode(&body);
            _ = Envelope::decode(&[b"gt\x01", &body[..]].concat());
        }

        #[test]
        fn a_cut_envelope_is_none(cut in any::<prop::sample::Index>()) {
            let body = envelope().encode();
            let body = &body[..cut.index(body.len())];
            prop_assert!(Envelope::decode(body).is_err());
        }
    }
}
