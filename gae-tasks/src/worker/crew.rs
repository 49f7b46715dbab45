//! The parts that a worker is made from and that its roles share.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::held::Held;
use super::suspects::Suspects;
use super::waiting::Waiting;
use crate::backend::{Pull, Routes};
use crate::clock::Clock;
use crate::dispatch::Dispatcher;
use crate::log;
use crate::queue::QueueName;
use crate::registry::{Readable, Registry};
use crate::retention::Retention;

/// The parts that a worker is made from.
#[derive(Debug)]
pub(crate) struct WorkerSettings {
    pub(crate) pull: Arc<dyn Pull>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) queues: Arc<BTreeSet<QueueName>>,
    pub(crate) concurrency: usize,
    /// The most attempts that may run at the same time, for some queues.
    pub(crate) queue_concurrency: HashMap<QueueName, usize>,
    pub(crate) lease: Duration,
    pub(crate) poll_interval: Duration,
    pub(crate) retention: Retention,
    pub(crate) suspects: Arc<Suspects>,
}

/// The state that the roles of one worker share.
#[derive(Debug)]
pub(super) struct Crew {
    settings: WorkerSettings,
    /// The routes to lease. Backends remember which of theirs are among them, for each value.
    routes: Mutex<Routes>,
    /// Leased tasks that have not started.
    pub(super) waiting: Waiting,
    /// Every lease this worker has.
    pub(super) held: Held,
}

impl Crew {
    pub(super) fn new(settings: WorkerSettings) -> Self {
        Self {
            routes: Mutex::new(readable(&settings.registry)),
            waiting: Waiting::new(settings.queue_concurrency.clone()),
            held: Held::beside(Arc::clone(&settings.suspects)),
            settings,
        }
    }

    /// The routes to lease.
    pub(super) fn routes(&self) -> Routes {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets backends ask anew which of their routes can be read: one of those that were leased
    /// cannot.
    pub(super) fn ask_for_routes_anew(&self) {
        *self.routes.lock().unwrap_or_else(PoisonError::into_inner) = readable(&self.registry);
    }

    /// Leases requested before this moment of the monotonic clock have expired.
    pub(super) fn overdue(&self) -> Option<Duration> {
        self.clock.monotonic().checked_sub(self.lease)
    }

    pub(super) fn announce(&self) {
        let queues: Vec<_> = self.queues.iter().map(QueueName::as_str).collect();
        log::say(|| {
            tracing::info!(
                queues = queues.join(","),
                concurrency = self.concurrency,
                "the worker starts"
            );
            for registration in self.registry.registrations() {
                tracing::debug!(kind = registration.kind, at = %registration.location, "task");
            }
        });
    }
}

fn readable(registry: &Arc<Registry>) -> Routes {
    Routes::Read(Arc::new(Readable::new(Arc::clone(registry))))
}

impl std::ops::Deref for Crew {
    type Target = WorkerSettings;

    fn deref(&self) -> &WorkerSettings {
        &self.settings
    }
}

/// The pause before a failed storage operation is retried: grows with the failures, to at most 5
/// seconds.
pub(super) fn pause(failures: u32) -> Duration {
    Duration::from_millis(100).saturating_mul(1 << failures.min(6)).min(Duration::from_secs(5))
}
