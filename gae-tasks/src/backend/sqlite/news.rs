//! News from other processes: tasks that they have made due for the workers of this one.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rusqlite::Connection;

use super::catalogue::{Catalogue, data_version};
use super::error::Fault;
use super::lane::{Runnable, is_of};
use super::limits::{self, given_at};
use super::ready;
use crate::backend::gate::{Gate, Opens};
use crate::queue::QueueName;
use crate::time::Timestamp;

/// How often an idle writer looks if no thread [listens](super::listener), while there are workers.
/// Each look takes some tens of microseconds.
pub(super) const INTERVAL: Duration = Duration::from_millis(25);

/// The pauses between the looks after a ring. The listener hears of a commit before the writer can
/// see it: the disk syncs in between.
const AGAIN: [Duration; 5] = [
    Duration::from_millis(4),
    Duration::from_millis(12),
    Duration::from_millis(36),
    Duration::from_millis(150),
    Duration::from_millis(500),
];

/// How many pauses of the series are skipped once a look has found a change.
const SHORTENED: usize = 3;

/// The shortest and the longest pause between a write and its ring. The pause grows while other
/// processes write nothing that concerns the workers.
const PAUSE: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(96)];

/// The result of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// No other process has changed anything.
    Unchanged,
    /// There are changes, but none concerns the workers.
    Irrelevant,
    /// Tasks are due that the workers have left before, or others beside them.
    StillDue,
    /// A task is due sooner than any task known to its worker.
    Sooner,
}

/// Decides when to look.
#[derive(Debug)]
pub(super) struct Search {
    /// How many looks of the series after a ring were made.
    looks: usize,
    pause: Duration,
}

impl Default for Search {
    fn default() -> Self {
        Self { looks: AGAIN.len() + 1, pause: PAUSE[0] }
    }
}

impl Search {
    /// Starts a series of looks, after a ring.
    pub(super) const fn begin(&mut self) {
        self.looks = 0;
    }

    /// Stops looking, because there are no workers.
    pub(super) const fn end(&mut self) {
        self.looks = AGAIN.len() + 1;
    }

    /// Records the result of a look.
    pub(super) fn note(&mut self, found: Found) {
        self.looks = (self.looks + 1).min(AGAIN.len() + 1);
        if found != Found::Unchanged {
            // Another commit may still be under way.
            self.looks = self.looks.max(SHORTENED + 1);
        }
        match found {
            Found::Unchanged => {}
            Found::Irrelevant | Found::StillDue => self.pause = (self.pause * 2).min(PAUSE[1]),
            Found::Sooner => self.pause = PAUSE[0],
        }
    }

    /// Returns how long until the next look of the series, if there is one.
    pub(super) fn again(&self) -> Option<Duration> {
        AGAIN.get(self.looks.checked_sub(1)?).copied()
    }

    /// Returns how long to wait before ringing.
    pub(super) const fn pause(&self) -> Duration {
        self.pause
    }
}

/// What the workers of this process know of due tasks.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The last change of another connection that was looked at.
    seen: Option<i64>,
    known: Vec<Known>,
}

/// What a worker knows of due tasks.
#[derive(Debug)]
struct Known {
    queues: Weak<BTreeSet<QueueName>>,
    /// When the first task that its last lease, or a look, left may be leased.
    first: Option<Timestamp>,
    /// Whether the limits of queues apply to its leases.
    obeys_limits: bool,
}

impl News {
    /// Records when the first task may be leased that a worker may lease next, and whether the
    /// limits of queues apply to the worker; returns the time recorded before, if any.
    pub(super) fn note(
        &mut self,
        queues: &Arc<BTreeSet<QueueName>>,
        first: Option<Timestamp>,
        obeys_limits: bool,
    ) -> Option<Option<Timestamp>> {
        if let Some(known) = self.known.iter_mut().find(|known| is_of(&known.queues, queues)) {
            return Some(std::mem::replace(&mut known.first, first));
        }
        self.known.retain(|known| known.queues.strong_count() > 0);
        self.known.push(Known { queues: Arc::downgrade(queues), first, obeys_limits });
        None
    }

    /// Whether the limits of queues apply to a worker.
    fn obeys_limits(&self, queues: &Arc<BTreeSet<QueueName>>) -> bool {
        let known = self.known.iter().find(|known| is_of(&known.queues, queues));
        known.is_none_or(|known| known.obeys_limits)
    }

    /// Checks whether another process has made a task due for the workers.
    pub(super) fn look(
        &mut self,
        connection: &Connection,
        catalogue: &mut Catalogue,
        now: Timestamp,
    ) -> Result<Found, Fault> {
        let version = Some(data_version(connection)?);
        if self.seen == version {
            return Ok(Found::Unchanged);
        }
        catalogue.refresh(connection)?;
        let mut found = Found::Irrelevant;
        for (queues, routes) in catalogue.served() {
            let obeys_limits = self.obeys_limits(&queues);
            // A worker that must be asked about routes leases, so that it is asked.
            let Ok(runnable) = catalogue.runnable(connection, &queues, &routes)? else {
                self.note(&queues, None, obeys_limits);
                found = Found::Sooner;
                continue;
            };
            let Some(first) = first(connection, &runnable, obeys_limits, now)? else {
                self.note(&queues, None, obeys_limits);
                continue;
            };
            match self.note(&queues, Some(first), obeys_limits).flatten() {
                Some(known) if known <= first => {
                    if first <= now && found == Found::Irrelevant {
                        found = Found::StillDue;
                    }
                }
                _ => found = Found::Sooner,
            }
        }
        // Set last, so that a failed look is repeated.
        self.seen = version;
        Ok(found)
    }
}

/// Returns when the first waiting task may be leased, whether that time has passed or not.
fn first(
    connection: &Connection,
    runnable: &Runnable,
    obeys_limits: bool,
    now: Timestamp,
) -> Result<Option<Timestamp>, Fault> {
    let mut gates = HashMap::new();
    if obeys_limits {
        gates = limits::gates(connection, runnable, now, now)?;
    }
    let opens = |queue: &QueueName| gates.get(queue).map_or(Opens::Now, Gate::opens);
    ready::first(connection, runnable, &|lane, due| given_at(lane, opens(&lane.queue), due, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_begins_a_series_of_looks() {
        let mut search = Search::default();
        assert_eq!(search.again(), None);
        search.begin();
        for pause in AGAIN {
            search.note(Found::Unchanged);
            assert_eq!(search.again(), Some(pause));
        }
        search.note(Found::Unchanged);
        assert_eq!(search.again(), None);
    }

    #[test]
    fn what_has_changed_shortens_the_series() {
        for found in [Found::Irrelevant, Found::StillDue, Found::Sooner] {
            let mut search = Search::default();
            search.begin();
            search.note(found);
            assert_eq!(search.again(), Some(AGAIN[SHORTENED]), "another commit may be under way");
        }
    }

    #[test]
    fn who_hears_of_others_only_rings_later_and_later() {
        let mut search = Search::default();
        let pauses = std::array::from_fn(|_| {
            search.note(Found::Irrelevant);
            search.pause().as_millis()
        });
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 96, 96]);
        search.note(Found::Unchanged);
        assert_eq!(search.pause(), PAUSE[1]);
        search.note(Found::Sooner);
        assert_eq!(search.pause(), PAUSE[0]);
    }
}
