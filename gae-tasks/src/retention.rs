//! How long what is over stays visible.

use std::time::Duration;

/// How long what is over is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    /// Dead letters, for a look and a replay.
    pub(crate) dead_letters: Duration,
    /// Names of finished tasks, against being deferred again.
    pub(crate) tombstones: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self { dead_letters: DAY * 30, tombstones: DAY }
    }
}
