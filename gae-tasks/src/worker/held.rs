//! The leases that a worker holds, and the attempts under these leases.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::suspects::Suspects;
use crate::backend::{LeaseRef, LeasedTask, Settlement};
use crate::context::TaskContext;
use crate::log;

/// Every lease that a worker holds, from the answer that granted it to the answer that settled it.
#[derive(Debug, Default)]
pub(super) struct Held {
    leases: Mutex<HashMap<LeaseRef, Lease>>,
    suspects: Arc<Suspects>,
    /// Notified when a task was cancelled.
    cancels: Notify,
}

#[derive(Debug)]
struct Lease {
    /// When the lease was last requested, by the monotonic clock: it lasts at least its duration
    /// from then on.
    asked: Duration,
    /// The attempt under the lease, once the attempt has begun.
    context: Option<TaskContext>,
    suspect: bool,
    /// Whether no other suspect may be leased beside this task.
    alone: bool,
    /// Whether the storage reports the lease as lost; an attempt that cannot be stopped goes on.
    lost: bool,
    /// Whether the attempt has ended and only its outcome is to be recorded.
    ended: bool,
    /// Whether the task was cancelled: no attempt begins, and one that runs is the last.
    cancelled: bool,
}

impl Lease {
    fn of(task: &LeasedTask, asked: Duration) -> Self {
        let (suspect, alone) = (task.standing.is_suspect(), task.alone);
        let (lost, ended, cancelled) = (false, false, false);
        Self { asked, context: None, suspect, alone, lost, ended, cancelled }
    }

    /// The attempt that is running under the lease.
    fn running(&self) -> Option<&TaskContext> {
        self.context.as_ref().filter(|context| !self.ended && !context.is_stopped())
    }
}

impl Held {
    /// Creates an empty set for a worker that shares its process with these suspects.
    pub(super) fn beside(suspects: Arc<Suspects>) -> Self {
        Self { leases: Mutex::default(), suspects, cancels: Notify::new() }
    }

    /// Adds the leases of tasks that were requested at `asked`.
    pub(super) fn add(&self, tasks: &[LeasedTask], asked: Duration) {
        let mut leases = self.lock();
        for task in tasks {
            self.insert(&mut leases, task.lease, Lease::of(task, asked));
        }
    }

    fn insert(&self, leases: &mut HashMap<LeaseRef, Lease>, lease: LeaseRef, entry: Lease) {
        if entry.suspect {
            self.suspects.add(entry.alone);
        }
        leases.insert(lease, entry);
    }

    fn take_out(&self, leases: &mut HashMap<LeaseRef, Lease>, lease: &LeaseRef) -> Option<Lease> {
        let entry = leases.remove(lease)?;
        if entry.suspect {
            self.suspects.remove(entry.alone);
        }
        Some(entry)
    }

    /// Records the attempt under a lease; returns whether the attempt may begin: the lease must be
    /// held, and must have been requested after `limit`, and its task must not be cancelled.
    pub(super) fn started(
        &self,
        lease: LeaseRef,
        context: &TaskContext,
        limit: Option<Duration>,
    ) -> bool {
        let mut leases = self.lock();
        let entry = leases.get_mut(&lease);
        let is_in_time = |entry: &&mut Lease| limit.is_none_or(|limit| entry.asked >= limit);
        let valid = entry.filter(is_in_time).filter(|entry| !entry.lost && !entry.cancelled);
        valid.map(|entry| entry.context = Some(context.clone())).is_some()
    }

    /// The kind of the task under a lease, for logs; empty if its attempt has not begun.
    pub(super) fn kind(&self, lease: &LeaseRef) -> String {
        let leases = self.lock();
        let context = leases.get(lease).and_then(|entry| entry.context.as_ref());
        context.map(|context| context.kind().to_string()).unwrap_or_default()
    }

    /// Forgets settled leases; a suspect whose attempt has ended survived it.
    pub(super) fn remove(&self, settlements: &[Settlement]) {
        let mut leases = self.lock();
        for settlement in settlements {
            let is_attempt = settlement.verdict.is_of_an_attempt();
            if is_attempt && leases.get(&settlement.lease).is_some_and(|entry| entry.suspect) {
                self.suspects.survived();
            }
            self.take_out(&mut leases, &settlement.lease);
        }
    }

    /// Records that the attempt under a lease has ended.
    pub(super) fn ended(&self, lease: &LeaseRef) {
        if let Some(entry) = self.lock().get_mut(lease) {
            entry.ended = true;
        }
    }

    /// Cancels every attempt.
    pub(super) fn cancel_all(&self) {
        let contexts: Vec<_> =
            self.lock().values().filter_map(|entry| entry.context.clone()).collect();
        contexts.iter().for_each(TaskContext::cancel);
    }

    /// Whether the outcome of every ended attempt is recorded.
    pub(super) fn all_recorded(&self) -> bool {
        !self.lock().values().any(|entry| entry.ended)
    }

    /// The leases to extend.
    pub(super) fn all(&self) -> Vec<LeaseRef> {
        self.lock().iter().filter(|(_, entry)| !entry.lost).map(|(lease, _)| *lease).collect()
    }

    /// Whether `lease` is held.
    pub(super) fn contains(&self, lease: &LeaseRef) -> bool {
        self.lock().contains_key(lease)
    }

    pub(super) fn extended(&self, lease: &LeaseRef, asked: Duration) {
        if let Some(entry) = self.lock().get_mut(lease) {
            entry.asked = asked;
        }
    }

    /// Stops extending a lease whose outcome is not recorded; a running attempt is cancelled.
    pub(super) fn forget(&self, lease: &LeaseRef) {
        let removed = self.take_out(&mut self.lock(), lease);
        if let Some(context) = removed.and_then(|entry| entry.context) {
            context.cancel();
        }
    }

    /// Gives up a lease that the storage does not know any more: its attempt is cancelled, and the
    /// attempt's outcome does not count. If the attempt has ended, nothing changes: the lease may
    /// be gone because its outcome is recorded, and otherwise the settler reports the loss.
    pub(super) fn lose(&self, lease: &LeaseRef) {
        let context = {
            let mut leases = self.lock();
            match leases.get_mut(lease) {
                Some(entry) if !entry.ended && entry.context.is_some() => {
                    // A suspect counts until its attempt has ended, as it may still kill the
                    // process.
                    entry.lost = true;
                    entry.context.clone()
                }
                Some(entry) if !entry.ended => {
                    self.take_out(&mut leases, lease).and_then(|entry| entry.context)
                }
                _ => None,
            }
        };
        if let Some(context) = context {
            context.cancel();
            let kind = context.kind();
            log::say(|| {
                tracing::warn!(
                    id = %lease.id, %kind,
                    "the lease is lost, the attempt is cancelled"
                )
            });
        }
    }

    /// Cancels tasks, as somebody has asked for. Of a task that runs, the handler is told, and has
    /// a grace to end; one that waits for a runner is not begun.
    pub(super) fn cancel(&self, cancelled: &[LeaseRef]) {
        if cancelled.is_empty() {
            return;
        }
        let mut contexts = Vec::new();
        for lease in cancelled {
            let mut leases = self.lock();
            let of_ours = leases.get_mut(lease).filter(|entry| !entry.ended && !entry.cancelled);
            if let Some(entry) = of_ours {
                entry.cancelled = true;
                contexts.extend(entry.context.clone());
            }
        }
        self.cancels.notify_waiters();
        for context in &contexts {
            context.request_cancel();
            let (id, kind) = (context.id(), context.kind());
            log::say(|| tracing::info!(%id, %kind, "the task was cancelled: its handler is told"));
        }
    }

    /// Whether the task under a lease was cancelled.
    pub(super) fn is_cancelled(&self, lease: &LeaseRef) -> bool {
        self.lock().get(lease).is_some_and(|entry| entry.cancelled)
    }

    /// Waits until the task under a lease is cancelled.
    pub(super) async fn cancelled(&self, lease: &LeaseRef) {
        let mut notified = std::pin::pin!(self.cancels.notified());
        loop {
            notified.as_mut().enable();
            if self.is_cancelled(lease) {
                return;
            }
            notified.as_mut().await;
            notified.set(self.cancels.notified());
        }
    }

    /// Whether no lease is held.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Extends all leases, as this worker counts them, by a time in which nobody can have taken
    /// one.
    pub(super) fn stood_still(&self, time: Duration) {
        for entry in self.lock().values_mut() {
            entry.asked = entry.asked.saturating_add(time);
        }
    }

    /// When the oldest lease with a running attempt was requested.
    pub(super) fn oldest(&self) -> Option<Duration> {
        let leases = self.lock();
        leases.values().filter(|entry| entry.running().is_some()).map(|entry| entry.asked).min()
    }

    /// Cancels the attempts whose leases were requested before `limit` and have expired by this
    /// worker's clock: another worker may hold them now. The leases are still extended until the
    /// storage reports them as lost or they are settled: an attempt that cannot be stopped keeps
    /// its task if no other worker has taken it.
    pub(super) fn cancel_overdue(&self, limit: Duration) {
        let overdue: Vec<_> = {
            let leases = self.lock();
            let overdue = leases.values().filter(|entry| entry.asked < limit);
            overdue.filter_map(|entry| entry.running().cloned()).collect()
        };
        for context in &overdue {
            context.cancel();
            let (id, kind) = (context.id(), context.kind());
            log::say(|| {
                tracing::warn!(
                    %id, %kind,
                    "the lease was not extended in time, the attempt is cancelled"
                )
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LeaseRef, Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the suspects of a worker that is dropped.
impl Drop for Held {
    fn drop(&mut self) {
        let leases = std::mem::take(&mut *self.lock());
        leases
            .values()
            .filter(|entry| entry.suspect)
            .for_each(|entry| self.suspects.remove(entry.alone));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::suspects::tests::room;
    use super::*;
    use crate::backend::{LeaseToken, Verdict};
    use crate::context::AttemptInfo;
    use crate::queue::QueueName;
    use crate::task::{Kind, TaskId};

    pub(in crate::worker) fn lease() -> LeaseRef {
        LeaseRef::new(TaskId::from_bytes([1; 16]), LeaseToken::from_bits(1))
    }

    /// A lease whose attempt has not begun.
    fn entry(suspect: bool) -> Lease {
        let (asked, alone, lost, ended) = (Duration::ZERO, suspect, false, false);
        Lease { asked, context: None, suspect, alone, lost, ended, cancelled: false }
    }

    /// A held lease with a running attempt.
    pub(in crate::worker) fn held() -> (Held, TaskContext) {
        let held = Held::default();
        held.insert(&mut held.lock(), lease(), entry(true));
        let context = TaskContext::new(AttemptInfo {
            id: lease().id,
            kind: Kind::from_static("test/task"),
            queue: QueueName::DEFAULT,
            name: None,
            attempt: 1,
            schedule_time: None,
            deadline: Duration::from_secs(1),
            traceparent: None,
        });
        assert!(held.started(lease(), &context, None));
        (held, context)
    }

    #[test]
    fn an_attempt_whose_lease_is_lost_is_cancelled() {
        let (held, context) = held();
        held.lose(&lease());
        assert!(context.is_cancelled() && held.all().is_empty() && held.contains(&lease()));
    }

    #[test]
    fn a_lease_that_is_lost_before_its_attempt_begins_is_forgotten() {
        let held = Held::default();
        held.insert(&mut held.lock(), lease(), entry(false));
        held.lose(&lease());
        assert!(!held.contains(&lease()));
    }

    #[test]
    fn a_lease_tells_the_kind_of_its_task_once_that_has_begun() {
        let (held, _context) = held();
        assert_eq!(held.kind(&lease()), "test/task");
        held.forget(&lease());
        assert_eq!(held.kind(&lease()), "");
    }

    #[test]
    fn an_attempt_whose_lease_is_lost_is_cancelled_though_the_log_panics() {
        let (held, context) = held();
        crate::log::tests::broken(|| held.lose(&lease()));
        assert!(context.is_cancelled());
    }

    #[test]
    fn an_attempt_that_has_ended_does_not_lose_its_lease() {
        // The outcome may be recorded already, so that the storage does not know the lease any
        // more.
        let (held, context) = held();
        held.ended(&lease());
        held.lose(&lease());
        assert!(!context.is_cancelled() && held.all() == [lease()]);
    }

    #[test]
    fn a_lease_that_has_run_out_begins_no_attempt() {
        let (held, context) = held();
        assert!(held.started(lease(), &context, Some(Duration::ZERO)));
        assert!(!held.started(lease(), &context, Some(Duration::from_secs(1))));
        held.extended(&lease(), Duration::from_secs(1));
        assert!(held.started(lease(), &context, Some(Duration::from_secs(1))));
    }

    #[test]
    fn an_attempt_whose_lease_has_run_out_is_cancelled_and_its_lease_kept() {
        let (held, context) = held();
        held.cancel_overdue(Duration::ZERO);
        assert!(!context.is_cancelled());
        assert_eq!(held.oldest(), Some(Duration::ZERO));
        held.cancel_overdue(Duration::from_nanos(1));
        assert!(context.is_cancelled() && held.all() == [lease()]);
        assert_eq!(held.oldest(), None, "no attempt is left to cancel");
    }

    #[test]
    fn a_time_in_which_nobody_takes_leases_does_not_count() {
        let (held, context) = held();
        held.stood_still(Duration::from_secs(5));
        held.cancel_overdue(Duration::from_secs(5));
        assert!(!context.is_cancelled());
        held.cancel_overdue(Duration::from_secs(6));
        assert!(context.is_cancelled());
    }

    #[test]
    fn an_attempt_that_has_ended_is_not_cancelled_when_its_lease_runs_out() {
        let (held, context) = held();
        held.ended(&lease());
        held.cancel_overdue(Duration::from_secs(9));
        assert!(!context.is_cancelled() && held.oldest().is_none());
    }

    #[test]
    fn a_running_attempt_whose_task_is_cancelled_is_told_and_keeps_its_lease() {
        let (held, context) = held();
        held.cancel(&[lease()]);
        assert!(context.is_cancelled() && context.is_cancel_requested() && !context.is_stopped());
        assert!(held.all() == [lease()] && held.is_cancelled(&lease()));
        assert_eq!(held.oldest(), Some(Duration::ZERO), "its lease may still run out");
        held.cancel_overdue(Duration::from_nanos(1));
        assert!(context.is_stopped());
    }

    #[test]
    fn a_task_that_is_cancelled_before_its_attempt_begins_is_not_begun() {
        let (_, context) = held();
        let held = Held::default();
        held.insert(&mut held.lock(), lease(), entry(false));
        held.cancel(&[lease()]);
        assert!(!held.started(lease(), &context, None));
        assert_eq!(held.all(), [lease()], "its end is to be recorded");
    }

    #[test]
    fn a_task_that_is_cancelled_after_its_attempt_is_over_is_told_nothing() {
        let (held, context) = held();
        held.ended(&lease());
        held.cancel(&[lease(), LeaseRef::new(lease().id, LeaseToken::from_bits(2))]);
        assert!(!context.is_cancelled() && !held.is_cancelled(&lease()));
    }

    #[tokio::test]
    async fn who_waits_for_a_cancellation_learns_of_it_before_and_after() {
        let (held, _context) = held();
        let cancel = async {
            tokio::task::yield_now().await;
            held.cancel(&[lease()]);
        };
        let lease = lease();
        tokio::join!(biased; held.cancelled(&lease), cancel);
        held.cancelled(&lease).await;
    }

    #[test]
    fn a_suspect_counts_until_its_attempt_is_settled() {
        let (held, _context) = held();
        held.lose(&lease());
        assert_eq!(room(&held.suspects), (0, true), "the attempt may still run");
        held.remove(&[Settlement::new(lease(), Verdict::Release)]);
        assert_eq!(room(&held.suspects), (1, false));
    }

    #[test]
    fn a_worker_that_is_dropped_leaves_no_suspect_behind() {
        let (held, _context) = held();
        let suspects = Arc::clone(&held.suspects);
        assert_eq!(room(&suspects), (0, true));
        drop(held);
        assert_eq!(room(&suspects), (1, false));
    }

    #[test]
    fn only_a_suspect_that_was_attempted_doubles_the_room() {
        let unreadable = Verdict::Unreadable {
            error: String::new(),
            reader: crate::backend::ReaderId::from_bits(7),
        };
        for (verdict, expected) in [(Verdict::Release, 1), (unreadable, 1), (Verdict::Done, 2)] {
            let (held, _context) = held();
            held.remove(&[Settlement::new(lease(), verdict)]);
            assert_eq!(room(&held.suspects), (expected, false));
        }
    }
}
