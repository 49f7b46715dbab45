//! The file to which all processes of a test append: what was meant, what was stored, and what
//! ran.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A version of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Version {
    /// The version before the deploy.
    Old,
    /// The version after the deploy.
    New,
    /// A version whose tasks are still stored, and of which no instance is left.
    Gone,
}

/// A line of the ledger. The values are those of all parameters, by name; one of them is the
/// `number` of the task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Line {
    /// A task is going to be deferred.
    Meant {
        /// The version that defers the task.
        version: Version,
        /// Which of the tasks it is: the name of the function.
        edit: String,
        /// The args.
        values: Value,
    },
    /// The call of `defer` has returned: the task is stored.
    Stored {
        /// The task's number.
        number: u64,
    },
    /// The call of `defer` has failed.
    Failed {
        /// The task's number.
        number: u64,
        /// Why.
        error: String,
    },
    /// A function was called.
    Ran {
        /// The version of the function.
        version: Version,
        /// The name of the function.
        edit: String,
        /// The values that the function got.
        values: Value,
    },
    /// A task became a dead letter.
    Buried {
        /// The task's kind.
        kind: String,
        /// Why.
        error: String,
    },
}

/// The ledger, as one process writes it.
#[derive(Debug, Clone)]
pub struct Ledger {
    version: Version,
    file: Arc<File>,
}

impl Ledger {
    /// Opens the ledger of a process of this version.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(version: Version, file: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(file)?;
        Ok(Self { version, file: Arc::new(file) })
    }

    /// Notes that a task is going to be deferred.
    pub fn meant(&self, edit: &str, values: &Value) {
        let (version, edit) = (self.version, edit.to_owned());
        self.write(&Line::Meant { version, edit, values: values.clone() });
    }

    /// Notes what a function was called with, and takes a few milliseconds, so that processes are
    /// killed in the middle.
    pub async fn ran(&self, edit: &str, values: Value) {
        let pause = Duration::from_millis(values["number"].as_u64().unwrap_or_default() % 4);
        let (version, edit) = (self.version, edit.to_owned());
        self.write(&Line::Ran { version, edit, values });
        tokio::time::sleep(pause).await;
    }

    /// Appends a line in one write, so that lines of several processes do not mix and no part of
    /// one is left of a killed process.
    ///
    /// # Panics
    /// Panics if the file cannot be written.
    pub fn write(&self, line: &Line) {
        let mut text = serde_json::to_string(line).expect("a line is JSON");
        text.push('\n');
        let written = (&*self.file).write(text.as_bytes()).expect("the ledger can be written");
        assert_eq!(written, text.len(), "a line was written in part");
    }
}

/// Returns the lines of a ledger, in order; none if there is no file yet.
///
/// # Panics
/// Panics at a line of another form.
pub fn read(file: &Path) -> Vec<Line> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => panic!("cannot read the ledger: {error}"),
    };
    // The last line may be on its way.
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let line =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("no line: {line}"));
    text[..whole].lines().map(line).collect()
}
