//! A schema in one line, for people.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use super::node::{Leaf, Member, Node, NodeId};

/// Writes parameters with their types, in the notation of Rust where it has one.
///
/// A type that is referred to again is marked where it stands first, and the mark stands for it
/// from then on: `list: #1 {value: u8, next: Option<#1>}`. `parse` reads this form.
pub(crate) fn show(
    f: &mut fmt::Formatter<'_>,
    nodes: &[Node],
    parameters: &[Member],
) -> fmt::Result {
    let mut text =
        Text { nodes, uses: uses(nodes, parameters), marks: vec![None; nodes.len()], next: 1, f };
    text.f.write_char('(')?;
    text.members(parameters)?;
    text.f.write_char(')')
}

/// How often each node is referred to.
fn uses(nodes: &[Node], parameters: &[Member]) -> Vec<u32> {
    let mut uses = vec![0_u32; nodes.len()];
    let all = nodes.iter().flat_map(Node::children);
    all.chain(parameters.iter().map(|member| member.node)).for_each(|id| uses[id as usize] += 1);
    uses
}

struct Text<'a, 'f> {
    nodes: &'a [Node],
    uses: Vec<u32>,
    marks: Vec<Option<u32>>,
    next: u32,
    f: &'a mut fmt::Formatter<'f>,
}

impl Text<'_, '_> {
    fn node(&mut self, id: NodeId) -> fmt::Result {
        let nodes = self.nodes;
        let node = &nodes[id as usize];
        if let Node::Leaf(leaf) = node {
            return self.f.write_str(leaf.name());
        }
        if let Some(mark) = self.marks[id as usize] {
            return write!(self.f, "#{mark}");
        }
        if self.uses[id as usize] > 1 && !self.is_short(node) {
            self.marks[id as usize] = Some(self.next);
            write!(self.f, "#{} ", self.next)?;
            self.next += 1;
        }
        self.parts(node)
    }

    /// Whether the type is as short in words as a mark that would stand for it.
    fn is_short(&self, node: &Node) -> bool {
        let is_leaf = |id: NodeId| matches!(self.nodes[id as usize], Node::Leaf(_));
        let is_wrapper =
            matches!(node, Node::Option(_) | Node::Seq(_) | Node::Map(..) | Node::Array(..));
        is_wrapper && node.children().all(is_leaf)
    }

    fn parts(&mut self, node: &Node) -> fmt::Result {
        match node {
            Node::Leaf(leaf) => self.f.write_str(leaf.name()),
            Node::Option(one) => self.wrapped("Option<", &[*one], ">"),
            Node::Seq(one) => self.wrapped("Vec<", &[*one], ">"),
            Node::Map(key, value) => self.wrapped("Map<", &[*key, *value], ">"),
            // `()` is the unit, whose values are not those of an array without elements.
            Node::Tuple(ids) if ids.is_empty() => self.f.write_str("[]"),
            Node::Tuple(ids) => self.wrapped("(", ids, if ids.len() == 1 { ",)" } else { ")" }),
            Node::Array(len, one) => {
                self.wrapped("[", &[*one], "")?;
                write!(self.f, "; {len}]")
            }
            Node::Struct(fields) => {
                self.f.write_char('{')?;
                self.members(fields)?;
                self.f.write_char('}')
            }
            Node::Enum(variants) => {
                self.f.write_str("enum {")?;
                self.separated(variants, Self::variant)?;
                self.f.write_char('}')
            }
        }
    }

    fn variant(&mut self, variant: &Member) -> fmt::Result {
        self.names(&variant.names)?;
        let nodes = self.nodes;
        let node = &nodes[variant.node as usize];
        let is_plain = self.uses[variant.node as usize] == 1;
        match node {
            Node::Leaf(Leaf::Unit) => Ok(()),
            Node::Tuple(ids) if is_plain && ids.len() > 1 => self.parts(node),
            Node::Struct(_) if is_plain => {
                self.f.write_char(' ')?;
                self.parts(node)
            }
            _ => self.wrapped("(", &[variant.node], ")"),
        }
    }

    fn members(&mut self, members: &[Member]) -> fmt::Result {
        self.separated(members, |text, member| {
            text.names(&member.names)?;
            text.f.write_str(": ")?;
            text.node(member.node)
        })
    }

    fn wrapped(&mut self, open: &str, ids: &[NodeId], close: &str) -> fmt::Result {
        self.f.write_str(open)?;
        self.separated(ids, |text, id| text.node(*id))?;
        self.f.write_str(close)
    }

    fn separated<T>(
        &mut self,
        parts: &[T],
        mut part: impl FnMut(&mut Self, &T) -> fmt::Result,
    ) -> fmt::Result {
        for (at, one) in parts.iter().enumerate() {
            if at > 0 {
                self.f.write_str(", ")?;
            }
            part(self, one)?;
        }
        Ok(())
    }

    /// Names that are no identifiers stand in quotes: others may hold what separates them, or end
    /// the line.
    fn names(&mut self, names: &[Cow<'static, str>]) -> fmt::Result {
        for (at, name) in names.iter().enumerate() {
            if at > 0 {
                self.f.write_char('|')?;
            }
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if !name.is_empty() && name.chars().all(is_plain) {
                self.f.write_str(name)?;
            } else {
                write!(self.f, "{name:?}")?;
            }
        }
        Ok(())
    }
}
