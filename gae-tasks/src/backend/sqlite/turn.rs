//! Whose turn it is: a process that writes without a pause steps aside for one that waits.
//!
//! SQLite gives its lock to whoever asks at the right moment. After a commit this is the process
//! that just had the lock, within microseconds, while all others sleep between two tries: without
//! turns, they waited for seconds beside a process that floods.

use std::fs::{self, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use super::opened::Opened;

/// How long a process writes before it checks whether another process waits. Stepping aside takes
/// about half a millisecond.
pub(super) const SPELL: Duration = Duration::from_millis(5);

/// The longest time to step aside: the waiting process may have been stopped.
pub(super) const COURTESY: Duration = Duration::from_millis(5);

/// How long to wait for being the next; after that, chance decides, as without turns.
const PATIENCE: Duration = Duration::from_millis(100);

/// The time between two looks at the lock of waiting processes.
const LOOK: Duration = Duration::from_micros(200);

/// Whether writers of other processes wait for the file.
///
/// The next process to write holds a lock on the log's file. SQLite takes no locks on the log, so
/// closing this descriptor drops none of SQLite's locks; and the log exists as long as somebody
/// uses the database, so no other file is left beside it.
#[derive(Debug)]
pub(super) struct Turn {
    /// `None` on systems where such a lock would keep SQLite from reading the log.
    log: Option<fs::File>,
    /// When this process last stepped aside, or finished waiting for others.
    since: Instant,
}

/// The right to write next; dropping it ends the right.
#[derive(Debug)]
pub(super) struct Claim<'a>(Option<&'a fs::File>);

impl Turn {
    /// Creates the turn of a writer that has just opened the file.
    pub(super) fn new(opened: &Opened) -> Self {
        let log = if cfg!(unix) { fs::File::open(opened.log_path()).ok() } else { None };
        Self { log, since: Instant::now() }
    }

    /// Lets the next process write, if there is one and this process has written for long enough.
    pub(super) fn step_aside(&mut self) {
        if self.since.elapsed() < SPELL {
            return;
        }
        let begun = Instant::now();
        while self.has_next() && begun.elapsed() < COURTESY {
            thread::sleep(LOOK);
        }
        self.since = Instant::now();
    }

    /// Whether this process has written for so long that a waiting process is the next.
    pub(super) fn is_owed(&mut self) -> bool {
        if self.since.elapsed() < SPELL {
            return false;
        }
        let is_owed = self.has_next();
        if !is_owed {
            self.since = Instant::now();
        }
        is_owed
    }

    /// Whether another process is the next.
    pub(super) fn has_next(&self) -> bool {
        let Some(log) = &self.log else { return false };
        match log.try_lock_shared() {
            Ok(()) => {
                _ = log.unlock();
                false
            }
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        }
    }

    /// Waits until this process is the next, if possible; other processes notice in `step_aside`.
    pub(super) fn claim(&mut self) -> Claim<'_> {
        self.since = Instant::now();
        let Some(log) = &self.log else { return Claim(None) };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            match log.try_lock() {
                Ok(()) => return Claim(Some(log)),
                Err(TryLockError::WouldBlock) => thread::sleep(LOOK),
                Err(TryLockError::Error(_)) => break,
            }
        }
        Claim(None)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        _ = self.0.map(fs::File::unlock);
    }
}
