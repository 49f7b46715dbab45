//! The state that all calls of one backend share.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use google_cloud_tasks_v2::client::CloudTasks as Google;

use super::name::Location;
use super::target::Target;
use crate::queue::{QueueName, RetryConfig};

/// The shared state.
pub(super) struct Shared {
    pub(super) google: Google,
    pub(super) place: Location,
    pub(super) target: Target,
    pub(super) prefix: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) time_limit: Duration,
    pub(super) max_payload: usize,
    /// Whether dead letters are kept in their own queues.
    pub(super) keeps_letters: bool,
    /// The retry settings of the queues that this process has configured.
    pub(super) retries: Mutex<HashMap<QueueName, RetryConfig>>,
    /// The queues of dead letters that this process has created.
    pub(super) letters: Mutex<HashSet<QueueName>>,
}

impl Shared {
    /// Returns the retry settings that this process has given to a queue.
    pub(super) fn retries_of(&self, queue: &QueueName) -> Option<RetryConfig> {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner).get(queue).cloned()
    }

    /// Whether this process has created this queue of dead letters.
    pub(super) fn has_made(&self, letters: &QueueName) -> bool {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).contains(letters)
    }

    pub(super) fn remember_letters(&self, letters: QueueName) {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).insert(letters);
    }

    pub(super) fn forget_letters(&self, letters: &QueueName) {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).remove(letters);
    }

    pub(super) fn forget(&self, queue: &QueueName) {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner).remove(queue);
    }

    pub(super) fn remember(&self, queue: QueueName, retries: RetryConfig) {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner).insert(queue, retries);
    }
}
