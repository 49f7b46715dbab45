//! The role that makes attempts: a fixed number of runners, each taking the next leased task that waits.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::Crew;
use super::held::Held;
use crate::backend::{LeaseRef, LeasedTask, Settlement, Standing, Verdict};
use crate::context::TaskContext;
use crate::log;
use crate::outcome::Outcome;
use crate::registry::Registration;
use crate::unwind;

/// Leased tasks that wait for a runner.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    tasks: Mutex<VecDeque<(Duration, LeasedTask)>>,
    arrived: Notify,
    /// Told when a runner takes a task or has ended one: there may be room for more.
    pub(super) moved: Notify,
    running: AtomicUsize,
    ended: AtomicU64,
    /// Whether the worker was told to end.
    is_closed: watch::Sender<bool>,
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

    /// Lets no more tasks start.
    pub(super) fn close(&self) {
        self.is_closed.send_replace(true);
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.is_closed.borrow()
    }

    /// Waits until no more tasks start.
    pub(super) async fn closed(&self) {
        // Its sender is there as long as this is.
        _ = self.is_closed.subscribe().wait_for(|is_closed| *is_closed).await;
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
        if self.is_closed() {
            return None;
        }
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

/// Has as many runners as `wanted`: those that have ended are replaced.
pub(super) fn hire<R>(runners: &mut JoinSet<()>, wanted: usize, mut runner: impl FnMut() -> R)
where
    R: Future<Output = ()> + Send + 'static,
{
    while let Some(ended) = runners.try_join_next() {
        unwind::discard(ended);
    }
    while runners.len() < wanted {
        runners.spawn(runner());
    }
}

/// Runs one waiting task after the other, for ever.
pub(super) async fn runner(crew: Arc<Crew>, settlements: UnboundedSender<Settlement>) {
    loop {
        let task = crew.waiting.next().await;
        let running = Running { waiting: &crew.waiting, held: &crew.held, lease: task.lease, is_settled: false };
        crew.waiting.moved.notify_one();
        let settlement = attempt(&crew, &task).await;
        running.settle(settlement, &settlements);
    }
}

/// An attempt under way. However its runner ends, it stops counting as running and its lease is not kept for ever.
struct Running<'a> {
    waiting: &'a Waiting,
    held: &'a Held,
    lease: LeaseRef,
    /// Whether the settler has its outcome, and keeps the lease until that is recorded.
    is_settled: bool,
}

impl Running<'_> {
    fn settle(mut self, settlement: Settlement, settlements: &UnboundedSender<Settlement>) {
        self.held.ended(&self.lease);
        self.is_settled = settlements.send(settlement).is_ok();
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.held.forget(&self.lease);
        }
        self.waiting.running.fetch_sub(1, Ordering::AcqRel);
        self.waiting.ended.fetch_add(1, Ordering::Relaxed);
        self.waiting.moved.notify_one();
    }
}

/// Makes one attempt. Where anything beside the handler panics, the attempt has failed.
async fn attempt(crew: &Crew, task: &LeasedTask) -> Settlement {
    let Some(registration) = crew.registry.find(task.spec.kind.as_str(), task.spec.shape) else {
        log::say(|| tracing::error!("{}", crew.registry.explain_unroutable(task.spec.kind.as_str(), task.spec.shape)));
        return Settlement::new(task.lease, Verdict::Release);
    };
    let made = unwind::caught(pin!(Some(make(crew, task, registration)))).await;
    made.unwrap_or_else(|panic| {
        log::say(
            || tracing::error!(id = %task.lease.id, kind = %task.spec.kind, panic, "an attempt panicked beside its handler"),
        );
        let outcome = Outcome::failed(None, Panicked(panic).into());
        Settlement::new(task.lease, Verdict::of(&outcome, registration.max_attempts))
    })
}

async fn make(crew: &Crew, task: &LeasedTask, registration: &Registration) -> Settlement {
    let context = TaskContext::of_leased(task, registration);
    if !crew.held.started(task.lease, &context, crew.overdue()) {
        return Settlement::new(task.lease, Verdict::Release);
    }
    let started = crew.clock.wall();
    let attributes = task.spec.attributes.as_deref();
    let outcome = crew.dispatcher.dispatch(registration, &task.payload, attributes, &context).await;
    let mut settlement = Settlement::new(task.lease, Verdict::of(&outcome, registration.max_attempts));
    settlement.started = Some(started);
    settlement
}

/// An attempt panicked where its handler has no part.
#[derive(Debug, thiserror::Error)]
#[error("the attempt panicked beside its handler: {0}")]
struct Panicked(String);

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::super::held::tests::{held, lease};
    use super::*;

    fn running<'a>(waiting: &'a Waiting, held: &'a Held) -> Running<'a> {
        waiting.running.fetch_add(1, Ordering::AcqRel);
        Running { waiting, held, lease: lease(), is_settled: false }
    }

    #[test]
    fn a_runner_that_ends_leaves_no_lease_behind() {
        let ((held, context), waiting) = (held(), Waiting::default());
        drop(running(&waiting, &held));
        assert!(held.all().is_empty() && context.is_cancelled());
        assert_eq!((waiting.running(), waiting.ended()), (0, 1));
    }

    #[test]
    fn a_lease_is_kept_until_its_outcome_is_recorded_and_no_longer_where_nobody_records() {
        let ((held, context), waiting) = (held(), Waiting::default());
        let (settlements, received) = tokio::sync::mpsc::unbounded_channel();
        let settlement = || Settlement::new(lease(), Verdict::Done);
        running(&waiting, &held).settle(settlement(), &settlements);
        assert!(held.all() == [lease()] && !held.all_recorded() && !context.is_cancelled());
        drop(received);
        running(&waiting, &held).settle(settlement(), &settlements);
        assert!(held.all().is_empty());
    }

    #[tokio::test]
    async fn runners_that_have_ended_are_replaced() {
        let mut runners = JoinSet::new();
        hire(&mut runners, 1, || async { panic!("a runner ends") });
        hire(&mut runners, 3, || ready(()));
        tokio::task::yield_now().await;
        hire(&mut runners, 2, pending);
        assert!(runners.try_join_next().is_none() && runners.len() == 2);
        hire(&mut runners, 2, || async { panic!("there are enough") });
        assert_eq!(runners.len(), 2);
    }
}
