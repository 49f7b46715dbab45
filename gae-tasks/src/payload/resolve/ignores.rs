//! The paths that a function ignores: what older or newer programs sent and it can do without.

/// Paths of names, as a tree.
///
/// A path names parameters and fields: `note`, `transfer.note`. Whatever stands between them has no
/// name in it: options, sequences, arrays, maps, tuples and variants are passed through, so
/// `orders.note` is the note of each order in a list, and of each variant that has one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ignores {
    places: Vec<Place>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Place {
    within: Vec<(Box<str>, Ignored)>,
    is_end: bool,
}

/// Where a part stands among the ignored paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ignored(u32);

impl Ignored {
    /// On none of them.
    pub(crate) const NOT: Self = Self(u32::MAX);
    const ROOT: Self = Self(0);
}

impl Ignores {
    /// No paths.
    pub(crate) const NONE: Self = Self { places: Vec::new() };

    pub(crate) fn new(paths: &[&str]) -> Self {
        let mut ignores = Self { places: vec![Place::default()] };
        for path in paths {
            let mut at = Ignored::ROOT;
            for name in path.split('.') {
                at = ignores.entered(at, name);
            }
            ignores.places[at.0 as usize].is_end = true;
        }
        ignores
    }

    fn entered(&mut self, at: Ignored, name: &str) -> Ignored {
        if let Some(known) = self.named(at, name) {
            return known;
        }
        let new = Ignored(self.places.len() as u32);
        self.places.push(Place::default());
        self.places[at.0 as usize].within.push((name.into(), new));
        new
    }

    fn named(&self, at: Ignored, name: &str) -> Option<Ignored> {
        let place = self.places.get(at.0 as usize)?;
        place.within.iter().find(|(known, _)| **known == *name).map(|(_, within)| *within)
    }

    /// Where the parameters stand, taken together.
    pub(crate) fn root(&self) -> Ignored {
        if self.places.len() == 1 { Ignored::NOT } else { Ignored::ROOT }
    }

    /// Where a field with `names` stands, in a struct that stands at `at`.
    pub(crate) fn within<N: AsRef<str>>(&self, at: Ignored, names: &[N]) -> Ignored {
        if at == Ignored::NOT {
            return at;
        }
        let mut found = names.iter().filter_map(|name| self.named(at, name.as_ref()));
        found.next().unwrap_or(Ignored::NOT)
    }

    /// Whether what stands there may be left out.
    pub(crate) fn is_end(&self, at: Ignored) -> bool {
        self.places.get(at.0 as usize).is_some_and(|place| place.is_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_where_it_is_ignored() {
        let ignores = Ignores::new(&["note", "transfer.note", "transfer.from.bank"]);
        let at = |path: &[&[&str]]| {
            let step = |at, names: &&[&str]| ignores.within(at, names);
            ignores.is_end(path.iter().fold(ignores.root(), step))
        };
        assert!(at(&[&["note"]]) && at(&[&["transfer"], &["old", "note"]]));
        assert!(at(&[&["transfer"], &["from"], &["bank"]]));
        assert!(!at(&[&["transfer"]]) && !at(&[&["transfer"], &["from"]]) && !at(&[]));
        assert!(!at(&[&["other"], &["note"]]) && !at(&[&["note"], &["note"]]));
        assert_eq!(Ignores::new(&[]).root(), Ignored::NOT);
    }
}
