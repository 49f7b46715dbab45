//! Reads the text of `tasks.lock`, which people edit and merge.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use super::format::{Entry, File, Presence, VERSION, krate, together};
use crate::payload::{Schema, SchemaError};
use crate::task::Kind;

/// A line that is wrong, from 1, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(super) struct Wrong {
    line: usize,
    reason: String,
}

impl Wrong {
    fn new(line: usize, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }
}

const CONFLICT: &str = "\
    a merge conflict: keep the lines of both sides and delete the marks. Where both sides have a \
    `schema` in one task, change one of these words to `accepts`";

/// Reads what [`File`] shows.
///
/// # Errors
/// The first line that is wrong.
pub(super) fn parse(text: &str) -> Result<File, Wrong> {
    let lines: Vec<_> = text
        .lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.trim_end()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let marks = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];
    if let Some((at, _)) =
        lines.iter().find(|(_, line)| marks.iter().any(|mark| line.starts_with(mark)))
    {
        return Err(Wrong::new(*at, CONFLICT));
    }
    let mut lines = lines.into_iter().peekable();
    version(&mut lines)?;
    let mut entries = BTreeMap::new();
    while let Some((at, line)) = lines.next() {
        let kind = line.strip_prefix("task ").and_then(|kind| Kind::new(kind).ok());
        let kind = kind.ok_or_else(|| Wrong::new(at, "`task` and a kind stand here"))?;
        let entry = entry(at, kind.as_str(), &mut lines)?;
        if entries.insert(kind.as_str().to_owned(), entry).is_some() {
            let reason =
                format!("`{kind}` is listed before: keep one of the two, with the lines of both");
            return Err(Wrong::new(at, reason));
        }
    }
    Ok(File { entries })
}

/// The lines that say something, with their numbers.
type Lines<'a> = Peekable<std::vec::IntoIter<(usize, &'a str)>>;

fn version(lines: &mut Lines<'_>) -> Result<(), Wrong> {
    match lines.next() {
        Some((_, VERSION)) => Ok(()),
        Some((at, line)) if line.starts_with("version ") => {
            Err(Wrong::new(at, "a newer gae-tasks wrote this file: update gae-tasks"))
        }
        other => Err(Wrong::new(
            other.map_or(1, |(at, _)| at),
            format!("`{VERSION}` stands here, before the first task"),
        )),
    }
}

fn entry(task: usize, kind: &str, lines: &mut Lines<'_>) -> Result<Entry, Wrong> {
    let mut presence = Presence::Everywhere;
    let mut krate = krate(kind).to_owned();
    let (mut queues, mut aliases) = (BTreeSet::new(), BTreeSet::new());
    let (mut current, mut older) = (None, BTreeMap::new());
    while let Some((at, line)) = lines.next_if(|(_, line)| line.starts_with(' ')) {
        let (word, value) = fact(at, line)?;
        match (word, value) {
            ("crate", value) => krate = value.to_owned(),
            ("queue", value) => _ = queues.insert(value.to_owned()),
            ("alias", value) => _ = aliases.insert(value.to_owned()),
            ("schema", _) if current.is_some() => {
                let reason = "the task has a `schema` before: change the word of the older of the \
                              two to `accepts`";
                return Err(Wrong::new(at, reason));
            }
            ("schema", shape) => current = Some(schema(at, shape, lines)?),
            ("accepts", shape) => {
                let schema = schema(at, shape, lines)?;
                older.insert(schema.shape().to_bits(), schema);
            }
            (word, "") => presence = of_word(at, word)?,
            _ => return Err(Wrong::new(at, UNKNOWN)),
        }
    }
    let schema = current.ok_or_else(|| {
        Wrong::new(task, "the task has no `schema`: delete the task, or restore the line")
    })?;
    older.remove(&schema.shape().to_bits());
    Ok(Entry { presence, krate, queues, aliases, schema, older })
}

const UNKNOWN: &str = "\
    after two spaces, `queue`, `alias`, `crate`, `schema` or `accepts` with a value stands here, \
    or `optional` or `retired`";

/// The word of a line and its value.
fn fact(at: usize, line: &str) -> Result<(&str, &str), Wrong> {
    let fact = line.strip_prefix("  ").filter(|fact| !fact.starts_with(' '));
    let fact = fact.ok_or_else(|| Wrong::new(at, UNKNOWN))?;
    Ok(fact.split_once(' ').unwrap_or((fact, "")))
}

fn of_word(at: usize, word: &str) -> Result<Presence, Wrong> {
    let known = Presence::WORDS.iter().find(|(_, known)| *known == word);
    known.map(|(presence, _)| *presence).ok_or_else(|| Wrong::new(at, UNKNOWN))
}

/// The schema whose parameters are the lines after line `at`.
fn schema(at: usize, shape: &str, lines: &mut Lines<'_>) -> Result<Schema, Wrong> {
    let mut parameters: Vec<(usize, String)> = Vec::new();
    while let Some((line_at, line)) = lines.next_if(|(_, line)| line.starts_with("    ")) {
        // What is deeper, or closes a bracket, belongs to the parameter before.
        let goes_on = line[4..].starts_with([' ', '}', ')', ']', '>']);
        match parameters.last_mut().filter(|_| goes_on) {
            // Lines without a meaning may have stood between, and errors name the line.
            Some((from, parameter)) => {
                let missing = line_at - *from - parameter.matches('\n').count();
                parameter.push_str(&"\n".repeat(missing));
                parameter.push_str(line);
            }
            None => parameters.push((line_at, line.to_owned())),
        }
    }
    let alone = parameters.iter().map(|(from, text)| parameter(*from, text));
    let alone = alone.collect::<Result<Vec<_>, _>>()?;
    let schema = together(&alone).map_err(|error| Wrong::new(at, error.to_string()))?;
    if schema.shape().to_string() != shape {
        let reason = format!(
            "the parameters below have the shape {}, not {shape}: they were edited by hand. \
             Restore them, or delete this schema with its parameters",
            schema.shape()
        );
        return Err(Wrong::new(at, reason));
    }
    Ok(schema)
}

/// The schema of one parameter, whose text begins in line `from`.
fn parameter(from: usize, text: &str) -> Result<Schema, Wrong> {
    // The bracket stands in place of a space, so that places in the text stay the same.
    let text = format!("({})", &text[1..]);
    let schema: Schema = text.parse().map_err(|error: SchemaError| {
        let before = error.place().and_then(|at| text.get(..at)).unwrap_or_default();
        let line = from + before.matches('\n').count();
        Wrong::new(line, format!("the parameter cannot be read: {}", error.reason()))
    })?;
    match schema.parameters() {
        [_] => Ok(schema),
        _ => Err(Wrong::new(from, "one parameter stands in a line, without a comma after it")),
    }
}
