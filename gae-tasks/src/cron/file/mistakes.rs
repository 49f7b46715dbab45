//! What is wrong with a file.

use std::fmt;

/// Everything that is wrong with a `cron.yaml`, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronFileError {
    mistakes: Vec<String>,
}

impl CronFileError {
    /// The mistakes, each with its line and column and what to write; never empty.
    pub fn mistakes(&self) -> &[String] {
        &self.mistakes
    }
}

impl fmt::Display for CronFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the `cron.yaml` is not valid:")?;
        self.mistakes.iter().try_for_each(|mistake| write!(f, "\n{mistake}"))
    }
}

impl std::error::Error for CronFileError {}

/// The mistakes that were found.
#[derive(Debug, Default)]
pub(super) struct Mistakes(Vec<(Place, String)>);

/// A line and a column, from 1.
pub(super) type Place = (usize, usize);

impl Mistakes {
    pub(super) fn add(&mut self, place: Place, mistake: impl Into<String>) {
        self.0.push((place, mistake.into()));
    }

    /// Returns the mistakes as an error, if there are any.
    pub(super) fn finish(mut self) -> Result<(), CronFileError> {
        if self.0.is_empty() {
            return Ok(());
        }
        self.0.sort_by_key(|(place, _)| *place);
        let line = |((line, column), mistake): (Place, String)| {
            format!("line {line}, column {column}: {mistake}")
        };
        Err(CronFileError { mistakes: self.0.into_iter().map(line).collect() })
    }
}
