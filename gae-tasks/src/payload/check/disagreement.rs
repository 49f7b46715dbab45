//! Where the halves of a type disagree, and what to do: never a value.

use std::borrow::Cow;
use std::fmt;

use crate::payload::remedy::known;

/// Why a value is not written.
///
/// Boxed, so that the results of the walk take one register.
#[derive(Debug)]
pub(crate) struct Disagreement(Box<Found>);

#[derive(Debug)]
struct Found {
    /// The steps from the parameter to the place, the last one first.
    steps: Vec<String>,
    what: Cow<'static, str>,
}

impl Disagreement {
    /// One at the place itself. `what` follows after the name of the place.
    #[cold]
    pub(super) fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Found { steps: Vec::new(), what: what.into() }))
    }

    /// The same, seen from one step above.
    #[cold]
    pub(super) fn below(mut self, step: impl Into<String>) -> Self {
        self.0.steps.push(step.into());
        self
    }

    /// Seen from the field `name`.
    #[cold]
    pub(super) fn in_field(self, name: &str) -> Self {
        self.below(format!(".{name}"))
    }

    /// Seen from the variant `name`.
    #[cold]
    pub(super) fn in_variant(self, name: &str) -> Self {
        self.below(format!("::{name}"))
    }

    /// The message about the parameter `name`.
    pub(crate) fn reason(&self, name: &str) -> String {
        let steps: String = self.0.steps.iter().rev().map(String::as_str).collect();
        format!("cannot be stored: `{name}{steps}` {}", self.0.what)
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what is written is not what is read")
    }
}

impl std::error::Error for Disagreement {}

impl serde::ser::Error for Disagreement {
    /// The type's own words may hold a value.
    fn custom<T: fmt::Display>(text: T) -> Self {
        let known = known(&text.to_string());
        Self::new(known.unwrap_or(
            "is refused by its own `Serialize`, as the value of a variant is that is skipped",
        ))
    }
}
