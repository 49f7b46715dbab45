//! The parts that a type asks for one after the other: elements, entries, fields, variants and what
//! is in them.

use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

use super::failure::{Failure, Reason};
use super::name::{Known, Name};
use super::path::Step;
use super::value::{Due, Left, Parts, Value, Variant, name_of, read, read_node};
use crate::payload::schema::node::{Leaf, Member, Node};

const OCTET: &Node = &Node::Leaf(Leaf::U8);

impl<'de> SeqAccess<'de> for Parts<'_, 'de> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Failure> {
        let place = self.place;
        match &mut self.left {
            Left::Elements(ids) => {
                let Some((at, id)) = ids.next() else { return Ok(None) };
                let value = read(self.cursor, *id, place.part(), seed);
                value.map(Some).map_err(|failure| failure.within(Step::Position(at)))
            }
            Left::Repeated(0, _) | Left::Octets(0) => Ok(None),
            Left::Repeated(left, id) => {
                *left -= 1;
                let value = read(self.cursor, *id, place.part(), seed);
                value.map(Some).map_err(|failure| failure.within(Step::Element))
            }
            Left::Octets(left) => {
                *left -= 1;
                let value = read_node(self.cursor, OCTET, place.part(), seed);
                value.map(Some).map_err(|failure| failure.within(Step::Element))
            }
            Left::Pairs(0, ..) => Ok(None),
            Left::Pairs(left, key, value) => {
                *left -= 1;
                let left = Left::Pair(Some(*key), Some(*value));
                seed.deserialize(Pair(Parts { cursor: self.cursor, place, left, due: None }))
                    .map(Some)
            }
            Left::Pair(key, value) => match key.take().or_else(|| value.take()) {
                Some(id) => read(self.cursor, id, place.maybe(), seed).map(Some),
                None => Ok(None),
            },
            _ => Err(Reason::Refused.into()),
        }
    }

    /// What the bytes can hold: a type that trusts it allocates no more.
    fn size_hint(&self) -> Option<usize> {
        match &self.left {
            Left::Repeated(left, _) | Left::Octets(left) => {
                Some((*left).min(self.cursor.input.rest.len()))
            }
            Left::Elements(ids) => Some(ids.len()),
            _ => None,
        }
    }
}

impl<'de> MapAccess<'de> for Parts<'_, 'de> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        if self.due.is_some() {
            return Err(Reason::Unread.into());
        }
        let place = self.place.maybe();
        let (member, known, is_field) = match &mut self.left {
            Left::Entries(0, ..) => return Ok(None),
            Left::Entries(left, key, value) => {
                *left -= 1;
                let (key, node) = (*key, *value);
                self.due = Some(Due { node, place, step: Step::Value });
                let key = read(self.cursor, key, self.place.key(), seed);
                return key.map(Some).map_err(|failure| failure.within(Step::Key));
            }
            Left::Fields(..) => match self.next_field()? {
                Some((member, known)) => (member, known, true),
                None => return Ok(None),
            },
            Left::Variant(variant) => match variant.take() {
                Some(member) => (member, None, false),
                None => return Ok(None),
            },
            _ => return Err(Reason::Refused.into()),
        };
        let name = name_of(member, known);
        if !is_field {
            let step = Step::Variant(name);
            self.due = Some(Due { node: member.node, place, step });
        }
        let key = seed.deserialize(Name { name, known });
        key.map(Some).map_err(|failure| failure.at_name(Reason::Unknown).within(Step::Field(name)))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Failure> {
        let Some(due) = self.due.take() else { return Err(Reason::Refused.into()) };
        let value = read(self.cursor, due.node, due.place, seed);
        value.map_err(|failure| failure.within(due.step))
    }

    fn size_hint(&self) -> Option<usize> {
        match &self.left {
            Left::Entries(left, ..) => Some((*left).min(self.cursor.input.rest.len())),
            Left::Fields(fields, _) => Some(fields.len()),
            _ => None,
        }
    }
}

impl<'de> Parts<'_, 'de> {
    /// The next field that is not ignored; its value is due.
    fn next_field(&mut self) -> Result<Option<(&'de Member, Known)>, Failure> {
        let Left::Fields(fields, known) = &mut self.left else { return Ok(None) };
        for member in fields {
            let ignores = self.cursor.ignores;
            let ignored = ignores.within(self.place.ignored, &member.names);
            // Before the type sees its name: it may deny those that it does not know.
            if ignores.is_end(ignored) && !is_known(member, *known) {
                self.cursor.skip(member.node)?;
                continue;
            }
            let place = self.place.field(ignored);
            let step = Step::Field(name_of(member, *known));
            self.due = Some(Due { node: member.node, place, step });
            return Ok(Some((member, *known)));
        }
        Ok(None)
    }
}

/// An entry of a map whose keys are no texts, as a sequence of two.
struct Pair<'r, 'de>(Parts<'r, 'de>);

impl<'de> Deserializer<'de> for Pair<'_, 'de> {
    type Error = Failure;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Failure> {
        let read = visitor.visit_seq(&mut self.0)?;
        self.0.end(read)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

fn is_known(member: &Member, known: Known) -> bool {
    // A type that names no fields takes any.
    known.is_none_or(|known| member.names.iter().any(|name| known.contains(&&**name)))
}

impl<'r, 'de> EnumAccess<'de> for Variant<'r, 'de> {
    type Error = Failure;
    type Variant = Value<'r, 'de>;

    fn variant_seed<K: DeserializeSeed<'de>>(
        self,
        seed: K,
    ) -> Result<(K::Value, Value<'r, 'de>), Failure> {
        let Self { cursor, place, member, known } = self;
        let name = name_of(member, known);
        let key = seed.deserialize(Name { name, known });
        let key = key.map_err(|failure| failure.at_name(Reason::UnknownVariant))?;
        let node = cursor.node(member.node);
        Ok((key, Value { cursor, node, place }))
    }
}

/// The content of a variant.
impl<'de> VariantAccess<'de> for Value<'_, 'de> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        <()>::deserialize(self)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        read_node(self.cursor, self.node, self.place, seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_struct("", fields, visitor)
    }
}
