//! The shapes of the readers that refused the value of a task.

use crate::task::Shape;

/// How many shapes are remembered.
pub(crate) const MOST: usize = 8;

/// The readers that could not read the value of a task, by the shapes of their functions. Only they
/// pause before they try again; a reader of any other shape may have the task at once.
///
/// If more than [`MOST`] shapes refused, readers of every shape pause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Refusers {
    /// The bits of the shapes, in ascending order, and zeros after them.
    shapes: [u64; MOST],
    len: u8,
    /// Whether further shapes refused.
    is_full: bool,
}

impl Refusers {
    /// No reader has refused.
    pub(crate) const NONE: Self = Self { shapes: [0; MOST], len: 0, is_full: false };

    /// Adds the shape of a reader that refused.
    pub(crate) fn with(mut self, reader: Shape) -> Self {
        match self.known().binary_search(&reader.to_bits()) {
            Ok(_) => {}
            Err(_) if self.known().len() == MOST => self.is_full = true,
            Err(place) => {
                self.shapes.copy_within(place..MOST - 1, place + 1);
                self.shapes[place] = reader.to_bits();
                self.len += 1;
            }
        }
        self
    }

    /// Whether a reader of this shape must wait until the pause is over.
    pub(crate) fn pauses(&self, reader: Shape) -> bool {
        self.is_full || self.known().binary_search(&reader.to_bits()).is_ok()
    }

    /// Whether other readers refused the task, so that a reader of this shape may have it at once.
    pub(crate) fn spare(&self, reader: Shape) -> bool {
        !self.is_empty() && !self.pauses(reader)
    }

    /// Whether no reader has refused.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the remembered shapes, in ascending order.
    pub(crate) fn shapes(&self) -> Vec<Shape> {
        self.known().iter().copied().map(Shape::from_bits).collect()
    }

    fn known(&self) -> &[u64] {
        &self.shapes[..usize::from(self.len)]
    }

    /// Returns the stored form: the shapes, 8 bytes each, and one byte more if further shapes
    /// refused.
    #[cfg(any(test, feature = "sqlite"))]
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes: Vec<_> = self.known().iter().flat_map(|bits| bits.to_be_bytes()).collect();
        bytes.extend(self.is_full.then_some(u8::MAX));
        bytes
    }

    /// Reads the stored form; `None` if it is not one.
    #[cfg(any(test, feature = "sqlite"))]
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (shapes, rest) = bytes.as_chunks();
        let shapes = shapes.iter().map(|bits| Shape::from_bits(u64::from_be_bytes(*bits)));
        let mut refusers = shapes.fold(Self::NONE, Self::with);
        refusers.is_full |= !rest.is_empty() && refusers.known().len() == MOST;
        (refusers.to_bytes() == bytes).then_some(refusers)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(shapes: &[u64]) -> Refusers {
        shapes.iter().copied().map(Shape::from_bits).fold(Refusers::NONE, Refusers::with)
    }

    proptest! {
        #[test]
        fn who_refused_pauses_and_nobody_else(
            shapes in prop::collection::vec(0..20_u64, 0..12), other in any::<u64>(),
        ) {
            let refusers = of(&shapes);
            prop_assert!(shapes.iter().all(|shape| refusers.pauses(Shape::from_bits(*shape))));
            let distinct: std::collections::BTreeSet<_> = shapes.iter().copied().collect();
            let expected = distinct.len() > MOST || distinct.contains(&other);
            prop_assert_eq!(refusers.pauses(Shape::from_bits(other)), expected);
            prop_assert_eq!(refusers.is_empty(), shapes.is_empty());
            let shown: Vec<_> = refusers.shapes().into_iter().map(Shape::to_bits).collect();
            prop_assert!(shown.is_sorted() && shown.len() == distinct.len().min(MOST));
        }

        #[test]
        fn the_order_of_refusals_makes_no_difference(
            mut shapes in prop::collection::vec(any::<u64>(), 0..=MOST), seed in any::<u64>(),
        ) {
            let before = of(&shapes);
            let places = usize::try_from(seed % 8).unwrap().min(shapes.len());
            shapes.rotate_left(places);
            prop_assert_eq!(of(&shapes), before);
        }

        #[test]
        fn refusers_are_read_back(shapes in prop::collection::vec(any::<u64>(), 0..12)) {
            let refusers = of(&shapes);
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
        let bytes = |shapes: &[u64]| -> Vec<u8> {
            shapes.iter().flat_map(|bits| bits.to_be_bytes()).collect()
        };
        assert!(Refusers::from_bytes(&bytes(&[1, 2])).is_some());
        for shapes in [&[2, 1][..], &[1, 1], &[1, 2, 3, 4, 5, 6, 7, 8, 9]] {
            assert_eq!(Refusers::from_bytes(&bytes(shapes)), None, "{shapes:?}");
        }
        assert_eq!(Refusers::from_bytes(b"\xff"), None, "full, of nothing");
    }
}
