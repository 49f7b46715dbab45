//! Which parameters, fields and variants of two schemas are the same, and which may be.

use super::similar::are_alike;
use crate::payload::resolve::members::{Several, matched};
use crate::payload::schema::node::Member;

/// The members of two lists, by their positions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Members<'a> {
    /// Members of one name: the written one and the read one.
    pub(super) pairs: Vec<(usize, usize)>,
    /// What is written and not read.
    pub(super) gone: Vec<usize>,
    /// What is read and not written.
    pub(super) new: Vec<usize>,
    /// Names of more than one, which are in none of these lists.
    pub(super) ambiguous: Vec<&'a str>,
}

impl<'a> Members<'a> {
    /// Matches what is written with what is read. `aliases` are further names of what is read.
    pub(super) fn of(
        written: &'a [Member],
        read: &'a [Member],
        several: Several,
        aliases: impl Fn(usize) -> &'a [&'static str],
    ) -> Self {
        let found = matched(written, read, several, &aliases);
        let is_clear = |member: &Member, aliases: &[&str]| {
            let mut names = member.names.iter().map(|name| &**name).chain(aliases.iter().copied());
            !names.any(|name| found.ambiguous.contains(&name))
        };
        let of_read = |at: &usize| found.of_reader[*at].is_none();
        let is_gone = |at: &usize| found.of_writer[*at].is_none() && is_clear(&written[*at], &[]);
        let is_new = |at: &usize| of_read(at) && is_clear(&read[*at], aliases(*at));
        let pairs =
            found.of_writer.iter().enumerate().filter_map(|(from, to)| Some((from, (*to)?)));
        Self {
            pairs: pairs.collect(),
            gone: (0..written.len()).filter(is_gone).collect(),
            new: (0..read.len()).filter(is_new).collect(),
            ambiguous: found.ambiguous.clone(),
        }
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
