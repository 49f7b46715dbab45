//! The tasks of this program, as far as `tasks.lock` lists them.

use std::collections::{BTreeMap, BTreeSet};

use super::format::{self, Presence};
use crate::registration::{Registration, Trial};
use crate::routed::FunctionAndUpgrades;

/// Where an assert stands: whose tasks it takes, and what it knows about them.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// The folder of the package's `Cargo.toml`.
    pub folder: &'static str,
    /// The package whose tasks are taken; `None` takes those of all.
    pub package: Option<&'static str>,
    /// The path of the module that the assert stands in.
    pub module: &'static str,
    /// Whether it stands in an integration test of a library: there only the test's own tasks are
    /// built as a test.
    pub is_outside: bool,
}

/// What a program has.
#[derive(Debug, Default)]
pub(super) struct Program<'a> {
    pub(super) tasks: BTreeMap<&'a str, Task<'a>>,
    /// Tasks that cannot be listed, and why.
    pub(super) unlisted: Vec<(&'a str, String)>,
    /// The crates whose tasks are here, as far as the program has any; `None` means all that the
    /// file lists.
    pub(super) crates: Option<BTreeSet<String>>,
}

/// A task function.
#[derive(Debug, Clone)]
pub(super) struct Task<'a> {
    pub(super) krate: &'a str,
    pub(super) queues: &'a [&'a str],
    pub(super) aliases: &'a [&'a str],
    pub(super) read_by: FunctionAndUpgrades<'a>,
    /// Reads a payload as the function's args.
    pub(super) trial: &'a Trial,
    /// Where the function is.
    pub(super) place: String,
}

impl Task<'_> {
    /// What the file says of it where no older schema is known.
    pub(super) fn entry(&self) -> format::Entry {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        format::Entry {
            presence: Presence::Everywhere,
            krate: self.krate.to_owned(),
            queues: owned(self.queues),
            aliases: owned(self.aliases),
            schema: self.read_by.function.schema.clone(),
            older: BTreeMap::new(),
        }
    }
}

impl<'a> Program<'a> {
    /// The tasks that `caller` takes of `registrations`.
    pub(super) fn of(
        caller: &Caller,
        registrations: impl Iterator<Item = &'a Registration>,
    ) -> Self {
        let mut program = Self::default();
        for registration in registrations.filter(|registration| caller.takes(registration)) {
            match listed(registration) {
                Ok(task) => _ = program.tasks.entry(registration.kind).or_insert(task),
                Err(reason) => program.unlisted.push((registration.kind, reason)),
            }
        }
        program.crates = caller.package.map(|package| {
            let mut crates: BTreeSet<_> =
                program.tasks.values().map(|task| task.krate.to_owned()).collect();
            // A crate that has lost its last task is still looked at.
            crates.insert(package.replace('-', "_"));
            crates.insert(first(caller.module).to_owned());
            crates
        });
        program
    }
}

impl Caller {
    fn takes(&self, registration: &Registration) -> bool {
        let is_own = self.package.is_none_or(|package| package == registration.package);
        is_own && !self.is_of_a_test(registration)
    }

    /// Otherwise all tasks of the crate are built as a test, so the module decides.
    fn is_of_a_test(&self, registration: &Registration) -> bool {
        let inside = registration.module.split("::").skip(1);
        let is_shared = !self.is_outside
            && first(registration.module) == first(self.module)
            && inside.into_iter().all(|module| module != "tests" && module != "test");
        registration.is_test && !is_shared
    }
}

/// The crate of a module.
fn first(module: &str) -> &str {
    module.split("::").next().unwrap_or(module)
}

fn listed(registration: &Registration) -> Result<Task<'_>, String> {
    let read_by = registration.read_by().map_err(ToString::to_string)?;
    let schema = read_by.function.schema;
    let is_whole = format::alone(schema).and_then(|alone| format::together(&alone));
    if is_whole.as_ref() != Ok(schema) {
        return Err("has parameters that nest too deep to be listed one by one".to_owned());
    }
    Ok(Task {
        krate: first(registration.module),
        queues: registration.queues,
        aliases: registration.aliases,
        read_by,
        trial: &registration.trial,
        place: format!("{}:{}", registration.location.file, registration.location.line),
    })
}
