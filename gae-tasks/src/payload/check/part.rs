//! The serializer of one part of a value, at its node of the schema.
//!
//! A number may be written narrower than it is read, a `char` or a text as what holds its bytes, as
//! the bytes are those of what is read. Written wider, it is refused: a larger value would not be
//! read.

use std::fmt::{self, Write as _};

use serde::Serialize;
use serde::ser::{Error as _, Serializer};

use super::disagreement::Disagreement;
use super::opened::{Elements, Entries, Fields, Walk};
use super::{varint, words};
use crate::payload::schema::node::{Leaf, Node, NodeId};

type Written = Result<(), Disagreement>;

/// A part that is to be written.
pub(super) struct Part<'w, 'a> {
    walk: &'w mut Walk<'a>,
    node: &'a Node,
}

impl<'w, 'a> Part<'w, 'a> {
    #[inline]
    pub(super) fn at(walk: &'w mut Walk<'a>, id: NodeId) -> Self {
        let node = &walk.nodes[id as usize];
        Self { walk, node }
    }

    #[inline]
    pub(super) fn of(walk: &'w mut Walk<'a>, node: &'a Node) -> Self {
        Self { walk, node }
    }

    #[inline]
    fn number(self, number: u64) -> Written {
        varint::push(self.walk.bytes, number);
        Ok(())
    }

    #[inline]
    fn text(self, bytes: &[u8]) -> Written {
        varint::push(self.walk.bytes, bytes.len() as u64);
        self.walk.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes the number of a variant; the rest is its content.
    #[inline]
    fn variant(self, index: u32, name: &'static str) -> Result<Self, Disagreement> {
        let Node::Enum(variants) = self.node else {
            return Err(words::kind("an enum", self.node));
        };
        match variants.get(index as usize) {
            Some(variant) if variant.is_named(name) => {
                varint::push(self.walk.bytes, index.into());
                Ok(Self::at(self.walk, variant.node))
            }
            _ => Err(words::variant(name, index, variants)),
        }
    }

    #[inline]
    fn unit(self) -> Written {
        match self.node {
            Node::Leaf(Leaf::Unit) => Ok(()),
            Node::Tuple(ids) if ids.is_empty() => Ok(()),
            other => Err(words::kind(Leaf::Unit.words(), other)),
        }
    }

    #[inline]
    fn elements(self, len: usize) -> Result<Elements<'w, 'a>, Disagreement> {
        match self.node {
            Node::Tuple(ids) if ids.len() == len => Ok(Elements::each(self.walk, ids)),
            Node::Array(count, one) if *count as usize == len => {
                Ok(Elements::same(self.walk, *one, len))
            }
            Node::Leaf(Leaf::Unit) if len == 0 => Ok(Elements::each(self.walk, &[])),
            other => Err(words::arity(len, other)),
        }
    }

    #[inline]
    fn fields(self, len: usize) -> Result<Fields<'w, 'a>, Disagreement> {
        match self.node {
            Node::Struct(members) => Ok(Fields::new(self.walk, members, len)),
            other => Err(words::kind("a struct", other)),
        }
    }
}

/// Numbers whose bytes are those of each of the leaves, and how they are written.
macro_rules! numbers {
    ($($method:ident $ty:ident $own:ident $(| $wider:ident)* => $write:expr;)*) => {$(
        #[inline]
        fn $method(self, value: $ty) -> Written {
            match self.node {
                Node::Leaf(Leaf::$own $(| Leaf::$wider)*) => $write(self, value),
                other => Err(words::kind(Leaf::$own.words(), other)),
            }
        }
    )*};
}

impl<'w, 'a> Serializer for Part<'w, 'a> {
    type Ok = ();
    type Error = Disagreement;
    type SerializeSeq = Elements<'w, 'a>;
    type SerializeTuple = Elements<'w, 'a>;
    type SerializeTupleStruct = Elements<'w, 'a>;
    type SerializeTupleVariant = Elements<'w, 'a>;
    type SerializeMap = Entries<'w, 'a>;
    type SerializeStruct = Fields<'w, 'a>;
    type SerializeStructVariant = Fields<'w, 'a>;

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }

    numbers! {
        serialize_bool bool Bool => |part: Self, value: bool| part.number(value.into());
        serialize_i8 i8 I8 => |part: Self, value: i8| {
            part.walk.bytes.push(value as u8);
            Ok(())
        };
        serialize_i16 i16 I16 | I32 | I64 | I128 =>
            |part: Self, value: i16| part.number(varint::zigzag(value.into()));
        serialize_i32 i32 I32 | I64 | I128 =>
            |part: Self, value: i32| part.number(varint::zigzag(value.into()));
        serialize_i64 i64 I64 | I128 => |part: Self, value| part.number(varint::zigzag(value));
        serialize_i128 i128 I128 => |part: Self, value| {
            varint::push_wide(part.walk.bytes, varint::zigzag_wide(value));
            Ok(())
        };
        serialize_u8 u8 U8 => |part: Self, value: u8| {
            part.walk.bytes.push(value);
            Ok(())
        };
        serialize_u16 u16 U16 | U32 | U64 | U128 =>
            |part: Self, value: u16| part.number(value.into());
        serialize_u32 u32 U32 | U64 | U128 => |part: Self, value: u32| part.number(value.into());
        serialize_u64 u64 U64 | U128 => Self::number;
        serialize_u128 u128 U128 => |part: Self, value| {
            varint::push_wide(part.walk.bytes, value);
            Ok(())
        };
        serialize_f32 f32 F32 => |part: Self, value: f32| {
            part.walk.bytes.extend_from_slice(&value.to_le_bytes());
            Ok(())
        };
        serialize_f64 f64 F64 => |part: Self, value: f64| {
            part.walk.bytes.extend_from_slice(&value.to_le_bytes());
            Ok(())
        };
        serialize_char char Char | String => |part: Self, value: char| {
            part.text(value.encode_utf8(&mut [0; 4]).as_bytes())
        };
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Written {
        match self.node {
            Node::Leaf(Leaf::String | Leaf::Bytes) => self.text(value.as_bytes()),
            other => Err(words::kind(Leaf::String.words(), other)),
        }
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Written {
        match self.node {
            Node::Leaf(Leaf::Bytes) => self.text(value),
            Node::Seq(one) if matches!(self.walk.nodes[*one as usize], Node::Leaf(Leaf::U8)) => {
                self.text(value)
            }
            other => Err(words::kind(Leaf::Bytes.words(), other)),
        }
    }

    #[inline]
    fn serialize_none(self) -> Written {
        match self.node {
            Node::Option(_) => self.number(0),
            other => Err(words::kind("an Option", other)),
        }
    }

    #[inline]
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Written {
        match self.node {
            Node::Option(one) => {
                self.walk.bytes.push(1);
                value.serialize(Self::at(self.walk, *one))
            }
            other => Err(words::kind("an Option", other)),
        }
    }

    #[inline]
    fn serialize_unit(self) -> Written {
        self.unit()
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Written {
        self.unit()
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, index: u32, name: &'static str) -> Written {
        self.variant(index, name)?.unit().map_err(|found| found.in_variant(name))
    }

    #[inline]
    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Written {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        index: u32,
        name: &'static str,
        value: &T,
    ) -> Written {
        let content = self.variant(index, name)?;
        value.serialize(content).map_err(|found| found.in_variant(name))
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<Elements<'w, 'a>, Disagreement> {
        const BYTE: &Node = &Node::Leaf(Leaf::U8);
        let one = match self.node {
            Node::Seq(one) => &self.walk.nodes[*one as usize],
            Node::Leaf(Leaf::Bytes) => BYTE,
            other => return Err(words::kind("a sequence", other)),
        };
        let len = len.ok_or_else(|| words::no_count("a sequence", ""))?;
        varint::push(self.walk.bytes, len as u64);
        Ok(Elements::of(self.walk, one, len))
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<Elements<'w, 'a>, Disagreement> {
        self.elements(len)
    }

    #[inline]
    fn serialize_tuple_struct(
        self,
        _: &'static str,
        len: usize,
    ) -> Result<Elements<'w, 'a>, Disagreement> {
        self.elements(len)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Elements<'w, 'a>, Disagreement> {
        let elements = self.variant(index, name)?.elements(len);
        elements.map(|elements| elements.in_variant(name)).map_err(|found| found.in_variant(name))
    }

    #[inline]
    fn serialize_map(self, len: Option<usize>) -> Result<Entries<'w, 'a>, Disagreement> {
        match (self.node, len) {
            (Node::Map(key, value), Some(len)) => {
                varint::push(self.walk.bytes, len as u64);
                Ok(Entries::new(self.walk, *key, *value, len))
            }
            (Node::Map(..), None) => Err(words::no_count("a map", "")),
            (_, None) => Err(words::no_count("a map", " (`#[serde(flatten)]`)")),
            (other, _) => Err(words::kind("a map", other)),
        }
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Fields<'w, 'a>, Disagreement> {
        self.fields(len)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Fields<'w, 'a>, Disagreement> {
        let fields = self.variant(index, name)?.fields(len);
        fields.map(|fields| fields.in_variant(name)).map_err(|found| found.in_variant(name))
    }

    /// Writes the text once, and its length afterwards: postcard writes the text twice.
    fn collect_str<T: ?Sized + fmt::Display>(self, value: &T) -> Written {
        if !matches!(self.node, Node::Leaf(Leaf::String | Leaf::Bytes)) {
            return Err(words::kind(Leaf::String.words(), self.node));
        }
        let bytes = &mut *self.walk.bytes;
        let start = bytes.len();
        bytes.push(0);
        write!(Text(bytes), "{value}").map_err(Disagreement::custom)?;
        let len = bytes.len() - start - 1;
        if len < 0x80 {
            bytes[start] = len as u8;
        } else {
            let mut header = Vec::new();
            varint::push(&mut header, len as u64);
            bytes.splice(start..=start, header);
        }
        Ok(())
    }
}

/// A text that is being written.
struct Text<'a>(&'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
