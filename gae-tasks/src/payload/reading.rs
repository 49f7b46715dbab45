//! How payloads of one stored schema are read: decided once for each pair of schemas.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::resolve::{Difference, Resolution};
use super::{Schema, SchemaError, UnreadableError};
use crate::task::Shape;

/// How many schemas of one task are remembered. A task has a few; a queue that pushes may send any.
const REMEMBERED: usize = 1_000;

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
    #[error("a newer version of gae-tasks made its schema: update gae-tasks")]
    Newer,
    #[error("the schema that it was written under is not stored")]
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
}

/// The decisions about the schemas that one function has met.
pub struct Readings(Mutex<BTreeMap<Shape, Decision>>);

impl Readings {
    /// Nothing is decided.
    #[expect(clippy::new_without_default, reason = "generated code names what it calls")]
    pub const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// How payloads of `shape` are read, if that was decided before.
    pub(crate) fn known(&self, shape: Shape) -> Option<Result<Reading, CannotRead>> {
        let decisions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        decisions.get(&shape).map(|decision| decision.reading())
    }

    /// Remembers `decision`, and returns how payloads of `shape` are read.
    pub(crate) fn decided(&self, shape: Shape, decision: Decision) -> Result<Reading, CannotRead> {
        let mut decisions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if decisions.len() >= REMEMBERED {
            return decision.reading();
        }
        decisions.entry(shape).or_insert(decision).reading()
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

    /// A queue that pushes may send any number of schemas.
    #[test]
    fn so_many_decisions_are_remembered_and_further_ones_are_made_again() {
        let (readings, more) = (Readings::new(), Shape::from_bits(0));
        for bits in 1..=REMEMBERED as u64 {
            readings.decided(Shape::from_bits(bits), upgrade(0)).unwrap();
        }
        assert_eq!(number(readings.decided(more, upgrade(7))), Some(7));
        assert!(readings.known(more).is_none());
        assert_eq!(readings.0.lock().unwrap().len(), REMEMBERED);
        assert!(readings.known(Shape::from_bits(REMEMBERED as u64)).is_some());
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
