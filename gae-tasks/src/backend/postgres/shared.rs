//! What the operations of a backend share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::callers::Callers;
use super::catalogue::Catalogue;
use super::committed::Committed;
use super::counted::Vacant;
use super::database::Database;
use super::error::Fault;
use super::floors::{Floors, LATE};
use super::guess::Guesses;
use super::looks::Looks;
use super::news::News;
use super::presence::Presence;
use super::stray::Strays;
use super::waits::Waits;
use crate::error::Error;

/// What the operations of a backend share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) database: Arc<Database>,
    pub(super) catalogue: Catalogue,
    pub(super) looks: Looks,
    pub(super) guesses: Guesses,
    pub(super) floors: Arc<Floors>,
    pub(super) strays: Strays,
    /// The queues with limits that give nothing now.
    pub(super) waits: Waits,
    /// The queues with limits in which there is a free place.
    pub(super) vacant: Vacant,
    /// Changes whenever a task may have become due.
    pub(super) wakeups: watch::Sender<u64>,
    /// Changes whenever the cancellation of a leased task was requested through this process.
    pub(super) cancels: watch::Sender<u64>,
    pub(super) news: News,
    /// How this process shows that it lives, and what it has seen of others.
    pub(super) presence: Arc<Presence>,
    /// The transactions of the application after whose commit workers are woken.
    pub(super) committed: Committed,
    /// The random number that the tables were given when they were made.
    pub(super) identity: i64,
    /// The tasks of callers that wait to be stored together.
    pub(super) callers: Callers,
    /// One permit for each transaction that takes names, which may wait for one of the application.
    pub(super) names: Semaphore,
}

impl Shared {
    /// Wakes the workers of this process, because a task may have become due, and notifies other
    /// processes.
    pub(super) fn wake(&self) {
        self.wake_here();
        self.news.tell();
    }

    /// As [`wake`](Self::wake), where tasks have had their places for `age` before others can see
    /// them.
    pub(super) fn wake_late(&self, age: Duration) {
        self.late(age);
        self.wake();
    }

    /// Has whoever is woken next, here or in another process, look for tasks that have had their
    /// places for `age`.
    pub(super) fn late(&self, age: Duration) {
        if age > LATE {
            self.floors.late(age);
            self.news.tell_late(age);
        }
    }

    /// Wakes the workers of this process, because a sweep has found tasks that others did not tell
    /// of.
    pub(super) fn wake_here(&self) {
        self.wakeups.send_modify(|count| *count += 1);
    }

    /// Does `work`; a fault becomes an error that names the database and says why no connection was
    /// to be had.
    pub(super) async fn explained<T>(
        self: Arc<Self>,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Error> {
        match work.await {
            Ok(done) => Ok(done),
            Err(fault) => Err(self.database.explain(fault).await.at(self.database.place())),
        }
    }
}
