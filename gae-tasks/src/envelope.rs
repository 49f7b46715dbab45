//! The body of a task's HTTP request: the payload, and data that a push queue does not keep itself.

#[cfg(any(test, feature = "push", feature = "cloud-tasks"))]
pub(crate) mod letter;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::payload::SensitivePaths;
use crate::queue::{QueueName, RetryConfig};
use crate::task::{Kind, Shape, TaskId, TaskSpec};
#[cfg(any(feature = "cloud-tasks", all(feature = "push", feature = "testing")))]
use crate::time::Schedule;
use crate::time::Timestamp;

/// The first bytes of every envelope.
const MAGIC: [u8; 2] = *b"gt";

/// The version of the data after the preamble. Postcard is not self-describing: a changed type gets
/// a new number here.
const VERSION: u8 = 1;

/// The version of an envelope with [`Copied`] before the rest. Only copies use it, so that older
/// programs can run every other task.
const VERSION_OF_COPIES: u8 = 2;

/// The version of an envelope with its schema, its sensitive paths, and with [`Copied`] if it is a
/// copy, before the rest.
const VERSION_WITH_SCHEMA: u8 = 3;

/// The first bytes of every dead letter, whatever its version: a letter is not a task to be run.
const MAGIC_OF_LETTERS: [u8; 2] = *b"gl";

/// The preamble of every version, so that each version can read how long a task has waited for
/// another version: magic, version, id, and when the task was first due, in microseconds since
/// 1970, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Preamble {
    pub(crate) id: TaskId,
    pub(crate) first_due: Timestamp,
}

impl Preamble {
    /// Reads the preamble of `body`, whatever the version of the envelope.
    #[cfg(feature = "push")]
    pub(crate) fn of(body: &[u8]) -> Option<Self> {
        Some(Self::split(MAGIC, body)?.1)
    }

    /// Returns version, preamble, and the rest, if `body` begins with `magic`.
    fn split(magic: [u8; 2], body: &[u8]) -> Option<(u8, Self, &[u8])> {
        let (version, rest) = body.strip_prefix(&magic)?.split_first()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (first_due, rest) = rest.split_first_chunk()?;
        let first_due = Timestamp::from_micros(i64::from_be_bytes(*first_due));
        (*version > 0).then_some((*version, Self { id: TaskId::from_bytes(*id), first_due }, rest))
    }

    #[cfg(any(test, feature = "push", feature = "cloud-tasks", feature = "testing"))]
    fn encode(self, magic: [u8; 2], version: u8, body: &mut Vec<u8>) {
        body.extend(magic);
        body.push(version);
        body.extend(self.id.as_bytes());
        body.extend(self.first_due.as_micros().to_be_bytes());
    }
}

/// The usual capacity of an envelope without its payload, in bytes.
#[cfg(any(test, feature = "push", feature = "cloud-tasks", feature = "testing"))]
const ROOM: usize = 160;

/// A task in a push queue.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// The task: its kind counts, whatever the URL says. The name is not in the encoded bytes.
    pub(crate) spec: TaskSpec,
    /// Whether the queue's own name of the task is chosen by the caller.
    pub(crate) named: bool,
    /// When the task was deferred or, if it is scheduled, first due: the start of its age.
    pub(crate) first_due: Timestamp,
    /// The earlier deliveries, if this is a copy.
    pub(crate) copied: Option<Copied>,
    pub(crate) payload: Vec<u8>,
    /// The schema of the payload; empty in the envelopes of older versions.
    pub(crate) schema: Arc<[u8]>,
    /// The paths of args that are never shown.
    pub(crate) sensitive: SensitivePaths,
}

/// The facts of a task's deliveries before this copy: the queue counts only those of the copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Copied {
    /// Distinguishes the copies of one task; the task as it was deferred has the number 0.
    pub(crate) number: u32,
    /// The number of earlier attempts.
    pub(crate) attempts: u32,
    /// When the first attempt began.
    pub(crate) first_attempt: Option<Timestamp>,
    /// When the task was last replayed: the start of its life, in place of its id.
    pub(crate) replayed: Option<Timestamp>,
}

/// The encoded form of [`Copied`].
type WireCopied = (u32, u32, Option<i64>, Option<i64>);

/// The distance of numbers between replays: copies after a replay have new numbers, as the names of
/// earlier copies stay blocked.
#[cfg(any(feature = "push", feature = "cloud-tasks"))]
const NUMBERS_OF_A_LIFE: u32 = 1 << 20;

impl Copied {
    /// The number for a replay of a task that ended as the copy `number`.
    #[cfg(any(feature = "push", feature = "cloud-tasks"))]
    pub(crate) const fn first_number_of_next_life(number: u32) -> u32 {
        (number / NUMBERS_OF_A_LIFE).saturating_add(1).saturating_mul(NUMBERS_OF_A_LIFE)
    }

    #[cfg(any(test, feature = "push", feature = "cloud-tasks", feature = "testing"))]
    fn wire(self) -> WireCopied {
        let micros = |moment: Option<Timestamp>| moment.map(Timestamp::as_micros);
        (self.number, self.attempts, micros(self.first_attempt), micros(self.replayed))
    }

    fn open((number, attempts, first_attempt, replayed): WireCopied) -> Self {
        let moment = |micros: Option<i64>| micros.map(Timestamp::from_micros);
        Self { number, attempts, first_attempt: moment(first_attempt), replayed: moment(replayed) }
    }
}

/// The encoded form of the envelope, followed by the payload.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    kind: &'a str,
    shape: u64,
    queue: &'a str,
    named: bool,
    max_attempts: Option<u32>,
    retry: Option<RetryConfig>,
    deadline: Option<Duration>,
    attributes: Option<&'a [u8]>,
    /// The length of the payload in bytes. The payload is appended as a whole; postcard would copy
    /// it byte by byte.
    payload: usize,
}

/// Why a body is not an envelope that can be opened here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EnvelopeError {
    /// The body does not begin like an envelope, or cannot be read.
    #[error("the body is not a task of gae-tasks")]
    Malformed,
    /// The body is a dead letter, which must not be run.
    #[error("the body is a dead letter, which is not attempted again")]
    Letter,
    /// Another instance may be able to open the body.
    #[error("the body is in format {version}, which a newer version of gae-tasks wrote")]
    Newer {
        /// The version of the body.
        version: u8,
        /// The readable part of the body.
        preamble: Preamble,
    },
}

impl Envelope {
    /// Creates the envelope of a new task that is deferred at `now`.
    #[cfg(any(feature = "cloud-tasks", all(feature = "push", feature = "testing")))]
    pub(crate) fn new(
        spec: TaskSpec,
        payload: Vec<u8>,
        schema: Arc<[u8]>,
        sensitive: SensitivePaths,
        schedule: Schedule,
        now: Timestamp,
    ) -> Self {
        Self {
            named: spec.name.is_some(),
            first_due: schedule.resolve(now).max(now),
            spec,
            copied: None,
            payload,
            schema,
            sensitive,
        }
    }

    /// The preamble, which every version of this crate can read.
    #[cfg(any(test, feature = "push", feature = "cloud-tasks", feature = "testing"))]
    pub(crate) fn preamble(&self) -> Preamble {
        Preamble { id: self.spec.id, first_due: self.first_due }
    }

    /// Encodes the envelope as the body of a request.
    #[cfg(any(test, feature = "push", feature = "cloud-tasks", feature = "testing"))]
    pub(crate) fn encode(&self) -> Vec<u8> {
        let TaskSpec { kind, shape, queue, max_attempts, retry, deadline, attributes, .. } =
            &self.spec;
        let wire = Wire {
            kind: kind.as_str(),
            shape: shape.to_bits(),
            queue: queue.as_str(),
            named: self.named,
            max_attempts: *max_attempts,
            retry: retry.clone(),
            deadline: *deadline,
            attributes: attributes.as_deref(),
            payload: self.payload.len(),
        };
        let mut body = Vec::with_capacity(ROOM + self.schema.len() + self.payload.len());
        let copied = self.copied.map(Copied::wire);
        let version = match copied {
            _ if !self.schema.is_empty() || !self.sensitive.is_empty() => VERSION_WITH_SCHEMA,
            Some(_) => VERSION_OF_COPIES,
            None => VERSION,
        };
        self.preamble().encode(MAGIC, version, &mut body);
        // Numbers, strings and bytes only: postcard refuses none of these.
        let body = match (version, copied) {
            (VERSION_WITH_SCHEMA, copied) => {
                let paths: Vec<&str> = self.sensitive.iter().map(|path| &**path).collect();
                postcard::to_extend(&(&*self.schema, paths, copied), body).unwrap_or_default()
            }
            (_, Some(copied)) => postcard::to_extend(&copied, body).unwrap_or_default(),
            (_, None) => body,
        };
        let mut body = postcard::to_extend(&wire, body).unwrap_or_default();
        body.extend_from_slice(&self.payload);
        body
    }

    /// Decodes the envelope in `body`, all of which must be used.
    ///
    /// # Errors
    /// The body is not an envelope, or a newer version wrote it.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, EnvelopeError> {
        if Preamble::split(MAGIC_OF_LETTERS, body).is_some() {
            return Err(EnvelopeError::Letter);
        }
        let (version, preamble, rest) =
            Preamble::split(MAGIC, body).ok_or(EnvelopeError::Malformed)?;
        let malformed = |_| EnvelopeError::Malformed;
        let (schema, sensitive, copied, rest): (_, Vec<Box<str>>, _, _) = match version {
            VERSION => (&[][..], Vec::new(), None, rest),
            VERSION_OF_COPIES => {
                let (copied, rest) = postcard::take_from_bytes(rest).map_err(malformed)?;
                (&[][..], Vec::new(), Some(copied), rest)
            }
            VERSION_WITH_SCHEMA => {
                let ((schema, sensitive, copied), rest) =
                    postcard::take_from_bytes(rest).map_err(malformed)?;
                (schema, sensitive, copied, rest)
            }
            _ => return Err(EnvelopeError::Newer { version, preamble }),
        };
        let (wire, rest): (Wire<'_>, _) = postcard::take_from_bytes(rest).map_err(malformed)?;
        if rest.len() != wire.payload {
            return Err(EnvelopeError::Malformed);
        }
        let envelope = wire.open(preamble, rest).ok_or(EnvelopeError::Malformed)?;
        let (copied, schema) = (copied.map(Copied::open), schema.into());
        Ok(Self { copied, schema, sensitive: sensitive.into_iter().collect(), ..envelope })
    }
}

impl Wire<'_> {
    fn open(self, preamble: Preamble, payload: &[u8]) -> Option<Envelope> {
        let (kind, queue) = (Kind::new(self.kind).ok()?, QueueName::new(self.queue).ok()?);
        let mut spec = TaskSpec::new(preamble.id, kind, Shape::from_bits(self.shape), queue);
        (spec.max_attempts, spec.retry, spec.deadline) =
            (self.max_attempts, self.retry, self.deadline);
        spec.attributes = self.attributes.map(<[u8]>::to_vec);
        Some(Envelope {
            spec,
            named: self.named,
            first_due: preamble.first_due,
            copied: None,
            payload: payload.to_vec(),
            schema: Arc::default(),
            sensitive: SensitivePaths::default(),
        })
    }
}

/// Shows only the lengths of payload and attributes.
impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Envelope")
            .field("spec", &self.spec)
            .field("payload", &format_args!("{} bytes", self.payload.len()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payload::bytes_beside;

    fn envelope() -> Envelope {
        let kind = Kind::from_static("shop.emails/send_welcome");
        let mut spec = TaskSpec::new(
            TaskId::from_bytes([7; 16]),
            kind,
            Shape::from_bits(u64::MAX),
            QueueName::DEFAULT,
        );
        (spec.max_attempts, spec.retry) =
            (Some(3), Some(RetryConfig::new().with_min_backoff(Duration::from_millis(100))));
        (spec.deadline, spec.attributes) = (Some(Duration::from_secs(30)), Some(vec![1, 2]));
        Envelope {
            spec,
            named: true,
            first_due: Timestamp::from_micros(1_800_000_000_000_000),
            copied: None,
            payload: vec![1, 2, 3],
            schema: Arc::default(),
            sensitive: SensitivePaths::default(),
        }
    }

    fn copy() -> Envelope {
        let first_attempt = Some(Timestamp::from_micros(300));
        let copied = Copied { number: 2, attempts: 7, first_attempt, replayed: None };
        Envelope { copied: Some(copied), named: false, ..envelope() }
    }

    fn with_schema(envelope: Envelope) -> Envelope {
        Envelope { schema: Arc::from(*b"u32"), ..envelope }
    }

    fn with_paths(envelope: Envelope) -> Envelope {
        let sensitive = ["pin", "card.number"].map(Box::from).into_iter().collect();
        Envelope { sensitive, ..with_schema(envelope) }
    }

    /// An envelope of each version, and all forms of the last.
    fn all() -> [Envelope; 6] {
        let [with_paths, copy_with_paths] = [with_paths(envelope()), with_paths(copy())];
        let with_schema = [with_schema(envelope()), with_schema(copy())];
        let [one, other] = with_schema;
        [envelope(), copy(), one, other, with_paths, copy_with_paths]
    }

    #[test]
    fn an_envelope_is_read_back() {
        for envelope in all() {
            assert_eq!(Envelope::decode(&envelope.encode()), Ok(envelope));
        }
    }

    #[test]
    fn an_envelope_of_a_newer_version_is_told_from_garbage() {
        let mut body = envelope().encode();
        body[2] = 9;
        let preamble = Preamble { id: envelope().spec.id, first_due: envelope().first_due };
        assert_eq!(Envelope::decode(&body), Err(EnvelopeError::Newer { version: 9, preamble }));
        body[2] = 0;
        let short = [b"gt\x02", &[7; 23][..]].concat();
        for garbage in [&b""[..], b"g", b"gt", b"{\"a\":1}", b"gt\x01", &short, &body] {
            assert_eq!(Envelope::decode(garbage), Err(EnvelopeError::Malformed), "{garbage:?}");
        }
    }

    #[test]
    fn the_bytes_beside_a_payload_are_counted_exactly() {
        let of = |schema: usize, paths: &[usize]| Envelope {
            schema: vec![1; schema].into(),
            sensitive: paths.iter().map(|length| "p".repeat(*length).into_boxed_str()).collect(),
            ..envelope()
        };
        let least = of(1, &[]);
        let many = vec![3; 200];
        for (schema, paths) in [(1, &[][..]), (127, &[1]), (128, &[127, 128]), (16_384, &many)] {
            let envelope = of(schema, paths);
            let more = envelope.encode().len() - least.encode().len();
            let bytes = bytes_beside(&envelope.schema, &envelope.sensitive);
            assert_eq!(bytes - bytes_beside(&least.schema, &least.sensitive), more, "{schema}");
        }
        assert_eq!(bytes_beside(&least.schema, &least.sensitive), 3);
        assert_eq!(
            bytes_beside(&[], &SensitivePaths::default()),
            0,
            "an envelope without a schema"
        );
    }

    #[test]
    fn bytes_behind_an_envelope_make_it_none() {
        let mut body = envelope().encode();
        body.push(0);
        assert_eq!(Envelope::decode(&body), Err(EnvelopeError::Malformed));
    }

    #[test]
    fn the_first_version_never_changes() {
        // Waiting tasks are encoded like this: a different encoding here would lose them.
        let mut expected = b"gt\x01".to_vec();
        expected.extend([7; 16]);
        expected.extend(1_800_000_000_000_000_i64.to_be_bytes());
        expected.extend(GOLDEN);
        assert_eq!(envelope().encode(), expected);
    }

    #[test]
    fn each_life_has_numbers_of_its_own() {
        let mut numbers = vec![0];
        for _ in 0..3 {
            numbers.push(Copied::first_number_of_next_life(numbers[numbers.len() - 1] + 5));
        }
        assert_eq!(numbers, [0, 1 << 20, 2 << 20, 3 << 20]);
        assert_eq!(Copied::first_number_of_next_life(u32::MAX), u32::MAX);
    }

    #[test]
    fn the_version_of_copies_never_changes() {
        let mut expected = b"gt\x02".to_vec();
        expected.extend([7; 16]);
        expected.extend(1_800_000_000_000_000_i64.to_be_bytes());
        // Number, attempts, first attempt, no replay; then as in the first version.
        expected.extend(b"\x02\x07\x01\xd8\x04\x00");
        expected.extend(GOLDEN);
        assert_eq!(Envelope { named: true, ..copy() }.encode(), expected);
    }

    #[test]
    fn the_version_with_a_schema_never_changes() {
        let mut preamble = b"gt\x03".to_vec();
        preamble.extend([7; 16]);
        preamble.extend(1_800_000_000_000_000_i64.to_be_bytes());
        // The schema, the sensitive paths, and whether the task is a copy; then as in the other
        // versions.
        let task = [&preamble[..], b"\x03u32\x00\x00", GOLDEN].concat();
        assert_eq!(with_schema(envelope()).encode(), task);
        let copied = [&preamble[..], b"\x03u32\x00\x01\x02\x07\x01\xd8\x04\x00", GOLDEN].concat();
        assert_eq!(with_schema(Envelope { named: true, ..copy() }).encode(), copied);
        let marked = [&preamble[..], b"\x03u32\x02\x03pin\x0bcard.number\x00", GOLDEN].concat();
        assert_eq!(with_paths(envelope()).encode(), marked);
    }

    /// Kind, shape, queue, whether named; cap, retry settings, deadline, attributes; length of the
    /// payload, and the payload.
    const GOLDEN: &[u8] = b"\x18shop.emails/send_welcome\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x07default\x01\x01\x03\x01\x01d\x00\x01\x00\x80\xc2\xd7/\x90\x1c\x00\x10\x01\x1e\x00\x01\x02\x01\x02\x03\x01\x02\x03";

    proptest! {
        #[test]
        fn any_body_is_opened_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            _ = Envelope::decode(&body);
            for begin in [b"gt\x01", b"gt\x02", b"gt\x03", b"gl\x01"] {
                _ = Envelope::decode(&[&begin[..], &[0; 24][..], &body[..]].concat());
            }
        }

        #[test]
        fn a_cut_envelope_is_none(cut in any::<prop::sample::Index>()) {
            for body in all().map(|envelope| envelope.encode()) {
                prop_assert!(Envelope::decode(&body[..cut.index(body.len())]).is_err());
            }
        }
    }
}
