//! The configuration of a queue, one type for every backend.

use serde::{Deserialize, Serialize};

use super::RetryConfig;

/// The configuration of a queue.
///
/// ```
/// use gae_tasks::{QueueConfig, RetryConfig};
///
/// let emails = QueueConfig::new().with_retry(RetryConfig::new().with_max_attempts(Some(10)));
/// assert_eq!(emails.retry().max_attempts(), Some(10));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueConfig {
    retry: RetryConfig,
}

impl QueueConfig {
    /// Cloud Tasks' defaults.
    pub const fn new() -> Self {
        Self { retry: RetryConfig::new() }
    }

    /// How failed tasks are retried.
    pub fn with_retry(mut self, retry: RetryConfig) -> Self {
        self.retry = retry;
        self
    }

    /// How failed tasks are retried.
    pub const fn retry(&self) -> &RetryConfig {
        &self.retry
    }
}
