//! The schemas that a client has read: they never change.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::task::Shape;

/// How many schemas are remembered.
const REMEMBERED: usize = 1_000;

/// The schemas that a client has read.
#[derive(Debug, Default)]
pub(super) struct KnownSchemas(Mutex<HashMap<Shape, Arc<[u8]>>>);

impl KnownSchemas {
    /// Those of these shapes that are known.
    pub(super) fn known(&self, shapes: &BTreeSet<Shape>) -> HashMap<Shape, Arc<[u8]>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |shape: &Shape| Some((*shape, Arc::clone(known.get(shape)?)));
        shapes.iter().filter_map(of).collect()
    }

    /// Remembers schemas, as long as there is room.
    pub(super) fn remember(&self, found: &HashMap<Shape, Arc<[u8]>>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = REMEMBERED.saturating_sub(known.len());
        let some = found.iter().take(room).map(|(shape, schema)| (*shape, Arc::clone(schema)));
        known.extend(some);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_known_and_bounded() {
        let known = KnownSchemas::default();
        let all: BTreeSet<_> = (0..3 * REMEMBERED as u64).map(Shape::from_bits).collect();
        assert!(known.known(&all).is_empty());
        for shape in &all {
            known.remember(&HashMap::from([(*shape, Arc::default())]));
        }
        assert_eq!(known.known(&all).len(), REMEMBERED);
    }
}
