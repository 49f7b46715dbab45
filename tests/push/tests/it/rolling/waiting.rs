//! The tasks that are left when a version has run what it can, and its reports about them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use gae_tasks::{TaskRecord, TaskState};
use gae_tasks_tests_push::rolling::{Report, Reported, Version};
use serde_json::Value;

use super::account::{Account, Meant};
use super::meaning;

/// A stored task, and what was meant by it.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) record: TaskRecord,
    pub(super) meant: Meant,
}

impl Left {
    pub(super) fn of(record: TaskRecord, account: &Account) -> Self {
        let shown = record.args_json().expect("its schema is stored with it");
        let mut values: Value = serde_json::from_str(&shown).expect("args are shown as JSON");
        // A field with an alias is shown under the first of its names; a schema does not say which
        // of them is its own.
        if let Some(items) = values.get_mut("items").filter(|items| items[0].get("gift").is_some())
        {
            for item in items.as_array_mut().into_iter().flatten() {
                item["price"] = item["cents"].take();
                item.as_object_mut().map(|fields| fields.remove("cents"));
            }
        }
        let number = values["number"].as_u64().expect("it has a number");
        let meant = account.meant[&number].clone();
        assert_eq!(values, meant.values, "what is stored is not what was meant");
        Self { record, meant }
    }

    /// Whether one of these versions is to run it.
    pub(super) fn is_read_by(&self, readers: &[Version]) -> bool {
        readers.iter().any(|reader| self.meant.read_by(*reader).is_ok())
    }

    /// Whether it waits for its type, before it is leased: of a value it is known after.
    pub(super) fn is_of_route(&self) -> bool {
        !matches!(&*self.meant.edit, "vary" | "widen" | "narrow" | "split")
            || (self.meant.edit == "split" && self.meant.writer == Version::New)
    }

    fn route(&self) -> (String, String) {
        let spec = &self.record.spec;
        (spec.kind.to_string(), spec.shape.to_string())
    }

    /// Asserts that `reader` reports it: by its route or by its value.
    fn assert_reported(&self, reader: Version, report: &Report, has_refusals: bool) {
        let Self { record, meant } = self;
        assert_eq!(record.state, TaskState::Scheduled, "{record:?}");
        let why = meant.read_by(reader).expect_err("it waits, though it can be read");
        let route = self.route();
        let of_route = |line: &&Reported| (&line.kind, &line.shape) == (&route.0, &route.1);
        let says = |line: &Reported| line.reason.contains(why);
        let stranded: Vec<_> = report.stranded.iter().filter(of_route).collect();
        let context = || format!("{why}: {meant:?} at {reader:?}: {report:#?}");
        if stranded.is_empty() {
            assert!(report.misfits.iter().filter(of_route).any(says), "{}", context());
            assert!(
                !has_refusals
                    || record.refusals > 0 && record.errors.iter().any(|e| e.message.contains(why)),
                "{record:?} is refused by {reader:?}: {why}"
            );
            return;
        }
        assert!(stranded.into_iter().any(says), "{}", context());
        let mut unroutable = report.unroutable.iter().filter(of_route);
        // A push queue gives the schemas of single tasks only.
        assert!(unroutable.any(|line| !has_refusals || says(line)), "{}", context());
    }
}

/// Asserts that `report` of `reader` names all tasks that are left, each with its reason, and no
/// others.
pub(super) fn assert_reported(left: &[Left], reader: Version, report: &Report, has_refusals: bool) {
    for one in left {
        one.assert_reported(reader, report, has_refusals);
    }
    let mut counts = BTreeMap::<_, u64>::new();
    left.iter().for_each(|one| *counts.entry(one.route()).or_default() += 1);
    let mut reported = BTreeMap::<_, u64>::new();
    for line in report.stranded.iter().chain(&report.misfits) {
        *reported.entry((line.kind.clone(), line.shape.clone())).or_default() += line.tasks;
    }
    assert_eq!(counts, reported, "{reader:?}: {report:#?}");
    assert_eq!((report.total, report.is_safe), (left.len() as u64, left.is_empty()), "{report:#?}");
}

/// Who left whose tasks of which function.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    cases: BTreeSet<(Version, Version, String)>,
    tasks: usize,
}

impl Waiting {
    /// Adds what was left by `readers`.
    pub(super) fn add(&mut self, left: &[Left], readers: &[Version]) {
        self.tasks += left.len();
        for Left { meant, .. } in left {
            let case = |reader: &Version| (meant.writer, *reader, meant.edit.clone());
            self.cases.extend(readers.iter().map(case));
        }
    }

    /// Asserts that each case was seen: a test whose tasks are all read proves less.
    pub(super) fn assert_each_case(&self) {
        for (writer, reader, edits) in meaning::LEFT {
            let case = |edit: &str| (writer, reader, edit.to_owned());
            let missing: Vec<_> =
                edits.iter().filter(|edit| !self.cases.contains(&case(edit))).collect();
            assert!(missing.is_empty(), "{reader:?} left no {missing:?} of {writer:?}");
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} waited and were reported", self.tasks)
    }
}
