//! A deserializer without bytes, which records what a type asks for.
//!
//! One type for all that is asked (values on the path, values that are made up, names, numbers),
//! and one for all that gives parts: the code of every user's type is compiled once for each of
//! them.

use serde::de::value::{StrDeserializer, U32Deserializer};
use serde::de::{DeserializeSeed, Deserializer, Visitor};

use super::candidate::Candidate;
use super::graph::{Asked, Names, Seen};
use super::refusal::{Expected, Refusal};
use super::run::{Given, Mode, Run};
use super::stop::Stop;
use crate::payload::schema::node::{Leaf, MAX_DEPTH, NodeId};

/// A slot whose type asks.
pub(crate) struct Ask<'r> {
    run: &'r mut Run,
    id: NodeId,
    mode: Mode,
    /// Newtypes in newtypes, without anything between.
    newtypes: u8,
}

impl<'r> Ask<'r> {
    /// The whole of a parameter.
    pub(crate) fn root(run: &'r mut Run, id: NodeId) -> Self {
        Self::at(run, id, Mode::Path { depth: 0, answers: false })
    }

    pub(crate) fn at(run: &'r mut Run, id: NodeId, mode: Mode) -> Self {
        Self { run, id, mode, newtypes: 0 }
    }

    /// Whether nothing is known about the slot yet.
    fn is_unknown(&self) -> bool {
        self.run.graph.slot(self.id).asked == Asked::Nothing
    }

    fn refuse<T>(self, refusal: Refusal) -> Result<T, Stop> {
        Err(self.run.refuse(self.id, refusal))
    }

    pub(crate) fn leaf(&mut self, leaf: Leaf) -> Result<Given, Stop> {
        self.run.leaf(self.id, self.mode, leaf)
    }

    /// Opens what has parts; a name is asked for as a text only.
    fn parts<V>(self, asked: Asked, count: usize, names: Names) -> Result<Parts<'r>, Stop> {
        let number = match asked {
            Asked::Option => 0,
            Asked::Seq => 1,
            Asked::Map => 2,
            Asked::Tuple => 3,
            Asked::Struct(_) => 4,
            _ => 5,
        };
        let seen = Seen { visitor: typeid::of::<V>(), asked: number, len: count, names };
        self.parts_of(asked, count, Some(seen))
    }

    pub(crate) fn parts_of(
        self,
        asked: Asked,
        count: usize,
        seen: Option<Seen>,
    ) -> Result<Parts<'r>, Stop> {
        if matches!(self.mode, Mode::Name(_) | Mode::Number(_)) {
            return Err(Stop::Refused);
        }
        let (id, mode) = self.run.parts(self.id, self.mode, (asked, count), seen)?;
        Ok(Parts { run: self.run, id, mode, asked, next: 0 })
    }
}

macro_rules! leaves {
    ($($method:ident $leaf:ident $visit:ident $value:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
            match self.leaf(Leaf::$leaf)? {
                Given::Value(candidate) => visitor.$visit($value(candidate)),
                Given::Name(name) => visitor.visit_borrowed_str(name),
                Given::Number(number) => visitor.visit_u32(number),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Ask<'_> {
    type Error = Stop;

    leaves! {
        deserialize_bool Bool visit_bool |c: Candidate| c.number % 2 == 1;
        deserialize_i8 I8 visit_i8 |c: Candidate| c.number as i8;
        deserialize_i16 I16 visit_i16 |c: Candidate| i16::from(c.number);
        deserialize_i32 I32 visit_i32 |c: Candidate| i32::from(c.number);
        deserialize_i64 I64 visit_i64 |c: Candidate| i64::from(c.number);
        deserialize_i128 I128 visit_i128 |c: Candidate| i128::from(c.number);
        deserialize_u8 U8 visit_u8 |c: Candidate| c.number;
        deserialize_u16 U16 visit_u16 |c: Candidate| u16::from(c.number);
        deserialize_u32 U32 visit_u32 |c: Candidate| u32::from(c.number);
        deserialize_u64 U64 visit_u64 |c: Candidate| u64::from(c.number);
        deserialize_u128 U128 visit_u128 |c: Candidate| u128::from(c.number);
        deserialize_f32 F32 visit_f32 |c: Candidate| f32::from(c.number);
        deserialize_f64 F64 visit_f64 |c: Candidate| f64::from(c.number);
        deserialize_char Char visit_char |c: Candidate| c.text.chars().next().unwrap_or('0');
        deserialize_str String visit_str |c: Candidate| c.text;
        deserialize_string String visit_string |c: Candidate| c.text.to_owned();
        deserialize_bytes Bytes visit_bytes |c: Candidate| &[1; 64][..c.bytes];
        deserialize_byte_buf Bytes visit_byte_buf |c: Candidate| vec![1; c.bytes];
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.mode {
            Mode::Name(name) => visitor.visit_borrowed_str(name),
            Mode::Number(number) => visitor.visit_u32(number),
            _ => {
                let expected = Expected::of(&visitor);
                self.refuse(Refusal::Any(expected))
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_any(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.mode {
            Mode::Name(name) => visitor.visit_borrowed_str(name),
            Mode::Number(number) => visitor.visit_u32(number),
            _ => self.refuse(Refusal::Flattened),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.leaf(Leaf::Unit)?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        if self.newtypes >= MAX_DEPTH {
            return self.refuse(Refusal::TooLarge);
        }
        visitor.visit_newtype_struct(Self { newtypes: self.newtypes + 1, ..self })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let parts = self.parts::<V>(Asked::Option, 1, &[])?;
        match parts.only() {
            Some(child) => visitor.visit_some(child),
            None => visitor.visit_none(),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_seq(self.parts::<V>(Asked::Seq, 1, &[])?)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_map(self.parts::<V>(Asked::Map, 2, &[])?)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        self.parts::<V>(Asked::Tuple, len, &[])?.elements(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: Names,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        // Its content is asked for by the variant, which comes first only if the format says so.
        if fields.len() == 2 && self.is_unknown() {
            let expected = Expected::of(&visitor);
            if expected == Expected::Adjacent {
                return self.refuse(Refusal::Any(expected));
            }
        }
        self.parts::<V>(Asked::Struct(fields), fields.len(), fields)?.fields(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: Names,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        // An identifier may be an enum by itself.
        match self.mode {
            Mode::Name(name) => return visitor.visit_enum(StrDeserializer::new(name)),
            Mode::Number(number) => return visitor.visit_enum(U32Deserializer::new(number)),
            _ => {}
        }
        if name == "OsString" && variants == ["Unix", "Windows"] {
            return self.refuse(Refusal::Platform);
        }
        let parts = self.parts::<V>(Asked::Enum(variants), variants.len(), variants)?;
        visitor.visit_enum(parts)
    }
}

/// The parts of a slot: elements, fields, entries or variants.
pub(crate) struct Parts<'r> {
    pub(crate) run: &'r mut Run,
    pub(crate) id: NodeId,
    pub(crate) mode: Mode,
    pub(crate) asked: Asked,
    /// How many parts were asked for.
    pub(crate) next: usize,
}

impl<'r> Parts<'r> {
    pub(crate) fn child(&self, edge: usize) -> NodeId {
        self.run.graph.slot(self.id).children[edge].slot
    }

    /// The part at `edge`, of which nothing is given before.
    pub(crate) fn ask(&mut self, edge: usize) -> Ask<'_> {
        let (id, mode) = (self.child(edge), self.mode);
        let answers =
            matches!(self.asked, Asked::Tuple | Asked::Struct(_)) && self.is_by_position();
        let mode = match mode {
            Mode::Path { depth, .. } => Mode::Path { depth: depth + 1, answers },
            Mode::Value { depth } => Mode::Value { depth: depth + 1 },
            mode => mode,
        };
        Ask::at(self.run, id, mode)
    }

    fn is_by_position(&self) -> bool {
        self.asked == Asked::Tuple || self.run.graph.slot(self.id).by_position
    }

    /// A value for the part at `edge`.
    pub(crate) fn value<'de, T: DeserializeSeed<'de>>(
        &mut self,
        edge: usize,
        seed: T,
    ) -> Result<T::Value, Stop> {
        let id = self.child(edge);
        let mode = self.run.begin_value(id);
        let value = seed.deserialize(Ask::at(self.run, id, mode));
        if matches!(value, Err(Stop::Refused)) {
            self.run.end_value(id);
        }
        value
    }

    /// What an option holds, if it holds something.
    fn only(mut self) -> Option<Ask<'r>> {
        let mode = match self.mode {
            Mode::Value { depth } if !self.run.is_filled(self.id, depth) => return None,
            Mode::Value { depth } => Mode::Value { depth: depth + 1 },
            Mode::Path { depth, .. } => Mode::Path { depth: depth + 1, answers: false },
            mode => mode,
        };
        self.next = 1;
        let id = self.child(0);
        Some(Ask::at(self.run, id, mode))
    }

    pub(crate) fn elements<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let must_end = matches!(self.mode, Mode::Path { answers: false, .. });
        let value = visitor.visit_seq(self)?;
        // Nobody needs the value, and what is asked for next has a run of its own.
        if must_end { Err(Stop::Ours) } else { Ok(value) }
    }

    pub(crate) fn fields<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        if self.is_by_position() {
            return self.elements(visitor);
        }
        let Mode::Path { depth, .. } = self.mode else { return visitor.visit_map(self) };
        let Parts { run, id, mode, asked, next } = self;
        run.has_asked_name = false;
        let value = visitor.visit_map(Parts { run: &mut *run, id, mode, asked, next });
        // No field was reached, so its name is not understood: elements are.
        if matches!(value, Err(Stop::Refused)) && run.reached == depth {
            let without_names = !run.has_asked_name;
            let slot = run.graph.slot_mut(id);
            (slot.by_position, slot.without_names) = (true, without_names);
            run.has_progress = true;
        }
        value
    }
}
