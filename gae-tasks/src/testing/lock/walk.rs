//! A walk along the names of two schemas, which notes what differs.

use std::collections::HashSet;

use super::change::{Change, Gets, Place, Site, What};
use super::leaf::{Fit, fit};
use super::members::Members;
use super::shown::shown;
use super::way::Way;
use crate::payload::resolve::ignores::{Ignored, Ignores};
use crate::payload::resolve::leaves::is_of_octets;
use crate::payload::resolve::members::Several;
use crate::payload::resolve::path::Step;
use crate::payload::schema::node::{Leaf, Member, Node, NodeId};
use crate::payload::{Parameter, Reader, Schema};

/// What differs between what is written and what reads it, from the parameters on; `place` is what
/// they are to the reader: parameters, or the fields of an upgrade's struct.
pub(super) fn changes(writer: &Schema, reader: &Reader<'_>, place: Place) -> Vec<Change> {
    let ignores = Ignores::new(reader.ignores);
    let (written, read) = (writer.nodes(), reader.schema.nodes());
    let mut walk = Walk::new(written, read, &ignores);
    let root = Pair {
        place,
        way: Way::default(),
        named: (0, 0),
        types: (0, 0),
        ignored: ignores.root(),
        is_key: false,
    };
    let members = (writer.parameters(), reader.schema.parameters());
    walk.members(&root, place, members, reader.parameters);
    walk.run();
    walk.changes
}

/// A walk along the names that both schemas have. What is to be walked is on a list, because types
/// nest deeper than a thread's stack may allow.
struct Walk<'a> {
    written: &'a [Node],
    read: &'a [Node],
    ignores: &'a Ignores,
    finds_renames: bool,
    seen: HashSet<(NodeId, NodeId, Ignored, bool)>,
    open: Vec<Pair<'a>>,
    changes: Vec<Change>,
}

/// Two types at one place, and the named types that hold them, for which changes are reported.
#[derive(Clone)]
struct Pair<'a> {
    place: Place,
    way: Way<'a>,
    named: (NodeId, NodeId),
    types: (NodeId, NodeId),
    ignored: Ignored,
    is_key: bool,
}

impl<'a> Walk<'a> {
    fn new(written: &'a [Node], read: &'a [Node], ignores: &'a Ignores) -> Self {
        let (seen, open, changes) = (HashSet::new(), Vec::new(), Vec::new());
        Self { written, read, ignores, finds_renames: true, seen, open, changes }
    }

    fn run(&mut self) {
        self.open.reverse();
        while let Some(pair) = self.open.pop() {
            if self.seen.insert((pair.types.0, pair.types.1, pair.ignored, pair.is_key)) {
                let from = self.open.len();
                self.pair(&pair);
                self.open[from..].reverse();
            }
        }
    }

    fn pair(&mut self, pair: &Pair<'a>) {
        let (written, read) =
            (&self.written[pair.types.0 as usize], &self.read[pair.types.1 as usize]);
        match (written, read) {
            (Node::Leaf(from), Node::Leaf(to)) => self.leaves(pair, *from, *to),
            (Node::Option(from), Node::Option(to)) => self.inside(pair, (0, None), (*from, *to)),
            // In bytes, `()` is as good as `Some(())`.
            (Node::Leaf(Leaf::Unit), Node::Option(_)) => self.retyped(pair),
            (_, Node::Option(to)) => {
                let types = (pair.types.0, *to);
                self.open.push(Pair { types, is_key: false, ..pair.clone() });
            }
            (Node::Option(from), _) => {
                self.narrowed(pair, "tasks that hold `None` wait");
                self.inside(pair, (0, None), (*from, pair.types.1));
            }
            (Node::Map(key, value), Node::Map(to_key, to_value)) => {
                self.inside(pair, (0, Some(Step::Key)), (*key, *to_key));
                if let Some(pair) = self.open.last_mut() {
                    pair.is_key = true;
                }
                self.inside(pair, (1, Some(Step::Value)), (*value, *to_value));
            }
            (Node::Struct(from), Node::Struct(to)) => {
                self.members(pair, Place::Field, (from, to), &[]);
            }
            (Node::Enum(from), Node::Enum(to)) => {
                self.members(pair, Place::Variant, (from, to), &[]);
            }
            _ => self.lists(pair, written, read),
        }
    }

    /// Tuples, arrays and sequences, which are read as each other.
    fn lists(&mut self, pair: &Pair<'a>, written: &'a Node, read: &'a Node) {
        match (List::of(written), List::of(read)) {
            (List::Bytes, _) | (_, List::Bytes) => self.octets(pair, written, read),
            (List::Fixed(len, from), List::Fixed(to_len, to)) if len == to_len => {
                for at in 0..from.len().max(to.len()) {
                    let types = (from[at % from.len()], to[at % to.len()]);
                    self.element(pair, at, types);
                }
            }
            (List::Fixed(_, from), List::Any(to)) => {
                from.iter().enumerate().for_each(|(at, from)| self.element(pair, at, (*from, to)));
            }
            (List::Any(from), List::Fixed(_, to)) => {
                self.narrowed(pair, OTHER_LENGTH);
                to.iter().for_each(|to| self.element(pair, 0, (from, *to)));
            }
            (List::Any(from), List::Any(to)) => self.element(pair, 0, (from, to)),
            _ => self.retyped(pair),
        }
    }

    fn element(&mut self, pair: &Pair<'a>, at: usize, types: (NodeId, NodeId)) {
        let (at, step) = match self.written[pair.types.0 as usize] {
            Node::Tuple(_) => (at, Step::Position(at)),
            _ => (0, Step::Element),
        };
        self.inside(pair, (at, Some(step)), types);
    }

    /// Bytes, which are read as a list of bytes, and the other way round.
    fn octets(&mut self, pair: &Pair<'a>, written: &Node, read: &Node) {
        match (written, read) {
            (Node::Leaf(Leaf::Bytes), Node::Array(..)) if is_of_octets(self.read, read) => {
                self.narrowed(pair, OTHER_LENGTH);
            }
            (Node::Leaf(Leaf::Bytes), _) if is_of_octets(self.read, read) => {}
            (_, Node::Leaf(Leaf::Bytes)) if is_of_octets(self.written, written) => {}
            _ => self.retyped(pair),
        }
    }

    fn leaves(&mut self, pair: &Pair<'a>, from: Leaf, to: Leaf) {
        match fit(from, to, pair.is_key) {
            Fit::All => {}
            Fit::Some(fails) => self.narrowed(pair, fails),
            Fit::None => self.retyped(pair),
        }
    }

    fn members(
        &mut self,
        pair: &Pair<'a>,
        place: Place,
        (written, read): (&'a [Member], &'a [Member]),
        parameters: &'a [Parameter],
    ) {
        let aliases = |at: usize| parameters.get(at).map_or(&[][..], |one| one.aliases);
        let several = if place == Place::Variant { Several::Yes } else { Several::No };
        let mut members = Members::of(written, read, several, aliases);
        for name in &members.ambiguous {
            self.add(pair, place, name, What::Ambiguous);
        }
        if place != Place::Variant {
            let within = |at: usize| self.ignores.within(pair.ignored, &written[at].names);
            members.gone.retain(|at| !self.ignores.is_end(within(*at)));
        }
        if self.finds_renames {
            self.renamed(pair, place, &mut members, (written, read));
        }
        let reordered = members.reordered(written, read);
        if place != Place::Variant && !reordered.is_empty() {
            self.reordered(pair, place, reordered, (written, read));
        }
        for at in &members.gone {
            self.add(pair, place, &written[*at].names[0], What::Gone);
        }
        for at in members.new.iter().filter(|_| place != Place::Variant) {
            self.new_member(pair, place, &read[*at], parameters.get(*at));
        }
        for (from, to) in members.pairs {
            self.open.push(self.member(pair, place, (from, &written[from]), &read[to]));
        }
    }

    /// The types of a member of both sides.
    fn member(
        &self,
        pair: &Pair<'a>,
        place: Place,
        (from, written): (usize, &'a Member),
        read: &'a Member,
    ) -> Pair<'a> {
        let name = match place {
            Place::Parameter => &read.names[0],
            // What the reader knows it as.
            _ => written.names.iter().find(|name| read.is_named(name)).unwrap_or(&read.names[0]),
        };
        let (step, ignored) = match place {
            Place::Variant => (Step::Variant(name), pair.ignored),
            _ => (Step::Field(name), self.ignores.within(pair.ignored, &written.names)),
        };
        let types = (written.node, read.node);
        let way = pair.way.to(from, Some(step));
        Pair { place, way, named: types, types, ignored, is_key: false }
    }

    fn new_member(
        &mut self,
        pair: &Pair<'a>,
        place: Place,
        member: &'a Member,
        parameter: Option<&Parameter>,
    ) {
        let is_option = matches!(self.read[member.node as usize], Node::Option(_));
        let gets = match parameter {
            Some(parameter) if parameter.has_default => Gets::Default,
            _ if is_option => Gets::None,
            Some(_) => Gets::Nothing,
            None => Gets::Unknown,
        };
        let paths = member.names.iter().map(|name| pair.way.path_to(Step::Field(name)));
        let site = Site { way: pair.way.children().to_vec(), paths: paths.collect() };
        let ty = shown(self.read, member.node);
        self.add(pair, place, &member.names[0], What::New { ty, gets, site });
    }

    fn renamed(
        &mut self,
        pair: &Pair<'a>,
        place: Place,
        members: &mut Members<'_>,
        (written, read): (&'a [Member], &'a [Member]),
    ) {
        let renamed = members.renamed(written, read, |from, to| self.fits(from.node, to.node));
        for (from, to, is_alike) in renamed {
            let (to, ty) = (read[to].names[0].to_string(), shown(self.read, read[to].node));
            self.add(pair, place, &written[from].names[0], What::Renamed { to, ty, is_alike });
        }
    }

    fn reordered(
        &mut self,
        pair: &Pair<'a>,
        place: Place,
        mut pairs: Vec<(usize, usize)>,
        (written, read): (&[Member], &[Member]),
    ) {
        let name = |member: &Member| member.names[0].to_string();
        let was = pairs.iter().map(|(from, _)| name(&written[*from])).collect();
        pairs.sort_by_key(|(_, to)| *to);
        let is = pairs.iter().map(|(_, to)| name(&read[*to])).collect();
        self.at(pair.way.path(), place, What::Reordered { was, is });
    }

    /// Whether values of one type are read as the other, without a rename inside.
    fn fits(&self, from: NodeId, to: NodeId) -> bool {
        let mut walk =
            Walk { finds_renames: false, ..Walk::new(self.written, self.read, self.ignores) };
        walk.open.push(Pair {
            place: Place::Field,
            way: Way::default(),
            named: (from, to),
            types: (from, to),
            ignored: Ignored::NOT,
            is_key: false,
        });
        walk.run();
        !walk.changes.iter().any(|change| change.refuses() || change.what == What::Gone)
    }

    fn inside(
        &mut self,
        pair: &Pair<'a>,
        (child, step): (usize, Option<Step<'a>>),
        types: (NodeId, NodeId),
    ) {
        let way = pair.way.to(child, step);
        self.open.push(Pair { way, types, is_key: false, ..pair.clone() });
    }

    fn retyped(&mut self, pair: &Pair<'a>) {
        let (was, is) = (shown(self.written, pair.named.0), shown(self.read, pair.named.1));
        self.at(pair.way.path_of_name(), pair.place, What::Retyped { was, is });
    }

    fn narrowed(&mut self, pair: &Pair<'a>, fails: &'static str) {
        let (was, is) = (shown(self.written, pair.named.0), shown(self.read, pair.named.1));
        self.at(pair.way.path_of_name(), pair.place, What::Narrowed { was, is, fails });
    }

    /// A change of what stands at `path`.
    fn at(&mut self, path: String, place: Place, what: What) {
        let (name, ignores) = (String::new(), String::new());
        self.changes.push(Change { place, path, name, ignores, what });
    }

    /// A change of a member of what stands here.
    fn add(&mut self, pair: &Pair<'a>, place: Place, name: &str, what: What) {
        let step = if place == Place::Variant { Step::Variant(name) } else { Step::Field(name) };
        let (path, ignores) = (pair.way.path_to(step), pair.way.ignores(name));
        self.changes.push(Change { place, path, name: name.to_owned(), ignores, what });
    }
}

const OTHER_LENGTH: &str = "lists of another length wait";

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
