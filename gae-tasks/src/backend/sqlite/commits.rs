//! Whether anybody has committed: while nobody has, no time passes for those who watch leases.

use std::mem;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::catalogue::data_version;
use super::connection::{self, Access};
use super::opened::Opened;

/// A connection of its own, because the number that it reads is the connection's own. It reads
/// nothing else, and waits for nobody.
#[derive(Debug)]
pub(super) struct Commits {
    opened: Opened,
    /// With how many there were before it.
    connection: Mutex<(i64, Option<Connection>)>,
}

impl Commits {
    pub(super) fn new(opened: &Opened) -> Self {
        Self { opened: opened.clone(), connection: Mutex::default() }
    }

    /// Returns a number that differs from the one before if there was a commit in between; `None`
    /// if this cannot be known.
    pub(super) fn number(&self) -> Option<i64> {
        self.opened.check_process().ok()?;
        let mut known = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, connection) = &mut *known;
        if connection.is_none() {
            let mut opened = connection::open(self.opened.file(), Access::Read).ok()?;
            connection::wait_for_nobody(&mut opened).ok()?;
            *connection = Some(opened);
        }
        let number =
            self.opened.check().ok().and_then(|()| data_version(connection.as_ref()?).ok());
        if number.is_none() {
            // The numbers of the next connection have nothing to do with these.
            *connection = None;
            *before += 1;
        }
        // SQLite's number has 32 bits.
        number.map(|number| *before << 32 | number & 0xffff_ffff)
    }
}

impl Drop for Commits {
    fn drop(&mut self) {
        if !self.opened.is_by_this_process() {
            // The connection belongs to the parent.
            let connection = self.connection.get_mut().unwrap_or_else(PoisonError::into_inner);
            mem::forget(connection.1.take());
        }
    }
}
