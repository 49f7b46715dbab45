//! One run of a type's `Deserialize`, along the path to the slot that it is to fill.

use super::candidate::{self, Candidate};
use super::graph::{Asked, Graph, Identifier, Names, Seen};
use super::refusal::Refusal;
use super::stop::Stop;
use crate::payload::schema::node::{Leaf, MAX_DEPTH, NodeId};
use crate::unwind;

/// How many parts a parameter may have.
const MAX_SLOTS: usize = 1 << 16;

/// Where a type that asks stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// On the path, so many steps from the root. `answers` says whether a leaf is given a value
    /// when it is found: elements of a tuple are, as the next is asked for only then.
    Path { depth: usize, answers: bool },
    /// Within a value that is made up.
    Value { depth: usize },
    /// A name is to be recognised.
    Name(&'static str),
    /// A number of a variant is to be recognised.
    Number(u32),
}

/// What a type that asks for a leaf is given.
pub(crate) enum Given {
    Value(Candidate),
    Name(&'static str),
    Number(u32),
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) graph: Graph,
    /// The slot to be filled, and the way there.
    target: NodeId,
    path: Vec<usize>,
    /// How far along the path the type has asked.
    pub(crate) reached: usize,
    /// The name of a field was asked for.
    pub(crate) has_asked_name: bool,
    /// Something is known that was not.
    pub(crate) has_progress: bool,
    /// Another candidate is to be tried.
    has_retry: bool,
    refusal: Option<(NodeId, Refusal)>,
    candidate: Candidate,
    heights: Option<Vec<Option<u32>>>,
}

impl Run {
    pub(crate) fn new() -> Self {
        Self {
            graph: Graph::default(),
            target: 0,
            path: Vec::new(),
            reached: 0,
            has_asked_name: false,
            has_progress: false,
            has_retry: false,
            refusal: None,
            candidate: Candidate::at(0),
            heights: None,
        }
    }

    /// Fills a slot, and all below it, by runs of `call`.
    pub(crate) fn fill(
        &mut self,
        root: NodeId,
        mut call: impl FnMut(&mut Self) -> Result<(), Stop>,
    ) -> Result<(), (NodeId, Refusal)> {
        self.graph.open.push(root);
        let mut stuck = 0;
        while let Some(target) = self.graph.open.pop() {
            if self.graph.slot(target).asked != Asked::Nothing {
                continue;
            }
            self.aim(target);
            let has_panicked = unwind::catch(|| call(self)).is_err();
            if let Some(refused) = self.refusal.take() {
                return Err(refused);
            }
            if self.has_progress || self.has_retry {
                stuck = 0;
                self.graph.open.push(self.target);
                continue;
            }
            // Other parts come first: a value of one of them may be what is lacking.
            stuck += 1;
            if stuck > self.graph.open.len() {
                let refusal = if has_panicked { Refusal::Panics } else { Refusal::Untraced };
                return Err((target, refusal));
            }
            self.graph.open.insert(0, target);
        }
        Ok(())
    }

    fn aim(&mut self, target: NodeId) {
        self.target = target;
        self.graph.path(target, &mut self.path);
        (self.reached, self.has_progress, self.has_retry) = (0, false, false);
        self.candidate = Candidate::at(0);
        self.heights = None;
    }

    /// The part to take at a depth of the path.
    pub(crate) fn edge(&self, depth: usize) -> usize {
        self.path.get(depth).copied().unwrap_or_default()
    }

    /// Goes on with another part at `depth`, as the run has found what it was for.
    pub(crate) fn turn(&mut self, id: NodeId, depth: usize, edge: usize) {
        self.path.truncate(depth);
        self.path.push(edge);
        self.target = self.graph.slot(id).children[edge].slot;
    }

    pub(crate) fn refuse(&mut self, id: NodeId, refusal: Refusal) -> Stop {
        self.refusal.get_or_insert((id, refusal));
        Stop::Ours
    }

    /// The slot `id` asks for a leaf.
    pub(crate) fn leaf(&mut self, id: NodeId, mode: Mode, leaf: Leaf) -> Result<Given, Stop> {
        match mode {
            Mode::Name(name) => return Ok(Given::Name(name)),
            Mode::Number(number) => return Ok(Given::Number(number)),
            Mode::Path { depth, answers } => {
                self.reached = self.reached.max(depth);
                self.record(id, depth, Asked::Leaf(leaf))?;
                if !answers {
                    return Err(Stop::Ours);
                }
                self.candidate = Candidate::at(0);
            }
            Mode::Value { .. } => {
                self.expect(id, Asked::Leaf(leaf))?;
            }
        }
        Ok(Given::Value(self.candidate))
    }

    /// The slot `id` asks for something that has `count` parts: the slot that has them, and how to
    /// go on.
    pub(crate) fn parts(
        &mut self,
        id: NodeId,
        mode: Mode,
        (asked, count): (Asked, usize),
        seen: Option<Seen>,
    ) -> Result<(NodeId, Mode), Stop> {
        let Mode::Path { depth, answers } = mode else {
            return Ok((self.expect(id, asked)?, mode));
        };
        self.reached = self.reached.max(depth);
        if depth < self.path.len() {
            return Ok((self.expect(id, asked)?, mode));
        }
        if let Some(same) = seen.and_then(|seen| self.graph.seen.get(&seen).copied()) {
            self.record(id, depth, Asked::Same(same))?;
            return if answers { Ok((same, Mode::Value { depth: 0 })) } else { Err(Stop::Ours) };
        }
        self.record(id, depth, asked)?;
        if depth >= usize::from(MAX_DEPTH) || self.graph.slots.len() + count > MAX_SLOTS {
            return Err(self.refuse(id, Refusal::TooLarge));
        }
        if let Some(seen) = seen {
            self.graph.seen.insert(seen, id);
        }
        self.graph.add_children(id, count);
        if count > 0 {
            self.graph.open.pop();
            self.turn(id, depth, 0);
        } else if !answers {
            return Err(Stop::Ours);
        }
        Ok((id, mode))
    }

    fn record(&mut self, id: NodeId, depth: usize, asked: Asked) -> Result<(), Stop> {
        if depth != self.path.len() || id != self.target {
            // It asked for something else before: what it asks for depends on more than its type.
            return Err(self.refuse(id, Refusal::Untraced));
        }
        // Asked again after an answer that the type has swallowed.
        if self.graph.slot(id).asked != Asked::Nothing {
            return Err(Stop::Ours);
        }
        self.graph.slot_mut(id).asked = asked;
        (self.has_progress, self.heights) = (true, None);
        Ok(())
    }

    fn expect(&mut self, id: NodeId, asked: Asked) -> Result<NodeId, Stop> {
        let id = self.graph.resolved(id);
        match self.graph.slot(id).asked {
            known if known == asked => Ok(id),
            // A value of this is needed, and nothing is known about it yet.
            Asked::Nothing => Err(Stop::Ours),
            _ => Err(self.refuse(id, Refusal::Untraced)),
        }
    }

    /// Begins a value for the slot `id`.
    pub(crate) fn begin_value(&mut self, id: NodeId) -> Mode {
        self.candidate = Candidate::at(self.graph.slot(id).candidate);
        Mode::Value { depth: 0 }
    }

    /// The value for the slot `id` was refused: the next run tries another.
    pub(crate) fn end_value(&mut self, id: NodeId) {
        let slot = self.graph.slot_mut(id);
        if !self.has_progress && slot.candidate < Candidate::COUNT {
            slot.candidate += 1;
            self.has_retry = slot.candidate < Candidate::COUNT;
        }
    }

    /// Whether the value of an option, a sequence or a map holds something.
    pub(crate) fn is_filled(&mut self, id: NodeId, depth: usize) -> bool {
        let Self { graph, heights, .. } = self;
        let heights = heights.get_or_insert_with(|| candidate::heights(graph));
        self.candidate.is_filled && candidate::is_filled(graph, heights, id, depth)
    }

    /// The variant of the value of an enum.
    pub(crate) fn variant(&mut self, id: NodeId) -> Result<usize, Stop> {
        let Self { graph, heights, .. } = self;
        let heights = heights.get_or_insert_with(|| candidate::heights(graph));
        candidate::lowest_variant(graph, heights, id).ok_or(Stop::Ours)
    }

    /// The name to be recognised for a part: one that no type has, where it is doubtful whether
    /// names are distinguished.
    pub(crate) fn probe(&self, id: NodeId, names: Names, edge: usize) -> &'static str {
        match self.graph.slot(id).identifier {
            Identifier::Doubtful => "\u{1}no type has this name",
            _ => names[edge],
        }
    }

    /// Whether the part `edge` is one of its own, by what the type's identifier made of its name.
    ///
    /// An alias has the identity of the name before it. So has every name, where the identifier is
    /// no enum: a name that no type has shows which of both it is.
    pub(crate) fn identify(&mut self, id: NodeId, edge: usize, found: Option<u64>) -> bool {
        let slot = self.graph.slot_mut(id);
        if slot.identifier == Identifier::Doubtful {
            let is_other = found.is_some() && found == slot.children[0].identity;
            slot.identifier = if is_other { Identifier::Other } else { Identifier::Enum };
            self.has_progress = true;
            return false;
        }
        slot.children[edge].identity = found;
        let is_like = |other: &super::graph::Child| other.identity == found;
        let before = &slot.children[..edge];
        if found.is_none() || slot.identifier == Identifier::Other || !before.iter().any(is_like) {
            return true;
        }
        self.has_progress = true;
        if slot.identifier == Identifier::Unasked && before.iter().all(is_like) {
            slot.identifier = Identifier::Doubtful;
            slot.children[edge].identity = None;
            return false;
        }
        slot.children[edge].is_alias = true;
        let alias = slot.children[edge].slot;
        self.graph.slot_mut(alias).asked = Asked::Leaf(Leaf::Unit);
        false
    }
}
