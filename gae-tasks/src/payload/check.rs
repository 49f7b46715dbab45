//! Writes values as postcard does, and compares on the way what `Serialize` writes with what
//! `Deserialize` asked for when the schema was traced.
//!
//! Postcard's bytes say nothing of themselves. Where the halves of a type disagree, they are read
//! as something else, and reading them back does not always show it: fields of one type swap, a
//! field that is left out takes the value of the next. So names, order and kinds are compared where
//! they are written, in the one walk that a value needs anyway.

mod disagreement;
mod opened;
mod part;
mod parts;
#[cfg(test)]
mod tests;
mod varint;
mod words;

use serde::Serialize;

pub(crate) use self::disagreement::Disagreement;
use self::opened::Walk;
use self::part::Part;
use super::schema::node::{Node, NodeId};

/// Appends the bytes of `value`, which the schema's node `id` describes.
///
/// # Errors
/// The value refuses to be written, or is written as something else than is read.
#[inline]
pub(crate) fn append<T: Serialize + ?Sized>(
    bytes: &mut Vec<u8>,
    nodes: &[Node],
    id: NodeId,
    value: &T,
) -> Result<(), Disagreement> {
    value.serialize(Part::at(&mut Walk { bytes, nodes }, id))
}
