//! The transactions of the application after whose commit workers are woken.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a transaction is watched.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// The most transactions that are watched at a time; the slow poll finds the tasks of others.
const MOST: usize = 10_000;

/// The transactions that are watched.
#[derive(Debug, Default)]
pub(super) struct Committed {
    watched: Mutex<Watched>,
    added: Notify,
}

#[derive(Debug, Default)]
struct Watched {
    /// Their numbers, and since when each is watched.
    open: Vec<(u64, Instant)>,
    /// Whether somebody asks for their fates.
    is_asked: bool,
}

impl Committed {
    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a transaction; returns whether somebody must begin to ask for fates.
    pub(super) fn add(&self, transaction: u64) -> bool {
        let mut watched = self.lock();
        if watched.open.len() >= MOST {
            return false;
        }
        // Many tasks of one transaction are one question.
        if watched.open.last().is_none_or(|(last, _)| *last != transaction) {
            watched.open.push((transaction, Instant::now()));
        }
        self.added.notify_one();
        !mem::replace(&mut watched.is_asked, true)
    }

    /// Waits until another transaction is added.
    pub(super) async fn added(&self) {
        self.added.notified().await;
    }

    /// Returns the transactions that are still watched. With none, nobody asks any more.
    pub(super) fn open(&self) -> Vec<u64> {
        let mut watched = self.lock();
        watched.open.retain(|(_, since)| since.elapsed() < PATIENCE);
        watched.is_asked = !watched.open.is_empty();
        watched.open.iter().map(|(number, _)| *number).collect()
    }

    /// Removes transactions that have ended; beside each, `ended` says whether it has committed.
    /// Returns for how long the oldest of those that have committed was watched.
    pub(super) fn forget(&self, ended: &[(u64, bool)]) -> Option<Duration> {
        let mut oldest = None;
        self.lock().open.retain(|(number, since)| {
            let fate = ended.iter().find(|(ended, _)| ended == number);
            if fate.is_some_and(|(_, has_committed)| *has_committed) {
                oldest = oldest.max(Some(since.elapsed()));
            }
            fate.is_none()
        });
        oldest
    }
}
