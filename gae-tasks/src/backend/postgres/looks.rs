//! What leases remember from one to the next.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::asker::Asker;
use super::choice::Choice;
use super::database::Database;
use super::unreadable;
use crate::backend::Lease;
use crate::time::{Now, Timestamp};

/// A scan that costs less is made for every lease.
const CHEAP: Duration = Duration::from_millis(1);

/// For how many times its cost a scan is used again, so that scans take a small part of the time.
/// Lanes in which a first task becomes due meanwhile, of a higher priority perhaps, wait so long.
const WORTH: u32 = 10;

/// The most scans that are kept: one for each worker of this process.
const MOST: usize = 16;

/// What leases remember.
#[derive(Debug, Default)]
pub(super) struct Looks(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    looks: Vec<Look>,
    unreadable: HashSet<i64>,
}

/// What a worker may take, and when it was scanned.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) choice: Choice,
    /// The latest schedule time of tasks that counted as due at the scan.
    pub(super) until: Timestamp,
    asker: Asker,
    begun: Instant,
    cost: Duration,
}

impl Look {
    /// Creates a look that began at `begun`, when tasks until `until` counted as due, and ends now.
    pub(super) fn new(request: &Lease, choice: Choice, until: Timestamp, begun: Instant) -> Self {
        Self { choice, until, asker: Asker::of(request), begun, cost: begun.elapsed() }
    }

    /// Whether every lease can afford such a look. A worker with a clock of its own can: it would
    /// not notice that time passes.
    fn is_cheap(&self, request: &Lease) -> bool {
        self.cost < CHEAP || request.now != Now::Storage
    }

    fn is_fresh(&self) -> bool {
        self.begun.elapsed() < self.cost.saturating_mul(WORTH)
    }
}

impl Looks {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Every change is a whole one, so a panic leaves nothing half known.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the look of the worker that asks, if it is worth to be used again.
    pub(super) fn recall(&self, request: &Lease) -> Option<Look> {
        let mut known = self.known();
        known.looks.retain(Look::is_fresh);
        let place = known.looks.iter().position(|look| look.asker.asks(request))?;
        Some(known.looks.swap_remove(place))
    }

    /// Keeps a look for the next lease of its worker, if it was expensive.
    pub(super) fn keep(&self, request: &Lease, look: Look) {
        if !look.is_cheap(request) {
            let mut known = self.known();
            known.looks.retain(|other| !other.asker.asks(request));
            known.looks.truncate(MOST - 1);
            known.looks.push(look);
        }
    }

    /// Whether the row of a lane could not be read.
    pub(super) fn is_unreadable(&self, lane: i64) -> bool {
        self.known().unreadable.contains(&lane)
    }

    /// Remembers lanes whose rows could not be read, so that nobody reads them again.
    pub(super) fn note_unreadable(&self, database: &Database, lanes: impl Iterator<Item = i64>) {
        for lane in lanes {
            unreadable::row(database, "lane", lane);
            self.known().unreadable.insert(lane);
        }
    }
}
