//! What a type asks a value for, and which answer it gets.

use serde::Deserializer;
use serde::de::Visitor;

use super::failure::{Failure, Reason};
use super::input::only_char;
use super::path::Step;
use super::value::{Value, Variant, name_of};
use crate::payload::schema::node::{Leaf, Node};

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
            Some(Leaf::Bool) => visitor.visit_bool(value.cursor.input.flag()?),
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
            Some(Leaf::Char) => visitor.visit_char(value.cursor.input.char()?),
            Some(Leaf::String) => {
                let text = value.cursor.input.text()?;
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
        self.cursor.is_asked = true;
        match self.node {
            Node::Option(one) => match self.cursor.input.flag()? {
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
        let cursor = value.cursor;
        let variant = Variant { cursor, place, member, known: Some(variants) };
        visitor
            .visit_enum(variant)
            .map_err(|failure| failure.within(Step::Variant(name_of(member, Some(variants)))))
    }
}
