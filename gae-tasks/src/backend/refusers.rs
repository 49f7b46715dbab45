//! The readers that refused the value of a task.

use std::fmt;

use crate::task::Shape;
use crate::text::debug_as_text;

/// The identity of a reader of payloads: a function with everything that decides which
/// values it can read, as far as this crate knows. Two builds of one function are one reader; a
/// function with another shape, default, alias, ignored path or upgrade is another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReaderId(u64);

impl ReaderId {
    /// Reads an id from its stored form.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The stored form of the id.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The id of a reader of which nothing but a shape is known.
    pub const fn of_shape(shape: Shape) -> Self {
        Self(shape.to_bits())
    }
}

impl fmt::Display for ReaderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

debug_as_text!(ReaderId);

/// How many readers are remembered.
pub(crate) const MOST: usize = 8;

/// The readers that could not read the value of a task, by their ids. Only they pause before they
/// try again; any other reader may have the task at once.
///
/// If more than [`MOST`] readers refused, every reader pauses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Refusers {
    /// The bits of the ids, in ascending order, and zeros after them.
    ids: [u64; MOST],
    len: u8,
    /// Whether further readers refused.
    is_full: bool,
}

impl Refusers {
    /// No reader has refused.
    pub(crate) const NONE: Self = Self { ids: [0; MOST], len: 0, is_full: false };

    /// Adds a reader that refused.
    pub(crate) fn with(mut self, reader: ReaderId) -> Self {
        match self.known().binary_search(&reader.to_bits()) {
            Ok(_) => {}
            Err(_) if self.known().len() == MOST => self.is_full = true,
            Err(place) => {
                self.ids.copy_within(place..MOST - 1, place + 1);
                self.ids[place] = reader.to_bits();
                self.len += 1;
            }
        }
        self
    }

    /// Whether this reader must wait until the pause is over.
    pub(crate) fn pauses(&self, reader: ReaderId) -> bool {
        self.is_full || self.known().binary_search(&reader.to_bits()).is_ok()
    }

    /// Whether others refused the task, and this reader did not, so that it may have the task at
    /// once.
    pub(crate) fn are_others_than(&self, reader: ReaderId) -> bool {
        !self.is_empty() && !self.pauses(reader)
    }

    /// Whether this reader may have the task whatever it waits for: others refused it, or it was
    /// made due by hand (`forced`).
    pub(crate) fn let_at_once(&self, reader: ReaderId, forced: bool) -> bool {
        self.are_others_than(reader) || forced && !self.pauses(reader)
    }

    /// Whether no reader has refused.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the remembered readers, in ascending order.
    pub(crate) fn ids(&self) -> Vec<ReaderId> {
        self.known().iter().copied().map(ReaderId::from_bits).collect()
    }

    fn known(&self) -> &[u64] {
        &self.ids[..usize::from(self.len)]
    }

    /// Returns the stored form: the ids, 8 bytes each, and one byte more if further readers
    /// refused.
    #[cfg(any(test, feature = "postgres", feature = "sqlite"))]
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes: Vec<_> = self.known().iter().flat_map(|bits| bits.to_be_bytes()).collect();
        bytes.extend(self.is_full.then_some(u8::MAX));
        bytes
    }

    /// Reads the stored form; `None` if it is not one.
    #[cfg(any(test, feature = "postgres", feature = "sqlite"))]
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (ids, rest) = bytes.as_chunks();
        let ids = ids.iter().map(|bits| ReaderId::from_bits(u64::from_be_bytes(*bits)));
        let mut refusers = ids.fold(Self::NONE, Self::with);
        refusers.is_full |= !rest.is_empty() && refusers.known().len() == MOST;
        (refusers.to_bytes() == bytes).then_some(refusers)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(ids: &[u64]) -> Refusers {
        ids.iter().copied().map(ReaderId::from_bits).fold(Refusers::NONE, Refusers::with)
    }

    proptest! {
        #[test]
        fn who_refused_pauses_and_nobody_else(
            ids in prop::collection::vec(0..20_u64, 0..12), other in any::<u64>(),
        ) {
            let refusers = of(&ids);
            prop_assert!(ids.iter().all(|id| refusers.pauses(ReaderId::from_bits(*id))));
            let distinct: std::collections::BTreeSet<_> = ids.iter().copied().collect();
            let expected = distinct.len() > MOST || distinct.contains(&other);
            prop_assert_eq!(refusers.pauses(ReaderId::from_bits(other)), expected);
            prop_assert_eq!(refusers.is_empty(), ids.is_empty());
            let shown: Vec<_> = refusers.ids().into_iter().map(ReaderId::to_bits).collect();
            prop_assert!(shown.is_sorted() && shown.len() == distinct.len().min(MOST));
        }

        #[test]
        fn the_order_of_refusals_makes_no_difference(
            mut ids in prop::collection::vec(any::<u64>(), 0..=MOST), seed in any::<u64>(),
        ) {
            let before = of(&ids);
            let places = usize::try_from(seed % 8).unwrap().min(ids.len());
            ids.rotate_left(places);
            prop_assert_eq!(of(&ids), before);
        }

        #[test]
        fn refusers_are_read_back(ids in prop::collection::vec(any::<u64>(), 0..12)) {
            let refusers = of(&ids);
            prop_assert_eq!(Refusers::from_bytes(&refusers.to_bytes()), Some(refusers));
        }

        #[test]
        fn any_bytes_are_refusers_or_none(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(refusers) = Refusers::from_bytes(&bytes) {
                prop_assert_eq!(refusers.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn what_is_not_in_order_is_not_refusers() {
        let bytes =
            |ids: &[u64]| -> Vec<u8> { ids.iter().flat_map(|bits| bits.to_be_bytes()).collect() };
        assert!(Refusers::from_bytes(&bytes(&[1, 2])).is_some());
        for ids in [&[2, 1][..], &[1, 1], &[1, 2, 3, 4, 5, 6, 7, 8, 9]] {
            assert_eq!(Refusers::from_bytes(&bytes(ids)), None, "{ids:?}");
        }
        assert_eq!(Refusers::from_bytes(b"\xff"), None, "full, of nothing");
    }
}
