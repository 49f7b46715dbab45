//! How long dead letters and the names of finished tasks are kept, where somebody has stated it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long dead letters and the names of finished tasks are kept; `None` is not stated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Retention {
    /// Dead letters, for a look and a replay.
    pub dead_letters: Option<Duration>,
    /// Names of finished tasks, against being deferred again.
    pub tombstones: Option<Duration>,
}

impl Retention {
    /// A retention that states nothing.
    pub const fn new() -> Self {
        Self { dead_letters: None, tombstones: None }
    }

    /// Whether it states anything.
    pub const fn is_stated(self) -> bool {
        self.dead_letters.is_some() || self.tombstones.is_some()
    }
}
