//! The role that keeps leases: extends them from a thread of its own, so that a busy handler cannot starve it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::suspects::{Suspects, Window};
use super::{Crew, pause};
use crate::backend::{Extend, LeaseRef, LeasedTask, Settlement, Verdict};
use crate::context::TaskContext;
use crate::error::Error;

/// Every lease that a worker has, from the answer that gave it to the one that settled it.
#[derive(Debug, Default)]
pub(super) struct Held {
    leases: Mutex<HashMap<LeaseRef, Lease>>,
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Lease {
    /// When it was last asked for, by the monotonic clock: it lasts at least that much longer.
    asked: Duration,
    /// The attempt made under it, once it has begun.
    context: Option<TaskContext>,
    suspect: bool,
    /// Whether no other suspect may be leased beside it.
    alone: bool,
    /// Whether its attempt has ended, so that only its outcome is to be recorded.
    ended: bool,
}

impl Held {
    /// Adds the leases of tasks that were asked for at `asked`.
    pub(super) fn add(&self, tasks: &[LeasedTask], asked: Duration) {
        let lease = |task: &LeasedTask| Lease {
            asked,
            context: None,
            suspect: task.standing.is_suspect(),
            alone: task.alone,
            ended: false,
        };
        self.lock().extend(tasks.iter().map(|task| (task.lease, lease(task))));
    }

    /// How many suspects may be leased now, and whether there are others beside them.
    pub(super) fn room_for_suspects(&self) -> (usize, bool) {
        let suspects = {
            let leases = self.lock();
            let suspects = leases.values().filter(|lease| lease.suspect);
            Suspects { held: suspects.clone().count(), isolated: suspects.clone().any(|lease| lease.alone) }
        };
        (self.window().room(suspects), suspects.held > 0)
    }

    /// Notes the attempt under a lease. Answers whether it may begin: the lease is held, and was asked for after `limit`.
    pub(super) fn started(&self, lease: LeaseRef, context: &TaskContext, limit: Option<Duration>) -> bool {
        let mut leases = self.lock();
        let held = leases.get_mut(&lease).filter(|held| limit.is_none_or(|limit| held.asked >= limit));
        held.map(|held| held.context = Some(context.clone())).is_some()
    }

    /// The kind of the task of a lease, for logs; empty if its attempt has not begun.
    pub(super) fn kind(&self, lease: &LeaseRef) -> String {
        let held = self.lock();
        let context = held.get(lease).and_then(|lease| lease.context.as_ref());
        context.map(|context| context.kind().to_string()).unwrap_or_default()
    }

    /// Forgets leases that are settled; a suspect whose attempt has ended survived it.
    pub(super) fn remove(&self, settlements: &[Settlement]) {
        let mut leases = self.lock();
        for settlement in settlements {
            let removed = leases.remove(&settlement.lease);
            if removed.is_some_and(|lease| lease.suspect) && settlement.verdict != Verdict::Release {
                self.window().survived();
            }
        }
    }

    /// Notes that the attempt under a lease has ended.
    pub(super) fn ended(&self, lease: &LeaseRef) {
        if let Some(held) = self.lock().get_mut(lease) {
            held.ended = true;
        }
    }

    /// Tells every attempt to end.
    pub(super) fn cancel_all(&self) {
        let contexts: Vec<_> = self.lock().values().filter_map(|lease| lease.context.clone()).collect();
        contexts.iter().for_each(TaskContext::cancel);
    }

    /// Waits until every attempt that has ended is recorded; `recorded` tells of each.
    pub(super) async fn only_unended(&self, recorded: &Notify) {
        while self.lock().values().any(|lease| lease.ended) {
            recorded.notified().await;
        }
    }

    fn all(&self) -> Vec<LeaseRef> {
        self.lock().keys().copied().collect()
    }

    fn extended(&self, lease: &LeaseRef, asked: Duration) {
        if let Some(held) = self.lock().get_mut(lease) {
            held.asked = asked;
        }
    }

    /// Gives a lease up: its attempt is cancelled. Not if it has ended: then the lease may be gone because its outcome
    /// is recorded, and else the settler tells of it.
    fn lose(&self, lease: &LeaseRef) {
        let lost = {
            let mut held = self.lock();
            if held.get(lease).is_some_and(|held| held.ended) { None } else { held.remove(lease) }
        };
        if let Some(context) = lost.and_then(|held| held.context) {
            tracing::warn!(id = %lease.id, kind = %context.kind(), "the lease is lost, the attempt is cancelled");
            context.cancel();
        }
    }

    /// Cancels the attempts whose leases were asked for before `limit` and have run out by this worker's clock: another
    /// one may have them. They are extended all the same, until the storage says that they are lost or they are
    /// settled: an attempt that cannot be stopped keeps its task, if nobody else has taken it.
    fn cancel_overdue(&self, limit: Duration) {
        let is_overdue = |lease: &&Lease| lease.asked < limit && !lease.ended;
        let overdue: Vec<_> =
            self.lock().values().filter(is_overdue).filter_map(|lease| lease.context.clone()).collect();
        for context in overdue.iter().filter(|context| !context.is_cancelled()) {
            let (id, kind) = (context.id(), context.kind());
            tracing::warn!(%id, %kind, "the lease could not be extended in time, the attempt is cancelled");
            context.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LeaseRef, Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that extends leases; dropped, it ends.
#[derive(Debug)]
pub(super) struct Keeper {
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
}

impl Keeper {
    pub(super) fn start(crew: Arc<Crew>) -> Result<Self, Error> {
        let (stop, to_be_stopped) = oneshot::channel::<()>();
        let (ended, stopped) = oneshot::channel();
        let backend = crew.pull.capabilities().backend;
        let failed = |source: std::io::Error| Error::Storage {
            backend,
            problem: "cannot be watched: no thread for extending leases can be started".to_owned(),
            source: source.into(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let work = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = to_be_stopped => {}
                    () = keep(&crew) => {}
                }
            });
            // Before the end is told, or the backend might be dropped on this thread while the program ends.
            drop(crew);
            _ = ended.send(());
        };
        thread::Builder::new().name("gae-tasks-keep".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self { stop, stopped })
    }

    /// Ends the thread, and waits until it has let go of the backend.
    pub(super) async fn finish(self) {
        drop(self.stop);
        _ = self.stopped.await;
    }
}

async fn keep(crew: &Crew) {
    let mut failures = 0;
    loop {
        let interval = if failures == 0 { crew.lease / 3 } else { pause(failures).min(crew.lease / 3) };
        crew.clock.sleep(interval).await;
        match extend(crew).await {
            Ok(()) => failures = 0,
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::error!(error = crate::outcome::chain(&error), "cannot extend leases, trying again");
            }
        }
        if let Some(limit) = crew.overdue() {
            crew.held.cancel_overdue(limit);
        }
    }
}

async fn extend(crew: &Crew) -> Result<(), Error> {
    let leases = crew.held.all();
    if leases.is_empty() {
        return Ok(());
    }
    let asked = crew.clock.monotonic();
    let request = Extend { now: crew.clock.now(), leases: leases.clone(), duration: crew.lease };
    let held = tokio::select! {
        held = crew.pull.extend(request) => held?,
        () = crew.clock.sleep(crew.lease / 3) => return Err(no_answer(crew)),
    };
    for (lease, held) in leases.iter().zip(held) {
        if held {
            crew.held.extended(lease, asked);
        } else {
            crew.held.lose(lease);
        }
    }
    Ok(())
}

/// The storage hangs: what it may say later is of no use.
fn no_answer(crew: &Crew) -> Error {
    let backend = crew.pull.capabilities().backend;
    let problem = "has not answered for a third of the lease time".to_owned();
    Error::Storage { backend, problem, source: "no answer".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::LeaseToken;
    use crate::context::AttemptInfo;
    use crate::queue::QueueName;
    use crate::task::{Kind, TaskId};

    fn lease() -> LeaseRef {
        LeaseRef { id: TaskId::from_bytes([1; 16]), token: LeaseToken::from_bits(1) }
    }

    /// A held lease with an attempt under it.
    fn held() -> (Held, TaskContext) {
        let held = Held::default();
        let entry = Lease { asked: Duration::ZERO, context: None, suspect: false, alone: false, ended: false };
        held.lock().insert(lease(), entry);
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
        assert!(context.is_cancelled() && held.all().is_empty());
    }

    #[test]
    fn an_attempt_that_has_ended_does_not_lose_its_lease() {
        // Its outcome may be recorded already, so that the storage knows the lease no more.
        let (held, context) = held();
        held.ended(&lease());
        held.lose(&lease());
        assert!(!context.is_cancelled() && held.all() == [lease()]);
    }
}
