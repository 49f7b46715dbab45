//! Whose turn it is: a process that writes without a pause steps aside for one that waits.
//!
//! SQLite's lock goes to whoever asks for it in the right moment. After a commit that is the one who had it, within
//! microseconds, while all others sleep between two looks: they waited for seconds beside a process that floods.

use std::fs::{self, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use super::opened::Opened;

/// How long a process writes before it looks whether another waits. Stepping aside takes about half a millisecond.
pub(super) const SPELL: Duration = Duration::from_millis(5);

/// The longest time to step aside for: one that waits may have been stopped.
pub(super) const COURTESY: Duration = Duration::from_millis(5);

/// How long to wait for being the next; after that, chance decides, as without all this.
const PATIENCE: Duration = Duration::from_millis(100);

/// Between two looks at the lock of those who wait.
const LOOK: Duration = Duration::from_micros(200);

/// Whether writers of other processes wait for the file.
///
/// The next to write holds a lock on the log's file. SQLite takes no locks there, so closing a descriptor of ours drops none
/// of its locks; and the log exists as long as somebody uses the database, so no other file is left beside it.
#[derive(Debug)]
pub(super) struct Turn {
    /// `None` where such a lock would keep SQLite from reading the log.
    log: Option<fs::File>,
    /// When this process last stepped aside, or had waited for others.
    since: Instant,
}

/// The right to write next; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Claim<'a>(Option<&'a fs::File>);

impl Turn {
    /// That of a writer which has just opened the file.
    pub(super) fn new(opened: &Opened) -> Self {
        let log = if cfg!(unix) { fs::File::open(opened.log_path()).ok() } else { None };
        Self { log, since: Instant::now() }
    }

    /// Lets the next one write, if there is one and this process has written for long enough.
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

    /// Whether this process has written for so long that another one, which waits, is the next.
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

    /// Waits until this process is the next, if that can be; `step_aside` in others knows of it.
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
