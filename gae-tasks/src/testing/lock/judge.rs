//! Judges what the file and the program say about each kind.

use std::collections::{BTreeMap, BTreeSet};

use super::advice::{Class, Finding, finding};
use super::compare::{By, Compared, compared};
use super::format::{Entry, File, Presence};
use super::program::{Program, Task};
use crate::payload::Schema;

/// The findings about all kinds, in the order of kinds.
pub(super) fn findings(file: &File, program: &Program<'_>) -> Vec<Finding> {
    let runs = runs(program);
    let moved = moved(file, program, &runs);
    let judge = Judge { program, runs, moved };
    let mut findings = Vec::new();
    for (kind, task) in &program.tasks {
        match file.entries.get(*kind) {
            Some(entry) => findings.extend(judge.known(kind, entry, task)),
            None => findings.push(judge.unknown(kind)),
        }
    }
    for (kind, entry) in &file.entries {
        findings.extend(judge.absent(kind, entry));
    }
    let unlisted = program.unlisted.iter().map(|(kind, reason)| {
        let text = format!("no task of it can be deferred: {reason}");
        said(kind, Class::Strands, false, text)
    });
    findings.extend(unlisted);
    findings.sort_by(|one, other| one.kind.cmp(&other.kind));
    findings
}

/// Whether the program should have `kind`, and does not.
pub(super) fn is_missed(
    kind: &str,
    entry: &Entry,
    program: &Program<'_>,
    runs: &BTreeMap<&str, &str>,
) -> bool {
    let is_of_this_program =
        program.crates.as_ref().is_none_or(|crates| crates.contains(&entry.krate));
    let is_unlisted = program.unlisted.iter().any(|(unlisted, _)| *unlisted == kind);
    entry.presence == Presence::Everywhere
        && is_of_this_program
        && !is_unlisted
        && !runs.contains_key(kind)
}

/// The task that runs each kind, aliases included.
pub(super) fn runs<'p>(program: &'p Program<'_>) -> BTreeMap<&'p str, &'p str> {
    let tasks = &program.tasks;
    let aliases =
        tasks.iter().flat_map(|(kind, task)| task.aliases.iter().map(move |alias| (*alias, *kind)));
    aliases.chain(tasks.keys().map(|kind| (*kind, *kind))).collect()
}

/// For each new kind the kind that it may have had before.
fn moved<'a>(
    file: &'a File,
    program: &Program<'a>,
    runs: &BTreeMap<&str, &str>,
) -> BTreeMap<&'a str, &'a str> {
    let missed: Vec<_> =
        file.entries.iter().filter(|(kind, entry)| is_missed(kind, entry, program, runs)).collect();
    let new = program.tasks.iter().filter(|(kind, _)| !file.entries.contains_key(**kind));
    let moved = new.filter_map(|(kind, task)| {
        let is_likely = |(old, entry): &&(&'a String, &'a Entry)| {
            without_crate(old) == without_crate(kind)
                || function(old) == function(kind) && compared(&entry.schema, task).read.is_some()
        };
        missed.iter().find(is_likely).map(|(old, _)| (*kind, old.as_str()))
    });
    moved.collect()
}

fn without_crate(kind: &str) -> &str {
    kind.split_once(['.', '/']).map_or(kind, |(_, rest)| rest)
}

fn function(kind: &str) -> &str {
    kind.rsplit('/').next().unwrap_or(kind)
}

struct Judge<'a> {
    program: &'a Program<'a>,
    /// The task that runs each kind.
    runs: BTreeMap<&'a str, &'a str>,
    /// New kinds and those that they may have had before.
    moved: BTreeMap<&'a str, &'a str>,
}

impl Judge<'_> {
    fn unknown(&self, kind: &str) -> Finding {
        let Some(old) = self.moved.get(kind) else {
            return said(kind, Class::Compatible, true, "a new task");
        };
        let text = format!(
            "a new task, while `{old}` is gone. If that is this function, which has moved, write \
             `alias = [\"{old}\"]` in its attribute: tasks that wait have the old kind. If it is \
             another, write below `task {old}` in tasks.lock `  optional` where some builds have \
             it, or `  retired` where none has"
        );
        let beside = Some((*old).to_owned());
        Finding { beside, ..said(kind, Class::NeedsAttribute, false, text) }
    }

    fn known(&self, kind: &str, entry: &Entry, task: &Task<'_>) -> Vec<Finding> {
        let mut findings = schemas(kind, kind, entry, task);
        findings.extend(self.lost_aliases(kind, entry));
        let new = task.aliases.iter().filter(|alias| !entry.aliases.contains(**alias));
        findings.extend(new.map(|alias| {
            said(kind, Class::Compatible, true, format!("the alias `{alias}` is new"))
        }));
        findings.extend(queues(kind, entry, task));
        if entry.krate != task.krate {
            let text = format!("moved from the crate `{}` to `{}`", entry.krate, task.krate);
            findings.push(said(kind, Class::Compatible, true, text));
        }
        findings
    }

    /// Aliases that the file lists, and nothing runs.
    fn lost_aliases<'s>(
        &'s self,
        kind: &'s str,
        entry: &'s Entry,
    ) -> impl Iterator<Item = Finding> {
        let lost = entry.aliases.iter().filter(|alias| !self.runs.contains_key(alias.as_str()));
        lost.map(move |alias| {
            let text = format!(
                "the alias `{alias}` is gone: tasks that wait under it would wait for ever. Write \
                 `alias = [\"{alias}\"]` again, or delete the alias from tasks.lock if none waits"
            );
            said(kind, Class::NeedsAttribute, false, text)
        })
    }

    /// The finding about a kind that the program does not have as a task's own.
    fn absent(&self, kind: &str, entry: &Entry) -> Vec<Finding> {
        if self.program.tasks.contains_key(kind) {
            return Vec::new();
        }
        if let Some(runs) = self.runs.get(kind) {
            let task = &self.program.tasks[*runs];
            let mut findings = schemas(runs, kind, entry, task);
            findings.extend(self.lost_aliases(runs, entry));
            let text = format!("`{kind}` is run by this function now");
            findings.push(said(runs, Class::Compatible, true, text));
            return findings;
        }
        let is_told_of = self.moved.values().any(|old| *old == kind);
        if is_told_of || !is_missed(kind, entry, self.program, &self.runs) {
            return Vec::new();
        }
        let text = format!(
            "the program does not have this task, and those that wait would wait for ever. If the \
             function was renamed or moved, write `alias = [\"{kind}\"]` in its attribute. If it \
             was removed, keep it until no task of it waits; GAE_TASKS_LOCK=write then marks it as \
             `retired`. If other builds have it, by features or platform, that mark, or \
             `optional`, is right too"
        );
        vec![said(kind, Class::Strands, true, text)]
    }
}

/// The findings about the schemas that `stored` lists, which `task`, of the kind `kind`, reads.
fn schemas(kind: &str, stored: &str, entry: &Entry, task: &Task<'_>) -> Vec<Finding> {
    let (mut findings, mut older) = (Vec::new(), Vec::new());
    match &entry.schema {
        schema if schema == task.read_by.function.schema => {}
        // Builds whose parameters differ by features share the entry.
        schema if entry.has(task.read_by.function.schema) => older.push(schema),
        schema => findings.extend(current(kind, schema, task)),
    }
    for older in older.into_iter().chain(entry.older.values()) {
        let word = format!("the schema {}", older.shape());
        let of = if kind == stored { word } else { format!("{word} of `{stored}`") };
        let compared = compared(older, task);
        findings.extend(compared.changes.iter().filter(|change| change.fails()).map(|change| {
            let finding = finding(kind, change);
            let text = format!(
                "{of}, which tasks may wait under, is not accepted: {}. If none waits, delete it \
                 from tasks.lock",
                finding.text
            );
            // A write keeps the schema, so it answers nothing.
            Finding { text, is_written: false, ..finding }
        }));
    }
    findings
}

/// The findings about each change, to the function or to the struct of the upgrade that reads.
fn found<'c>(kind: &'c str, compared: &'c Compared) -> impl Iterator<Item = Finding> + 'c {
    compared.changes.iter().map(move |change| {
        let mut finding = finding(kind, change);
        if let Some(By::Upgrade(name)) = compared.read {
            finding.text = format!("upgrade `{name}`: {}", finding.text);
        }
        finding
    })
}

/// The finding about tasks of the schema that was the function's own.
fn current(kind: &str, schema: &Schema, task: &Task<'_>) -> Vec<Finding> {
    let compared = compared(schema, task);
    let mut findings: Vec<_> = found(kind, &compared).collect();
    if findings.is_empty() {
        let text = match compared.read {
            Some(By::Upgrade(name)) => {
                format!("tasks that wait are converted by the upgrade `{name}`")
            }
            _ => "tasks that wait are read by name".to_owned(),
        };
        findings.push(said(kind, Class::Compatible, true, text));
    }
    findings
}

fn queues(kind: &str, entry: &Entry, task: &Task<'_>) -> Option<Finding> {
    let now: BTreeSet<_> = task.queues.iter().map(|queue| (*queue).to_owned()).collect();
    let left: Vec<_> = entry.queues.difference(&now).map(|queue| format!("`{queue}`")).collect();
    let text = match &*left {
        [] if entry.queues == now => return None,
        [] => "it has another queue".to_owned(),
        left => format!(
            "tasks that wait in {} stay there: let a worker serve that queue until it is empty",
            left.join(", ")
        ),
    };
    Some(said(kind, Class::Compatible, true, text))
}

fn said(kind: &str, class: Class, is_written: bool, text: impl Into<String>) -> Finding {
    Finding { kind: kind.to_owned(), class, is_written, text: text.into(), beside: None }
}
