//! Which parameters, fields and variants of two schemas are the same, by their names.

use std::borrow::Cow;

use super::similar::are_alike;
use crate::payload::schema::node::Member;

/// The members of two lists, by their positions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Matched {
    /// Members of one name: the written one and the read one.
    pub(super) pairs: Vec<(usize, usize)>,
    /// What is written and not read.
    pub(super) gone: Vec<usize>,
    /// What is read and not written.
    pub(super) new: Vec<usize>,
}

impl Matched {
    /// Matches what is written with what is read. `older` are names of what is read, by position,
    /// that are not among its own.
    pub(super) fn of(written: &[Member], read: &[Member], older: &[Vec<&str>]) -> Self {
        let mut matched = Self::default();
        let own = |at: usize, names: &[Cow<'_, str>]| {
            read[at].names.iter().any(|name| names.contains(name))
        };
        let before = |at: usize, names: &[Cow<'_, str>]| {
            older
                .get(at)
                .is_some_and(|older| older.iter().any(|name| names.iter().any(|n| n == name)))
        };
        let mut free: Vec<_> = (0..read.len()).collect();
        for (from, Member { names, .. }) in written.iter().enumerate() {
            // A name of its own is what it is called now, whatever else was called so.
            let place = free.iter().position(|at| own(*at, names));
            let place = place.or_else(|| free.iter().position(|at| before(*at, names)));
            match place {
                Some(place) => matched.pairs.push((from, free.remove(place))),
                None => matched.gone.push(from),
            }
        }
        matched.new = free;
        matched
    }

    /// Takes out what seems to be renamed: pairs that `fits` allows, and whether their names are
    /// alike. Names that are not alike must stand at one place.
    pub(super) fn renamed(
        &mut self,
        written: &[Member],
        read: &[Member],
        mut fits: impl FnMut(&Member, &Member) -> bool,
    ) -> Vec<(usize, usize, bool)> {
        let mut renamed = Vec::new();
        for wants_alike in [true, false] {
            for from in self.gone.clone() {
                let found = self.new.iter().position(|to| {
                    let is_chosen = if wants_alike {
                        are_alike(&written[from].names[0], &read[*to].names[0])
                    } else {
                        from == *to
                    };
                    is_chosen && fits(&written[from], &read[*to])
                });
                if let Some(place) = found {
                    self.gone.retain(|gone| *gone != from);
                    renamed.push((from, self.new.remove(place), wants_alike));
                }
            }
        }
        renamed
    }

    /// The pairs of one type that stand in another order among each other.
    pub(super) fn reordered(&self, written: &[Member], read: &[Member]) -> Vec<(usize, usize)> {
        let is_among = |one: &&(usize, usize)| {
            self.pairs.iter().any(|other| {
                let is_of_one_type = written[one.0].node == written[other.0].node
                    && read[one.1].node == read[other.1].node;
                is_of_one_type && (one.0 < other.0) != (one.1 < other.1) && one != &other
            })
        };
        self.pairs.iter().filter(is_among).copied().collect()
    }
}
