//! What requests work on: the file, and what this process knows of it.

use std::time::SystemTime;

use rusqlite::Connection;

use super::fresh::Fresh;
use super::grouping::Grouping;
use super::lane::Catalogue;
use super::news::News;
use super::session::Session;
use super::stray::Strays;
use crate::time::{Now, Timestamp};

/// What operations work on.
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) catalogue: Catalogue,
    pub(super) session: Session,
    /// New tasks that are yet to be written.
    pub(super) fresh: Fresh,
    pub(super) grouping: Grouping,
    pub(super) news: News,
    pub(super) strays: Strays,
}

/// The moment a request happens.
pub(super) fn moment(now: Now) -> Timestamp {
    now.resolve(|| SystemTime::now().into())
}
