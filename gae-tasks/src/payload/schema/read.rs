//! A graph from bytes that anybody may have written.

use std::borrow::Cow;

use super::node::{Leaf, MAX_DEPTH, Member, Node, NodeId};
use super::write::{MAX_LEN, tag};

/// Reads a graph: nodes in preorder, each leaf once.
///
/// Every node takes a byte or more, so a count above the rest is refused before anything is
/// allocated for it.
///
/// # Errors
/// What is wrong with the bytes.
pub(crate) fn read(bytes: &[u8]) -> Result<(Vec<Node>, Vec<Member>), &'static str> {
    if bytes.len() > MAX_LEN {
        return Err("it is longer than 64 KiB");
    }
    let mut reader =
        Reader { rest: bytes, nodes: Vec::new(), leaves: [None; Leaf::COUNT], numbers: Vec::new() };
    let parameters = reader.members(0)?;
    match reader.rest {
        [] => Ok((reader.nodes, parameters)),
        _ => Err("it has bytes after its end"),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    nodes: Vec<Node>,
    leaves: [Option<NodeId>; Leaf::COUNT],
    /// The nodes that references count: those with parts.
    numbers: Vec<NodeId>,
}

impl<'a> Reader<'a> {
    fn node(&mut self, depth: usize) -> Result<NodeId, &'static str> {
        let tag = self.take(1)?[0];
        if let Some(leaf) = Leaf::of_number(tag) {
            let next = self.nodes.len() as NodeId;
            let id = *self.leaves[usize::from(tag)].get_or_insert(next);
            if id == next {
                self.nodes.push(Node::Leaf(leaf));
            }
            return Ok(id);
        }
        if tag == tag::REFERENCE {
            let number = self.number()? as usize;
            return self.numbers.get(number).copied().ok_or("it refers to what comes later");
        }
        if depth >= usize::from(MAX_DEPTH) {
            return Err("it nests deeper than 128 levels");
        }
        // Its place is taken first: parts may refer back to it.
        let id = self.nodes.len() as NodeId;
        self.nodes.push(Node::Leaf(Leaf::Unit));
        self.numbers.push(id);
        let node = self.parts(tag, depth + 1)?;
        self.nodes[id as usize] = node;
        Ok(id)
    }

    fn parts(&mut self, tag: u8, depth: usize) -> Result<Node, &'static str> {
        Ok(match tag {
            tag::OPTION => Node::Option(self.node(depth)?),
            tag::SEQ => Node::Seq(self.node(depth)?),
            tag::MAP => {
                let key = self.node(depth)?;
                Node::Map(key, self.node(depth)?)
            }
            tag::TUPLE => {
                let len = self.count()?;
                Node::Tuple((0..len).map(|_| self.node(depth)).collect::<Result<_, _>>()?)
            }
            tag::ARRAY => {
                let len = self.number()?;
                Node::Array(len, self.node(depth)?)
            }
            tag::STRUCT => Node::Struct(self.members(depth)?),
            tag::ENUM => Node::Enum(self.members(depth)?),
            _ => return Err("it has a part of an unknown sort"),
        })
    }

    fn members(&mut self, depth: usize) -> Result<Vec<Member>, &'static str> {
        let len = self.count()?;
        let member = |_| Ok(Member { names: self.names()?, node: self.node(depth)? });
        (0..len).map(member).collect()
    }

    fn names(&mut self) -> Result<Vec<Cow<'static, str>>, &'static str> {
        let mut names = Vec::with_capacity(1);
        loop {
            let header = self.number()?;
            let name = self.take((header >> 1) as usize)?;
            let name = std::str::from_utf8(name).map_err(|_| "it has a name that is not UTF-8")?;
            names.push(Cow::Owned(name.to_owned()));
            if header & 1 == 0 {
                return Ok(names);
            }
        }
    }

    /// How many parts follow, each of a byte or more.
    fn count(&mut self) -> Result<usize, &'static str> {
        let count = self.number()? as usize;
        if count > self.rest.len() { Err("it ends early") } else { Ok(count) }
    }

    fn number(&mut self) -> Result<u32, &'static str> {
        let mut number = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.take(1)?[0];
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0xf {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                let is_shortest = shift == 0 || byte != 0;
                return if is_shortest { Ok(number) } else { Err("it has a number with zeros") };
            }
        }
        Err("it has a number above 32 bits")
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or("it ends early")?;
        self.rest = rest;
        Ok(taken)
    }
}
