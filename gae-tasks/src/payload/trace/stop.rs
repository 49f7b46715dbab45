//! Why a run of a type's `Deserialize` ends before there is a value.

use std::fmt;

/// The error of a run.
#[derive(Debug)]
pub(crate) enum Stop {
    /// What the run was for has been found, or cannot be.
    Ours,
    /// The type refuses what it was given. Its words are not kept: they are about values that we
    /// made up.
    Refused,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the type is being traced")
    }
}

impl std::error::Error for Stop {}

impl serde::de::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Refused
    }
}
