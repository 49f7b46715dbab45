//! What the attribute says about a parameter beside its schema: older names, a default, a mark.

use serde::Serialize;

/// What `#[deferred]` says about one parameter that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// The names that it had before, from `#[alias("..")]`.
    pub aliases: &'static [&'static str],
    /// Whether a stored payload may lack it: it is marked `#[default]` or `#[default(..)]`.
    pub has_default: bool,
    /// Whether its value is never shown: it is marked `#[sensitive]`.
    pub is_sensitive: bool,
}

impl Parameter {
    /// A parameter without marks.
    pub const fn new(name: &'static str) -> Self {
        Self { name, aliases: &[], has_default: false, is_sensitive: false }
    }
}

/// The default of a parameter.
#[derive(Debug)]
pub struct DefaultOf {
    /// The name of the parameter.
    pub name: &'static str,
    /// Returns the default as it is written in a payload; `None` if it cannot be written.
    pub bytes: fn() -> Option<Vec<u8>>,
}

/// Returns a default as it is written in a payload.
pub fn default_bytes<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    postcard::to_allocvec(value).ok()
}

/// A type that `#[default]` can make a value of: one that is `Default`.
///
/// A trait of its own, because the compiler's message about `Default` does not know that the
/// attribute takes a value too.
#[diagnostic::on_unimplemented(
    message = "`#[default]` needs a value, and `{Self}` is not `Default`",
    label = "this type is not `Default`",
    note = "write the value, as in `#[default(expr)]`, or implement `Default` for the type"
)]
pub trait DefaultParameter {
    /// The default.
    fn value() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> DefaultParameter for T {
    fn value() -> Self {
        Self::default()
    }
}
