//! The structure and names of a task's parameters, in one canonical form, and its fingerprint, the
//! shape.

mod canonical;
pub(crate) mod node;
mod parse;
mod read;
mod sound;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod words;
mod write;

use std::fmt;
use std::str::FromStr;

use self::node::{Member, Node, NodeId};
use crate::task::Shape;

/// The structure and names of a task's parameters: what bytes of a payload mean.
///
/// It has the names of parameters, the names of fields in their order, the names and numbers of
/// variants, the widths of numbers, options, sequences, maps, tuples and recursion. It has no names
/// of types. A newtype is what it wraps, and a `Box<T>` is a `T`.
///
/// `Display` shows it in one line, and `FromStr` reads that line back.
///
/// ```
/// # fn main() -> Result<(), gae_tasks::SchemaError> {
/// let schema: gae_tasks::Schema = "(user_id: u64, tags: Vec<String>)".parse()?;
/// assert_eq!(schema.to_string(), "(user_id: u64, tags: Vec<String>)");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Schema {
    nodes: Vec<Node>,
    parameters: Vec<Member>,
    /// For each node whether a value may take no bytes.
    empty: Vec<bool>,
    /// Structs of a type that reads fields by their position alone. This is known for traced types
    /// only and is no part of what bytes mean.
    by_position: Vec<NodeId>,
    bytes: Box<[u8]>,
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Schema {}

/// Why bytes or a text are not a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not a schema{}: {reason}",
    .at.map(|at| format!(", at byte {at}")).unwrap_or_default()
)]
pub struct SchemaError {
    reason: &'static str,
    /// The place in a text, in bytes.
    at: Option<usize>,
}

impl SchemaError {
    const fn new(reason: &'static str) -> Self {
        Self { reason, at: None }
    }

    /// What is wrong.
    #[cfg(feature = "testing")]
    pub(crate) const fn reason(&self) -> &'static str {
        self.reason
    }

    /// Where it is wrong, in bytes of the text, if it is one place of it.
    #[cfg(feature = "testing")]
    pub(crate) const fn place(&self) -> Option<usize> {
        self.at
    }
}

const NO_VALUE: SchemaError =
    SchemaError::new("a type holds itself in every value, so it has no value");
const TOO_LARGE: SchemaError =
    SchemaError::new("it nests deeper than 128 levels, or takes more than 64 KiB");

impl Schema {
    /// The schema of a graph in any form.
    pub(crate) fn new(nodes: &[Node], parameters: &[Member]) -> Result<Self, SchemaError> {
        Self::traced(nodes, parameters, &[])
    }

    /// The schema of a graph of types; those of `by_position` read no names of fields.
    pub(crate) fn traced(
        nodes: &[Node],
        parameters: &[Member],
        by_position: &[NodeId],
    ) -> Result<Self, SchemaError> {
        let (nodes, parameters, by_position) = canonical::canonical(nodes, parameters, by_position);
        let empty = sound::emptiness(&nodes).ok_or(NO_VALUE)?;
        let bytes = write::write(&nodes, &parameters).ok_or(TOO_LARGE)?.into_boxed_slice();
        Ok(Self { nodes, parameters, empty, by_position, bytes })
    }

    /// Reads a stored schema, whoever wrote it.
    ///
    /// # Errors
    /// The bytes are not a schema of at most 64 KiB and 128 levels, or are one that no type can
    /// have.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SchemaError> {
        let (nodes, parameters) = read::read(bytes).map_err(SchemaError::new)?;
        let empty = sound::emptiness(&nodes).ok_or(NO_VALUE)?;
        Ok(Self { nodes, parameters, empty, by_position: Vec::new(), bytes: bytes.into() })
    }

    /// Its types, no two of them equal, which refer to each other by their position.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The parameters, in their order.
    #[inline]
    pub(crate) fn parameters(&self) -> &[Member] {
        &self.parameters
    }

    /// For each node whether a value may take no bytes.
    pub(crate) fn emptiness(&self) -> &[bool] {
        &self.empty
    }

    /// Whether a type of the node reads fields by their position alone, as far as it was traced.
    pub(crate) fn is_by_position(&self, id: NodeId) -> bool {
        self.by_position.contains(&id)
    }

    /// The bytes that it takes in memory, about: a part of three bytes, its name in one and its
    /// type in another, is a name, a member and a node there.
    pub(crate) fn weight(&self) -> usize {
        32 * self.bytes.len()
    }

    /// The form in which it is stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its fingerprint: equal schemas have equal shapes, on every platform and compiler.
    pub fn shape(&self) -> Shape {
        Shape::of_schema(&self.bytes)
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::show(f, &self.nodes, &self.parameters)
    }
}

impl FromStr for Schema {
    type Err = SchemaError;

    /// Reads the form that `Display` writes. Space between its parts means nothing, and a comma may
    /// stand after the last part of a list.
    ///
    /// # Errors
    /// The text is no schema, or is one that no type can have.
    fn from_str(text: &str) -> Result<Self, SchemaError> {
        let (nodes, parameters) =
            parse::parse(text).map_err(|(at, reason)| SchemaError { reason, at: Some(at) })?;
        Self::new(&nodes, &parameters)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema{self}")
    }
}
