//! Makes up payloads of an older schema: whether a new field has a default, no schema shows, but
//! the type does when it reads one.

use crate::payload::Schema;
use crate::payload::schema::node::{Leaf, MAX_DEPTH, Member, Node, NodeId};
use crate::payload::trace::candidate::Candidate;

/// Longer payloads are not made, nor deeper ones than are read.
const MAX_LEN: usize = 1 << 16;

/// The least payload of `schema` that has a value at the end of `way`, which says for each type
/// which child to take: everything else is empty, or the candidate, or the lowest variant.
///
/// `None` if it would be too large.
pub(super) fn payload(schema: &Schema, way: &[usize], candidate: Candidate) -> Option<Vec<u8>> {
    let (nodes, empty) = (schema.nodes(), schema.emptiness());
    let mut maker =
        Maker { nodes, empty, heights: heights(nodes), candidate, bytes: Some(Vec::new()) };
    maker.members(schema.parameters(), way, 0)?;
    maker.bytes
}

/// For each node the height of its lowest value.
fn heights(nodes: &[Node]) -> Vec<Option<usize>> {
    let mut heights = vec![None; nodes.len()];
    let mut is_new = true;
    while is_new {
        is_new = false;
        for (id, node) in nodes.iter().enumerate().rev() {
            if heights[id].is_none() {
                heights[id] = height(node, &heights);
                is_new |= heights[id].is_some();
            }
        }
    }
    heights
}

fn height(node: &Node, heights: &[Option<usize>]) -> Option<usize> {
    let mut children = node.children().map(|id| heights[id as usize]);
    match node {
        Node::Leaf(_) | Node::Option(_) | Node::Seq(_) | Node::Map(..) => Some(0),
        Node::Enum(_) => children.flatten().min().map(|least| least + 1),
        _ => children.try_fold(0, |most, height| Some(height?.max(most))).map(|most| most + 1),
    }
}

struct Maker<'a> {
    nodes: &'a [Node],
    empty: &'a [bool],
    heights: Vec<Option<usize>>,
    candidate: Candidate,
    bytes: Option<Vec<u8>>,
}

impl Maker<'_> {
    fn value(&mut self, id: NodeId, way: &[usize], depth: usize) -> Option<()> {
        let is_too_large = self.bytes.as_ref()?.len() > MAX_LEN || depth > usize::from(MAX_DEPTH);
        if is_too_large || self.empty[id as usize] && way.is_empty() {
            return (!is_too_large).then_some(());
        }
        let nodes = self.nodes;
        let (is_on_way, depth) = (!way.is_empty(), depth + 1);
        match &nodes[id as usize] {
            Node::Leaf(leaf) => self.leaf(*leaf),
            // Whether there is a value, or how many elements: one or none.
            Node::Option(one) | Node::Seq(one) => {
                self.write(&is_on_way)?;
                if is_on_way { self.children([*one], way, depth) } else { Some(()) }
            }
            Node::Map(key, value) => {
                self.write(&is_on_way)?;
                if is_on_way { self.children([*key, *value], way, depth) } else { Some(()) }
            }
            Node::Tuple(ids) => self.children(ids.iter().copied(), way, depth),
            Node::Array(len, _) if *len as usize > MAX_LEN => None,
            Node::Array(len, one) => self.children((0..*len).map(|_| *one), way, depth),
            Node::Struct(fields) => self.members(fields, way, depth),
            Node::Enum(variants) => self.variant(variants, way, depth),
        }
    }

    fn members(&mut self, members: &[Member], way: &[usize], depth: usize) -> Option<()> {
        self.children(members.iter().map(|member| member.node), way, depth)
    }

    /// Values of all children; the way goes on in one of them.
    fn children(
        &mut self,
        ids: impl IntoIterator<Item = NodeId>,
        way: &[usize],
        depth: usize,
    ) -> Option<()> {
        ids.into_iter().enumerate().try_for_each(|(at, id)| {
            let rest = way.split_first().filter(|(child, _)| **child == at);
            self.value(id, rest.map_or(&[], |(_, rest)| rest), depth)
        })
    }

    fn variant(&mut self, variants: &[Member], way: &[usize], depth: usize) -> Option<()> {
        let lowest = || {
            let height = |variant: &Member| self.heights[variant.node as usize];
            let known =
                variants.iter().enumerate().filter_map(|(at, one)| Some((height(one)?, at)));
            known.min().map(|(_, at)| at)
        };
        let at = match way.first() {
            Some(at) => *at,
            None => lowest()?,
        };
        self.write(&(at as u64))?;
        self.value(variants.get(at)?.node, way.get(1..).unwrap_or_default(), depth)
    }

    fn leaf(&mut self, leaf: Leaf) -> Option<()> {
        let Candidate { number, text, bytes, .. } = self.candidate;
        match leaf {
            Leaf::Unit => Some(()),
            Leaf::Bool => self.write(&false),
            Leaf::I8 | Leaf::U8 => self.write(&number),
            // Of any width, a small number takes the same byte.
            Leaf::I16 | Leaf::I32 | Leaf::I64 | Leaf::I128 => self.write(&i64::from(number)),
            Leaf::U16 | Leaf::U32 | Leaf::U64 | Leaf::U128 => self.write(&u64::from(number)),
            Leaf::F32 => self.write(&f32::from(number)),
            Leaf::F64 => self.write(&f64::from(number)),
            Leaf::Char => self.write(&text.chars().next().unwrap_or('a')),
            Leaf::String => self.write(text),
            Leaf::Bytes => self.write(&vec![0_u8; bytes]),
        }
    }

    /// Appends what postcard writes.
    fn write<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Option<()> {
        self.bytes = postcard::to_extend(value, self.bytes.take()?).ok();
        self.bytes.is_some().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::payload::Tracer;

    fn made<T: for<'de> Deserialize<'de>>(way: &[usize], candidate: Candidate) -> T {
        let schema = Tracer::schema(|tracer| tracer.parameter::<T>("it")).unwrap();
        let way: Vec<_> = [0].iter().chain(way).copied().collect();
        let bytes = payload(&schema, &way, candidate).unwrap();
        let (value, rest) = postcard::take_from_bytes(&bytes).unwrap();
        assert!(rest.is_empty());
        value
    }

    #[derive(Debug, PartialEq, Deserialize)]
    enum Term {
        Not(Box<Term>),
        All(Vec<Term>),
        Is { name: String, at: (i8, i64, u16) },
    }

    type Leaves = (bool, u8, i128, (u128, f32, f64), char, [u32; 3], Option<u8>, Vec<()>);

    #[test]
    fn everything_is_the_candidate_and_what_can_be_empty_is() {
        let one = Candidate::at(0);
        let expected = (false, 1, 1, (1, 1.0, 1.0), 'a', [1; 3], None, Vec::new());
        assert_eq!(made::<Leaves>(&[], one), expected);
        assert_eq!(made::<Term>(&[], one), Term::All(Vec::new()));
    }

    #[test]
    fn a_way_fills_what_it_leads_through() {
        let all = Term::All(Vec::new());
        assert_eq!(made::<Term>(&[0, 1], Candidate::at(0)), Term::Not(Box::new(all)));
        type Deep = Vec<(u8, std::collections::BTreeMap<u8, Option<Term>>)>;
        let found = made::<Deep>(&[0, 1, 1, 0, 2], Candidate::at(1));
        let is = Term::Is { name: String::new(), at: (0, 0, 0) };
        assert_eq!(found, [(0, [(0, Some(is))].into())]);
    }

    #[test]
    fn what_would_be_too_large_is_not_made() {
        let payload = |text: &str| {
            payload(&text.parse().unwrap(), &[], Candidate::at(0)).map(|bytes| bytes.len())
        };
        assert_eq!(payload("(a: [(); 4000000000])"), Some(0));
        assert_eq!(payload("(a: [[u8; 60000]; 60000])"), None);
        assert_eq!(payload("(a: [u8; 1000000])"), None);
    }
}
