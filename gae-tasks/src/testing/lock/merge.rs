//! The file after a write: what this program says, beside what others said.

use std::collections::BTreeSet;

use super::advice::Finding;
use super::format::{Entry, File, Presence};
use super::judge::{is_missed, runs};
use super::program::{Program, Task};

/// The file that says what the program has, but for kinds of `findings` that a write does not
/// answer: they stay as they are.
///
/// Nothing is forgotten. What the program lacks another build may have, so it is marked only, and a
/// schema that was replaced is kept as an older one. People delete both.
pub(super) fn merged(file: &File, program: &Program<'_>, findings: &[Finding]) -> File {
    let open = findings.iter().filter(|finding| !finding.is_written);
    let kept: BTreeSet<_> =
        open.flat_map(|finding| [Some(&finding.kind), finding.beside.as_ref()]).flatten().collect();
    let is_kept = |kind: &str| kept.iter().any(|kept| *kept == kind);
    let (runs, mut merged) = (runs(program), file.clone());
    for (kind, task) in program.tasks.iter().filter(|(kind, _)| !is_kept(kind)) {
        merged.entries.insert((*kind).to_owned(), entry(kind, task, file));
        let moved = task.aliases.iter().filter(|alias| !program.tasks.contains_key(**alias));
        // Their schemas are listed with the task now.
        moved.for_each(|alias| _ = merged.entries.remove(*alias));
    }
    for (kind, entry) in merged.entries.iter_mut().filter(|(kind, _)| !is_kept(kind)) {
        if is_missed(kind, entry, program, &runs) {
            entry.presence = Presence::Retired;
        }
    }
    merged
}

/// What the file says about `task` after the write.
fn entry(kind: &str, task: &Task<'_>, file: &File) -> Entry {
    let mut entry = task.entry();
    let own = file.entries.get(kind);
    if own.is_some_and(|own| own.presence != Presence::Everywhere) {
        // Some builds have it, and others do not: both are right from now on.
        entry.presence = Presence::Optional;
    }
    // Two builds whose parameters differ by features would otherwise each undo the other's write.
    if let Some(own) = own.filter(|own| own.has(&entry.schema)) {
        entry.older.insert(entry.schema.shape().to_bits(), entry.schema);
        entry.schema = own.schema.clone();
    }
    let aliases = task.aliases.iter().filter_map(|alias| file.entries.get(*alias));
    for listed in own.into_iter().chain(aliases) {
        let schemas = listed.older.values().chain([&listed.schema]);
        entry.older.extend(schemas.map(|schema| (schema.shape().to_bits(), schema.clone())));
    }
    entry.older.remove(&entry.schema.shape().to_bits());
    entry
}
