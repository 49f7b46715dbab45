//! Where an idle worker looks first: where it found the last task. If the guess is right, no scan
//! is made before the task is leased.
//!
//! A guess is never unfair to other queues: it is made only after a scan has found nothing due, and
//! the lease after it scans again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::asker::Asker;
use super::choice::{Choice, Source};
use crate::backend::Lease;

/// The most guesses that are kept: one for each worker of this process.
const MOST: usize = 16;

/// The guesses for the workers of this process.
#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<Vec<Guess>>);

#[derive(Debug)]
struct Guess {
    asker: Asker,
    /// The count of changes of queues at which the worker could take from the source.
    changes: i64,
    source: Source,
    /// Whether a scan has found nothing due since.
    is_idle: bool,
}

impl Guesses {
    fn guesses(&self) -> MutexGuard<'_, Vec<Guess>> {
        // Every change is a whole one, so a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers where the last task of a lease was found.
    pub(super) fn found(&self, request: &Lease, changes: i64, source: Source) {
        let mut guesses = self.guesses();
        guesses.retain(|guess| !guess.asker.asks(request));
        guesses.truncate(MOST - 1);
        guesses.push(Guess { asker: Asker::of(request), changes, source, is_idle: false });
    }

    /// Remembers that a scan has found nothing due for the worker.
    pub(super) fn found_nothing(&self, request: &Lease) {
        let mut guesses = self.guesses();
        if let Some(guess) = guesses.iter_mut().find(|guess| guess.asker.asks(request)) {
            guess.is_idle = true;
        }
    }

    /// Returns the guess for a worker that was idle before this request.
    pub(super) fn choice(&self, request: &Lease) -> Option<Choice> {
        let mut guesses = self.guesses();
        let guess = guesses.iter_mut().find(|guess| guess.asker.asks(request))?;
        std::mem::take(&mut guess.is_idle).then(|| Choice::of(guess.changes, guess.source.clone()))
    }
}
