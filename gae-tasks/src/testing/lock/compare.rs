//! Compares the schema that tasks were written under with the function that reads them, by name.

use super::change::Change;
use super::walk::{Said, Walk};
use crate::payload::Schema;

/// What reads a payload: the parameters, and what the attribute says of older ones.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    pub(super) schema: &'a Schema,
    /// What is said of each parameter, in order; nothing of those that are missing.
    pub(super) parameters: Vec<Said<'a>>,
    /// The paths of what the function does without.
    pub(super) ignores: Vec<&'a str>,
    /// The schemas that are converted.
    pub(super) upgrades: Vec<&'a Schema>,
}

/// Whether tasks of the schema `writer` are read by `reader`, or by one of its upgrades.
///
/// # Errors
/// What they differ in.
pub(super) fn verdict(writer: &Schema, reader: &Reader<'_>) -> Result<(), Vec<Change>> {
    let refusing = |reader: &Reader<'_>| -> Vec<_> {
        changes(writer, reader).into_iter().filter(Change::refuses).collect()
    };
    let own = refusing(reader);
    let mut upgrades = reader.upgrades.iter().map(|schema| Reader {
        schema,
        parameters: Vec::new(),
        ignores: Vec::new(),
        upgrades: Vec::new(),
    });
    if own.is_empty() || upgrades.any(|upgrade| refusing(&upgrade).is_empty()) {
        Ok(())
    } else {
        Err(own)
    }
}

/// What differs, from the first parameter on.
pub(super) fn changes(writer: &Schema, reader: &Reader<'_>) -> Vec<Change> {
    let walk = Walk::new(writer.nodes(), reader.schema.nodes(), &reader.ignores);
    walk.along(writer.parameters(), reader.schema.parameters(), &reader.parameters)
}
