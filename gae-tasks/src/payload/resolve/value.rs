//! A deserializer over bytes and the schema that they were written under: what the reader's type
//! asks for is answered from what was written.
//!
//! One type for all values, and one for all that has parts: the code of every user's type is
//! compiled once for each.

use serde::Deserializer;
use serde::de::{DeserializeSeed, Visitor};

use super::failure::{Failure, Reason};
use super::ignores::Ignored;
use super::input::{Number, only_char};
use super::leaves::{is_integer, is_of_octets, resolves, words};
use super::name::Known;
use super::path::Step;
use super::reading::{MAX_DEPTH, Reading};
use crate::payload::schema::node::{Leaf, Member, Node, NodeId};

/// A value that is to be read.
pub(crate) struct Value<'r, 'de> {
    pub(crate) reading: &'r mut Reading<'de>,
    pub(crate) node: &'de Node,
    pub(crate) place: Place,
}

/// Where a value stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) ignored: Ignored,
    /// How deep it stands, and how often its type has asked for a newtype or an option that was not
    /// written.
    depth: u8,
    wraps: u8,
    /// It is the key of a map.
    is_key: bool,
    /// Every payload of the schema has this value: no option, sequence, map or variant holds it.
    is_certain: bool,
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

    fn wrapped(self) -> Result<Self, Failure> {
        match self.wraps {
            MAX_DEPTH => Err(Reason::Deep.into()),
            wraps => Ok(Self { wraps: wraps + 1, ..self }),
        }
    }
}

/// Reads a value of the node `id` with `seed`, which must ask for it.
pub(crate) fn read<'de, T: DeserializeSeed<'de>>(
    reading: &mut Reading<'de>,
    id: NodeId,
    place: Place,
    seed: T,
) -> Result<T::Value, Failure> {
    let node = reading.begin(id)?;
    read_node(reading, node, place, seed)
}

pub(crate) fn read_node<'de, T: DeserializeSeed<'de>>(
    reading: &mut Reading<'de>,
    node: &'de Node,
    place: Place,
    seed: T,
) -> Result<T::Value, Failure> {
    if place.depth > MAX_DEPTH {
        return Err(Reason::Deep.into());
    }
    reading.is_asked = false;
    let value = seed.deserialize(Value { reading, node, place })?;
    if reading.is_asked { Ok(value) } else { Err(Reason::Unread.into()) }
}

/// The parts of a value that was asked for: elements, entries, fields, or a variant.
pub(crate) struct Parts<'r, 'de> {
    pub(crate) reading: &'r mut Reading<'de>,
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
    pub(crate) reading: &'r mut Reading<'de>,
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

impl<'r, 'de> Value<'r, 'de> {
    /// The value within options, where the type asks for something else.
    fn plain(mut self) -> Result<Self, Failure> {
        self.reading.is_asked = true;
        while let Node::Option(one) = self.node {
            if !self.reading.input.flag()? {
                return Err(Reason::NoValue.into());
            }
            self = self.inner(*one)?;
        }
        Ok(self)
    }

    /// What an option holds.
    fn inner(self, one: NodeId) -> Result<Self, Failure> {
        let place = self.place.maybe();
        if place.depth > MAX_DEPTH {
            return Err(Reason::Deep.into());
        }
        Ok(Self { node: self.reading.begin(one)?, place, ..self })
    }

    fn leaf(&self) -> Option<Leaf> {
        match self.node {
            Node::Leaf(leaf) => Some(*leaf),
            _ => None,
        }
    }

    #[cold]
    fn is_other(&self, is: &'static str) -> Failure {
        Reason::Kind(words(self.node), is).into()
    }

    fn number<T>(self, leaf: Leaf) -> Result<T, Failure>
    where
        T: TryFrom<u64> + TryFrom<i64> + TryFrom<u128> + TryFrom<i128>,
    {
        let value = self.plain()?;
        let number = match value.leaf() {
            Some(Leaf::String) if value.place.is_key => {
                Number::of_text(value.reading.input.text()?).ok_or(Reason::NoNumber)?
            }
            Some(from) => match value.reading.input.number(from)? {
                Some(number) => number,
                None => return Err(value.is_other(leaf.name())),
            },
            None => return Err(value.is_other(leaf.name())),
        };
        number.to().ok_or_else(|| Reason::Range(leaf.name()).into())
    }

    /// A number with a fraction; integers are read as one where none loses digits.
    fn float(self, leaf: Leaf) -> Result<f64, Failure> {
        let value = self.plain()?;
        match value.leaf() {
            Some(Leaf::F32) => value.reading.input.f32().map(f64::from),
            Some(Leaf::F64) if leaf == Leaf::F64 => value.reading.input.f64(),
            Some(from) if resolves(from, leaf, false) => {
                let number = value.reading.input.number(from)?.and_then(Number::to::<i64>);
                number.map(|number| number as f64).ok_or(Reason::Corrupt.into())
            }
            _ => Err(value.is_other(leaf.name())),
        }
    }

    fn text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let mut value = self.plain()?;
        match value.leaf() {
            Some(Leaf::String | Leaf::Char) => {
                visitor.visit_borrowed_str(value.reading.input.text()?)
            }
            // Keys of a map that is read as whatever was written, as JSON has them.
            None if value.place.is_key => {
                let member = value.variant()?;
                visitor.visit_borrowed_str(name_of(member, None))
            }
            Some(Leaf::Bool) if value.place.is_key => {
                visitor.visit_str(if value.reading.input.flag()? { "true" } else { "false" })
            }
            Some(leaf) if value.place.is_key => match value.reading.input.number(leaf)? {
                Some(number) => visitor.visit_string(number.to_string()),
                None => Err(value.is_other("a String")),
            },
            _ => Err(value.is_other("a String")),
        }
    }

    fn octets<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let value = self.plain()?;
        visitor.visit_borrowed_bytes(match value.node {
            Node::Leaf(Leaf::Bytes) => value.reading.input.bytes()?,
            node if is_of_octets(value.reading.nodes, node) => match node {
                Node::Array(len, _) => value.reading.input.take(*len as usize)?,
                _ => value.reading.input.bytes()?,
            },
            _ => return Err(value.is_other("bytes")),
        })
    }

    fn elements<V: Visitor<'de>>(self, is: &'static str, visitor: V) -> Result<V::Value, Failure> {
        let mut value = self.plain()?;
        let left = match value.node {
            Node::Seq(one) => {
                value.place.is_certain = false;
                let is_empty = value.reading.is_empty(*one);
                Left::Repeated(value.reading.len(is_empty)?, *one)
            }
            Node::Array(len, one) => Left::Repeated(*len as usize, *one),
            Node::Tuple(ids) => Left::Elements(ids.iter().enumerate()),
            Node::Leaf(Leaf::Bytes) => Left::Octets(value.reading.len(false)?),
            _ => return Err(value.is_other(is)),
        };
        let mut parts = value.parts(left);
        let read = visitor.visit_seq(&mut parts)?;
        parts.end(read)
    }

    fn entries<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let value = self.plain()?;
        let Node::Map(key, of) = value.node else { return Err(value.is_other("a map")) };
        let is_empty = value.reading.is_empty(*key) && value.reading.is_empty(*of);
        let len = value.reading.len(is_empty)?;
        let mut parts = value.parts(Left::Entries(len, *key, *of));
        let read = visitor.visit_map(&mut parts)?;
        parts.end(read)
    }

    fn fields<V: Visitor<'de>>(self, known: Known, visitor: V) -> Result<V::Value, Failure> {
        let value = self.plain()?;
        let Node::Struct(fields) = value.node else { return Err(value.is_other("a struct")) };
        let is_certain = value.place.is_certain;
        let mut parts = value.parts(Left::Fields(fields.iter(), known));
        let read = visitor.visit_map(&mut parts).map_err(|failure| {
            let has = |name: &str| fields.iter().any(|field| field.names.iter().any(|n| n == name));
            failure.in_struct(|name| is_certain && !has(name))
        })?;
        parts.end(read)
    }

    fn parts(self, left: Left<'de>) -> Parts<'r, 'de> {
        Parts { reading: self.reading, place: self.place, left, due: None }
    }

    fn variant(&mut self) -> Result<&'de Member, Failure> {
        let Node::Enum(variants) = self.node else { return Err(self.is_other("an enum")) };
        let at = usize::try_from(self.reading.input.unsigned()?).map_err(|_| Reason::Corrupt)?;
        Ok(variants.get(at).ok_or(Reason::Corrupt)?)
    }

    /// Whatever was written, for types that take anything: as JSON has it, so bytes are a sequence
    /// of numbers, and a variant is its name or a map of one entry.
    fn any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Failure> {
        match self.node {
            Node::Leaf(leaf) => self.any_leaf(*leaf, visitor),
            Node::Option(_) => self.deserialize_option(visitor),
            Node::Seq(_) | Node::Array(..) | Node::Tuple(_) => self.deserialize_seq(visitor),
            Node::Map(key, _) if self.is_text(*key) => self.deserialize_map(visitor),
            Node::Map(key, of) => {
                let is_empty = self.reading.is_empty(*key) && self.reading.is_empty(*of);
                self.reading.is_asked = true;
                let len = self.reading.len(is_empty)?;
                let mut parts = self.parts(Left::Pairs(len, *key, *of));
                let read = visitor.visit_seq(&mut parts)?;
                parts.end(read)
            }
            Node::Struct(_) => self.fields(None, visitor),
            Node::Enum(_) => {
                self.reading.is_asked = true;
                let member = self.variant()?;
                if *self.reading.node(member.node) == Node::Leaf(Leaf::Unit) {
                    return visitor.visit_borrowed_str(name_of(member, None));
                }
                let mut parts = self.parts(Left::Variant(Some(member)));
                let read = visitor.visit_map(&mut parts)?;
                parts.end(read)
            }
        }
    }

    /// Whether a key of a map is a text in JSON.
    fn is_text(&self, key: NodeId) -> bool {
        let is_unit = |one: &Member| *self.reading.node(one.node) == Node::Leaf(Leaf::Unit);
        match self.reading.node(key) {
            Node::Leaf(Leaf::String | Leaf::Char | Leaf::Bool) => true,
            Node::Leaf(leaf) => is_integer(*leaf),
            Node::Enum(variants) => variants.iter().all(is_unit),
            _ => false,
        }
    }

    fn any_leaf<V: Visitor<'de>>(self, leaf: Leaf, visitor: V) -> Result<V::Value, Failure> {
        match leaf {
            Leaf::Unit => self.deserialize_unit(visitor),
            Leaf::Bool => self.deserialize_bool(visitor),
            Leaf::F32 | Leaf::F64 => self.deserialize_f64(visitor),
            Leaf::Char | Leaf::String => self.deserialize_str(visitor),
            Leaf::Bytes => self.deserialize_seq(visitor),
            _ => {
                self.reading.is_asked = true;
                match self.reading.input.number(leaf)?.ok_or(Reason::Corrupt)? {
                    Number::Unsigned(number) => visitor.visit_u64(number),
                    Number::Signed(number) => visitor.visit_i64(number),
                    wide => match (wide.to(), wide.to()) {
                        (Some(number), _) => visitor.visit_u64(number),
                        (None, Some(number)) => visitor.visit_i64(number),
                        // JSON has no such number.
                        _ => visitor.visit_string(wide.to_string()),
                    },
                }
            }
        }
    }
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

macro_rules! integers {
    ($($method:ident $visit:ident $leaf:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            visitor.$visit(self.number(Leaf::$leaf)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = Failure;

    fn is_human_readable(&self) -> bool {
        false
    }

    integers! {
        deserialize_i8 visit_i8 I8;
        deserialize_i16 visit_i16 I16;
        deserialize_i32 visit_i32 I32;
        deserialize_i64 visit_i64 I64;
        deserialize_i128 visit_i128 I128;
        deserialize_u8 visit_u8 U8;
        deserialize_u16 visit_u16 U16;
        deserialize_u32 visit_u32 U32;
        deserialize_u64 visit_u64 U64;
        deserialize_u128 visit_u128 U128;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.any(visitor)
    }

    /// What the type does not know. What may be ignored is passed over before it comes to this.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Failure> {
        Err(Reason::Unknown.into())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.text(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let value = self.plain()?;
        match value.leaf() {
            Some(Leaf::Bool) => visitor.visit_bool(value.reading.input.flag()?),
            _ => Err(value.is_other("a bool")),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        // Exact: it comes from an `f32` or from an integer that is one.
        visitor.visit_f32(self.float(Leaf::F32)? as f32)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_f64(self.float(Leaf::F64)?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let value = self.plain()?;
        match value.leaf() {
            Some(Leaf::Char) => visitor.visit_char(value.reading.input.char()?),
            Some(Leaf::String) => {
                let text = value.reading.input.text()?;
                visitor.visit_char(only_char(text).ok_or(Reason::NoChar)?)
            }
            _ => Err(value.is_other("a char")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.text(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.octets(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.octets(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.reading.is_asked = true;
        match self.node {
            Node::Option(one) => match self.reading.input.flag()? {
                true => visitor.visit_some(self.inner(*one)?),
                false => visitor.visit_none(),
            },
            Node::Leaf(Leaf::Unit) => Err(self.is_other("an Option")),
            _ => {
                let place = self.place.wrapped()?;
                visitor.visit_some(Self { place, ..self })
            }
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let value = self.plain()?;
        match value.leaf() {
            Some(Leaf::Unit) => visitor.visit_unit(),
            _ => Err(value.is_other("a unit")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let place = self.place.wrapped()?;
        visitor.visit_newtype_struct(Self { place, ..self })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.elements("a sequence", visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.elements("a tuple", visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.elements("a tuple", visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.entries(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.fields(Some(fields), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let mut value = self.plain()?;
        let member = value.variant()?;
        let place = value.place.maybe();
        let reading = value.reading;
        let variant = Variant { reading, place, member, known: Some(variants) };
        visitor
            .visit_enum(variant)
            .map_err(|failure| failure.within(Step::Variant(name_of(member, Some(variants)))))
    }
}
