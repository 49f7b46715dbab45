//! Reads payloads that were written under another schema, by name.
//!
//! [`Resolution::between`] decides once for a pair of schemas: it compares them without a payload,
//! and says what keeps one from being read. What it cannot know, whether a field that is not
//! written has a default and whether a value is in the range of its new type, shows where a payload
//! is read.
//!
//! Parameters, fields and variants are matched by name, whatever their order; several variants may
//! become one, which has a name of each. What the writer has and the reader does not know is not
//! forgotten unless the reader ignores it. It is stricter than JSON where JSON might change a
//! meaning: no struct is read from a tuple or a map, no text from bytes, no variant from a text, no
//! number where digits could be lost.

mod absent;
mod answers;
mod any;
mod ask;
mod compare;
mod cursor;
mod difference;
mod failure;
pub(crate) mod ignores;
mod input;
pub(crate) mod leaves;
pub(crate) mod members;
mod name;
mod parameters;
mod parts;
pub(crate) mod path;
mod place;
#[cfg(test)]
mod tests;
mod value;

use std::sync::{Arc, OnceLock};

use serde::de::DeserializeSeed;

pub(crate) use self::cursor::Cursor;
#[cfg_attr(
    not(feature = "testing"),
    allow(unreachable_pub, reason = "public in the test kit")
)]
pub use self::difference::Difference;
pub(crate) use self::failure::{Failure, Reason};
pub(crate) use self::ignores::Ignores;
pub(crate) use self::input::Number;
pub(crate) use self::parameters::Parameters;
pub(crate) use self::path::Step;

use self::compare::{Side, compare};
use super::parameter::Parameter;
use super::schema::Schema;
use super::schema::node::Node;

/// What reads payloads: a function, or the struct of an upgrade.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The schema of its parameters.
    pub schema: &'a Schema,
    /// What the attributes say about each parameter beside its type, in the same order. Where they
    /// say nothing about one, it is treated as a field: whether it may be missing shows when a
    /// payload is read.
    pub parameters: &'a [Parameter],
    /// Paths of parameters and fields that may be left out: `note`, `transfer.note`.
    pub ignores: &'a [&'a str],
}

/// How payloads of one schema are read under another.
#[derive(Debug)]
pub struct Resolution {
    writer: Arc<Schema>,
    /// The writer's parameters as one struct.
    fields: Node,
    ignores: Ignores,
    /// The reader's parameters, each with the writer's that it is.
    sources: Box<[(Box<str>, Option<usize>)]>,
    refused: OnceLock<Difference>,
}

impl Resolution {
    /// Compares the schema that payloads were written under with their reader.
    ///
    /// # Errors
    /// No such payload can be read, or none should be: the reader would lose a part of it.
    pub fn between(writer: Arc<Schema>, reader: &Reader<'_>) -> Result<Self, Difference> {
        let ignores = Ignores::new(reader.ignores);
        let (from, to) = (Side::of(&writer), Side::of(reader.schema));
        let sources = compare(from, to, reader.parameters, &ignores)?;
        let names = reader.schema.parameters().iter().map(|parameter| parameter.names[0].as_ref());
        let sources = names.map(Box::from).zip(sources).collect();
        let fields = Node::Struct(writer.parameters().to_vec());
        Ok(Self { writer, fields, ignores, sources, refused: OnceLock::new() })
    }

    /// Why no payload of the pair can be read after all, once one has shown it: a field is missing
    /// that has no default.
    pub fn refused(&self) -> Option<Difference> {
        self.refused.get().cloned()
    }

    /// The schema that payloads were written under.
    pub fn writer(&self) -> &Arc<Schema> {
        &self.writer
    }

    /// The bytes that it takes, about: those of the writer's schema, and of the fields again.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + 2 * self.writer.weight()
    }

    pub(crate) fn parameters<'a>(&'a self, bytes: &'a [u8]) -> Parameters<'a> {
        Parameters::new(&self.writer, &self.ignores, bytes)
    }

    pub(crate) fn fields(&self) -> &Node {
        &self.fields
    }

    /// Which of the writer's parameters is the reader's `name`. The parameter at `expected` is
    /// probably the one.
    pub(crate) fn source(&self, name: &str, expected: usize) -> Option<usize> {
        match self.sources.get(expected) {
            Some((known, source)) if **known == *name => *source,
            _ => self.sources.iter().find(|(known, _)| **known == *name)?.1,
        }
    }

    /// Remembers a failure that every payload of the pair has.
    pub(crate) fn remember(&self, failure: &Failure) {
        if failure.is_of_pair() {
            let (path, reason) = (failure.path(), failure);
            let _ = self.refused.set(Difference::one(format!("field `{path}` {reason}")));
        }
    }
}

/// Reads a payload into whatever `seed` makes of what was written.
pub(crate) fn read_any<S: for<'de> DeserializeSeed<'de, Value = V>, V>(
    schema: &Schema,
    bytes: &[u8],
    seed: S,
) -> Result<V, Failure> {
    let (fields, ignores) = (Node::Struct(schema.parameters().to_vec()), Ignores::new(&[]));
    let mut parameters = Parameters::new(schema, &ignores, bytes);
    let value = parameters.fields(&fields, seed)?;
    parameters.end()?;
    Ok(value)
}
