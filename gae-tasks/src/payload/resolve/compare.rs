//! Compares what a payload was written as with what is to be read, name by name.

use std::collections::HashSet;

use super::difference::Difference;
use super::ignores::{Ignored, Ignores};
use super::leaves::{is_of_octets, resolves};
use super::members::{Matched, Several, matched};
use super::path::{Shown, Step, Way, Ways, path};
use crate::payload::parameter::Parameter;
use crate::payload::schema::Schema;
use crate::payload::schema::node::{Leaf, MAX_DEPTH, Member, Node, NodeId};

/// How many parts are compared: schemas come from outside, and each part of one may have to be
/// compared with each of the other.
const MAX_WORK: usize = 1 << 20;

/// One side of a comparison.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) nodes: &'a [Node],
    pub(crate) parameters: &'a [Member],
}

impl<'a> Side<'a> {
    pub(crate) fn of(schema: &'a Schema) -> Self {
        Self { schema, nodes: schema.nodes(), parameters: schema.parameters() }
    }

    fn node(&self, id: NodeId) -> &'a Node {
        &self.nodes[id as usize]
    }
}

/// For each of the reader's parameters which of the writer's it is.
///
/// # Errors
/// No payload of the writer can be read, or none should be.
pub(crate) fn compare(
    writer: Side<'_>,
    reader: Side<'_>,
    parameters: &[Parameter],
    ignores: &Ignores,
) -> Result<Vec<Option<usize>>, Difference> {
    let mut comparison = Comparison {
        writer,
        reader,
        ignores,
        seen: HashSet::new(),
        open: Vec::new(),
        ways: Ways::default(),
        work: 0,
        difference: Difference::none(),
    };
    let sources = comparison.parameters(parameters);
    comparison.run();
    if comparison.difference.is_none() { Ok(sources) } else { Err(comparison.difference) }
}

/// A node of the writer's that is to be read as one of the reader's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Pair {
    writer: NodeId,
    reader: NodeId,
    ignored: Ignored,
    is_key: bool,
}

struct Comparison<'a> {
    writer: Side<'a>,
    reader: Side<'a>,
    ignores: &'a Ignores,
    /// Pairs that are taken to agree: types hold themselves, and each pair is compared once.
    seen: HashSet<Pair>,
    /// Pairs to be compared, and the ways to them.
    open: Vec<(Pair, Way)>,
    ways: Ways<'a>,
    work: usize,
    difference: Difference,
}

impl<'a> Comparison<'a> {
    fn parameters(&mut self, described: &[Parameter]) -> Vec<Option<usize>> {
        let (writer, reader) = (self.writer.parameters, self.reader.parameters);
        let aliases = |at: usize| described.get(at).map_or(&[][..], |one| one.aliases);
        let matched = matched(writer, reader, Several::No, aliases);
        self.members((writer, reader), &matched, None, self.ignores.root());
        for (at, source) in matched.of_reader.iter().enumerate() {
            let is_option = matches!(self.reader.node(reader[at].node), Node::Option(_));
            // Of a field nothing is said: whether it is needed shows when a payload is read.
            let has_default = described.get(at).is_none_or(|one| one.has_default);
            if source.is_none() && !is_option && !has_default {
                let name = Shown(name(&reader[at]));
                let words = || {
                    format!(
                        "parameter `{name}` is missing from the stored payload: add `#[default]`"
                    )
                };
                self.difference.add(words);
            }
        }
        matched.of_reader
    }

    /// Compares parameters, or the fields of structs: none of the writer's may be lost.
    fn members(
        &mut self,
        (writer, reader): (&'a [Member], &'a [Member]),
        matched: &Matched<'a>,
        way: Option<Way>,
        ignored: Ignored,
    ) {
        self.work += writer.len() + reader.len();
        self.ambiguous(matched, way);
        let first = self.open.len();
        for (member, found) in writer.iter().zip(&matched.of_writer) {
            let ignored = self.ignores.within(ignored, &member.names);
            match found {
                Some(at) => {
                    let to = &reader[*at];
                    let way = self.ways.add(way, Step::Field(name(member)));
                    let (writer, reader) = (member.node, to.node);
                    self.open.push((Pair { writer, reader, ignored, is_key: false }, way));
                }
                None if self.ignores.is_end(ignored) => {}
                None => self.unknown(member, way),
            }
        }
        // The last pair is the next to be compared.
        self.open[first..].reverse();
    }

    fn unknown(&mut self, member: &'a Member, way: Option<Way>) {
        let Self { ways, difference, .. } = self;
        difference.add(|| {
            let old = Shown(name(member));
            let (sort, alias) = match way {
                Some(_) => ("field", format!("#[serde(alias = \"{old}\")]")),
                None => ("parameter", format!("#[alias(\"{old}\")]")),
            };
            let mut steps = ways.to(way);
            steps.push(Step::Field(name(member)));
            let shown = path(steps.iter().copied());
            let ignored = path(steps.into_iter().filter(|step| matches!(step, Step::Field(_))));
            format!(
                "{sort} `{shown}` is not known here: add `{alias}` to what it is called now, or \
                 `ignores = [\"{ignored}\"]` if it may be dropped"
            )
        });
    }

    fn ambiguous(&mut self, matched: &Matched<'a>, way: Option<Way>) {
        let Self { ways, difference, .. } = self;
        for name in &matched.ambiguous {
            difference.add(|| {
                let mut steps = ways.to(way);
                steps.push(Step::Field(name));
                format!("`{}` is a name of more than one: give each names of its own", path(steps))
            });
        }
    }

    fn run(&mut self) {
        while let Some((pair, way)) = self.open.pop() {
            self.work += 1;
            if self.work > MAX_WORK {
                self.difference.add(|| "the schemas are too large to be compared".to_owned());
                return;
            }
            let (writer, reader) = (self.writer.node(pair.writer), self.reader.node(pair.reader));
            let is_leaf = |node: &Node| matches!(node, Node::Leaf(_));
            // Where a number has become a text in two places, both are named.
            if is_leaf(writer) || is_leaf(reader) || self.seen.insert(pair) {
                self.pair(pair, way);
            }
        }
    }

    fn pair(&mut self, pair: Pair, way: Way) {
        let Some((pair, writer, reader)) = self.without_options(pair) else {
            return self.differ(pair, way);
        };
        match (writer, reader) {
            (Node::Leaf(from), Node::Leaf(to)) if resolves(*from, *to, pair.is_key) => {}
            (Node::Option(from), Node::Option(to)) => self.push(pair, (*from, *to), (way, None)),
            (Node::Map(key, value), Node::Map(to_key, to_value)) => {
                self.push(pair, (*value, *to_value), (way, Some(Step::Value)));
                let way = self.ways.add(Some(way), Step::Key);
                let key = Pair { writer: *key, reader: *to_key, is_key: true, ..pair };
                self.open.push((key, way));
            }
            (Node::Struct(_), Node::Struct(_))
                if self.reader.schema.is_by_position(pair.reader) =>
            {
                self.is_without_names(way);
            }
            (Node::Struct(fields), Node::Struct(to)) => {
                let matched = matched(fields, to, Several::No, |_| &[]);
                self.members((fields, to), &matched, Some(way), pair.ignored);
            }
            (Node::Enum(variants), Node::Enum(to)) => self.variants(pair, (variants, to), way),
            (Node::Leaf(Leaf::Bytes), to) if is_of_octets(self.reader.nodes, to) => {}
            (from, Node::Leaf(Leaf::Bytes)) if is_of_octets(self.writer.nodes, from) => {}
            _ => self.elements(pair, (writer, reader), way),
        }
    }

    /// The pair without options that stand on one side only; `None` if no end of them is near, or
    /// there is no value in them.
    ///
    /// What was always there becomes `Some`, and what may be absent is read if it is not. `()` is
    /// `None` in JSON and `Some(())` here, so it is neither.
    fn without_options(&self, mut pair: Pair) -> Option<(Pair, &'a Node, &'a Node)> {
        for _ in 0..MAX_DEPTH {
            let (writer, reader) = (self.writer.node(pair.writer), self.reader.node(pair.reader));
            match (writer, reader) {
                (Node::Leaf(Leaf::Unit), Node::Option(_)) => return None,
                (Node::Option(_), Node::Option(_)) => return Some((pair, writer, reader)),
                (Node::Option(one), _) => pair.writer = *one,
                (_, Node::Option(one)) => pair.reader = *one,
                _ => return Some((pair, writer, reader)),
            }
            pair.is_key = false;
        }
        None
    }

    fn variants(&mut self, pair: Pair, (writer, reader): (&'a [Member], &'a [Member]), way: Way) {
        self.work += writer.len() + reader.len();
        let matched = matched(writer, reader, Several::Yes, |_| &[]);
        self.ambiguous(&matched, Some(way));
        for (variant, found) in writer.iter().zip(&matched.of_writer).rev() {
            if let Some(at) = found {
                let nodes = (variant.node, reader[*at].node);
                self.push(pair, nodes, (way, Some(Step::Variant(name(variant)))));
            }
        }
        // A variant that is not known here fails where it is met; but one must be known.
        if !writer.is_empty() && matched.of_writer.iter().all(Option::is_none) {
            let Self { ways, difference, .. } = self;
            difference.add(|| {
                let path = path(ways.to(Some(way)));
                format!("parameter `{path}`: none of its variants is known here")
            });
        }
    }

    /// Compares sequences, arrays and tuples, element by element.
    fn elements(&mut self, pair: Pair, (writer, reader): (&'a Node, &'a Node), way: Way) {
        let (Some(from), Some(to)) = (Elements::of(writer), Elements::of(reader)) else {
            return self.differ(pair, way);
        };
        if let (Some(from), Some(to)) = (from.len, to.len)
            && from != to
        {
            return self.differ(pair, way);
        }
        let count = if from.is_tuple { from.each.len() } else { to.each.len() };
        for at in (0..count).rev() {
            let is_each = from.is_tuple || to.is_tuple;
            let part = if is_each { Step::Position(at) } else { Step::Element };
            self.push(pair, (from.at(at), to.at(at)), (way, Some(part)));
        }
        self.work += count;
    }

    fn push(
        &mut self,
        pair: Pair,
        (writer, reader): (NodeId, NodeId),
        (way, part): (Way, Option<Step<'a>>),
    ) {
        let way = part.map_or(way, |part| self.ways.add(Some(way), part));
        self.open.push((Pair { writer, reader, is_key: false, ..pair }, way));
    }

    fn is_without_names(&mut self, way: Way) {
        let Self { ways, difference, .. } = self;
        difference.add(|| {
            let path = path(ways.to(Some(way)));
            format!(
                "parameter `{path}`: its type reads fields by their position alone, so not what \
                 another schema has: derive its `Deserialize`, or give its visitor a `visit_map`"
            )
        });
    }

    fn differ(&mut self, pair: Pair, way: Way) {
        let (writer, reader) = (self.writer.node(pair.writer), self.reader.node(pair.reader));
        let Self { ways, difference, .. } = self;
        difference.add(|| {
            let path = path(ways.to(Some(way)));
            format!("parameter `{path}`: was {}, is {}", writer.words(), reader.words())
        });
    }
}

/// The elements of a sequence, an array or a tuple.
struct Elements<'a> {
    /// How many there are, where the type says so.
    len: Option<usize>,
    /// The type of each, or the one type of all.
    each: &'a [NodeId],
    is_tuple: bool,
}

impl<'a> Elements<'a> {
    fn of(node: &'a Node) -> Option<Self> {
        let one = std::slice::from_ref;
        let (len, each, is_tuple) = match node {
            Node::Seq(element) => (None, one(element), false),
            Node::Array(len, element) => (Some(*len as usize), one(element), false),
            Node::Tuple(ids) => (Some(ids.len()), &ids[..], true),
            _ => return None,
        };
        Some(Self { len, each, is_tuple })
    }

    fn at(&self, at: usize) -> NodeId {
        self.each[if self.is_tuple { at } else { 0 }]
    }
}

/// The name by which a member is called here.
fn name(member: &Member) -> &str {
    member.names.first().map_or("", |name| name)
}
