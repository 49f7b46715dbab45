//! One schedule of a file.

use crate::cron::Cron;
use crate::queue::RetryConfig;
use crate::task::Kind;

/// A schedule of a [`CronFile`](crate::CronFile).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronEntry {
    pub(super) kind: Kind,
    pub(super) cron: Cron,
    pub(super) description: Option<String>,
    pub(super) target: Option<String>,
    pub(super) retry: Option<RetryConfig>,
    pub(super) line: usize,
}

impl CronEntry {
    /// The kind of the task that is deferred.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// When it is deferred: `schedule` in its `timezone`.
    pub fn cron(&self) -> &Cron {
        &self.cron
    }

    /// The `description`, for people.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The `target`: the service of App Engine that is called. Elsewhere it means nothing.
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// The `retry_parameters`, if there are any. Without them App Engine does not retry; here the
    /// settings of the task and its queue apply.
    pub fn retry(&self) -> Option<&RetryConfig> {
        self.retry.as_ref()
    }

    /// The line at which the entry begins, from 1.
    pub fn line(&self) -> usize {
        self.line
    }
}
