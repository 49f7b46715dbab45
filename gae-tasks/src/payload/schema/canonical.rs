//! One form for all graphs that mean the same: equal nodes are one, and numbers follow the order of
//! reading.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::node::{Leaf, Member, Node, NodeId};

/// The graph in which no two nodes are equal, numbered in preorder from `parameters` on. Nodes that
/// nothing refers to are left out.
///
/// Two nodes are equal where no path of names and positions from them tells them apart, so
/// recursive types are equal however often they are unrolled.
///
/// The third is where the `marked` nodes are in it.
pub(crate) fn canonical(
    nodes: &[Node],
    parameters: &[Member],
    marked: &[NodeId],
) -> (Vec<Node>, Vec<Member>, Vec<NodeId>) {
    let nodes: Vec<_> = nodes.iter().map(Cow::Borrowed).collect();
    let (nodes, classes) = with_arrays(nodes);
    let mut order = Order {
        nodes: &nodes,
        classes: &classes,
        numbers: vec![None; nodes.len()],
        ordered: Vec::new(),
    };
    for parameter in parameters {
        order.visit(parameter.node);
    }
    let found = |id: NodeId| order.numbers[classes[id as usize] as usize];
    let number = |id: NodeId| found(id).unwrap_or_default();
    let renumbered = order.ordered.iter().map(|id| nodes[*id as usize].map(number)).collect();
    let parameters = parameters
        .iter()
        .map(|parameter| Member { names: parameter.names.clone(), node: number(parameter.node) });
    let marked = marked.iter().filter_map(|id| found(*id));
    (renumbered, parameters.collect(), marked.collect())
}

/// Makes arrays of tuples whose elements are equal. That may make further nodes equal, so until
/// nothing changes.
fn with_arrays(mut nodes: Vec<Cow<'_, Node>>) -> (Vec<Cow<'_, Node>>, Vec<u32>) {
    loop {
        let classes = refined(&nodes);
        let mut changed = false;
        for node in &mut nodes {
            let Node::Tuple(ids) = &**node else { continue };
            let [first, second, ..] = ids[..] else { continue };
            let class = |id: NodeId| classes[id as usize];
            if class(first) == class(second) && ids.iter().all(|id| class(*id) == class(first)) {
                let len = u32::try_from(ids.len()).unwrap_or(u32::MAX);
                *node = Cow::Owned(Node::Array(len, first));
                changed = true;
            }
        }
        if !changed {
            return (nodes, classes);
        }
    }
}

/// What tells two nodes apart without a look at their children.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Label<'a> {
    Leaf(Leaf),
    Option,
    Seq,
    Map,
    Tuple(usize),
    Array(u32),
    Struct(Vec<&'a [Cow<'static, str>]>),
    Enum(Vec<&'a [Cow<'static, str>]>),
}

impl<'a> Label<'a> {
    fn of(node: &'a Node) -> Self {
        let names =
            |members: &'a [Member]| members.iter().map(|member| &member.names[..]).collect();
        match node {
            Node::Leaf(leaf) => Self::Leaf(*leaf),
            Node::Option(_) => Self::Option,
            Node::Seq(_) => Self::Seq,
            Node::Map(..) => Self::Map,
            Node::Tuple(ids) => Self::Tuple(ids.len()),
            Node::Array(len, _) => Self::Array(*len),
            Node::Struct(fields) => Self::Struct(names(fields)),
            Node::Enum(variants) => Self::Enum(names(variants)),
        }
    }
}

/// The class of each node: nodes of one class are equal.
///
/// Begins with classes of one label, and splits those whose nodes have children of different
/// classes until none is split.
fn refined(nodes: &[Cow<'_, Node>]) -> Vec<u32> {
    let (mut classes, mut count) = numbered(nodes.iter().map(|node| Label::of(node)));
    loop {
        let of = |(at, node): (usize, &Cow<'_, Node>)| {
            let children: Vec<_> = node.children().map(|child| classes[child as usize]).collect();
            (classes[at], children)
        };
        let (split, new_count) = numbered(nodes.iter().enumerate().map(of));
        if new_count == count {
            return classes;
        }
        (classes, count) = (split, new_count);
    }
}

/// A number for each key, the same for equal ones, and how many there are.
fn numbered<K: Ord>(keys: impl Iterator<Item = K>) -> (Vec<u32>, usize) {
    let mut numbers = BTreeMap::new();
    let number = |key| {
        let next = numbers.len() as u32;
        *numbers.entry(key).or_insert(next)
    };
    let numbered = keys.map(number).collect();
    (numbered, numbers.len())
}

/// A walk in preorder, which visits each class once.
struct Order<'a> {
    nodes: &'a [Cow<'a, Node>],
    classes: &'a [u32],
    /// The number of each class that was visited.
    numbers: Vec<Option<NodeId>>,
    /// The node that stands for the class of each number.
    ordered: Vec<NodeId>,
}

impl Order<'_> {
    /// Visits what can be reached from `root`, on a stack of its own: types nest deeper than the
    /// thread's may allow.
    fn visit(&mut self, root: NodeId) {
        let mut stack = vec![root];
        while let Some(id) = stack.pop() {
            let number = &mut self.numbers[self.classes[id as usize] as usize];
            if number.is_some() {
                continue;
            }
            *number = Some(self.ordered.len() as NodeId);
            self.ordered.push(id);
            let from = stack.len();
            stack.extend(self.nodes[id as usize].children());
            stack[from..].reverse();
        }
    }
}
