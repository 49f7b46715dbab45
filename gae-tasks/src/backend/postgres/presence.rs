//! The presence of a process: an advisory lock, which it holds on the session on which it listens,
//! and which its leases name.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgListener;
use tokio::sync::watch;

use super::absence::{Absences, Look};
use super::error::Fault;
use super::limit::within;
use crate::backend::HeldLease;
use crate::random;

/// The least time between two looks at the locks of other processes.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long the server may take to give the lock, which waits for nobody.
const PATIENCE: Duration = Duration::from_secs(5);

/// How this process shows that it lives, and what it has seen of others.
#[derive(Debug)]
pub(super) struct Presence {
    /// The random number of this process, which is the key of its lock. Without a number, the
    /// process shows nothing, and looks at nobody: through a pooler a lock, and its end, may be
    /// those of others.
    number: Option<i64>,
    /// Whether the process has its lock, as far as it knows. Its leases name it then.
    is_shown: AtomicBool,
    /// Changes when a look shows that the lock of this process is free.
    missed: watch::Sender<()>,
    /// Whether it was logged that looks fail.
    is_told: AtomicBool,
    begun: Instant,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    absences: Absences,
    asked: Option<Duration>,
}

/// A look at other processes that is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    /// The number of this process.
    pub(super) own: i64,
    /// The time at which the look is asked for.
    pub(super) asked: Duration,
}

impl Presence {
    /// Creates the presence of a process that is not known yet. `is_direct` says whether it listens
    /// on a session of the server's own.
    pub(super) fn new(is_direct: bool) -> Self {
        Self {
            number: is_direct.then(|| random::bits().cast_signed()),
            is_shown: AtomicBool::new(false),
            missed: watch::Sender::new(()),
            is_told: AtomicBool::new(false),
            begun: Instant::now(),
            seen: Mutex::default(),
        }
    }

    /// Takes the lock on the session of the listener.
    ///
    /// # Errors
    /// The connection is lost. A server that gives no lock is no error: leases expire without it.
    pub(super) async fn show(&self, listener: &mut PgListener) -> Result<(), Fault> {
        // Shared, because the server may not know yet that the session before is lost.
        const LOCK: &str = "SELECT pg_try_advisory_lock_shared($1)";
        let Some(number) = self.number else { return Ok(()) };
        self.hide();
        let locked = sqlx::query_scalar(LOCK).bind(number).fetch_one(listener);
        match within(PATIENCE, locked).await {
            Ok(true) => self.is_shown.store(true, Ordering::Relaxed),
            Err(fault) if fault.is_of_connection() => return Err(fault),
            Ok(false) | Err(_) => {}
        }
        Ok(())
    }

    /// Has leases name no process, until the lock is had again.
    pub(super) fn hide(&self) {
        self.is_shown.store(false, Ordering::Relaxed);
    }

    /// Returns what changes once the lock is missed: the session is lost without a word, or is one
    /// of a server that others have left.
    pub(super) fn missed(&self) -> watch::Receiver<()> {
        self.missed.subscribe()
    }

    /// Has the listener connect again, because the lock of this process is free.
    pub(super) fn miss(&self) {
        self.missed.send_replace(());
    }

    /// Returns the number that leases of this process name, if it shows that it lives.
    pub(super) fn holder(&self) -> Option<i64> {
        self.number.filter(|_| self.is_shown.load(Ordering::Relaxed))
    }

    /// Returns the time on the clock of the looks.
    pub(super) fn clock(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Begins the next look, if it is due.
    pub(super) fn due(&self) -> Option<Due> {
        let (own, asked) = (self.number?, self.clock());
        let mut seen = self.seen();
        if seen.asked.is_some_and(|last| asked.saturating_sub(last) < INTERVAL) {
            return None;
        }
        seen.asked = Some(asked);
        Some(Due { own, asked })
    }

    /// Adds a look, and returns at most `limit` leases of processes that are gone.
    pub(super) fn look(&self, look: Look, limit: usize) -> Vec<HeldLease> {
        self.seen().absences.look(look, limit)
    }

    /// Begins to watch other processes anew, because something has failed.
    pub(super) fn disturb(&self) {
        self.seen().absences.disturb(self.clock());
    }

    /// Whether it was not logged yet that looks fail.
    pub(super) fn is_news(&self) -> bool {
        !self.is_told.swap(true, Ordering::Relaxed)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // A panic leaves at worst too little that is remembered.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_sessions_of_its_own_shows_nothing_and_looks_at_nobody() {
        let presence = Presence::new(false);
        presence.is_shown.store(true, Ordering::Relaxed);
        assert!(presence.holder().is_none() && presence.due().is_none());
    }

    #[test]
    fn a_process_is_named_once_it_has_had_its_lock() {
        let presence = Presence::new(true);
        assert_eq!(presence.holder(), None);
        presence.is_shown.store(true, Ordering::Relaxed);
        assert_eq!((presence.holder(), presence.number.is_some()), (presence.number, true));
    }

    #[test]
    fn only_what_is_missed_later_concerns_a_listener() {
        let presence = Presence::new(true);
        presence.miss();
        let missed = presence.missed();
        assert!(!missed.has_changed().unwrap());
        presence.miss();
        assert!(missed.has_changed().unwrap());
    }

    #[test]
    fn looks_of_several_workers_are_one() {
        let presence = Presence::new(true);
        assert!(presence.due().is_some() && presence.due().is_none());
    }
}
