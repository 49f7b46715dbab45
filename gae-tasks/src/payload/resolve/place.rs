//! Where a value stands: how deep, on which ignored path, and whether every payload has it.

use super::failure::{Failure, Reason};
use super::ignores::Ignored;
use crate::payload::schema::node::MAX_DEPTH;

/// Where a value stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) ignored: Ignored,
    /// How deep it stands, and how often its type has asked for a newtype or an option that was not
    /// written.
    depth: u8,
    wraps: u8,
    /// It is the key of a map.
    pub(crate) is_key: bool,
    /// Every payload of the schema has this value: no option, sequence, map or variant holds it.
    pub(crate) is_certain: bool,
}

impl Place {
    /// The place of the parameters, or of one of them.
    pub(crate) fn root(ignored: Ignored) -> Self {
        Self { ignored, depth: 0, wraps: 0, is_key: false, is_certain: true }
    }

    /// The place of a part that every value has.
    pub(crate) fn part(self) -> Self {
        Self { depth: self.depth + 1, wraps: 0, is_key: false, ..self }
    }

    /// The place of a part that some values have.
    pub(crate) fn maybe(self) -> Self {
        Self { is_certain: false, ..self.part() }
    }

    /// The place of a field of what stands here.
    pub(crate) fn field(self, ignored: Ignored) -> Self {
        Self { ignored, ..self.part() }
    }

    pub(crate) fn key(self) -> Self {
        Self { is_key: true, ..self.maybe() }
    }

    pub(crate) fn is_too_deep(self) -> bool {
        self.depth > MAX_DEPTH
    }

    pub(crate) fn wrapped(self) -> Result<Self, Failure> {
        match self.wraps {
            MAX_DEPTH => Err(Reason::Deep.into()),
            wraps => Ok(Self { wraps: wraps + 1, ..self }),
        }
    }
}
