//! A canonical graph as bytes: tags, names and counts in preorder, and back-references to what was
//! written before.

use std::borrow::Cow;

use super::node::{Leaf, MAX_DEPTH, Member, Node, NodeId};

/// The longest schema that is written or read, in bytes.
pub(crate) const MAX_LEN: usize = 64 * 1024;

/// The tags of nodes with parts; those of leaves are their numbers.
pub(crate) mod tag {
    pub(crate) const OPTION: u8 = 17;
    pub(crate) const SEQ: u8 = 18;
    pub(crate) const MAP: u8 = 19;
    pub(crate) const TUPLE: u8 = 20;
    pub(crate) const ARRAY: u8 = 21;
    pub(crate) const STRUCT: u8 = 22;
    pub(crate) const ENUM: u8 = 23;
    /// A node that was written before, by its number among those with parts.
    pub(crate) const REFERENCE: u8 = 24;
}

const _: () = assert!(Leaf::COUNT == tag::OPTION as usize);

/// The bytes of a canonical graph; `None` if it nests deeper than [`MAX_DEPTH`] or needs more than
/// [`MAX_LEN`].
pub(crate) fn write(nodes: &[Node], parameters: &[Member]) -> Option<Vec<u8>> {
    let mut writer =
        Writer { nodes, numbers: vec![None; nodes.len()], next: 0, bytes: Vec::with_capacity(64) };
    writer.members(parameters, 0)?;
    Some(writer.bytes)
}

struct Writer<'a> {
    nodes: &'a [Node],
    /// The number of each node with parts that was written.
    numbers: Vec<Option<u32>>,
    next: u32,
    bytes: Vec<u8>,
}

impl Writer<'_> {
    fn node(&mut self, id: NodeId, depth: usize) -> Option<()> {
        let nodes = self.nodes;
        let node = &nodes[id as usize];
        if let Node::Leaf(leaf) = node {
            self.bytes.push(*leaf as u8);
            return Some(());
        }
        if let Some(number) = self.numbers[id as usize] {
            self.bytes.push(tag::REFERENCE);
            self.number(number);
            return Some(());
        }
        if depth >= usize::from(MAX_DEPTH) || self.bytes.len() > MAX_LEN {
            return None;
        }
        self.numbers[id as usize] = Some(self.next);
        self.next += 1;
        self.parts(node, depth + 1)
    }

    fn parts(&mut self, node: &Node, depth: usize) -> Option<()> {
        let tag = match node {
            Node::Leaf(leaf) => *leaf as u8,
            Node::Option(_) => tag::OPTION,
            Node::Seq(_) => tag::SEQ,
            Node::Map(..) => tag::MAP,
            Node::Tuple(_) => tag::TUPLE,
            Node::Array(..) => tag::ARRAY,
            Node::Struct(_) => tag::STRUCT,
            Node::Enum(_) => tag::ENUM,
        };
        self.bytes.push(tag);
        match node {
            Node::Struct(members) | Node::Enum(members) => return self.members(members, depth),
            Node::Tuple(ids) => self.number(ids.len() as u32),
            Node::Array(len, _) => self.number(*len),
            _ => {}
        }
        node.children().try_for_each(|child| self.node(child, depth))
    }

    fn members(&mut self, members: &[Member], depth: usize) -> Option<()> {
        self.number(members.len() as u32);
        for member in members {
            self.names(&member.names);
            self.node(member.node, depth)?;
        }
        (self.bytes.len() <= MAX_LEN).then_some(())
    }

    /// Each name with its length; the lowest bit of the length says whether another name follows.
    fn names(&mut self, names: &[Cow<'static, str>]) {
        for (at, name) in names.iter().enumerate() {
            let more = u32::from(at + 1 < names.len());
            self.number((name.len() as u32) << 1 | more);
            self.bytes.extend_from_slice(name.as_bytes());
        }
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    fn number(&mut self, mut number: u32) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }
}
