//! Sessions: a locked file tells whether the process that holds a lease still lives.
//!
//! The operating system frees the lock when the process ends, however it ends. So the tasks of a killed worker need
//! not wait until their leases expire.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::path::PathBuf;

use rusqlite::{Connection, params};

use super::error::{Fault, File};
use super::lane::Catalogue;
use super::lost;
use crate::backend::LeaseToken;
use crate::time::Timestamp;

/// The session under which one opened file leases.
///
/// It begins with the first lease: a program that only defers leaves no trace beside the database.
#[derive(Debug)]
pub(super) struct Session {
    id: i64,
    database: File,
    lock: Option<fs::File>,
    /// Ended sessions of others, whose files go when the transaction that removes them is committed.
    buried: Vec<Dead>,
}

/// A session whose process is gone; its lock is ours now, so that nobody else buries it too.
#[derive(Debug)]
pub(super) struct Dead {
    path: PathBuf,
    _lock: fs::File,
}

/// What a look at another session's file tells.
#[derive(Debug)]
pub(super) enum Sign {
    Alive,
    Dead(Dead),
    /// Its file is gone, by another hand or because the database was copied. It may be alive: its leases must expire.
    Unknown,
}

impl Session {
    pub(super) fn new(database: &File) -> Self {
        let id = LeaseToken::generate().to_bits();
        Self { id, database: database.clone(), lock: None, buried: Vec::new() }
    }

    /// The session's number, to be written into leases by the transaction that is under way.
    pub(super) fn begin(&mut self, connection: &Connection, now: Timestamp) -> Result<i64, Fault> {
        // Locked before its row can be seen: a row whose file is not locked is a dead session.
        if self.lock.is_none() {
            self.lock = Some(self.make_lock().map_err(|error| unlockable(&self.path(self.id), &error))?);
        }
        connection
            .prepare_cached("INSERT INTO gae_tasks_session (id, started) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING")?
            .execute(params![self.id, now.as_micros()])?;
        Ok(self.id)
    }

    fn make_lock(&self) -> io::Result<fs::File> {
        let lock = OpenOptions::new().write(true).create_new(true).open(self.path(self.id))?;
        lock.try_lock()?;
        Ok(lock)
    }

    fn path(&self, id: i64) -> PathBuf {
        let mut name = self.database.path().as_os_str().to_owned();
        name.push(format!("-session-{id:016x}.lock"));
        name.into()
    }

    /// The other sessions that are stored.
    pub(super) fn others(&self, connection: &Connection) -> Result<Vec<i64>, Fault> {
        let mut statement = connection.prepare_cached("SELECT id FROM gae_tasks_session WHERE id <> ?1")?;
        let ids = statement.query_map(params![self.id], |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// Whether the session `id` lives.
    pub(super) fn sign_of(&self, id: i64) -> Sign {
        let path = self.path(id);
        let lock = match OpenOptions::new().write(true).open(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Sign::Unknown,
            Err(_) => return Sign::Alive,
        };
        match lock.try_lock() {
            Ok(()) => Sign::Dead(Dead { path, _lock: lock }),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => Sign::Alive,
        }
    }

    /// Remembers the file of a session that the transaction under way removes.
    pub(super) fn will_bury(&mut self, dead: Dead) {
        self.buried.push(dead);
    }

    /// Removes the files of sessions that are removed for good.
    pub(super) fn bury(&mut self) {
        for dead in self.buried.drain(..) {
            _ = fs::remove_file(dead.path);
        }
    }

    /// Keeps these files: the transaction was rolled back.
    pub(super) fn spare(&mut self) {
        self.buried.clear();
    }

    /// Ends this session in order. If that fails, the next sweep by anyone does it.
    pub(super) fn end(&mut self, connection: &mut Connection, catalogue: &mut Catalogue) {
        if self.lock.is_some() && self.try_end(connection, catalogue).is_ok() {
            _ = fs::remove_file(self.path(self.id));
        }
    }

    fn try_end(&self, connection: &mut Connection, catalogue: &mut Catalogue) -> Result<(), Fault> {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        catalogue.refresh(&transaction)?;
        let now = Timestamp::from(std::time::SystemTime::now());
        for lost in lost::of_session(&transaction, self.id, usize::MAX)? {
            lost::recover(&transaction, catalogue, lost, now)?;
        }
        forget(&transaction, self.id)?;
        Ok(transaction.commit()?)
    }
}

/// Removes the row of a session.
pub(super) fn forget(connection: &Connection, id: i64) -> Result<(), Fault> {
    connection.prepare_cached("DELETE FROM gae_tasks_session WHERE id = ?1")?.execute(params![id])?;
    Ok(())
}

fn unlockable(path: &std::path::Path, error: &io::Error) -> Fault {
    Fault::Unfit(format!(
        "`{}` beside it, which shows that this process lives, cannot be made and locked ({error}): use a writable \
         folder on a local disk",
        path.display()
    ))
}
