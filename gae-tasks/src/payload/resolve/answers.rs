//! The answers to what a type asks for, from what was written.

use serde::de::Visitor;

use super::failure::{Failure, Reason};
use super::input::Number;
use super::leaves::{is_of_octets, resolves};
use super::name::Known;
use super::value::{Left, Parts, Value, name_of};
use crate::payload::schema::node::{Leaf, Member, Node, NodeId};

impl<'r, 'de> Value<'r, 'de> {
    /// The value within options, where the type asks for something else.
    pub(crate) fn plain(mut self) -> Result<Self, Failure> {
        self.cursor.is_asked = true;
        while let Node::Option(one) = self.node {
            if !self.cursor.input.flag()? {
                return Err(Reason::NoValue.into());
            }
            self = self.inner(*one)?;
        }
        Ok(self)
    }

    /// What an option holds.
    pub(crate) fn inner(self, one: NodeId) -> Result<Self, Failure> {
        let place = self.place.maybe();
        if place.is_too_deep() {
            return Err(Reason::Deep.into());
        }
        Ok(Self { node: self.cursor.begin(one)?, place, ..self })
    }

    pub(crate) fn leaf(&self) -> Option<Leaf> {
        match self.node {
            Node::Leaf(leaf) => Some(*leaf),
            _ => None,
        }
    }

    #[cold]
    pub(crate) fn is_other(&self, is: &'static str) -> Failure {
        Reason::Kind(self.node.words(), is).into()
    }

    pub(crate) fn number<T>(self, leaf: Leaf) -> Result<T, Failure>
    where
        T: TryFrom<u64> + TryFrom<i64> + TryFrom<u128> + TryFrom<i128>,
    {
        let value = self.plain()?;
        let number = match value.leaf() {
            Some(Leaf::String) if value.place.is_key => {
                Number::of_text(value.cursor.input.text()?).ok_or(Reason::NoNumber)?
            }
            Some(from) => match value.cursor.input.number(from)? {
                Some(number) => number,
                None => return Err(value.is_other(leaf.name())),
            },
            None => return Err(value.is_other(leaf.name())),
        };
        number.to().ok_or_else(|| Reason::Range(leaf.name()).into())
    }

    /// A number with a fraction; integers are read as one where none loses digits.
    pub(crate) fn float(self, leaf: Leaf) -> Result<f64, Failure> {
        let value = self.plain()?;
        match value.leaf() {
            Some(Leaf::F32) => value.cursor.input.f32().map(f64::from),
            Some(Leaf::F64) if leaf == Leaf::F64 => value.cursor.input.f64(),
            Some(from) if resolves(from, leaf, false) => {
                let number = value.cursor.input.number(from)?.and_then(Number::to::<i64>);
                number.map(|number| number as f64).ok_or(Reason::Corrupt.into())
            }
            _ => Err(value.is_other(leaf.name())),
        }
    }

    pub(crate) fn text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let mut value = self.plain()?;
        match value.leaf() {
            Some(Leaf::String) => visitor.visit_borrowed_str(value.cursor.input.text()?),
            Some(Leaf::Char) => visitor.visit_borrowed_str(value.cursor.input.text_of_char()?.0),
            // Keys of a map that is read as whatever was written, as JSON has them.
            None if value.place.is_key => {
                let member = value.variant()?;
                visitor.visit_borrowed_str(name_of(member, None))
            }
            Some(Leaf::Bool) if value.place.is_key => {
                visitor.visit_str(if value.cursor.input.flag()? { "true" } else { "false" })
            }
            Some(leaf) if value.place.is_key => match value.cursor.input.number(leaf)? {
                Some(number) => visitor.visit_string(number.to_string()),
                None => Err(value.is_other("a String")),
            },
            _ => Err(value.is_other("a String")),
        }
    }

    pub(crate) fn octets<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let value = self.plain()?;
        visitor.visit_borrowed_bytes(match value.node {
            Node::Leaf(Leaf::Bytes) => value.cursor.input.bytes()?,
            node if is_of_octets(value.cursor.nodes, node) => match node {
                Node::Array(len, _) => value.cursor.input.take(*len as usize)?,
                _ => value.cursor.input.bytes()?,
            },
            _ => return Err(value.is_other("bytes")),
        })
    }

    pub(crate) fn elements<V: Visitor<'de>>(
        self,
        is: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let mut value = self.plain()?;
        let left = match value.node {
            Node::Seq(one) => {
                value.place.is_certain = false;
                let is_empty = value.cursor.is_empty(*one);
                Left::Repeated(value.cursor.len(is_empty)?, *one)
            }
            Node::Array(len, one) => Left::Repeated(*len as usize, *one),
            Node::Tuple(ids) => Left::Elements(ids.iter().enumerate()),
            Node::Leaf(Leaf::Bytes) => Left::Octets(value.cursor.len(false)?),
            _ => return Err(value.is_other(is)),
        };
        let mut parts = value.parts(left);
        let read = visitor.visit_seq(&mut parts)?;
        parts.end(read)
    }

    pub(crate) fn entries<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let value = self.plain()?;
        let Node::Map(key, of) = value.node else { return Err(value.is_other("a map")) };
        let is_empty = value.cursor.is_empty(*key) && value.cursor.is_empty(*of);
        let len = value.cursor.len(is_empty)?;
        let mut parts = value.parts(Left::Entries(len, *key, *of));
        let read = visitor.visit_map(&mut parts)?;
        parts.end(read)
    }

    pub(crate) fn fields<V: Visitor<'de>>(
        self,
        known: Known,
        visitor: V,
    ) -> Result<V::Value, Failure> {
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

    pub(crate) fn parts(self, left: Left<'de>) -> Parts<'r, 'de> {
        Parts { cursor: self.cursor, place: self.place, left, due: None }
    }

    pub(crate) fn variant(&mut self) -> Result<&'de Member, Failure> {
        let Node::Enum(variants) = self.node else { return Err(self.is_other("an enum")) };
        let at = usize::try_from(self.cursor.input.unsigned()?).map_err(|_| Reason::Corrupt)?;
        Ok(variants.get(at).ok_or(Reason::Corrupt)?)
    }
}
