//! Orders of a test to attempts in other processes, in files that the test can write at any time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

/// How an attempt is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The attempt is done.
    Done,
    /// The attempt fails, to be retried.
    Fail,
    /// The attempt fails permanently.
    FailForGood,
    /// The attempt kills its process.
    Die,
}

const WORDS: [(&str, Then); 4] = [
    ("done", Then::Done),
    ("fail", Then::Fail),
    ("fail-for-good", Then::FailForGood),
    ("die", Then::Die),
];

/// An order to attempts: how long to run, and how to end.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// The duration of the attempts.
    pub pause: Duration,
    /// The end of the attempts.
    pub then: Then,
}

impl Order {
    /// Gives the order to all attempts that read this file.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn give(self, file: &Path) -> io::Result<()> {
        let word = WORDS.iter().find(|(_, then)| *then == self.then).map_or("", |(word, _)| word);
        replace(file, &format!("{} {word}", self.pause.as_millis()))
    }

    /// Gives the order to the attempts of one process only; it takes precedence over the order to
    /// all.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn give_one(self, file: &Path, process: u32) -> io::Result<()> {
        self.give(&of_process(file, process))
    }

    /// Returns the file's order to this process, if there is one.
    pub(super) fn find(file: &Path) -> Option<Self> {
        let text = [of_process(file, process::id()), file.to_owned()]
            .iter()
            .find_map(|file| fs::read_to_string(file).ok())?;
        let (pause, word) = text.split_once(' ')?;
        let (_, then) = WORDS.iter().find(|(name, _)| *name == word)?;
        Some(Self { pause: Duration::from_millis(pause.parse().ok()?), then: *then })
    }
}

fn of_process(file: &Path, process: u32) -> PathBuf {
    file.with_extension(process.to_string())
}

/// Replaces a file atomically: a concurrent reader reads the old or the new text.
pub(super) fn replace(file: &Path, text: &str) -> io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(new, file)
}
