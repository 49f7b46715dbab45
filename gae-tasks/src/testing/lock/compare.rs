//! Compares the schema that tasks were written under with the function that reads them, by name.
//!
//! Whether they are read is decided as by a worker. The walk along both schemas finds words for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::change::{Change, Gets, Place, What};
use super::made_up::payload;
use super::program::Task;
use super::walk;
use crate::payload::trace::candidate::Candidate;
use crate::payload::{Reading, Schema};
use crate::unwind;

/// What becomes of tasks that were written under an older schema.
#[derive(Debug)]
pub(super) struct Compared {
    /// What converts them, if they are read at all.
    pub(super) read: Option<By>,
    /// What differs, as far as that matters to what reads them.
    pub(super) changes: Vec<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Name,
    /// The upgrade function of this name.
    Upgrade(&'static str),
}

/// Compares tasks of the schema `writer` with the function of `task` and its upgrades.
pub(super) fn compared(writer: &Schema, task: &Task<'_>) -> Compared {
    if writer == task.read_by.function.schema {
        return Compared { read: Some(By::Name), changes: Vec::new() };
    }
    let writer = Arc::new(writer.clone());
    let decision = task.read_by.decide(&writer);
    let mut lacks = Lacks { writer: &writer, task, paths: BTreeSet::new() };
    // Each reading is refused at most once: it lacks a field in every payload.
    loop {
        let reading = match decision.reading() {
            Ok(reading) => reading,
            Err(why) => return lacks.refused(why.to_string()),
        };
        let (read, mut changes) = lacks.changes(&reading);
        lacks.prove(&mut changes, &reading);
        if reading.refused().is_none() {
            changes.retain(|change| !change.refuses());
            return Compared { read: Some(read), changes };
        }
    }
}

/// Finds out which new fields tasks have to have, by reading payloads that are made up.
struct Lacks<'a> {
    writer: &'a Arc<Schema>,
    task: &'a Task<'a>,
    /// The fields that the function lacks.
    paths: BTreeSet<String>,
}

impl Lacks<'_> {
    fn changes(&self, reading: &Reading) -> (By, Vec<Change>) {
        let read_by = &self.task.read_by;
        match reading {
            Reading::Own | Reading::ByName(_) => {
                (By::Name, walk::changes(self.writer, &read_by.function, Place::Parameter))
            }
            Reading::Upgrade(number) => (By::Upgrade(read_by.upgrades[*number].0), Vec::new()),
            Reading::UpgradeByName(number, _) => {
                let (name, schema) = read_by.upgrades[*number];
                let reader = schema.map(|schema| read_by.upgrade(schema));
                let changes = |reader| walk::changes(self.writer, &reader, Place::Field);
                (By::Upgrade(name), reader.map(changes).unwrap_or_default())
            }
        }
    }

    /// What is to be said where nothing reads the tasks.
    fn refused(&self, why: String) -> Compared {
        let reader = &self.task.read_by.function;
        let mut changes = walk::changes(self.writer, reader, Place::Parameter);
        self.paths.iter().for_each(|path| need(&mut changes, path));
        if !changes.iter().any(Change::fails) {
            let (path, name, ignores) = (String::new(), String::new(), String::new());
            let what = What::Unreadable(why);
            changes.push(Change { place: Place::Parameter, path, name, ignores, what });
        }
        Compared { read: None, changes }
    }

    /// Sets what tasks get where something is new, as far as payloads that are made up show it.
    fn prove(&mut self, changes: &mut [Change], reading: &Reading) {
        if matches!(reading, Reading::Own | Reading::Upgrade(_)) {
            return;
        }
        let is_by_name = matches!(reading, Reading::ByName(_));
        let least = self.try_payload(&[], reading);
        let mut found: Vec<_> = least.err().into_iter().collect();
        for change in changes.iter_mut() {
            let What::New { gets: gets @ (Gets::Unknown | Gets::None), site, .. } =
                &mut change.what
            else {
                continue;
            };
            match self.try_payload(&site.way, reading) {
                Ok(true) => *gets = Gets::Default,
                Ok(false) => {}
                Err(path) => found.push(path),
            }
        }
        for path in found {
            need(changes, &path);
            if is_by_name {
                self.paths.insert(path);
            }
        }
    }

    /// Whether a payload that has a value at the end of `way` is read. A type may refuse all values
    /// that are made up, which shows nothing.
    ///
    /// # Errors
    /// The path of a field that it lacks.
    fn try_payload(&self, way: &[usize], reading: &Reading) -> Result<bool, String> {
        for candidate in (0..Candidate::COUNT).map(Candidate::at) {
            let Some(bytes) = payload(self.writer, way, candidate) else { break };
            // Types and upgrades may panic where they have never seen such a value.
            match unwind::catch(|| (self.task.trial.0)(&bytes, reading)) {
                Ok(Ok(())) => return Ok(true),
                Ok(Err(error)) => {
                    if let Some(path) = error.missing() {
                        return Err(path.to_owned());
                    }
                }
                Err(_) => {}
            }
        }
        Ok(false)
    }
}

/// Notes that tasks without the field at `path` are not read. The change may have the path of
/// another place: a type that stands at several places is noted once.
fn need(changes: &mut [Change], path: &str) {
    let is_at = |change: &Change| change.is_new_at(path);
    let is_like = |change: &Change| change.is_new() && path.ends_with(&change.name);
    let found = changes.iter().position(is_at).or_else(|| changes.iter().position(is_like));
    if let Some(What::New { gets, .. }) = found.map(|at| &mut changes[at].what) {
        *gets = Gets::Nothing;
    }
}
