//! The tasks of a row of leases, as its bytes.

use crate::task::TaskId;
use crate::time::Timestamp;

/// How a leased task waited before: whether timed, and since when in a pause.
pub(super) type Waited = (bool, Option<Timestamp>);

/// The tasks of a row: the id of each, and how it waited. They are sorted by id, because attempts
/// do not end in the order in which their tasks were leased.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Members(Vec<u8>);

impl Members {
    /// Bytes of a task in a row: its id, and how it waited.
    pub(super) const SIZE: usize = 24;

    /// Marks a task that is not timed.
    const UNTIMED: i64 = i64::MIN;

    /// Marks a timed task that is not in a pause.
    const TIMED: i64 = i64::MAX;

    /// Reads the tasks of a row; `None` if the bytes are not a whole number of tasks, or none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let is_whole = !bytes.is_empty() && bytes.len().is_multiple_of(Self::SIZE);
        is_whole.then(|| Self(bytes.to_vec()).sorted())
    }

    pub(super) fn new(tasks: impl IntoIterator<Item = (TaskId, Waited)>) -> Self {
        let mut bytes = Vec::new();
        for (id, (is_timed, since)) in tasks {
            let how = match since {
                _ if !is_timed => Self::UNTIMED,
                None => Self::TIMED,
                Some(since) => since.as_micros(),
            };
            bytes.extend_from_slice(id.as_bytes());
            bytes.extend_from_slice(&how.to_le_bytes());
        }
        Self(bytes).sorted()
    }

    fn sorted(mut self) -> Self {
        self.0.as_chunks_mut::<{ Self::SIZE }>().0.sort_unstable();
        self
    }

    pub(super) fn len(&self) -> usize {
        self.0.len() / Self::SIZE
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a task is among them.
    pub(super) fn contains(&self, id: TaskId) -> bool {
        self.place(id).is_some()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (TaskId, Waited)> {
        self.0.as_chunks::<{ Self::SIZE }>().0.iter().map(Self::member)
    }

    fn member(bytes: &[u8; Self::SIZE]) -> (TaskId, Waited) {
        let (mut id, mut how) = ([0; 16], [0; 8]);
        id.copy_from_slice(&bytes[..16]);
        how.copy_from_slice(&bytes[16..]);
        let waited = match i64::from_le_bytes(how) {
            Self::UNTIMED => (false, None),
            Self::TIMED => (true, None),
            since => (true, Some(Timestamp::from_micros(since))),
        };
        (TaskId::from_bytes(id), waited)
    }

    fn place(&self, id: TaskId) -> Option<usize> {
        // Compared as numbers, which is much faster than comparing slices.
        let number = |bytes: &[u8; 16]| u128::from_be_bytes(*bytes);
        let (members, id) = (self.0.as_chunks::<{ Self::SIZE }>().0, number(id.as_bytes()));
        let of_member = |member: &[u8; Self::SIZE]| member.first_chunk().map_or(0, number);
        members.binary_search_by_key(&id, of_member).ok()
    }

    pub(super) fn waited(&self, id: TaskId) -> Option<Waited> {
        let bytes = self.0.as_chunks().0.get(self.place(id)?)?;
        Some(Self::member(bytes).1)
    }

    /// Removes a task; returns whether it was present.
    pub(super) fn remove(&mut self, id: TaskId) -> bool {
        let place = self.place(id);
        if let Some(place) = place {
            self.0.drain(place * Self::SIZE..(place + 1) * Self::SIZE);
        }
        place.is_some()
    }
}
