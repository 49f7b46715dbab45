//! The ledger, judged: each task ran on what was meant.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use gae_tasks_tests_push::rolling::{Line, Version, read};
use serde_json::Value;

use super::BOTH;
use super::meaning;

/// A task as it was meant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Meant {
    pub(super) writer: Version,
    pub(super) edit: String,
    pub(super) values: Value,
}

impl Meant {
    /// What a function of this version is to be called with, or why it must not be.
    pub(super) fn read_by(&self, reader: Version) -> Result<Value, &'static str> {
        meaning::read(&self.edit, self.writer, reader, &self.values)
    }
}

/// All tasks of a round by their numbers, and what became of them.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) meant: BTreeMap<u64, Meant>,
    stored: BTreeSet<u64>,
    ran: BTreeMap<u64, Vec<(Version, String, Value)>>,
    problems: Vec<String>,
}

impl Account {
    pub(super) fn read(ledger: &Path) -> Self {
        let mut account = Self::default();
        read(ledger).into_iter().for_each(|line| account.add(line));
        account
    }

    fn add(&mut self, line: Line) {
        match line {
            Line::Meant { version, edit, values } => {
                let number = number(&values).expect("a task is meant with a number");
                let meant = Meant { writer: version, edit, values };
                assert_eq!(self.meant.insert(number, meant), None, "{number} twice");
            }
            Line::Stored { number } => _ = self.stored.insert(number),
            Line::Ran { version, edit, values } => match number(&values) {
                Some(number) => self.ran.entry(number).or_default().push((version, edit, values)),
                None => self.problems.push(format!("{version:?} ran {edit} on {values}")),
            },
            Line::Failed { .. } | Line::Buried { .. } => self.problems.push(format!("{line:?}")),
        }
    }

    /// Asserts that every call was on what was meant.
    pub(super) fn assert_calls_as_meant(&self) {
        let mistakes = self.ran.iter().flat_map(|(number, calls)| {
            let meant = self.meant.get(number);
            calls.iter().filter_map(move |call| mistake(meant, call))
        });
        assert_none(self.problems.iter().cloned().chain(mistakes).collect());
    }

    /// Asserts that every task that was stored has run unless no version reads it, and that every
    /// call was on what was meant.
    pub(super) fn assert_as_meant(&self) {
        self.assert_calls_as_meant();
        let is_read = |meant: &Meant| BOTH.iter().any(|reader| meant.read_by(*reader).is_ok());
        let stored = self.stored.iter().map(|number| (number, &self.meant[number]));
        let lost =
            stored.filter(|(number, meant)| is_read(meant) && !self.ran.contains_key(number));
        assert_none(
            lost.map(|(number, meant)| format!("never ran: {number}, {meant:?}")).collect(),
        );
        self.assert_each_case();
    }

    /// Asserts that each version has run tasks of the other, of each function that can.
    fn assert_each_case(&self) {
        let mut cases = BTreeSet::new();
        for (number, calls) in &self.ran {
            let meant = &self.meant[number];
            cases.extend(calls.iter().map(|(reader, ..)| (meant.writer, *reader, &*meant.edit)));
        }
        for (writer, reader, edits) in meaning::READ {
            let missing: Vec<_> =
                edits.iter().filter(|edit| !cases.contains(&(writer, reader, edit))).collect();
            assert!(missing.is_empty(), "{reader:?} ran no {missing:?} of {writer:?}");
        }
    }
}

/// What is wrong with a call, if anything is.
fn mistake(meant: Option<&Meant>, call: &(Version, String, Value)) -> Option<String> {
    let (reader, edit, values) = call;
    let Some(meant) = meant else { return Some(format!("nobody meant {call:?}")) };
    let expected = meant.read_by(*reader);
    let is_right = meant.edit == *edit && expected.as_ref() == Ok(values);
    (!is_right).then(|| format!("{call:?}, meant as {meant:?}, is not {expected:?}"))
}

fn assert_none(problems: Vec<String>) {
    let some = problems.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(problems.is_empty(), "{} problems, the first ones:\n{some}", problems.len());
}

fn number(values: &Value) -> Option<u64> {
    values["number"].as_u64()
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls: usize = self.ran.values().map(Vec::len).sum();
        let of_other = |(number, calls): (&u64, &Vec<(Version, String, Value)>)| {
            let writer = self.meant[number].writer;
            calls.iter().filter(|(reader, ..)| *reader != writer).count()
        };
        let others: usize = self.ran.iter().map(of_other).sum();
        write!(
            f,
            "{} tasks meant, {} of them known to be stored; {} ran, {} times, {others} times by \
             the other version",
            self.meant.len(),
            self.stored.len(),
            self.ran.len(),
            calls
        )
    }
}
