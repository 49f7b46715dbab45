//! Whatever was written, for types that take anything.

use serde::Deserializer;
use serde::de::Visitor;

use super::failure::{Failure, Reason};
use super::input::Number;
use super::leaves::is_integer;
use super::value::{Left, Value, name_of};
use crate::payload::schema::node::{Leaf, Member, Node, NodeId};

impl<'de> Value<'_, 'de> {
    /// Whatever was written, for types that take anything: as JSON has it, so bytes are a sequence
    /// of numbers, and a variant is its name or a map of one entry.
    pub(crate) fn any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Failure> {
        match self.node {
            Node::Leaf(leaf) => self.any_leaf(*leaf, visitor),
            Node::Option(_) => self.deserialize_option(visitor),
            Node::Seq(_) | Node::Array(..) | Node::Tuple(_) => self.deserialize_seq(visitor),
            Node::Map(key, _) if self.is_text(*key) => self.deserialize_map(visitor),
            Node::Map(key, of) => {
                let is_empty = self.cursor.is_empty(*key) && self.cursor.is_empty(*of);
                self.cursor.is_asked = true;
                let len = self.cursor.len(is_empty)?;
                let mut parts = self.parts(Left::Pairs(len, *key, *of));
                let read = visitor.visit_seq(&mut parts)?;
                parts.end(read)
            }
            Node::Struct(_) => self.fields(None, visitor),
            Node::Enum(_) => {
                self.cursor.is_asked = true;
                let member = self.variant()?;
                if *self.cursor.node(member.node) == Node::Leaf(Leaf::Unit) {
                    return visitor.visit_borrowed_str(name_of(member, None));
                }
                let mut parts = self.parts(Left::Variant(Some(member)));
                let read = visitor.visit_map(&mut parts)?;
                parts.end(read)
            }
        }
    }

    /// Whether a key of a map is a text in JSON.
    pub(crate) fn is_text(&self, key: NodeId) -> bool {
        let is_unit = |one: &Member| *self.cursor.node(one.node) == Node::Leaf(Leaf::Unit);
        match self.cursor.node(key) {
            Node::Leaf(Leaf::String | Leaf::Char | Leaf::Bool) => true,
            Node::Leaf(leaf) => is_integer(*leaf),
            Node::Enum(variants) => variants.iter().all(is_unit),
            _ => false,
        }
    }

    pub(crate) fn any_leaf<V: Visitor<'de>>(
        self,
        leaf: Leaf,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match leaf {
            Leaf::Unit => self.deserialize_unit(visitor),
            Leaf::Bool => self.deserialize_bool(visitor),
            Leaf::F32 | Leaf::F64 => self.deserialize_f64(visitor),
            Leaf::Char | Leaf::String => self.deserialize_str(visitor),
            Leaf::Bytes => self.deserialize_seq(visitor),
            _ => {
                self.cursor.is_asked = true;
                match self.cursor.input.number(leaf)?.ok_or(Reason::Corrupt)? {
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
