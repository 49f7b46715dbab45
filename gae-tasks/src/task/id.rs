//! The id of a task: unique, and ordered by time.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::random;
use crate::text::debug_as_text;
use crate::time::Timestamp;

/// The id of one task: 128 bits made by the client that deferred it, ordered by time.
///
/// An id is printed, and written by serde to text formats, as a UUID; serde writes the 16 bytes to
/// binary formats. So an id may be a parameter of a task, or be kept in an application's own
/// tables.
///
/// ```
/// use gae_tasks::TaskId;
///
/// let id: TaskId = "019b3f0e-5c7a-7d21-8a4e-3f2b9c6d1e05".parse()?;
/// assert_eq!(id.to_string(), "019b3f0e-5c7a-7d21-8a4e-3f2b9c6d1e05");
/// # Ok::<(), gae_tasks::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(Uuid);

impl TaskId {
    /// Makes a new id, greater than all ids that this process made before.
    ///
    /// A UUID of version 7 (RFC 9562, §6.2, method 3), made without the lock of the crate `uuid`:
    /// if another thread holds a lock during `fork`, the lock stays held in the child for ever. The
    /// random half distinguishes ids of parent and child.
    pub(crate) fn generate() -> Self {
        let tick = next_tick();
        let [a, b] = u16::to_be_bytes((tick & 0xfff) as u16);
        let [c, d, e, f, g, h, i, j] = random::fast_bits().to_be_bytes();
        Self(
            Builder::from_unix_timestamp_millis(tick >> 12, &[a, b, c, d, e, f, g, h, i, j])
                .into_uuid(),
        )
    }

    /// The lowest id that can be made at `moment` or later.
    pub(crate) fn first_of(moment: Timestamp) -> Self {
        let millis = u64::try_from(moment.as_micros() / 1_000).unwrap_or_default();
        Self(Uuid::from_u64_pair(millis << 16, 0))
    }

    /// The moment when the id was made, in milliseconds, if the id contains one.
    #[cfg(any(feature = "push", feature = "cloud-tasks"))]
    pub(crate) fn made(self) -> Option<Timestamp> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        let micros = i64::try_from(seconds)
            .ok()?
            .checked_mul(1_000_000)?
            .checked_add(i64::from(nanos / 1000))?;
        Some(Timestamp::from_micros(micros))
    }

    /// Reads an id from text.
    pub(super) fn read(text: &str) -> Option<Self> {
        Uuid::parse_str(text).ok().map(Self)
    }

    /// An id from its 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

/// The time in 4,096ths of a millisecond, or slightly later: each call returns more than all calls
/// before.
fn next_tick() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = now.as_secs() * 1_000 + u64::from(now.subsec_millis());
    let now = millis * 4_096 + u64::from(now.subsec_nanos()) % 1_000_000 * 4_096 / 1_000_000;
    let next = |last: u64| now.max(last + 1);
    LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)))
        .map_or_else(next, next)
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

debug_as_text!(TaskId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ordered_by_time_and_read_back() {
        let (first, second) = (TaskId::generate(), TaskId::generate());
        assert!(first < second);
        assert_eq!(TaskId::read(&first.to_string()), Some(first));
        assert_eq!(TaskId::read("nonsense"), None);
        assert_eq!((first.0.get_version_num(), first.0.get_variant()), (7, uuid::Variant::RFC4122));
    }

    #[test]
    fn an_id_is_its_bytes_in_a_payload() {
        let id = TaskId::generate();
        let bytes = postcard::to_stdvec(&id).unwrap();
        assert!(bytes.len() <= 17 && bytes.ends_with(id.as_bytes()), "{bytes:?}");
        assert_eq!(postcard::from_bytes::<TaskId>(&bytes).unwrap(), id);
    }

    #[cfg(feature = "json")]
    #[test]
    fn an_id_is_a_text_in_json() {
        let id = TaskId::generate();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<TaskId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<TaskId>("\"nonsense\"").is_err());
    }

    #[test]
    fn ids_tell_when_they_were_made_and_differ_by_chance_too() {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let before = now();
        let ids: Vec<_> = (0..1_000).map(|_| TaskId::generate()).collect();
        let after = now();
        for id in &ids {
            let (seconds, nanos) = id.0.get_timestamp().unwrap().to_unix();
            let made = seconds * 1_000 + u64::from(nanos) / 1_000_000;
            assert!((before..=after + 50).contains(&made), "{before} {made} {after}");
        }
        let halves: std::collections::BTreeSet<_> =
            ids.iter().map(|id| id.0.as_u64_pair().1).collect();
        assert_eq!(
            halves.len(),
            ids.len(),
            "the other half may be equal in parent and child of a fork"
        );
    }

    #[test]
    fn ids_that_threads_make_at_the_same_time_differ_in_their_time_too() {
        let make = || (0..20_000).map(|_| TaskId::generate()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(make)).collect();
        let made: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(
            made.iter().all(|ids| ids.is_sorted()),
            "each thread's ids are in the order of their making"
        );
        let firsts: std::collections::BTreeSet<_> =
            made.iter().flatten().map(|id| id.0.as_u64_pair().0).collect();
        assert_eq!(firsts.len(), 80_000);
    }
}
