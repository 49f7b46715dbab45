//! How payloads of one stored schema are read: decided once for each pair of schemas.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::resolve::{Difference, Resolution};
use super::{Schema, SchemaError, UnreadableError};
use crate::task::Shape;

/// How many bytes the decisions of one task take, about. A task has a few; a queue that pushes may
/// send any. The oldest are forgotten first, and made again if they are needed.
const REMEMBERED: usize = 4 * 1024 * 1024;

/// How a payload becomes the args of a function.
#[derive(Debug, Clone)]
pub(crate) enum Reading {
    /// Byte for byte: the payload has the function's own schema.
    Own,
    /// By name into the parameters.
    ByName(Arc<Resolution>),
    /// Byte for byte into the struct that the upgrade of this number takes.
    Upgrade(usize),
    /// By name into the struct that the upgrade of this number takes.
    UpgradeByName(usize, Arc<Resolution>),
}

impl Reading {
    pub(crate) const fn is_own(&self) -> bool {
        matches!(self, Self::Own)
    }

    /// The schema that the payloads were written under, if they are read by name.
    pub(crate) fn writer(&self) -> Option<&Schema> {
        match self {
            Self::Own | Self::Upgrade(_) => None,
            Self::ByName(resolution) | Self::UpgradeByName(_, resolution) => {
                Some(resolution.writer())
            }
        }
    }

    /// The bytes that it takes, about.
    fn weight(&self) -> usize {
        match self {
            Self::Own | Self::Upgrade(_) => 0,
            Self::ByName(resolution) | Self::UpgradeByName(_, resolution) => resolution.weight(),
        }
    }

    /// What was found missing in one payload and is missing in every other of its schema.
    pub(crate) fn refused(&self) -> Option<Difference> {
        match self {
            Self::Own | Self::Upgrade(_) => None,
            Self::ByName(resolution) | Self::UpgradeByName(_, resolution) => resolution.refused(),
        }
    }
}

/// Why a function cannot read the payloads of a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CannotRead {
    #[error("{0}")]
    NoOwnSchema(UnreadableError),
    #[error(
        "a development version of gae-tasks made the shape of the names of types: defer the task \
         again, and delete this one"
    )]
    OfTypeNames,
    #[error("a newer version of gae-tasks made the shape of its parameters: update this program")]
    Newer,
    #[error(
        "the schema that it was written under is not stored, or what is stored for it is damaged"
    )]
    NotStored,
    #[error("the schema that it was written under is damaged: {0}")]
    Damaged(SchemaError),
    #[error("the schema that is stored for it has another shape")]
    OfAnotherShape,
    #[error("{0}")]
    Differs(Difference),
}

/// The decision about another schema and a function's own.
#[derive(Debug)]
pub(crate) struct Decision {
    /// In the order in which they are tried. A reading that is refused for all payloads of the
    /// schema gives way to the next.
    pub(crate) readings: Vec<Reading>,
    /// Why the function itself cannot read them, if it cannot.
    pub(crate) difference: Option<Difference>,
}

impl Decision {
    /// How the payloads are read, as far as is known by now.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn reading(&self) -> Result<Reading, CannotRead> {
        let refused = || self.readings.iter().find_map(Reading::refused);
        match self.readings.iter().find(|reading| reading.refused().is_none()) {
            Some(reading) => Ok(reading.clone()),
            None => Err(self
                .difference
                .clone()
                .or_else(refused)
                .map_or(CannotRead::NotStored, CannotRead::Differs)),
        }
    }

    /// The bytes that it takes, about.
    fn weight(&self) -> usize {
        let difference = self.difference.as_ref().map_or(0, Difference::weight);
        let readings = self.readings.iter().map(|one| size_of::<Reading>() + one.weight());
        size_of::<Self>() + readings.sum::<usize>() + difference
    }
}

/// The decisions about the schemas that one function has met.
pub struct Readings(Mutex<Decisions>);

/// Decisions by the shapes of their schemas.
struct Decisions {
    by_shape: BTreeMap<Shape, Decision>,
    /// In the order in which they were made, with their weights.
    order: VecDeque<(Shape, usize)>,
    /// The bytes that they take, about.
    weight: usize,
}

impl Decisions {
    /// Adds a decision, and forgets as many of the oldest as there are too many. The newest stays.
    fn add(&mut self, shape: Shape, decision: Decision) {
        let weight = decision.weight();
        self.by_shape.insert(shape, decision);
        self.order.push_back((shape, weight));
        self.weight += weight;
        while self.weight > REMEMBERED && self.order.len() > 1 {
            let Some((oldest, weight)) = self.order.pop_front() else { break };
            self.by_shape.remove(&oldest);
            self.weight -= weight;
        }
    }
}

impl Readings {
    /// Nothing is decided.
    #[expect(clippy::new_without_default, reason = "generated code names what it calls")]
    pub const fn new() -> Self {
        Self(Mutex::new(Decisions { by_shape: BTreeMap::new(), order: VecDeque::new(), weight: 0 }))
    }

    /// How payloads of `shape` are read, if that was decided before.
    pub(crate) fn known(&self, shape: Shape) -> Option<Result<Reading, CannotRead>> {
        let decisions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        decisions.by_shape.get(&shape).map(|decision| decision.reading())
    }

    /// Remembers `decision`, and returns how payloads of `shape` are read.
    pub(crate) fn decided(&self, shape: Shape, decision: Decision) -> Result<Reading, CannotRead> {
        let mut decisions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = decisions.by_shape.get(&shape) {
            return known.reading();
        }
        let reading = decision.reading();
        decisions.add(shape, decision);
        reading
    }
}

impl fmt::Debug for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readings")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upgrade(number: usize) -> Decision {
        Decision { readings: vec![Reading::Upgrade(number)], difference: None }
    }

    fn number(reading: Result<Reading, CannotRead>) -> Option<usize> {
        if let Ok(Reading::Upgrade(number)) = reading { Some(number) } else { None }
    }

    #[test]
    fn a_decision_is_remembered_for_its_shape_and_the_first_one_holds() {
        let (readings, shape) = (Readings::new(), Shape::from_bits(1));
        assert!(readings.known(shape).is_none());
        assert_eq!(number(readings.decided(shape, upgrade(1))), Some(1));
        // Another thread may have decided meanwhile, and have found a field missing.
        assert_eq!(number(readings.decided(shape, upgrade(2))), Some(1));
        assert_eq!(readings.known(shape).and_then(number), Some(1));
        assert!(readings.known(Shape::from_bits(2)).is_none());
    }

    /// A decision that takes this many bytes and a few more.
    fn large(bytes: usize) -> Decision {
        Decision { readings: Vec::new(), difference: Some(Difference::one("x".repeat(bytes))) }
    }

    /// A queue that pushes may send any number of schemas.
    #[test]
    fn the_oldest_decisions_are_forgotten_when_all_take_too_many_bytes() {
        let (readings, shape) = (Readings::new(), Shape::from_bits);
        for bits in 0..10 {
            readings.decided(shape(bits), large(REMEMBERED / 4)).unwrap_err();
        }
        let known: Vec<_> = (0..10).filter(|bits| readings.known(shape(*bits)).is_some()).collect();
        assert_eq!(known, [7, 8, 9], "three quarters, and a little each");
        // One that is forgotten is decided anew, and is then the newest.
        assert_eq!(number(readings.decided(shape(0), upgrade(7))), Some(7));
        readings.decided(shape(10), large(REMEMBERED / 4)).unwrap_err();
        assert!(readings.known(shape(7)).is_none() && readings.known(shape(0)).is_some());
        // One that is too large alone takes the place of all others.
        readings.decided(shape(11), large(2 * REMEMBERED)).unwrap_err();
        assert!(readings.known(shape(11)).is_some() && readings.known(shape(10)).is_none());
        readings.decided(shape(12), upgrade(1)).unwrap();
        let decisions = readings.0.lock().unwrap();
        assert_eq!((decisions.by_shape.len(), decisions.order.len()), (1, 1));
        assert_eq!(decisions.weight, decisions.by_shape[&shape(12)].weight());
    }

    #[test]
    fn so_many_small_decisions_are_bounded_too() {
        let readings = Readings::new();
        for bits in 0..100_000 {
            readings.decided(Shape::from_bits(bits), upgrade(0)).unwrap();
        }
        let decisions = readings.0.lock().unwrap();
        assert!(decisions.weight <= REMEMBERED && decisions.weight > REMEMBERED / 2);
        assert!(decisions.by_shape.len() < 100_000, "{}", decisions.by_shape.len());
    }

    #[test]
    fn what_no_reading_is_left_for_differs() {
        let none = Decision { readings: Vec::new(), difference: None };
        assert_eq!(none.reading().unwrap_err(), CannotRead::NotStored);
        let difference = Difference::one("parameter `cents`: was a u32, is a String".to_owned());
        let differs = Decision { readings: Vec::new(), difference: Some(difference.clone()) };
        assert_eq!(differs.reading().unwrap_err(), CannotRead::Differs(difference));
    }
}
