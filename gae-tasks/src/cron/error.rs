//! The error of a schedule that cannot be read.

/// A schedule that is not valid, and everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schedule `{schedule}` is not valid: {}", .problems.join("; "))]
#[non_exhaustive]
pub struct CronError {
    schedule: String,
    problems: Vec<String>,
}

impl CronError {
    pub(super) fn new(schedule: impl Into<String>, problems: Vec<String>) -> Self {
        Self { schedule: schedule.into(), problems }
    }

    /// The schedule, as it was given.
    pub fn schedule(&self) -> &str {
        &self.schedule
    }

    /// What is wrong with it, and what to write; never empty.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}
