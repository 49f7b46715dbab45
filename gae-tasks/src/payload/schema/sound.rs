//! Which types have values, and which of them have a value that takes no bytes.

use super::node::{Leaf, Node, NodeId};

/// For each node whether some value of it takes no bytes at all; `None` if a node holds itself in
/// every value.
///
/// A type that holds itself has no value unless an option, a sequence, a map or an enum stands
/// between, each of which takes a byte. Without one, a reader would call itself until its stack is
/// used up.
pub(crate) fn emptiness(nodes: &[Node]) -> Option<Vec<bool>> {
    let mut parents: Vec<Vec<NodeId>> = vec![Vec::new(); nodes.len()];
    let mut open: Vec<usize> = vec![0; nodes.len()];
    for (id, node) in nodes.iter().enumerate().filter(|(_, node)| node.is_product()) {
        for child in node.children().filter(|child| nodes[*child as usize].is_product()) {
            parents[child as usize].push(id as NodeId);
            open[id] += 1;
        }
    }
    let mut empty: Vec<_> =
        nodes.iter().map(|node| matches!(node, Node::Leaf(Leaf::Unit))).collect();
    let is_ready = |id: &usize| nodes[*id].is_product() && open[*id] == 0;
    let mut ready: Vec<_> = (0..nodes.len()).filter(is_ready).collect();
    let mut closed = 0;
    while let Some(id) = ready.pop() {
        closed += 1;
        let is_none = matches!(nodes[id], Node::Array(0, _));
        empty[id] = is_none || nodes[id].children().all(|child| empty[child as usize]);
        for parent in &parents[id] {
            open[*parent as usize] -= 1;
            if open[*parent as usize] == 0 {
                ready.push(*parent as usize);
            }
        }
    }
    let products = nodes.iter().filter(|node| node.is_product()).count();
    (closed == products).then_some(empty)
}
