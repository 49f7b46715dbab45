//! Sessions: a locked file shows whether the process that holds a lease still lives.
//!
//! The operating system frees the lock when the process ends, however it ends. The tasks of a
//! killed worker therefore need not wait until their leases expire.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::catalogue::Catalogue;
use super::error::{Fault, File};
use super::grouping::Grouping;
use super::held::{self, Held};
use super::lost;
use super::ready;
use crate::backend::LeaseToken;
use crate::time::Timestamp;

/// The part of a session file's name between the database's name and the session's id.
const INFIX: &str = "-session-";

/// The end of a session file's name.
const SUFFIX: &str = ".lock";

/// The session under which an opened file leases.
///
/// The session begins with the first lease: a program that only defers leaves no file beside the
/// database.
#[derive(Debug)]
pub(super) struct Session {
    id: i64,
    database: File,
    lock: Option<fs::File>,
    /// Ended sessions of other processes; their files are removed when the transaction that removes
    /// the sessions is committed.
    buried: Vec<Dead>,
    /// Whether files without a row have been looked for.
    has_tidied: bool,
    /// Whether missing rows of lanes have been looked for.
    is_mended: bool,
    /// Whether the transaction under way adds missing rows.
    is_mending: bool,
}

/// A session whose process is gone. This process holds its lock now, so that no other process
/// buries it too.
#[derive(Debug)]
pub(super) struct Dead {
    path: PathBuf,
    _lock: fs::File,
}

/// What another session's file shows.
#[derive(Debug)]
pub(super) enum Sign {
    Alive,
    Dead(Dead),
    /// The file is gone, removed by somebody or missing in a copy of the database. The process may
    /// be alive: its leases must expire.
    Unknown,
}

impl Session {
    pub(super) fn new(database: &File) -> Self {
        let id = LeaseToken::generate().to_bits();
        Self {
            id,
            database: database.clone(),
            lock: None,
            buried: Vec::new(),
            has_tidied: false,
            is_mended: false,
            is_mending: false,
        }
    }

    /// Returns the session's number, for leases that the transaction under way writes.
    pub(super) fn begin(&mut self, connection: &Connection, now: Timestamp) -> Result<i64, Fault> {
        // Locked before the row becomes visible: a row whose file is not locked is a dead session.
        if self.lock.is_none() {
            self.lock =
                Some(self.make_lock().map_err(|error| unlockable(&self.path(self.id), &error))?);
        }
        connection
            .prepare_cached(
                "INSERT INTO gae_tasks_session (id, started) VALUES (?1, ?2) ON CONFLICT (id) DO \
                 NOTHING",
            )?
            .execute(params![self.id, now.as_micros()])?;
        Ok(self.id)
    }

    /// Writes something. A lease counts as unchanged only while its holder could have recorded an
    /// extension, which nobody can on a full disk.
    pub(super) fn prove_writable(connection: &Connection) -> Result<(), Fault> {
        connection.prepare_cached("UPDATE gae_tasks_version SET version = version")?.execute([])?;
        Ok(())
    }

    fn make_lock(&self) -> io::Result<fs::File> {
        let path = self.path(self.id);
        let lock = OpenOptions::new().write(true).create_new(true).open(&path)?;
        locked_or_removed(lock, &path, |lock| Ok(lock.try_lock()?))
    }

    fn path(&self, id: i64) -> PathBuf {
        let mut name = self.database.path().as_os_str().to_owned();
        name.push(format!("{INFIX}{id:016x}{SUFFIX}"));
        name.into()
    }

    /// Returns the ids of other sessions that have a file.
    fn others_with_files(&self) -> Vec<i64> {
        let path = self.database.path();
        let (Some(folder), Some(name)) =
            (path.parent(), path.file_name().and_then(|name| name.to_str()))
        else {
            return Vec::new();
        };
        let id = |entry: io::Result<fs::DirEntry>| {
            let file = entry.ok()?.file_name();
            let id =
                file.to_str()?.strip_prefix(name)?.strip_prefix(INFIX)?.strip_suffix(SUFFIX)?;
            i64::from_str_radix(id, 16).ok().filter(|id| *id != self.id)
        };
        fs::read_dir(folder).map(|entries| entries.filter_map(id).collect()).unwrap_or_default()
    }

    /// Whether there may be files of processes that were killed before their row was committed, or
    /// after it was removed.
    ///
    /// Listing a folder each second would be too much: this is checked at first, and after a killed
    /// process was found.
    pub(super) fn has_dead_files(&mut self, connection: &Connection) -> Result<bool, Fault> {
        if self.has_tidied {
            return Ok(false);
        }
        for id in self.others_with_files() {
            if !is_stored(connection, id)? {
                return Ok(true);
            }
        }
        self.has_tidied = true;
        Ok(false)
    }

    /// Removes such files, within a transaction that writes. A session also begins within one
    /// transaction, from creating its file to committing its row, so a file that has no row now and
    /// whose lock can be taken never gets one.
    pub(super) fn remove_dead_files(&mut self, connection: &Connection) -> Result<(), Fault> {
        if self.has_tidied {
            return Ok(());
        }
        for id in self.others_with_files() {
            if let Sign::Dead(dead) = self.sign_of(id)
                && !is_stored(connection, id)?
            {
                _ = fs::remove_file(&dead.path);
            }
        }
        self.has_tidied = true;
        Ok(())
    }

    /// Whether there are tasks that no lease would find; checked once.
    pub(super) fn is_to_mend(&mut self, connection: &Connection) -> Result<bool, Fault> {
        self.is_mended = self.is_mended || ready::missing(connection)?.is_empty();
        Ok(!self.is_mended)
    }

    /// Adds the missing rows, so that leases find such tasks.
    pub(super) fn mend(&mut self, connection: &Connection) -> Result<bool, Fault> {
        let is_to_mend = self.is_to_mend(connection)?;
        if is_to_mend {
            ready::mend(connection)?;
            (self.is_mended, self.is_mending) = (true, true);
        }
        Ok(is_to_mend)
    }

    /// Returns the other stored sessions.
    pub(super) fn others(&self, connection: &Connection) -> Result<Vec<i64>, Fault> {
        let mut statement =
            connection.prepare_cached("SELECT id FROM gae_tasks_session WHERE id <> ?1")?;
        let ids = statement.query_map(params![self.id], |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// Checks whether the session `id` lives.
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
        self.has_tidied = false;
    }

    /// Removes the files of sessions whose removal is committed.
    pub(super) fn bury(&mut self) {
        self.is_mending = false;
        for dead in self.buried.drain(..) {
            _ = fs::remove_file(dead.path);
        }
    }

    /// Keeps these files, because the transaction was rolled back.
    pub(super) fn spare(&mut self) {
        self.buried.clear();
        self.is_mended &= !std::mem::take(&mut self.is_mending);
    }

    /// Whether anything was leased under the session.
    pub(super) fn has_begun(&self) -> bool {
        self.lock.is_some()
    }

    /// Ends this session in order. If that fails, the next sweep by any process ends it.
    pub(super) fn end(&mut self, connection: &mut Connection, catalogue: &mut Catalogue) {
        if self.try_end(connection, catalogue).is_ok() {
            _ = fs::remove_file(self.path(self.id));
        }
    }

    fn try_end(&self, connection: &mut Connection, catalogue: &mut Catalogue) -> Result<(), Fault> {
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        catalogue.refresh(&transaction)?;
        let now = Timestamp::from(std::time::SystemTime::now());
        let mut held = Held::new(&transaction);
        for lost in lost::of_session(&held::leases(&transaction)?, self.id) {
            lost::recover(Grouping::RowByRow, &mut held, &transaction, catalogue, lost, now)?;
        }
        held.write()?;
        forget(&transaction, self.id)?;
        Ok(transaction.commit()?)
    }
}

/// Returns the lock that `take` takes on the file just created. The file is removed if the lock
/// cannot be had; otherwise it would block every further try.
pub(super) fn locked_or_removed(
    lock: fs::File,
    path: &Path,
    take: impl FnOnce(&fs::File) -> io::Result<()>,
) -> io::Result<fs::File> {
    match take(&lock) {
        Ok(()) => Ok(lock),
        Err(error) => {
            _ = fs::remove_file(path);
            Err(error)
        }
    }
}

fn is_stored(connection: &Connection, id: i64) -> Result<bool, Fault> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM gae_tasks_session WHERE id = ?1")?
        .exists(params![id])?)
}

/// Removes the row of a session.
pub(super) fn forget(connection: &Connection, id: i64) -> Result<(), Fault> {
    connection
        .prepare_cached("DELETE FROM gae_tasks_session WHERE id = ?1")?
        .execute(params![id])?;
    Ok(())
}

fn unlockable(path: &Path, error: &io::Error) -> Fault {
    Fault::Unfit(format!(
        "`{}` beside it, which shows that this process lives, cannot be made and locked ({error}): \
         use a writable folder on a local disk",
        path.display()
    ))
}
