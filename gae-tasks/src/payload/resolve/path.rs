//! Where a part stands in the parameters, as people name it: `order.lines[].count`.

use std::fmt::{self, Write as _};

/// A step from a part to one within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// Of the parameters, or of a struct.
    Field(&'a str),
    Variant(&'a str),
    /// Of a tuple.
    Position(usize),
    /// Of a sequence or an array.
    Element,
    Key,
    Value,
}

/// More of a path, or of a name, is not shown: a schema may come from anybody.
const MAX_LEN: usize = 200;

/// A name that may have been written by anybody: on one line, and not endless.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.chars();
        for c in shown.by_ref().take(MAX_LEN) {
            match c {
                '`' | '\'' => f.write_char(c)?,
                c => write!(f, "{}", c.escape_debug())?,
            }
        }
        if shown.as_str().is_empty() { Ok(()) } else { f.write_str("..") }
    }
}

impl Step<'_> {
    /// Appends the step to the path before it.
    pub(crate) fn append(self, path: &mut String) {
        if path.len() > MAX_LEN {
            if !path.ends_with("..") {
                path.push_str("..");
            }
            return;
        }
        let is_first = path.is_empty();
        // Writing to a `String` never fails.
        let _ = match self {
            Self::Field(name) if is_first => write!(path, "{}", Shown(name)),
            Self::Field(name) => write!(path, ".{}", Shown(name)),
            Self::Variant(name) => write!(path, "::{}", Shown(name)),
            Self::Position(at) => write!(path, ".{at}"),
            Self::Element => path.write_str("[]"),
            Self::Key => path.write_str("{key}"),
            Self::Value => path.write_str("{value}"),
        };
    }
}

/// The path of steps, the first one first.
pub(crate) fn path<'a>(steps: impl IntoIterator<Item = Step<'a>>) -> String {
    let mut path = String::new();
    steps.into_iter().for_each(|step| step.append(&mut path));
    path
}

/// The ways to parts: steps, each with the one before it.
#[derive(Debug, Default)]
pub(crate) struct Ways<'a> {
    steps: Vec<(Option<Way>, Step<'a>)>,
}

/// The last step of a way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way(u32);

impl<'a> Ways<'a> {
    /// A step more; `None` is before the first.
    pub(crate) fn add(&mut self, before: Option<Way>, step: Step<'a>) -> Way {
        self.steps.push((before, step));
        Way((self.steps.len() - 1) as u32)
    }

    /// All steps of a way.
    pub(crate) fn to(&self, mut way: Option<Way>) -> Vec<Step<'a>> {
        let mut steps = Vec::new();
        while let Some((before, step)) = way.map(|way| self.steps[way.0 as usize]) {
            steps.push(step);
            way = before;
        }
        steps.reverse();
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_line_and_not_endless() {
        let steps = [
            Step::Field("order"),
            Step::Field("lines"),
            Step::Element,
            Step::Variant("Gift"),
            Step::Position(1),
            Step::Value,
            Step::Key,
            Step::Field("a\n`b`"),
        ];
        assert_eq!(path(steps), "order.lines[]::Gift.1{value}{key}.a\\n`b`");
        let long = "x".repeat(10_000);
        let path = path((0..10_000).map(|_| Step::Field(&long)));
        assert!(path.len() < 500 && path.ends_with(".."), "{path}");
    }
}
