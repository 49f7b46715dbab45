//! The process that opened a file: SQLite does not survive a fork, so a child must not use
//! inherited connections.

use std::sync::atomic::{AtomicU64, Ordering};

use super::error::Fault;
use crate::process;

/// The process that has files open (upper half), and the number of its open files (lower half).
///
/// SQLite keeps its knowledge of locks in memory, which a child inherits, while the locks
/// themselves stay with the parent. The child would read and write without locks, even in a file
/// that it opens anew. If another thread was in SQLite at the time of the fork, one of SQLite's
/// mutexes is locked in the child for ever. For the same reason this is an atomic, not a mutex.
static IN_USE: AtomicU64 = AtomicU64::new(0);

/// One open file, and the process that opened it.
#[derive(Debug)]
pub(super) struct Process(u32);

impl Process {
    /// Registers one more open file of this process.
    ///
    /// # Errors
    /// [`Fault::Forked`] if this process was forked from one that had files open at the time.
    pub(super) fn enter() -> Result<Self, Fault> {
        let this = process::id();
        let enter = |in_use: u64| {
            let is_free = in_use & u64::from(u32::MAX) == 0;
            let is_ours = in_use >> 32 == u64::from(this);
            (is_free || is_ours)
                .then(|| if is_free { u64::from(this) << 32 | 1 } else { in_use + 1 })
        };
        match IN_USE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter) {
            Ok(_) => Ok(Self(this)),
            Err(_) => Err(Fault::Forked),
        }
    }

    /// Whether the current process opened the file, and is not a fork of the one that did.
    pub(super) fn is_this(&self) -> bool {
        process::id() == self.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_this() {
            IN_USE.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
