//! Retention: how long dead letters and the names of finished tasks are kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long dead letters and the names of finished tasks are kept; `None` leaves the stored
/// setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Retention {
    /// How long dead letters are kept, for inspection and replay.
    pub dead_letters: Option<Duration>,
    /// How long the name of a finished task blocks another task of the same name.
    pub tombstones: Option<Duration>,
}

impl Retention {
    /// Creates a retention that states nothing.
    pub const fn new() -> Self {
        Self { dead_letters: None, tombstones: None }
    }

    /// Whether a duration is stated.
    pub const fn is_stated(self) -> bool {
        self.dead_letters.is_some() || self.tombstones.is_some()
    }
}
