//! Values that are made up, for what a type wants to have before it asks on.

use super::graph::{Asked, Graph};
use crate::payload::schema::node::NodeId;

/// What stands for every value within one that is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) number: u8,
    pub(crate) text: &'static str,
    /// How many bytes there are, where bytes are asked for.
    pub(crate) bytes: usize,
    /// Whether options, sequences and maps hold something.
    pub(crate) is_filled: bool,
}

const fn candidate(number: u8, text: &'static str, bytes: usize, is_filled: bool) -> Candidate {
    Candidate { number, text, bytes, is_filled }
}

/// In the order in which they are tried: what most types take first, filled ones before empty ones.
const CANDIDATES: [Candidate; 14] = [
    candidate(1, "a", 1, true),
    candidate(0, "", 0, true),
    candidate(2, "1", 16, true),
    candidate(16, "1.0.0", 4, true),
    candidate(64, "2000-01-01", 8, true),
    candidate(100, "00:00:00", 32, true),
    candidate(3, "2000-01-01T00:00:00Z", 12, true),
    candidate(4, "2000-01-01T00:00:00", 20, true),
    candidate(5, "http://a.b/", 64, true),
    candidate(7, "127.0.0.1", 2, true),
    candidate(8, "00000000-0000-0000-0000-000000000000", 24, true),
    candidate(9, "P1D", 28, true),
    candidate(1, "UTC", 1, false),
    candidate(0, "", 0, false),
];

impl Candidate {
    /// How many there are.
    pub(crate) const COUNT: usize = CANDIDATES.len();

    /// The one at `position`, or the last.
    pub(crate) fn at(position: usize) -> Self {
        CANDIDATES[position.min(Self::COUNT - 1)]
    }
}

/// How deep values that are made up stand in each other before those that can be empty are.
const FILLED_DEPTH: usize = 8;

/// For each slot the height of its lowest value: `None` where none is known yet.
pub(crate) fn heights(graph: &Graph) -> Vec<Option<u32>> {
    let mut heights = vec![None; graph.slots.len()];
    let mut is_new = true;
    while is_new {
        is_new = false;
        for id in (0..graph.slots.len()).rev().filter(|id| graph.slots[*id].asked != Asked::Nothing)
        {
            if heights[id].is_none() {
                heights[id] = height(graph, &heights, id as NodeId);
                is_new |= heights[id].is_some();
            }
        }
    }
    heights
}

fn height(graph: &Graph, heights: &[Option<u32>], id: NodeId) -> Option<u32> {
    let slot = graph.slot(id);
    let mut children = slot.children.iter().filter(|child| !child.is_alias);
    let of = |id: NodeId| heights[id as usize];
    match slot.asked {
        Asked::Nothing => None,
        Asked::Same(other) => of(other),
        Asked::Leaf(_) | Asked::Option | Asked::Seq | Asked::Map => Some(0),
        Asked::Tuple | Asked::Struct(_) => {
            children.try_fold(0, |most, child| Some(of(child.slot)?.max(most))).map(|most| most + 1)
        }
        Asked::Enum(_) => children.filter_map(|child| of(child.slot)).min().map(|least| least + 1),
    }
}

/// Whether an option, a sequence or a map holds something at this depth.
pub(crate) fn is_filled(graph: &Graph, heights: &[Option<u32>], id: NodeId, depth: usize) -> bool {
    let children = &graph.slot(id).children;
    depth < FILLED_DEPTH && children.iter().all(|child| heights[child.slot as usize].is_some())
}

/// The variant that has the lowest value.
pub(crate) fn lowest_variant(graph: &Graph, heights: &[Option<u32>], id: NodeId) -> Option<usize> {
    let children = graph.slot(id).children.iter().enumerate().filter(|(_, child)| !child.is_alias);
    let known = children.filter_map(|(at, child)| Some((heights[child.slot as usize]?, at)));
    known.min().map(|(_, at)| at)
}
