//! What the attribute says of one parameter beside its type.

/// A parameter, as the attribute describes it; its type is in the schema, at the same position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// The names that it had before: `#[alias("old")]`.
    pub aliases: &'static [&'static str],
    /// Whether it has a `#[default]`, which stands in where a payload lacks the parameter.
    pub has_default: bool,
    /// Whether its value is hidden: `#[sensitive]`.
    pub is_sensitive: bool,
}
