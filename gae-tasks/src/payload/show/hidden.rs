//! The paths of values that are not shown.
//!
//! A path names parameters and fields, as those that a function ignores do: `card.number`. Options,
//! sequences, arrays, maps, tuples and variants are passed through. A path may name variants and
//! positions too: a value is hidden rather than shown.

use crate::payload::schema::Schema;
use crate::payload::schema::node::{Member, Node, NodeId};

/// The paths that lead on from a part, each without the names that led to the part.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ahead<'a>(Vec<&'a str>);

/// Whether a part is shown.
pub(super) enum Part<'a> {
    Hidden,
    Shown(Ahead<'a>),
}

impl<'a> Ahead<'a> {
    /// The paths that lead on from the parameters taken together.
    pub(super) fn of<P: AsRef<str>>(paths: &'a [P]) -> Self {
        Self(paths.iter().map(AsRef::as_ref).collect())
    }

    /// A parameter or a field that goes by these names.
    pub(super) fn member<N: AsRef<str>>(&self, names: &[N]) -> Part<'a> {
        let mut ahead = Vec::new();
        for path in &self.0 {
            for name in names {
                match path.strip_prefix(name.as_ref()) {
                    Some("") => return Part::Hidden,
                    Some(rest) => ahead.extend(rest.strip_prefix('.')),
                    // An empty path is one that the storage could not read: it may be any.
                    None if path.is_empty() => return Part::Hidden,
                    None => {}
                }
            }
        }
        Part::Shown(Self(ahead))
    }

    /// A part that a path may name or pass through: the content of a variant, or an element of a
    /// tuple.
    pub(super) fn through<N: AsRef<str>>(&self, names: &[N]) -> Part<'a> {
        match self.member(names) {
            Part::Hidden => Part::Hidden,
            Part::Shown(mut named) => {
                named.0.extend(&self.0);
                named.0.sort_unstable();
                named.0.dedup();
                Part::Shown(named)
            }
        }
    }
}

/// Whether a path names a part that a payload of the schema may have.
pub(crate) fn names_something(schema: &Schema, path: &str) -> bool {
    let mut search = Search { nodes: schema.nodes(), seen: Vec::new(), is_found: false };
    search.members(schema.parameters(), &Ahead(vec![path]));
    search.is_found
}

struct Search<'s, 'a> {
    nodes: &'s [Node],
    seen: Vec<(NodeId, Ahead<'a>)>,
    is_found: bool,
}

impl<'a> Search<'_, 'a> {
    fn members(&mut self, members: &[Member], ahead: &Ahead<'a>) {
        members.iter().for_each(|member| self.part(ahead.member(&member.names), member.node));
    }

    fn part(&mut self, part: Part<'a>, id: NodeId) {
        match part {
            Part::Hidden => self.is_found = true,
            Part::Shown(ahead) if !ahead.0.is_empty() => self.node(id, &ahead),
            Part::Shown(_) => {}
        }
    }

    fn node(&mut self, id: NodeId, ahead: &Ahead<'a>) {
        if self.is_found || self.seen.iter().any(|(seen, paths)| *seen == id && paths == ahead) {
            return;
        }
        self.seen.push((id, ahead.clone()));
        let nodes = self.nodes;
        match &nodes[id as usize] {
            Node::Struct(fields) => self.members(fields, ahead),
            Node::Enum(variants) => variants
                .iter()
                .for_each(|variant| self.part(ahead.through(&variant.names), variant.node)),
            Node::Tuple(ids) => ids
                .iter()
                .enumerate()
                .for_each(|(at, id)| self.part(ahead.through(&[at.to_string()]), *id)),
            node => node.children().for_each(|child| self.node(child, ahead)),
        }
    }
}
