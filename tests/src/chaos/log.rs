//! A log to which all processes of a test append: the begin and the end of each attempt.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, SystemTime};

use gae_tasks::{TaskContext, TaskId};

/// The environment variable with the path of the log.
pub const LOG: &str = "CHAOS_LOG";

/// The event in a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// An attempt at a task has begun.
    Begun,
    /// The attempt has ended, with any outcome.
    Ended,
    /// The attempt was cancelled: dropped before its end.
    Stopped,
    /// A process is being killed; the line has no task.
    Killed,
}

const WORDS: [(&str, Sign); 4] = [
    ("begun", Sign::Begun),
    ("ended", Sign::Ended),
    ("stopped", Sign::Stopped),
    ("killed", Sign::Killed),
];

/// One line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The event.
    pub sign: Sign,
    /// The task's number.
    pub task: Option<TaskId>,
    /// The process.
    pub process: u32,
    /// The time since 1970, by the machine's clock.
    pub at: Duration,
}

/// An attempt in progress; drop logs that the attempt was cancelled.
#[derive(Debug)]
pub struct Attempt {
    log: PathBuf,
    task: TaskId,
    has_ended: bool,
}

impl Attempt {
    /// Logs that an attempt begins.
    ///
    /// # Errors
    /// Fails if there is no log.
    pub fn begin(context: &TaskContext) -> io::Result<Self> {
        let log = std::env::var_os(LOG)
            .ok_or_else(|| io::Error::other(format!("`{LOG}` names no log")))?;
        let attempt = Self { log: log.into(), task: context.id(), has_ended: false };
        append(&attempt.log, Sign::Begun, Some(attempt.task), process::id())?;
        Ok(attempt)
    }

    /// Logs that the attempt has ended.
    ///
    /// # Errors
    /// Fails if the log cannot be written.
    pub fn end(mut self) -> io::Result<()> {
        self.has_ended = true;
        append(&self.log, Sign::Ended, Some(self.task), process::id())
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.has_ended {
            _ = append(&self.log, Sign::Stopped, Some(self.task), process::id());
        }
    }
}

/// Appends one line in one write, so that lines of several processes do not mix.
///
/// # Errors
/// Fails if the log cannot be written.
pub fn append(log: &Path, sign: Sign, task: Option<TaskId>, process: u32) -> io::Result<()> {
    let word = WORDS.iter().find(|(_, other)| *other == sign).map_or("", |(word, _)| word);
    let task = task.map_or_else(|| "-".to_owned(), |task| task.to_string());
    let micros = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_micros());
    let mut file = OpenOptions::new().append(true).create(true).open(log)?;
    file.write_all(format!("{word} {task} {process} {micros}\n").as_bytes())
}

/// Returns the lines of the log, in order; none if there is no log yet.
///
/// # Panics
/// Panics at a line of another form.
pub fn read(log: &Path) -> Vec<Line> {
    let text = match fs::read_to_string(log) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => panic!("cannot read the log: {error}"),
    };
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    text[..whole]
        .lines()
        .map(|line| parse(line).unwrap_or_else(|| panic!("not a line of the log: `{line}`")))
        .collect()
}

fn parse(line: &str) -> Option<Line> {
    let [word, task, process, micros] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let (_, sign) = *WORDS.iter().find(|(name, _)| *name == word)?;
    let task = if task == "-" { None } else { Some(task.parse().ok()?) };
    Some(Line {
        sign,
        task,
        process: process.parse().ok()?,
        at: Duration::from_micros(micros.parse().ok()?),
    })
}
