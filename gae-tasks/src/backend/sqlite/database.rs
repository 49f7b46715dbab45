//! The state that requests work on: the file, and what this process has read from it.

use std::time::SystemTime;

use rusqlite::Connection;

use super::catalogue::Catalogue;
use super::fresh::Fresh;
use super::grouping::Grouping;
use super::news::News;
use super::session::Session;
use super::stray::Strays;
use crate::time::{Now, Timestamp};

/// The state that operations work on.
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) catalogue: Catalogue,
    pub(super) session: Session,
    /// New tasks that are not written yet.
    pub(super) fresh: Fresh,
    pub(super) grouping: Grouping,
    pub(super) news: News,
    pub(super) strays: Strays,
    /// Whether a queue with limits may give a task that it could not give before the transaction:
    /// workers are woken after it.
    pub(super) has_opened: bool,
}

/// Returns the time of a request.
pub(super) fn moment(now: Now) -> Timestamp {
    now.resolve(|| SystemTime::now().into())
}
