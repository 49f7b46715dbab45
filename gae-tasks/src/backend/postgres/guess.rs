//! Where an idle worker looks first: where it found the last task. If the guess is right, no scan
//! is made before the task is leased.
//!
//! A guess is not unfair to other queues, nor to tasks of a higher priority: it is made only after
//! a scan has found nothing due, it is about one task, and the lease after it scans again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::asker::Asker;
use super::choice::Source;
use super::epoch::Epoch;
use crate::backend::Lease;

/// The most guesses that are kept: one for each worker of this process.
const MOST: usize = 16;

/// Where a worker found its last task; the next one is behind it.
#[derive(Debug, Clone)]
pub(super) struct Guess {
    /// The epoch in which the source's lane is known.
    pub(super) epoch: Epoch,
    /// The count of changes of queues at which the worker could take from the source.
    pub(super) changes: i64,
    pub(super) source: Source,
}

/// The guesses for the workers of this process.
#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<Vec<Known>>);

#[derive(Debug)]
struct Known {
    asker: Asker,
    guess: Guess,
    /// Whether a scan has found nothing due since.
    is_idle: bool,
}

impl Guesses {
    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        // Every change is a whole one, so a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers where the last task of a lease was found.
    pub(super) fn found(&self, request: &Lease, guess: Guess) {
        let mut known = self.known();
        known.retain(|known| !known.asker.asks(request));
        if known.len() == MOST {
            // That of a worker that may be gone.
            known.remove(0);
        }
        known.push(Known { asker: Asker::of(request), guess, is_idle: false });
    }

    /// Remembers that a scan has found nothing due for the worker.
    pub(super) fn found_nothing(&self, request: &Lease) {
        let mut known = self.known();
        if let Some(known) = known.iter_mut().find(|known| known.asker.asks(request)) {
            known.is_idle = true;
        }
    }

    /// Returns the guess for a worker that was idle before this request, if its lane is known in
    /// this epoch.
    pub(super) fn guess(&self, request: &Lease, epoch: Epoch) -> Option<Guess> {
        let mut known = self.known();
        let known = known.iter_mut().find(|known| known.asker.asks(request))?;
        let was_idle = std::mem::take(&mut known.is_idle);
        (was_idle && known.guess.epoch == epoch).then(|| known.guess.clone())
    }
}
