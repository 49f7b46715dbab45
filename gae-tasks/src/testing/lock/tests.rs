//! Edits of tasks, what the assert says about them, and what a write makes of the file.

mod agreement;
mod edits;
mod files;
mod kinds;
mod new_fields;
mod taken;

use std::path::Path;

use super::advice::{Class, Finding};
use super::format::File;
use super::program::{Program, Task};
use super::{Outcome, compare_with, judge, merge};
use crate::payload::schema::node::Member;
use crate::payload::{Parameter, Reader, Schema, UnreadableError};
use crate::registration::Trial;
use crate::routed::FunctionAndUpgrades;

const COMPATIBLE: Class = Class::Compatible;
const ATTRIBUTE: Class = Class::NeedsAttribute;
const MEANING: Class = Class::ChangesMeaning;
const STRANDS: Class = Class::Strands;

/// A schema that lives as long as the test program.
fn schema(text: &str) -> &'static Schema {
    let schema = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    Box::leak(Box::new(schema))
}

/// A function without attributes.
fn read_by(text: &str) -> FunctionAndUpgrades<'static> {
    let function = Reader { schema: schema(text), parameters: parameters(text), ignores: &[] };
    FunctionAndUpgrades { function, upgrades: Vec::new() }
}

/// Parameters without attributes.
fn parameters(text: &str) -> &'static [Parameter] {
    let name = |parameter: &Member| &*parameter.names[0].to_string().leak();
    let parameters = schema(text).parameters().iter().map(|one| Parameter::new(name(one)));
    parameters.collect::<Vec<_>>().leak()
}

/// Shows nothing.
static NO_TRIAL: Trial = Trial(|_, _| Err(UnreadableError::of_payload("is refused")));

fn task(text: &str) -> Task<'static> {
    Task {
        krate: "shop",
        queues: &["default"],
        aliases: &[],
        read_by: read_by(text),
        trial: &NO_TRIAL,
        place: "src/lib.rs:1".to_owned(),
    }
}

/// A program of the crate `shop`.
fn program<const N: usize>(tasks: [(&'static str, Task<'static>); N]) -> Program<'static> {
    let crates = Some(["shop".to_owned()].into());
    Program { tasks: tasks.into(), unlisted: Vec::new(), crates }
}

fn findings(file: &File, program: &Program<'_>) -> Vec<Finding> {
    judge::findings(file, program)
}

/// The file after a write that takes everything.
fn written(file: &File, program: &Program<'_>) -> File {
    merge::merged(file, program, &[])
}

/// The file after a write of the program to no file.
fn first(program: &Program<'_>) -> File {
    written(&File::default(), program)
}

fn run(text: Option<&str>, program: &Program<'_>, writes: bool) -> Result<Outcome, String> {
    compare_with(text, program, Path::new("tasks.lock"), writes)
}

/// Asserts that these are the findings, each with a part of its text.
fn assert_found(name: &str, found: &[Finding], expected: &[(Class, bool, &str)]) {
    let has = |(class, is_written, text): &(Class, bool, &str)| {
        found.iter().any(|finding| {
            finding.class == *class
                && finding.is_written == *is_written
                && finding.text.contains(*text)
        })
    };
    let is_all = found.len() == expected.len() && expected.iter().all(has);
    assert!(is_all, "{name}: {found:#?}");
}
