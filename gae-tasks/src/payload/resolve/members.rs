//! Which parameter, field or variant of a writer is which of a reader: by name.

use std::collections::HashMap;

use crate::payload::schema::node::Member;

/// What became of the writer's members.
#[derive(Debug)]
pub(crate) struct Matched<'a> {
    /// For each of the writer's members, in order, which of the reader's it is.
    pub(crate) of_writer: Vec<Option<usize>>,
    /// For each of the reader's members which of the writer's it is, the first of several.
    pub(crate) of_reader: Vec<Option<usize>>,
    /// The names of members that are more than one of the other side's.
    pub(crate) ambiguous: Vec<&'a str>,
}

/// How many of the writer's members one of the reader's may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Several {
    /// One: parameters and fields. Of two there would be two values.
    No,
    /// Any number: variants. A value has one of them.
    Yes,
}

/// Matches members that share a name.
///
/// A member may have several names: which of them is written is unknown, so all of them have to
/// mean one member of the other side.
///
/// `aliases` are further names of the reader's members.
pub(crate) fn matched<'a>(
    writer: &'a [Member],
    reader: &'a [Member],
    several: Several,
    aliases: impl Fn(usize) -> &'a [&'static str],
) -> Matched<'a> {
    let mut known: HashMap<&str, Option<usize>> = HashMap::with_capacity(reader.len());
    for (at, member) in reader.iter().enumerate() {
        let names = member.names.iter().map(|name| &**name).chain(aliases(at).iter().copied());
        for name in names {
            // A name of two members is one of neither.
            let one = known.entry(name).or_insert(Some(at));
            *one = one.filter(|before| *before == at);
        }
    }
    let (of_writer, of_reader) = (vec![None; writer.len()], vec![None; reader.len()]);
    let mut matched = Matched { of_writer, of_reader, ambiguous: Vec::new() };
    for (at, member) in writer.iter().enumerate() {
        for name in &member.names {
            let Some(found) = known.get(&**name) else { continue };
            let is_same = found.is_some_and(|found| {
                let of_writer = *matched.of_writer[at].get_or_insert(found);
                let of_reader = *matched.of_reader[found].get_or_insert(at);
                of_writer == found && (of_reader == at || several == Several::Yes)
            });
            if !is_same {
                matched.ambiguous.push(name);
                break;
            }
        }
    }
    matched
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(names: &[&'static str]) -> Vec<Member> {
        let member = |names: &&'static str| Member {
            names: names.split('|').map(Into::into).collect(),
            node: 0,
        };
        names.iter().map(member).collect()
    }

    fn of(writer: &[&'static str], reader: &[&'static str]) -> Result<Vec<Option<usize>>, String> {
        of_several(writer, reader, Several::No)
    }

    fn of_several(
        writer: &[&'static str],
        reader: &[&'static str],
        several: Several,
    ) -> Result<Vec<Option<usize>>, String> {
        let (writer, reader) = (members(writer), members(reader));
        let aliases = |at| if at == 0 { &["alias"][..] } else { &[] };
        let matched = matched(&writer, &reader, several, aliases);
        match matched.ambiguous[..] {
            [] => Ok(matched.of_writer),
            [name, ..] => Err(name.to_owned()),
        }
    }

    #[test]
    fn members_are_matched_by_any_name() {
        assert_eq!(of(&["a", "b"], &["b", "a"]), Ok(vec![Some(1), Some(0)]));
        assert_eq!(of(&["a", "x|b", "c"], &["c|d", "b|y"]), Ok(vec![None, Some(1), Some(0)]));
        assert_eq!(of(&["alias"], &["new", "b"]), Ok(vec![Some(0)]));
        assert_eq!(of(&["a", "b"], &[]), Ok(vec![None, None]));
    }

    #[test]
    fn members_that_are_two_of_the_other_side_are_ambiguous() {
        assert_eq!(of(&["a|b"], &["a", "b"]), Err("b".to_owned()));
        assert_eq!(of(&["a", "b"], &["a|b"]), Err("b".to_owned()));
        assert_eq!(of(&["a", "a"], &["a"]), Err("a".to_owned()));
        assert_eq!(of(&["a"], &["a", "a|b"]), Err("a".to_owned()));
        assert_eq!(of(&["alias"], &["x", "alias"]), Err("alias".to_owned()));
        assert_eq!(of(&["c"], &["a", "a|b", "c"]), Ok(vec![Some(2)]));
    }

    #[test]
    fn variants_may_be_merged_into_one_and_not_split_into_two() {
        let of = |writer: &[_], reader: &[_]| of_several(writer, reader, Several::Yes);
        assert_eq!(of(&["a", "x", "b"], &["x", "c|a|b"]), Ok(vec![Some(1), Some(0), Some(1)]));
        assert_eq!(of(&["a|b"], &["a", "b"]), Err("b".to_owned()));
        assert_eq!(of(&["a"], &["a", "a|b"]), Err("a".to_owned()));
    }
}
