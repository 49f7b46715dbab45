//! Where leases begin to look for what waits: behind the entries of tasks that are gone, which
//! vacuum cannot remove from the index while an old snapshot may still read them.
//!
//! Each sweep looks at everything, and counts the entries of tasks that are gone. While they are
//! few, leases look at everything as well. While they are many, leases begin in each lane at its
//! floor: a place before which nothing waited when somebody looked last.
//!
//! A floor only saves time. Tasks may come to wait before it: whoever puts them there says so in
//! this process and in others ([`Floors::late`]), and the floors are lowered; what nobody told of,
//! since its process was killed or nobody listens, is found by the next sweep.

mod known;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use self::known::Known;
use super::database::Database;
use super::epoch::Epoch;
use super::error::Fault;
use super::scan::{Head, Scan, scan, scan_from, survey};
use crate::backend::Standing;
use crate::backend::lifecycle::Facts;
use crate::time::{Now, Timestamp};

/// A task that is committed so long after it got its place is late: half of the slack that floors
/// leave, as statements take time to begin and to be answered.
pub(super) const LATE: Duration = Duration::from_millis(50);

/// Where leases begin to look for what waits.
#[derive(Debug, Default)]
pub(super) struct Floors(Mutex<Known>);

impl Floors {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Every change is a whole one, so a panic leaves nothing half known.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what waits, from the floors on where they are used. A connection that is in no known
    /// epoch, or a request with a clock of its own, reads everything.
    pub(super) async fn scan(
        &self,
        database: &Database,
        connection: &mut PgConnection,
        epoch: Option<Epoch>,
        now: Now,
    ) -> Result<Scan, Fault> {
        let Some(epoch) = epoch.filter(|_| now == Now::Storage) else {
            return scan(database, connection, now).await;
        };
        let begun = self.known().begin(epoch, Instant::now());
        if let Some(start) = &begun.start {
            let found = scan_from(database, &mut *connection, now, start).await?;
            if self.known().found(&begun, &found, Instant::now()) {
                return Ok(found);
            }
        }
        let found = scan(database, connection, now).await?;
        self.known().found_all(&begun, &found, Instant::now());
        Ok(found)
    }

    /// Reads everything that waits, and decides whether floors are used from now on. Returns also
    /// whether tasks wait before them.
    pub(super) async fn survey(
        &self,
        database: &Database,
        connection: &mut PgConnection,
        epoch: Option<Epoch>,
        now: Now,
    ) -> Result<(Scan, bool), Fault> {
        let begun = epoch.map(|epoch| self.known().begin(epoch, Instant::now()));
        let survey = survey(database, connection, now).await?;
        let has_late = match begun.filter(|_| now == Now::Storage) {
            Some(begun) => self.known().surveyed(&begun, &survey, Instant::now()),
            None => false,
        };
        Ok((survey.scan, has_late))
    }

    /// Lowers the floors: a task waits now that has had its place for this long.
    pub(super) fn late(&self, age: Duration) {
        self.known().late(age, Instant::now());
    }

    /// Returns where to look for a task of a lane and standing, if nothing is before `head`.
    pub(super) fn raise(&self, epoch: Epoch, head: Head) -> Head {
        self.known().raise(epoch, head, Instant::now())
    }

    /// Whether floors are used.
    pub(super) fn are_used(&self) -> bool {
        self.known().are_used(Instant::now())
    }
}

/// Returns for how long a task that waits again has had its place. One that has lost leases may be
/// where no floors are, so that has everything looked at.
pub(super) fn age(facts: &Facts, now: Timestamp) -> Duration {
    match facts.standing() {
        Standing::Clear => now.since(facts.wait.due()),
        _ => Duration::MAX,
    }
}
