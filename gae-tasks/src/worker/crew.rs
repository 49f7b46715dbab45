//! The parts that a worker is made from and that its roles share.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[cfg(feature = "cron")]
use super::declare::Declaration;
use super::errand::Errand;
use super::held::Held;
use super::suspects::Suspects;
use super::waiting::Waiting;
use crate::backend::{Pull, Room, Routes};
use crate::clock::Clock;
use crate::dispatch::Dispatcher;
use crate::log;
use crate::queue::QueueName;
use crate::registry::Registry;
use crate::registry::readable::Readable;
use crate::retention::Retention;
use crate::task::Route;

/// The parts that a worker is made from.
#[derive(Debug)]
pub(crate) struct WorkerSettings {
    pub(crate) pull: Arc<dyn Pull>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) queues: Arc<BTreeSet<QueueName>>,
    /// Queues of registered tasks that other workers serve.
    pub(crate) left_out: BTreeSet<QueueName>,
    pub(crate) concurrency: usize,
    /// The most attempts that may run at the same time, for some queues.
    pub(crate) queue_concurrency: HashMap<QueueName, usize>,
    pub(crate) lease: Duration,
    pub(crate) poll_interval: Duration,
    pub(crate) retention: Retention,
    pub(crate) suspects: Arc<Suspects>,
    /// What is done with tasks in place of attempts, whatever their routes.
    pub(crate) errand: Option<Arc<dyn Errand>>,
    /// How long before their schedule times tasks are leased.
    pub(crate) ahead: Duration,
    /// The schedules that the program declares.
    #[cfg(feature = "cron")]
    pub(crate) declaration: Declaration,
}

/// The state that the roles of one worker share.
#[derive(Debug)]
pub(super) struct Crew {
    settings: WorkerSettings,
    /// The routes to lease. Backends remember which of theirs are among them, for each value.
    routes: Mutex<Arc<Readable>>,
    /// Leased tasks that have not started.
    pub(super) waiting: Waiting,
    /// Every lease this worker has.
    pub(super) held: Held,
    /// Signalled after each sweep.
    #[cfg(feature = "cron")]
    pub(super) swept: tokio::sync::Notify,
}

impl Crew {
    pub(super) fn new(settings: WorkerSettings) -> Self {
        Self {
            routes: Mutex::new(Arc::new(Readable::new(Arc::clone(&settings.registry)))),
            waiting: Waiting::new(settings.queue_concurrency.clone(), settings.concurrency),
            held: Held::beside(Arc::clone(&settings.suspects)),
            #[cfg(feature = "cron")]
            swept: tokio::sync::Notify::new(),
            settings,
        }
    }

    /// The routes to lease.
    pub(super) fn routes(&self) -> Routes {
        if self.errand.is_some() {
            return Routes::Any;
        }
        Routes::Read(Arc::clone(&self.readable()) as _)
    }

    /// The room for `total` tasks of any standing.
    pub(super) fn room(&self, total: usize) -> Room {
        if self.errand.is_some() { Room::unwatched(total) } else { Room::new(total) }
    }

    /// What the worker is called in logs.
    pub(super) fn name(&self) -> &'static str {
        self.errand.as_ref().map_or("worker", |errand| errand.name())
    }

    /// Takes back that tasks of `route` can be read: none can, as one of those that were leased has
    /// shown. Backends ask anew which of their routes can be read, once, however many tasks were
    /// leased ahead; `explain` is logged once too.
    pub(super) fn take_back(&self, route: &Route, explain: impl FnOnce() -> String) {
        let mut readable = self.readable();
        if readable.has_said(route) {
            *readable = Arc::new(Readable::new(Arc::clone(&self.registry)));
            drop(readable);
            log::say(|| tracing::error!("tasks of this kind wait: {}", explain()));
        }
    }

    fn readable(&self) -> MutexGuard<'_, Arc<Readable>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
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
                "the {} starts",
                self.name()
            );
            for registration in
                self.registry.registrations().iter().filter(|_| self.errand.is_none())
            {
                tracing::debug!(kind = registration.kind, at = %registration.location, "task");
            }
        });
    }
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
