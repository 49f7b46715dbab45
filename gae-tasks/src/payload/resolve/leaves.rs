//! Which values without parts can be read as which others.

use crate::payload::schema::node::{Leaf, Node, NodeId};

/// Whether values of `writer` are read as values of `reader`: all of them, or those that are in its
/// range.
///
/// Stricter than JSON: no number loses digits. An integer is read as a floating-point number only
/// where each of its type is one exactly, and an `f64` is not read as an `f32`. In the place of a
/// map's key integers and their texts are the same, as in JSON.
pub(crate) fn resolves(writer: Leaf, reader: Leaf, is_key: bool) -> bool {
    use Leaf::{Char, F32, F64, I8, I16, I32, String, U8, U16, U32};
    let (from, to) = (is_integer(writer), is_integer(reader));
    match (writer, reader) {
        _ if writer == reader || from && to => true,
        (F32 | I8 | I16 | I32 | U8 | U16 | U32, F64) | (I8 | I16 | U8 | U16, F32) => true,
        (Char, String) | (String, Char) => true,
        (String, _) if is_key => to,
        (_, String) if is_key => from,
        _ => false,
    }
}

pub(crate) fn is_integer(leaf: Leaf) -> bool {
    use Leaf::{I8, I16, I32, I64, I128, U8, U16, U32, U64, U128};
    matches!(leaf, I8 | I16 | I32 | I64 | I128 | U8 | U16 | U32 | U64 | U128)
}

/// Whether a node has bytes for elements, one each: it is read as `bytes` and the other way round.
pub(crate) fn is_of_octets(nodes: &[Node], node: &Node) -> bool {
    let is_octet = |id: &NodeId| nodes.get(*id as usize) == Some(&Node::Leaf(Leaf::U8));
    match node {
        Node::Seq(one) | Node::Array(_, one) => is_octet(one),
        _ => false,
    }
}
