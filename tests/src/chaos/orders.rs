//! Orders of a test to attempts in other processes: files, since a test can write them at any time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

/// How an attempt is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It is done.
    Done,
    /// It fails, and is to be retried.
    Fail,
    /// It fails for good.
    FailForGood,
    /// It kills its process.
    Die,
}

const WORDS: [(&str, Then); 4] = [
    ("done", Then::Done),
    ("fail", Then::Fail),
    ("fail-for-good", Then::FailForGood),
    ("die", Then::Die),
];

/// An order to attempts: to go on for so long, and to end like this.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// How long they go on.
    pub pause: Duration,
    /// How they end.
    pub then: Then,
}

impl Order {
    /// Gives it, once for all, to the attempts that look into this file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn give(self, file: &Path) -> io::Result<()> {
        let word = WORDS.iter().find(|(_, then)| *then == self.then).map_or("", |(word, _)| word);
        replace(file, &format!("{} {word}", self.pause.as_millis()))
    }

    /// Gives it to the attempts of one process only, in place of what the file says or will say.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn give_one(self, file: &Path, process: u32) -> io::Result<()> {
        self.give(&of_process(file, process))
    }

    /// The order of this file to this process, if it has been given.
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

/// Writes a file as a whole: whoever reads it meanwhile finds the old text or the new one.
pub(super) fn replace(file: &Path, text: &str) -> io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(new, file)
}
