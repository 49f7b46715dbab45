//! What is known about a type while it is traced: a graph with empty slots, filled one after the
//! other.

use std::any::TypeId;
use std::collections::BTreeMap;

use crate::payload::schema::node::{Leaf, Member, Node, NodeId};

/// The names of fields or variants, as a type gives them.
pub(crate) type Names = &'static [&'static str];

/// A part of a type.
#[derive(Debug)]
pub(crate) struct Slot {
    /// What it is a part of, and which part of it.
    pub(crate) parent: Option<(NodeId, usize)>,
    pub(crate) asked: Asked,
    pub(crate) children: Vec<Child>,
    /// Whether fields are asked for by position, or variants by number: their names are not
    /// understood.
    pub(crate) by_position: bool,
    /// Whether not even the name of a field was asked for: a struct that is no map to its type.
    pub(crate) without_names: bool,
    pub(crate) identifier: Identifier,
    /// Which candidate is its value, where one is needed.
    pub(crate) candidate: usize,
}

/// A part of a slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Child {
    pub(crate) slot: NodeId,
    /// What the type's own identifier makes of its name, as a number.
    pub(crate) identity: Option<u64>,
    /// It is one part with the child before it: its name is an alias.
    pub(crate) is_alias: bool,
}

/// What the type of a slot has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Nothing,
    /// The same as another slot.
    Same(NodeId),
    Leaf(Leaf),
    Option,
    Seq,
    Map,
    Tuple,
    Struct(Names),
    Enum(Names),
}

/// Whether the identifier of fields or variants distinguishes names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identifier {
    /// No two names looked alike to it.
    Unasked,
    /// Two did: is it an enum, in which they are aliases, or a text, all of which look alike?
    Doubtful,
    /// It is an enum.
    Enum,
    /// It is not.
    Other,
}

/// Where a visitor was seen before: what it asks for follows from its type, what it was called
/// with, and the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) visitor: TypeId,
    pub(crate) asked: u8,
    pub(crate) len: usize,
    pub(crate) names: Names,
}

/// Everything that is known, and what is open.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) slots: Vec<Slot>,
    pub(crate) seen: BTreeMap<Seen, NodeId>,
    /// Slots to be filled, the next one last.
    pub(crate) open: Vec<NodeId>,
}

impl Graph {
    /// A slot more.
    pub(crate) fn add(&mut self, parent: Option<(NodeId, usize)>) -> NodeId {
        let id = self.slots.len() as NodeId;
        self.slots.push(Slot {
            parent,
            asked: Asked::Nothing,
            children: Vec::new(),
            by_position: false,
            without_names: false,
            identifier: Identifier::Unasked,
            candidate: 0,
        });
        id
    }

    /// Gives a slot `count` children, which are the next to be filled, in their order.
    pub(crate) fn add_children(&mut self, id: NodeId, count: usize) {
        let first = self.slots.len() as NodeId;
        for edge in 0..count {
            let slot = self.add(Some((id, edge)));
            let child = Child { slot, identity: None, is_alias: false };
            self.slots[id as usize].children.push(child);
        }
        self.open.extend((first..self.slots.len() as NodeId).rev());
    }

    pub(crate) fn slot(&self, id: NodeId) -> &Slot {
        &self.slots[id as usize]
    }

    pub(crate) fn slot_mut(&mut self, id: NodeId) -> &mut Slot {
        &mut self.slots[id as usize]
    }

    /// The slot that stands for `id`.
    pub(crate) fn resolved(&self, mut id: NodeId) -> NodeId {
        while let Asked::Same(other) = self.slot(id).asked {
            id = other;
        }
        id
    }

    /// The parts to take from the root to `id`.
    pub(crate) fn path(&self, mut id: NodeId, path: &mut Vec<usize>) {
        path.clear();
        while let Some((parent, edge)) = self.slot(id).parent {
            path.push(edge);
            id = parent;
        }
        path.reverse();
    }

    /// `id`, as people name it: `order.lines[].kind`.
    pub(crate) fn place(&self, id: NodeId, parameter: &str) -> String {
        let (mut path, mut place, mut at) = (Vec::new(), parameter.to_owned(), id);
        while let Some((parent, edge)) = self.slot(at).parent {
            path.push((parent, edge));
            at = parent;
        }
        for (parent, edge) in path.into_iter().rev() {
            match self.slot(parent).asked {
                Asked::Struct(names) => place.extend([".", names[edge]]),
                Asked::Enum(names) => place.extend(["::", names[edge]]),
                Asked::Tuple => place.push_str(&format!(".{edge}")),
                Asked::Seq => place.push_str("[]"),
                Asked::Map => place.push_str(if edge == 0 { "{key}" } else { "{value}" }),
                _ => {}
            }
        }
        place
    }

    /// The number that a variant or a field has: names that are aliases have none of their own.
    pub(crate) fn number(&self, id: NodeId, edge: usize) -> usize {
        self.slot(id).children[..edge].iter().filter(|child| !child.is_alias).count()
    }

    /// The graph as the nodes of a schema: slots that are the same become one there.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        (0..self.slots.len() as NodeId).map(|id| self.node(id)).collect()
    }

    /// The structs whose types do not ask for names.
    pub(crate) fn without_names(&self) -> Vec<NodeId> {
        let ids = 0..self.slots.len() as NodeId;
        ids.filter(|id| self.slot(*id).without_names).collect()
    }

    fn node(&self, id: NodeId) -> Node {
        let slot = self.slot(self.resolved(id));
        let child = |edge: usize| self.resolved(slot.children[edge].slot);
        match slot.asked {
            // Nothing refers to those that are empty: the names of aliases.
            Asked::Nothing | Asked::Same(_) => Node::Leaf(Leaf::Unit),
            Asked::Leaf(leaf) => Node::Leaf(leaf),
            Asked::Option => Node::Option(child(0)),
            Asked::Seq => Node::Seq(child(0)),
            Asked::Map => Node::Map(child(0), child(1)),
            Asked::Tuple => Node::Tuple((0..slot.children.len()).map(child).collect()),
            Asked::Struct(names) => Node::Struct(self.members(slot, names)),
            Asked::Enum(names) => Node::Enum(self.members(slot, names)),
        }
    }

    /// The fields of a struct.
    pub(crate) fn fields(&self, id: NodeId) -> Option<Vec<Member>> {
        let slot = self.slot(self.resolved(id));
        match slot.asked {
            Asked::Struct(names) => Some(self.members(slot, names)),
            _ => None,
        }
    }

    fn members(&self, slot: &Slot, names: Names) -> Vec<Member> {
        let mut members: Vec<Member> = Vec::with_capacity(names.len());
        for (child, name) in slot.children.iter().zip(names) {
            match members.last_mut().filter(|_| child.is_alias) {
                Some(member) => member.names.push((*name).into()),
                None => members.push(Member::new(*name, self.resolved(child.slot))),
            }
        }
        members
    }
}
