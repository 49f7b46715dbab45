//! A walk along the names of two schemas, which notes what differs.

use std::collections::HashSet;

use super::change::{Change, Place, What};
use super::leaf::{Fit, fit};
use super::members::Matched;
use super::shown::shown;
use crate::payload::schema::node::{Leaf, Member, Node, NodeId};

/// What the attribute says of a parameter.
#[derive(Debug, Clone, Default)]
pub(super) struct Said<'a> {
    pub(super) aliases: Vec<&'a str>,
    pub(super) has_default: bool,
}

/// A walk along the names that both schemas have. What is to be walked is on a list, because types
/// nest deeper than a thread's stack may allow.
pub(super) struct Walk<'a> {
    written: &'a [Node],
    read: &'a [Node],
    ignores: &'a [&'a str],
    finds_renames: bool,
    seen: HashSet<(NodeId, NodeId)>,
    open: Vec<Pair>,
    changes: Vec<Change>,
}

/// Two types at one place, and the named types that hold them, which changes are told of.
#[derive(Clone)]
struct Pair {
    place: Place,
    path: String,
    named: (NodeId, NodeId),
    types: (NodeId, NodeId),
}

impl<'a> Walk<'a> {
    pub(super) fn new(written: &'a [Node], read: &'a [Node], ignores: &'a [&'a str]) -> Self {
        let (seen, open, changes) = (HashSet::new(), Vec::new(), Vec::new());
        Self { written, read, ignores, finds_renames: true, seen, open, changes }
    }

    /// Walks from these parameters on, and returns what differs.
    pub(super) fn along(
        mut self,
        written: &'a [Member],
        read: &'a [Member],
        said: &[Said<'_>],
    ) -> Vec<Change> {
        self.members(Place::Parameter, "", written, read, said);
        self.run();
        self.changes
    }

    fn run(&mut self) {
        self.open.reverse();
        while let Some(pair) = self.open.pop() {
            if self.seen.insert(pair.types) {
                let from = self.open.len();
                self.pair(&pair);
                self.open[from..].reverse();
            }
        }
    }

    fn pair(&mut self, pair: &Pair) {
        let (written, read) =
            (&self.written[pair.types.0 as usize], &self.read[pair.types.1 as usize]);
        match (written, read) {
            (Node::Leaf(from), Node::Leaf(to)) => self.leaves(pair, *from, *to),
            (Node::Option(from), Node::Option(to)) | (Node::Seq(from), Node::Seq(to)) => {
                self.inside(pair, *from, *to);
            }
            (_, Node::Option(to)) => self.inside(pair, pair.types.0, *to),
            (Node::Option(from), _) => {
                self.narrowed(pair, "tasks that hold `None` wait");
                self.inside(pair, *from, pair.types.1);
            }
            (Node::Map(key, value), Node::Map(to_key, to_value)) => {
                self.inside(pair, *key, *to_key);
                self.inside(pair, *value, *to_value);
            }
            (Node::Struct(from), Node::Struct(to)) => {
                self.members(Place::Field, &pair.path, from, to, &[]);
            }
            (Node::Enum(from), Node::Enum(to)) => {
                self.members(Place::Variant, &pair.path, from, to, &[]);
            }
            _ => self.lists(pair, written, read),
        }
    }

    /// Tuples, arrays and sequences, which are read as each other.
    fn lists(&mut self, pair: &Pair, written: &Node, read: &Node) {
        match (List::of(written), List::of(read)) {
            (List::Fixed(len, from), List::Fixed(to_len, to)) if len == to_len => {
                for at in 0..from.len().max(to.len()) {
                    self.inside(pair, from[at % from.len()], to[at % to.len()]);
                }
            }
            (List::Fixed(_, from), List::Any(to)) => {
                from.iter().for_each(|from| self.inside(pair, *from, to));
            }
            (List::Any(from), List::Fixed(_, to)) => {
                self.narrowed(pair, "lists of another length wait");
                to.iter().for_each(|to| self.inside(pair, from, *to));
            }
            (List::Bytes, List::Any(to)) if is_byte(self.read, to) => {}
            (List::Any(from), List::Bytes) if is_byte(self.written, from) => {}
            _ => self.retyped(pair),
        }
    }

    fn leaves(&mut self, pair: &Pair, from: Leaf, to: Leaf) {
        match fit(from, to) {
            Fit::All => {}
            Fit::Some(fails) => self.narrowed(pair, fails),
            Fit::None => self.retyped(pair),
        }
    }

    fn members(
        &mut self,
        place: Place,
        path: &str,
        written: &'a [Member],
        read: &'a [Member],
        said: &[Said<'_>],
    ) {
        let older: Vec<_> = said.iter().map(|said| said.aliases.clone()).collect();
        let mut matched = Matched::of(written, read, &older);
        matched.gone.retain(|at| {
            let is_ignored = |name| self.ignores.contains(&&*joined(path, name));
            !written[*at].names.iter().any(|name| is_ignored(name))
        });
        if self.finds_renames {
            self.renamed(place, path, &mut matched, written, read);
        }
        let reordered = matched.reordered(written, read);
        if place != Place::Variant && !reordered.is_empty() {
            self.reordered(place, path, reordered, written, read);
        }
        for at in matched.gone {
            self.add(place, path, &written[at], What::Gone);
        }
        for at in matched.new.into_iter().filter(|_| place != Place::Variant) {
            let has_default = said.get(at).is_some_and(|said| said.has_default);
            self.new_member(place, path, &read[at], has_default);
        }
        for (from, to) in matched.pairs {
            let (path, types) =
                (joined(path, &read[to].names[0]), (written[from].node, read[to].node));
            self.open.push(Pair { place, path, named: types, types });
        }
    }

    fn new_member(&mut self, place: Place, path: &str, member: &Member, has_default: bool) {
        let is_optional = matches!(self.read[member.node as usize], Node::Option(_));
        let ty = shown(self.read, member.node);
        self.add(place, path, member, What::New { ty, is_needed: !has_default && !is_optional });
    }

    fn renamed(
        &mut self,
        place: Place,
        path: &str,
        matched: &mut Matched,
        written: &[Member],
        read: &[Member],
    ) {
        let renamed = matched.renamed(written, read, |from, to| self.fits(from.node, to.node));
        for (from, to, is_alike) in renamed {
            let (to, ty) = (read[to].names[0].to_string(), shown(self.read, read[to].node));
            self.add(place, path, &written[from], What::Renamed { to, ty, is_alike });
        }
    }

    fn reordered(
        &mut self,
        place: Place,
        path: &str,
        mut pairs: Vec<(usize, usize)>,
        written: &[Member],
        read: &[Member],
    ) {
        let name = |member: &Member| member.names[0].to_string();
        let was = pairs.iter().map(|(from, _)| name(&written[*from])).collect();
        pairs.sort_by_key(|(_, to)| *to);
        let is = pairs.iter().map(|(_, to)| name(&read[*to])).collect();
        let path = path.to_owned();
        self.changes.push(Change { place, path, what: What::Reordered { was, is } });
    }

    /// Whether values of one type are read as the other, without a rename inside.
    fn fits(&self, from: NodeId, to: NodeId) -> bool {
        let types = (from, to);
        let mut walk = Walk { finds_renames: false, ..Walk::new(self.written, self.read, &[]) };
        walk.open.push(Pair { place: Place::Field, path: String::new(), named: types, types });
        walk.run();
        !walk.changes.iter().any(|change| change.refuses() || change.what == What::Gone)
    }

    fn inside(&mut self, pair: &Pair, from: NodeId, to: NodeId) {
        self.open.push(Pair { types: (from, to), ..pair.clone() });
    }

    fn retyped(&mut self, pair: &Pair) {
        let (was, is) = (shown(self.written, pair.named.0), shown(self.read, pair.named.1));
        self.at(pair, What::Retyped { was, is });
    }

    fn narrowed(&mut self, pair: &Pair, fails: &'static str) {
        let (was, is) = (shown(self.written, pair.named.0), shown(self.read, pair.named.1));
        self.at(pair, What::Narrowed { was, is, fails });
    }

    fn at(&mut self, pair: &Pair, what: What) {
        self.changes.push(Change { place: pair.place, path: pair.path.clone(), what });
    }

    fn add(&mut self, place: Place, path: &str, member: &Member, what: What) {
        self.changes.push(Change { place, path: joined(path, &member.names[0]), what });
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// What holds elements without names.
enum List {
    /// Any number of one type.
    Any(NodeId),
    /// So many: a type for each, or one for all.
    Fixed(usize, Vec<NodeId>),
    Bytes,
    No,
}

impl List {
    fn of(node: &Node) -> Self {
        match node {
            Node::Seq(one) => Self::Any(*one),
            Node::Tuple(ids) => Self::Fixed(ids.len(), ids.clone()),
            Node::Array(len, one) => Self::Fixed(*len as usize, vec![*one]),
            Node::Leaf(Leaf::Bytes) => Self::Bytes,
            _ => Self::No,
        }
    }
}

fn is_byte(nodes: &[Node], id: NodeId) -> bool {
    nodes[id as usize] == Node::Leaf(Leaf::U8)
}
