//! A deserializer over bytes and the schema that they were written under: what the reader's type
//! asks for is answered from what was written.
//!
//! One type for all values, and one for all that has parts: the code of every user's type is
//! compiled once for each.

use serde::de::DeserializeSeed;

use super::cursor::Cursor;
use super::failure::{Failure, Reason};
use super::name::Known;
use super::path::Step;
use super::place::Place;
use crate::payload::schema::node::{Member, Node, NodeId};

/// A value that is to be read.
pub(crate) struct Value<'r, 'de> {
    pub(crate) cursor: &'r mut Cursor<'de>,
    pub(crate) node: &'de Node,
    pub(crate) place: Place,
}

/// Reads a value of the node `id` with `seed`, which must ask for it.
pub(crate) fn read<'de, T: DeserializeSeed<'de>>(
    cursor: &mut Cursor<'de>,
    id: NodeId,
    place: Place,
    seed: T,
) -> Result<T::Value, Failure> {
    let node = cursor.begin(id)?;
    read_node(cursor, node, place, seed)
}

pub(crate) fn read_node<'de, T: DeserializeSeed<'de>>(
    cursor: &mut Cursor<'de>,
    node: &'de Node,
    place: Place,
    seed: T,
) -> Result<T::Value, Failure> {
    if place.is_too_deep() {
        return Err(Reason::Deep.into());
    }
    cursor.is_asked = false;
    let value = seed.deserialize(Value { cursor, node, place })?;
    if cursor.is_asked { Ok(value) } else { Err(Reason::Unread.into()) }
}

/// The parts of a value that was asked for: elements, entries, fields, or a variant.
pub(crate) struct Parts<'r, 'de> {
    pub(crate) cursor: &'r mut Cursor<'de>,
    pub(crate) place: Place,
    pub(crate) left: Left<'de>,
    /// What the next value of an entry or a field is of, once its key was read.
    pub(crate) due: Option<Due<'de>>,
}

/// Parts that are left.
pub(crate) enum Left<'de> {
    Repeated(usize, NodeId),
    Elements(std::iter::Enumerate<std::slice::Iter<'de, NodeId>>),
    /// Bytes that are read as a sequence of numbers.
    Octets(usize),
    Entries(usize, NodeId, NodeId),
    /// Entries as a sequence of keys with their values: no text is a key.
    Pairs(usize, NodeId, NodeId),
    /// A key and its value, or the value alone.
    Pair(Option<NodeId>, Option<NodeId>),
    Fields(std::slice::Iter<'de, Member>, Known),
    /// A variant as a map of one entry, as in JSON; `None` once it was read.
    Variant(Option<&'de Member>),
}

/// A value whose key was read.
#[derive(Clone, Copy)]
pub(crate) struct Due<'de> {
    pub(crate) node: NodeId,
    pub(crate) place: Place,
    pub(crate) step: Step<'de>,
}

impl Left<'_> {
    fn is_none(&self) -> bool {
        match self {
            Self::Repeated(left, _) | Self::Octets(left) => *left == 0,
            Self::Entries(left, ..) | Self::Pairs(left, ..) => *left == 0,
            Self::Pair(_, value) => value.is_none(),
            Self::Elements(ids) => ids.len() == 0,
            Self::Fields(fields, _) => fields.len() == 0,
            Self::Variant(variant) => variant.is_none(),
        }
    }
}

/// A variant that is to be recognised.
pub(crate) struct Variant<'r, 'de> {
    pub(crate) cursor: &'r mut Cursor<'de>,
    pub(crate) place: Place,
    pub(crate) member: &'de Member,
    pub(crate) known: Known,
}

/// The name of a member that the reader's type knows, or the first if it knows none.
///
/// Which of its names was written is unknown; all of them mean one member.
pub(crate) fn name_of(member: &Member, known: Known) -> &str {
    let names = &member.names[..];
    if let ([_, _, ..], Some(known)) = (names, known) {
        let is_known = |name: &&str| known.contains(name);
        if let Some(name) = names.iter().map(|name| &**name).find(is_known) {
            return name;
        }
    }
    names.first().map_or("", |name| name)
}

impl Parts<'_, '_> {
    /// `value`, if all parts were read: less would be another value than was written.
    pub(crate) fn end<T>(self, value: T) -> Result<T, Failure> {
        if self.left.is_none() && self.due.is_none() {
            Ok(value)
        } else {
            Err(Reason::Unread.into())
        }
    }
}
