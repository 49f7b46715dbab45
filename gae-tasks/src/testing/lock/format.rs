//! What `tasks.lock` says, and its text: sorted, one fact a line, so that a change is a small diff.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use super::layout;

use crate::payload::schema::node::Member;
use crate::payload::{Schema, SchemaError};

/// The version of the format, which the first line after the comment has.
pub(super) const VERSION: &str = "version 1";

const COMMENT: &str = "\
# The tasks that wait in queues are read by these names and types. A test with `assert_lock!()` of
# gae-tasks compares them with the code; run with GAE_TASKS_LOCK=write, it writes this file.
# Commit it.
";

/// The parsed file: what it says about each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct File {
    pub(super) entries: BTreeMap<String, Entry>,
}

/// What the file says about one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) presence: Presence,
    /// The crate that has the function. It is written only if the kind does not begin with it.
    pub(super) krate: String,
    pub(super) queues: BTreeSet<String>,
    /// Kinds that the function runs beside its own.
    pub(super) aliases: BTreeSet<String>,
    /// The schema of what is deferred now.
    pub(super) schema: Schema,
    /// Schemas of tasks that may still wait, by shape.
    pub(super) older: BTreeMap<u64, Schema>,
}

/// Which programs have the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// All of them.
    Everywhere,
    /// Some do, by features or platform.
    Optional,
    /// None did when the file was written.
    Retired,
}

impl Presence {
    /// All that have a word in the file.
    pub(super) const WORDS: [(Self, &'static str); 2] =
        [(Self::Optional, "optional"), (Self::Retired, "retired")];
}

/// The crate that a kind begins with, unless it was set with `name = ".."`.
pub(super) fn krate(kind: &str) -> &str {
    kind.split(['.', '/']).next().unwrap_or(kind)
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{COMMENT}{VERSION}")?;
        self.entries.iter().try_for_each(|(kind, entry)| write!(f, "\n{}", entry.text(kind)))
    }
}

impl Entry {
    /// Whether tasks of `schema` are listed.
    pub(super) fn has(&self, schema: &Schema) -> bool {
        self.schema == *schema || self.older.values().any(|older| older == schema)
    }

    /// The lines of the kind.
    pub(super) fn text(&self, kind: &str) -> String {
        let mut text = format!("task {kind}\n");
        let words = Presence::WORDS.iter().filter(|(presence, _)| *presence == self.presence);
        words.for_each(|(_, word)| line(&mut text, word, ""));
        if self.krate != krate(kind) {
            line(&mut text, "crate ", &self.krate);
        }
        self.queues.iter().for_each(|queue| line(&mut text, "queue ", queue));
        self.aliases.iter().for_each(|alias| line(&mut text, "alias ", alias));
        schema(&mut text, "schema", &self.schema);
        self.older.values().for_each(|older| schema(&mut text, "accepts", older));
        text
    }
}

fn line(text: &mut String, word: &str, value: &str) {
    _ = writeln!(text, "  {word}{value}");
}

fn schema(text: &mut String, word: &str, schema: &Schema) {
    _ = writeln!(text, "  {word} {}", schema.shape());
    // What is too deep to be shown so is no schema of a `File`: `program` and `parse` refuse it.
    for parameter in alone(schema).unwrap_or_default() {
        let parameter = parameter.to_string();
        text.push_str("    ");
        layout::lay_out(text, &parameter[1..parameter.len() - 1], 4);
        text.push('\n');
    }
}

/// The schema of each parameter alone. Marks of types that are used again count anew in each, so a
/// parameter's line does not change with its neighbours.
///
/// # Errors
/// A type is deeper alone than beside the others, which it refers to.
pub(super) fn alone(schema: &Schema) -> Result<Vec<Schema>, SchemaError> {
    let alone = |parameter: &Member| Schema::new(schema.nodes(), std::slice::from_ref(parameter));
    schema.parameters().iter().map(alone).collect()
}

/// The schema whose parameters are those of `alone`, one after the other.
///
/// # Errors
/// They are too large together.
pub(super) fn together(alone: &[Schema]) -> Result<Schema, SchemaError> {
    let (mut nodes, mut parameters) = (Vec::new(), Vec::new());
    for one in alone {
        let from = nodes.len() as u32;
        nodes.extend(one.nodes().iter().map(|node| node.map(|id| id + from)));
        let moved = one.parameters().iter().map(|parameter| Member {
            names: parameter.names.clone(),
            node: parameter.node + from,
        });
        parameters.extend(moved);
    }
    Schema::new(&nodes, &parameters)
}
