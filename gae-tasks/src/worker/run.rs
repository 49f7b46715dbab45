//! The role that makes attempts: a fixed number of runners, each taking the next leased task that waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use super::Crew;
use crate::backend::{LeasedTask, Settlement, Standing, Verdict};
use crate::context::TaskContext;

/// Leased tasks that wait for a runner.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    tasks: Mutex<VecDeque<(Duration, LeasedTask)>>,
    arrived: Notify,
    /// Told when a runner takes a task or has ended one: there may be room for more.
    pub(super) moved: Notify,
    running: AtomicUsize,
    ended: AtomicU64,
}

impl Waiting {
    /// Adds tasks that were leased at `now`; those that must start at once are first in line.
    pub(super) fn add(&self, tasks: Vec<LeasedTask>, now: Duration) {
        let mut waiting = self.lock();
        for task in tasks {
            if task.standing != Standing::Clear {
                waiting.push_front((now, task));
            } else {
                waiting.push_back((now, task));
            }
            self.arrived.notify_one();
        }
    }

    /// Takes out the tasks that were leased before `limit`.
    pub(super) fn take_older_than(&self, limit: Duration) -> Vec<LeasedTask> {
        let mut waiting = self.lock();
        // Those that must start at once stand before older ones, so the line is not in the order of its ages.
        let (old, young): (VecDeque<_>, _) =
            std::mem::take(&mut *waiting).into_iter().partition(|(since, _)| *since < limit);
        *waiting = young;
        old.into_iter().map(|(_, task)| task).collect()
    }

    /// Takes out all tasks.
    pub(super) fn take_all(&self) -> Vec<LeasedTask> {
        self.lock().drain(..).map(|(_, task)| task).collect()
    }

    /// About when the task was leased that has waited longest: the line is in the order of age but for those at its
    /// front that must start at once, and behind these an older one is told of when they are old enough themselves.
    pub(super) fn oldest(&self) -> Option<Duration> {
        let waiting = self.lock();
        let (first, last) = (waiting.front()?, waiting.back()?);
        Some(first.0.min(last.0))
    }

    /// Whether a task waits that must start at once.
    pub(super) fn has_urgent(&self) -> bool {
        self.lock().front().is_some_and(|(_, task)| task.standing != Standing::Clear)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    /// How many attempts have ended since the worker started.
    pub(super) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    async fn next(&self) -> LeasedTask {
        loop {
            if let Some(task) = self.start_next() {
                return task;
            }
            self.arrived.notified().await;
        }
    }

    /// The next task, counted as running before it stops counting as waiting.
    fn start_next(&self) -> Option<LeasedTask> {
        let mut waiting = self.lock();
        let (_, task) = waiting.pop_front()?;
        self.running.fetch_add(1, Ordering::AcqRel);
        if !waiting.is_empty() {
            // Permits do not add up: whoever takes one task passes the word on.
            self.arrived.notify_one();
        }
        Some(task)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Duration, LeasedTask)>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts an attempt as ended, also when its runner is aborted.
struct Running<'a>(&'a Waiting);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
        self.0.ended.fetch_add(1, Ordering::Relaxed);
        self.0.moved.notify_one();
    }
}

/// Runs one waiting task after the other, for ever.
pub(super) async fn runner(crew: Arc<Crew>, settlements: UnboundedSender<Settlement>) {
    loop {
        let task = crew.waiting.next().await;
        let _running = Running(&crew.waiting);
        crew.waiting.moved.notify_one();
        let settlement = attempt(&crew, &task).await;
        crew.held.ended(&task.lease);
        // The settler outlives the runners; if it is gone, the lease expires and the task runs again.
        _ = settlements.send(settlement);
    }
}

async fn attempt(crew: &Crew, task: &LeasedTask) -> Settlement {
    let Some(registration) = crew.registry.find(task.kind.as_str(), task.shape) else {
        tracing::error!("{}", crew.registry.explain_unroutable(task.kind.as_str(), task.shape));
        return Settlement::new(task.lease, Verdict::Release);
    };
    let context = TaskContext::of_leased(task, registration);
    if !crew.held.started(task.lease, &context, crew.overdue()) {
        return Settlement::new(task.lease, Verdict::Release);
    }
    let started = crew.clock.wall();
    let attributes = task.attributes.as_deref();
    let outcome = crew.dispatcher.dispatch(registration, &task.payload, attributes, &context).await;
    let mut settlement = Settlement::new(task.lease, Verdict::of(&outcome, registration.max_attempts));
    settlement.started = Some(started);
    settlement
}
