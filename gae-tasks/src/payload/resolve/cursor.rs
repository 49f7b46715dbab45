//! The state of a reading: what is left of the bytes, and what bounds the work.

use super::failure::{Failure, Reason};
use super::ignores::Ignores;
use super::input::Input;
use crate::payload::schema::node::{Leaf, MAX_DEPTH, Member, Node, NodeId};

/// Values without bytes that any payload may hold, and how many more for each of its bytes.
const SPARE: usize = 1024;
const SPARE_OF_BYTE: usize = 16;

/// The bytes of a payload and the schema that they were written under.
pub(crate) struct Cursor<'de> {
    pub(crate) input: Input<'de>,
    pub(crate) nodes: &'de [Node],
    empty: &'de [bool],
    pub(crate) ignores: &'de Ignores,
    /// How many values without bytes may follow: five bytes could say that there are billions.
    spare: usize,
    /// Whether the last value was asked for.
    pub(crate) is_asked: bool,
}

impl<'de> Cursor<'de> {
    pub(crate) fn new(
        (nodes, empty): (&'de [Node], &'de [bool]),
        ignores: &'de Ignores,
        bytes: &'de [u8],
    ) -> Self {
        let spare = bytes.len().saturating_mul(SPARE_OF_BYTE).saturating_add(SPARE);
        Self { input: Input { rest: bytes }, nodes, empty, ignores, spare, is_asked: true }
    }

    pub(crate) fn node(&self, id: NodeId) -> &'de Node {
        &self.nodes[id as usize]
    }

    /// Whether a value of the node takes no bytes.
    pub(crate) fn is_empty(&self, id: NodeId) -> bool {
        self.empty[id as usize]
    }

    /// Begins a value of the node.
    pub(crate) fn begin(&mut self, id: NodeId) -> Result<&'de Node, Failure> {
        if self.is_empty(id) {
            self.spare = self.spare.checked_sub(1).ok_or(Reason::Endless)?;
        }
        Ok(self.node(id))
    }

    /// The length of a sequence, or of a map, of such elements.
    pub(crate) fn len(&mut self, is_empty: bool) -> Result<usize, Failure> {
        let len = self.input.len()?;
        let (most, reason) = match is_empty {
            true => (self.spare, Reason::Endless),
            false => (self.input.rest.len(), Reason::Short),
        };
        if len > most { Err(reason.into()) } else { Ok(len) }
    }

    /// Passes over a value, without a stack that grows with it.
    pub(crate) fn skip(&mut self, id: NodeId) -> Result<(), Failure> {
        let mut open: Vec<Rest<'de>> = Vec::new();
        let mut next = Some(id);
        loop {
            let Some(id) = next else {
                let Some(rest) = open.last_mut() else { return Ok(()) };
                next = rest.next();
                if rest.is_over() {
                    open.pop();
                }
                continue;
            };
            let node = self.begin(id)?;
            next = None;
            if self.is_empty(id) {
                continue;
            }
            match self.skip_start(node)? {
                Some(Rest::Then(one)) => next = Some(one),
                Some(_) if open.len() >= usize::from(MAX_DEPTH) => {
                    return Err(Reason::Deep.into());
                }
                Some(rest) if !rest.is_over() => open.push(rest),
                _ => {}
            }
        }
    }

    /// Passes over what a value begins with: the parts that follow.
    fn skip_start(&mut self, node: &'de Node) -> Result<Option<Rest<'de>>, Failure> {
        Ok(match node {
            Node::Leaf(leaf) => {
                self.skip_leaf(*leaf)?;
                None
            }
            Node::Option(one) => self.input.flag()?.then_some(Rest::Then(*one)),
            Node::Seq(one) => {
                let len = self.len(self.is_empty(*one))?;
                Some(Rest::Repeated(len, *one))
            }
            Node::Map(key, value) => {
                let len = self.len(self.is_empty(*key) && self.is_empty(*value))?;
                Some(Rest::Entries(len, false, *key, *value))
            }
            Node::Array(len, one) => Some(Rest::Repeated(*len as usize, *one)),
            Node::Tuple(ids) => Some(Rest::Elements(ids)),
            Node::Struct(fields) => Some(Rest::Fields(fields)),
            Node::Enum(variants) => {
                let at = usize::try_from(self.input.unsigned()?).map_err(|_| Reason::Corrupt)?;
                Some(Rest::Then(variants.get(at).ok_or(Reason::Corrupt)?.node))
            }
        })
    }

    fn skip_leaf(&mut self, leaf: Leaf) -> Result<(), Failure> {
        match leaf {
            Leaf::Unit => Ok(()),
            Leaf::Bool => self.input.flag().map(drop),
            Leaf::F32 => self.input.f32().map(drop),
            Leaf::F64 => self.input.f64().map(drop),
            Leaf::Char => self.input.char().map(drop),
            Leaf::String => self.input.text().map(drop),
            Leaf::Bytes => self.input.bytes().map(drop),
            leaf => self.input.number(leaf).map(drop),
        }
    }
}

/// Parts of a value that are to be passed over.
enum Rest<'de> {
    /// One, and nothing after it.
    Then(NodeId),
    Repeated(usize, NodeId),
    /// How many entries, and whether the next part is a value.
    Entries(usize, bool, NodeId, NodeId),
    Elements(&'de [NodeId]),
    Fields(&'de [Member]),
}

impl Rest<'_> {
    fn next(&mut self) -> Option<NodeId> {
        match self {
            Self::Then(_) | Self::Repeated(0, _) | Self::Entries(0, ..) => None,
            Self::Repeated(left, one) => {
                *left -= 1;
                Some(*one)
            }
            Self::Entries(left, is_value, key, value) => {
                let next = if *is_value { *value } else { *key };
                *left -= usize::from(*is_value);
                *is_value = !*is_value;
                Some(next)
            }
            Self::Elements(ids) => {
                let (first, rest) = ids.split_first()?;
                *ids = rest;
                Some(*first)
            }
            Self::Fields(fields) => {
                let (first, rest) = fields.split_first()?;
                *fields = rest;
                Some(first.node)
            }
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Then(_) | Self::Repeated(0, _) | Self::Entries(0, ..) => true,
            Self::Elements(ids) => ids.is_empty(),
            Self::Fields(fields) => fields.is_empty(),
            _ => false,
        }
    }
}
