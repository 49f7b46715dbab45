//! A type in a few words, for messages.

use crate::payload::schema::node::{Node, NodeId};

/// A type in a few words.
pub(super) fn shown(nodes: &[Node], id: NodeId) -> String {
    shown_within(nodes, id, 4)
}

fn shown_within(nodes: &[Node], id: NodeId, levels: u32) -> String {
    let inner = |id: &NodeId| match levels {
        0 => "..".to_owned(),
        _ => shown_within(nodes, *id, levels - 1),
    };
    match &nodes[id as usize] {
        Node::Leaf(leaf) => leaf.name().to_owned(),
        Node::Option(one) => format!("Option<{}>", inner(one)),
        Node::Seq(one) => format!("Vec<{}>", inner(one)),
        Node::Map(key, value) => format!("Map<{}, {}>", inner(key), inner(value)),
        Node::Array(len, one) => format!("[{}; {len}]", inner(one)),
        Node::Tuple(ids) if ids.len() <= 4 => {
            format!("({})", ids.iter().map(inner).collect::<Vec<_>>().join(", "))
        }
        Node::Tuple(ids) => format!("a tuple of {}", ids.len()),
        Node::Struct(_) => "{..}".to_owned(),
        Node::Enum(_) => "enum {..}".to_owned(),
    }
}
