//! The parts that a type asks for one after the other: elements, fields, entries, variants and what
//! is in them.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::ask::{Ask, Parts};
use super::graph::{Asked, Identifier, Names};
use super::refusal::Refusal;
use super::run::Mode;
use super::stop::Stop;
use crate::payload::schema::node::Leaf;

type Entry<K, V> = Result<Option<(K, V)>, Stop>;

impl Parts<'_> {
    /// The next field on the way, or the next of a value.
    fn next_field(&mut self) -> Option<usize> {
        if let Mode::Path { depth, .. } = self.mode {
            let is_first = self.next == 0 && !self.run.graph.slot(self.id).children.is_empty();
            self.next = 1;
            return is_first.then(|| self.run.edge(depth));
        }
        let children = &self.run.graph.slot(self.id).children;
        let at = (self.next..children.len()).find(|at| !children[*at].is_alias)?;
        self.next = at + 1;
        Some(at)
    }

    fn key_of_field<'de, K: DeserializeSeed<'de>>(
        &mut self,
        names: Names,
        seed: K,
    ) -> Result<Option<K::Value>, Stop> {
        self.run.has_asked_name = true;
        let Some(edge) = self.next_field() else { return Ok(None) };
        if matches!(self.mode, Mode::Value { .. }) {
            return seed.deserialize(Ask::at(self.run, self.id, Mode::Name(names[edge]))).map(Some);
        }
        let name = self.run.probe(self.id, names, edge);
        let key = seed.deserialize(Ask::at(self.run, self.id, Mode::Name(name)));
        let is_doubtful = self.run.graph.slot(self.id).identifier == Identifier::Doubtful;
        if let (Err(_), false) = (&key, is_doubtful) {
            return key.map(Some);
        }
        match (self.run.identify(self.id, edge, key.as_ref().ok().map(identity)), key) {
            (true, Ok(key)) => Ok(Some(key)),
            _ => Err(Stop::Ours),
        }
    }

    fn key_of_entry<'de, K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stop> {
        self.next += 1;
        match self.mode {
            Mode::Value { depth } if self.next > 1 || !self.run.is_filled(self.id, depth) => {
                Ok(None)
            }
            Mode::Path { depth, .. } if self.run.edge(depth) == 1 => self.value(0, seed).map(Some),
            _ => seed.deserialize(self.ask(0)).map(Some),
        }
    }

    /// Recognises a variant on the path: first its name, then, in another run, its number.
    fn variant_on_path<'de, K: DeserializeSeed<'de>>(
        &mut self,
        names: Names,
        edge: usize,
        seed: K,
    ) -> Result<K::Value, Stop> {
        let slot = self.run.graph.slot(self.id);
        let (child, by_position) = (slot.children[edge], slot.by_position);
        let is_doubtful = slot.identifier == Identifier::Doubtful;
        if is_doubtful || !by_position && child.identity.is_none() {
            let name = self.run.probe(self.id, names, edge);
            let found = seed.deserialize(Ask::at(self.run, self.id, Mode::Name(name)));
            let found = found.ok().as_ref().map(identity);
            if found.is_none() && !is_doubtful {
                self.run.graph.slot_mut(self.id).by_position = true;
            }
            self.run.identify(self.id, edge, found);
            self.run.has_progress = true;
            return Err(Stop::Ours);
        }
        let number = self.run.graph.number(self.id, edge) as u32;
        match seed.deserialize(Ask::at(self.run, self.id, Mode::Number(number))) {
            Ok(key) if by_position || child.identity == Some(identity(&key)) => Ok(key),
            _ => Err(self.run.refuse(child.slot, Refusal::Numbers)),
        }
    }
}

/// What an identifier is, as a number: equal for the names of one field, where it is an enum.
fn identity<T>(identifier: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    std::mem::discriminant(identifier).hash(&mut hasher);
    hasher.finish()
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Stop> {
        let edge = self.next;
        self.next += 1;
        if self.asked == Asked::Seq {
            let holds = match self.mode {
                Mode::Value { depth } => self.run.is_filled(self.id, depth),
                _ => true,
            };
            let is_one = edge == 0 && holds;
            return if is_one { seed.deserialize(self.ask(0)).map(Some) } else { Ok(None) };
        }
        if edge >= self.run.graph.slot(self.id).children.len() {
            return Ok(None);
        }
        let Mode::Path { depth, .. } = self.mode else {
            return seed.deserialize(self.ask(edge)).map(Some);
        };
        let is_open = self.run.graph.slot(self.child(edge)).asked == Asked::Nothing;
        if edge > self.run.edge(depth) && is_open && self.run.has_progress {
            self.run.turn(self.id, depth, edge);
        }
        if edge == self.run.edge(depth) {
            return seed.deserialize(self.ask(edge)).map(Some);
        }
        self.value(edge, seed).map(Some)
    }
}

impl<'de> MapAccess<'de> for Parts<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stop> {
        match self.asked {
            Asked::Struct(names) => self.key_of_field(names, seed),
            _ => self.key_of_entry(seed),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Stop> {
        let edge = match (self.asked, self.mode) {
            (Asked::Struct(_), Mode::Path { depth, .. }) => self.run.edge(depth),
            (Asked::Struct(_), _) => self.next - 1,
            _ => 1,
        };
        seed.deserialize(self.ask(edge))
    }

    fn next_entry_seed<K: DeserializeSeed<'de>, V: DeserializeSeed<'de>>(
        &mut self,
        key: K,
        value: V,
    ) -> Result<Option<(K::Value, V::Value)>, Stop> {
        let Mode::Path { depth, .. } = self.mode else { return self.entry(key, value) };
        if self.asked == Asked::Map && self.run.edge(depth) == 1 {
            // The value first: then no key has to be made up.
            value.deserialize(self.ask(1))?;
            return Err(Stop::Ours);
        }
        self.entry(key, value)
    }
}

impl Parts<'_> {
    fn entry<'de, K: DeserializeSeed<'de>, V: DeserializeSeed<'de>>(
        &mut self,
        key: K,
        value: V,
    ) -> Entry<K::Value, V::Value> {
        match self.next_key_seed(key)? {
            Some(key) => Ok(Some((key, self.next_value_seed(value)?))),
            None => Ok(None),
        }
    }
}

impl<'de, 'r> EnumAccess<'de> for Parts<'r> {
    type Error = Stop;
    type Variant = Ask<'r>;

    fn variant_seed<K: DeserializeSeed<'de>>(
        mut self,
        seed: K,
    ) -> Result<(K::Value, Ask<'r>), Stop> {
        let Asked::Enum(names) = self.asked else { return Err(Stop::Ours) };
        if names.is_empty() {
            return Err(Stop::Ours);
        }
        let (edge, key, mode) = match self.mode {
            Mode::Path { depth, .. } => {
                let edge = self.run.edge(depth);
                let key = self.variant_on_path(names, edge, seed)?;
                (edge, key, Mode::Path { depth: depth + 1, answers: false })
            }
            Mode::Value { depth } => {
                let edge = self.run.variant(self.id)?;
                let number = self.run.graph.number(self.id, edge) as u32;
                let key = seed.deserialize(Ask::at(self.run, self.id, Mode::Number(number)))?;
                (edge, key, Mode::Value { depth: depth + 1 })
            }
            _ => return Err(Stop::Refused),
        };
        let id = self.child(edge);
        Ok((key, Ask::at(self.run, id, mode)))
    }
}

/// The content of a variant.
impl<'de> VariantAccess<'de> for Ask<'_> {
    type Error = Stop;

    fn unit_variant(mut self) -> Result<(), Stop> {
        self.leaf(Leaf::Unit).map(|_| ())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        self.parts_of(Asked::Tuple, len, None)?.elements(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: Names, visitor: V) -> Result<V::Value, Stop> {
        self.parts_of(Asked::Struct(fields), fields.len(), None)?.fields(visitor)
    }
}
