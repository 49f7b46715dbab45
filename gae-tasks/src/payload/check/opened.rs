//! What has parts, while they are written.

use crate::payload::schema::node::{Member, Node, NodeId};

/// What all parts of a value share.
pub(super) struct Walk<'a> {
    pub(super) bytes: &'a mut Vec<u8>,
    pub(super) nodes: &'a [Node],
}

/// The elements of a sequence or a tuple.
pub(super) struct Elements<'w, 'a> {
    pub(super) walk: &'w mut Walk<'a>,
    pub(super) nodes: Nodes<'a>,
    pub(super) next: usize,
    pub(super) len: usize,
    pub(super) variant: Option<&'static str>,
}

/// What the elements are.
#[derive(Clone, Copy)]
pub(super) enum Nodes<'a> {
    /// All the same, of a sequence.
    Seq(&'a Node),
    /// All the same, of a tuple.
    Same(&'a Node),
    Each(&'a [NodeId]),
}

impl<'w, 'a> Elements<'w, 'a> {
    #[inline]
    pub(super) fn of(walk: &'w mut Walk<'a>, one: &'a Node, len: usize) -> Self {
        Self { walk, nodes: Nodes::Seq(one), next: 0, len, variant: None }
    }

    #[inline]
    pub(super) fn same(walk: &'w mut Walk<'a>, one: NodeId, len: usize) -> Self {
        let nodes = Nodes::Same(&walk.nodes[one as usize]);
        Self { walk, nodes, next: 0, len, variant: None }
    }

    #[inline]
    pub(super) fn each(walk: &'w mut Walk<'a>, ids: &'a [NodeId]) -> Self {
        Self { walk, nodes: Nodes::Each(ids), next: 0, len: ids.len(), variant: None }
    }

    #[inline]
    pub(super) fn in_variant(self, name: &'static str) -> Self {
        Self { variant: Some(name), ..self }
    }
}

/// The entries of a map.
pub(super) struct Entries<'w, 'a> {
    pub(super) walk: &'w mut Walk<'a>,
    pub(super) key: &'a Node,
    pub(super) value: &'a Node,
    pub(super) left: usize,
}

impl<'w, 'a> Entries<'w, 'a> {
    #[inline]
    pub(super) fn new(walk: &'w mut Walk<'a>, key: NodeId, value: NodeId, len: usize) -> Self {
        let nodes = walk.nodes;
        Self { walk, key: &nodes[key as usize], value: &nodes[value as usize], left: len }
    }
}

/// The fields of a struct.
pub(super) struct Fields<'w, 'a> {
    pub(super) walk: &'w mut Walk<'a>,
    pub(super) members: &'a [Member],
    pub(super) next: usize,
    /// How many fields the type says that it writes.
    pub(super) len: usize,
    pub(super) variant: Option<&'static str>,
}

impl<'w, 'a> Fields<'w, 'a> {
    #[inline]
    pub(super) fn new(walk: &'w mut Walk<'a>, members: &'a [Member], len: usize) -> Self {
        Self { walk, members, next: 0, len, variant: None }
    }

    #[inline]
    pub(super) fn in_variant(self, name: &'static str) -> Self {
        Self { variant: Some(name), ..self }
    }
}
