//! Decides which processes are gone, by looks at their locks and leases.
//!
//! A process shows by a lock that it lives (`presence`). A lock that is free proves nothing, since
//! its session may be lost while the process lives. So a process counts as gone only if its lock
//! stays free, and none of its leases changes, for longer than a living process needs to lock again
//! and to renew.

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use crate::backend::HeldLease;
use crate::time::{self, Timestamp};

/// The least time for which a lock must stay free. A living process locks again within 3 seconds
/// after it has lost its session, and a renewal may take some seconds.
const LEAST: Duration = Duration::from_secs(15);

/// Looks that are further apart prove nothing together: this process, the others, or all of them
/// may have been frozen in between.
const STEP: Duration = Duration::from_secs(4);

/// The clock of the database has jumped if, from one look to the next, it differs by more from the
/// clock of this process.
const JUMP: Duration = Duration::from_secs(2);

/// The time for which a lock must stay free before a lease of this duration is lost: longer than a
/// third of the duration, after which a living process renews.
fn enough(duration: Duration) -> Duration {
    LEAST.max(duration / 2)
}

/// What one look at other processes shows.
#[derive(Debug)]
pub(super) struct Look {
    /// When the look was asked for, on the monotonic clock of this process.
    pub(super) asked: Duration,
    /// When the look was answered, on the same clock.
    pub(super) answered: Duration,
    /// The time by the clock of the database.
    pub(super) now: Timestamp,
    /// When the server was started or promoted, by the clock of the database.
    pub(super) since: Timestamp,
    /// The leases of each process whose lock is free, in the order of their tasks.
    pub(super) free: BTreeMap<i64, Vec<HeldLease>>,
}

/// The processes whose locks were free in the last looks.
#[derive(Debug, Default)]
pub(super) struct Absences {
    last: Option<Moment>,
    /// When another server answered, the clock of the database had jumped, or something failed.
    disturbed: Option<Duration>,
    absent: BTreeMap<i64, Absent>,
}

/// The times of a look.
#[derive(Debug, Clone, Copy)]
struct Moment {
    answered: Duration,
    now: Timestamp,
    since: Timestamp,
}

/// A process whose lock is free.
#[derive(Debug)]
struct Absent {
    /// The first look that showed the lock free, and these leases.
    first: Moment,
    leases: Vec<HeldLease>,
}

impl Absences {
    /// Adds a look. Returns at most `limit` leases that are lost, and expects that they are gone at
    /// the next look.
    pub(super) fn look(&mut self, look: Look, limit: usize) -> Vec<HeldLease> {
        let Look { asked, answered, now, since, free } = look;
        let moment = Moment { answered, now, since };
        self.compare(moment);
        self.last = Some(moment);
        let calm = self.disturbed.map_or(Duration::MAX, |at| asked.saturating_sub(at));
        let calm = calm.min(now.since(since));
        let mut before = mem::take(&mut self.absent);
        let mut lost = Vec::new();
        for (process, leases) in free {
            // A lease that was renewed, taken or ended shows that the process lives.
            let absent = before.remove(&process).filter(|absent| absent.leases == leases);
            let mut absent = absent.unwrap_or(Absent { first: moment, leases });
            let first = absent.first;
            let free_for = asked.saturating_sub(first.answered).min(now.since(first.now));
            absent.leases.retain(|lease| {
                let is_lost = free_for >= enough(lease.duration) && calm >= lease.duration;
                let is_taken = is_lost && lost.len() < limit;
                lost.extend(is_taken.then_some(*lease));
                !is_taken
            });
            self.absent.insert(process, absent);
        }
        lost
    }

    /// Begins anew at `at`, as after a restart: something has failed, perhaps for the other
    /// processes too.
    pub(super) fn disturb(&mut self, at: Duration) {
        self.disturbed = Some(at);
        self.absent.clear();
    }

    /// Begins anew if more than a little time has passed since the last look.
    fn compare(&mut self, moment: Moment) {
        let Some(last) = self.last else { return };
        let passed = moment.answered.saturating_sub(last.answered);
        let by_database = moment.now.as_micros().saturating_sub(last.now.as_micros());
        let jump = Duration::from_micros(by_database.abs_diff(time::micros(passed)));
        if moment.since != last.since || jump > JUMP {
            self.disturb(moment.answered);
        }
        if passed > STEP {
            self.absent.clear();
        }
    }
}

#[cfg(test)]
mod tests;
