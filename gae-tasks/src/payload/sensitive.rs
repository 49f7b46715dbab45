//! The paths of values that are never shown.

use std::ops::Deref;
use std::sync::Arc;

use super::Parameter;

/// Paths of values that are never shown: `pin`, `card.number`. The empty path is everything.
///
/// Clones share them: every task of a kind has the same.
///
/// ```
/// use gae_tasks::backend::SensitivePaths;
///
/// let paths: SensitivePaths = ["pin", "card.number"].map(Box::from).into_iter().collect();
/// assert!(paths.iter().any(|path| &**path == "pin"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SensitivePaths(Arc<[Box<str>]>);

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl SensitivePaths {
    /// Whether one is a clone of the other, which is known without a look at the paths.
    pub(crate) fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for SensitivePaths {
    type Target = [Box<str>];

    fn deref(&self) -> &[Box<str>] {
        &self.0
    }
}

impl FromIterator<Box<str>> for SensitivePaths {
    fn from_iter<I: IntoIterator<Item = Box<str>>>(paths: I) -> Self {
        Self(paths.into_iter().collect())
    }
}

/// The paths of a task whose attribute says this of its parameters, and marks these `paths` too.
///
/// What an older payload holds under another name is as sensitive, so a path stands for each name
/// of its parameter.
pub(crate) fn sensitive_paths(parameters: &[Parameter], paths: &[&str]) -> SensitivePaths {
    let names = |parameter: &Parameter| {
        std::iter::once(parameter.name).chain(parameter.aliases.iter().copied())
    };
    let marked = parameters.iter().filter(|parameter| parameter.is_sensitive);
    let mut all: Vec<Box<str>> = marked.flat_map(names).map(Box::from).collect();
    for path in paths {
        let (head, rest) = path.split_at(path.find('.').unwrap_or(path.len()));
        let of = parameters.iter().find(|parameter| names(parameter).any(|name| name == head));
        all.extend(of.into_iter().flat_map(names).map(|name| format!("{name}{rest}").into()));
        all.push((*path).into());
    }
    all.sort_unstable();
    all.dedup();
    SensitivePaths(all.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_for_each_name_of_its_parameter() {
        let card = Parameter { aliases: &["old_card", "visa"], ..Parameter::new("card") };
        let pin = Parameter { is_sensitive: true, aliases: &["code"], ..Parameter::new("pin") };
        let plain = Parameter::new("note");
        let paths = sensitive_paths(&[card, pin, plain], &["visa.number", "pin", "gone.secret"]);
        let expected =
            ["card.number", "code", "gone.secret", "old_card.number", "pin", "visa.number"];
        assert_eq!(paths.iter().map(|path| &**path).collect::<Vec<_>>(), expected);
        assert!(sensitive_paths(&[card, plain], &[]).is_empty());
    }
}
