//! The role that keeps leases: extends them from a thread of its own, so that a busy handler cannot starve it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Crew, pause};
use crate::backend::{Extend, LeaseRef, LeasedTask, Standing};
use crate::context::TaskContext;
use crate::error::Error;
use crate::log;

/// Every lease that a worker has, from the answer that gave it to the one that settled it.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<HashMap<LeaseRef, Lease>>);

#[derive(Debug)]
struct Lease {
    /// When it was last asked for, by the monotonic clock: it lasts at least that much longer.
    asked: Duration,
    /// The attempt made under it, once it has begun.
    context: Option<TaskContext>,
    suspect: bool,
    /// Whether its attempt has ended, so that only its outcome is to be recorded.
    ended: bool,
}

impl Held {
    /// Adds the leases of tasks that were asked for at `asked`.
    pub(super) fn add(&self, tasks: &[LeasedTask], asked: Duration) {
        let lease = |task: &LeasedTask| Lease {
            asked,
            context: None,
            suspect: task.standing == Standing::Suspect,
            ended: false,
        };
        self.lock().extend(tasks.iter().map(|task| (task.lease, lease(task))));
    }

    /// Whether one of the tasks is a suspect.
    pub(super) fn has_suspect(&self) -> bool {
        self.lock().values().any(|lease| lease.suspect)
    }

    /// Notes the attempt under a lease. Answers whether the lease is still held.
    pub(super) fn started(&self, lease: LeaseRef, context: &TaskContext) -> bool {
        self.lock().get_mut(&lease).map(|held| held.context = Some(context.clone())).is_some()
    }

    /// The kind of the task of a lease, for logs; empty if its attempt has not begun.
    pub(super) fn kind(&self, lease: &LeaseRef) -> String {
        let held = self.lock();
        let context = held.get(lease).and_then(|lease| lease.context.as_ref());
        context.map(|context| context.kind().to_string()).unwrap_or_default()
    }

    /// Forgets leases that are settled.
    pub(super) fn remove<'a>(&self, leases: impl Iterator<Item = &'a LeaseRef>) {
        let mut held = self.lock();
        for lease in leases {
            held.remove(lease);
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

    /// Whether every attempt that has ended is recorded.
    pub(super) fn all_recorded(&self) -> bool {
        !self.lock().values().any(|lease| lease.ended)
    }

    pub(super) fn all(&self) -> Vec<LeaseRef> {
        self.lock().keys().copied().collect()
    }

    fn extended(&self, lease: &LeaseRef, asked: Duration) {
        if let Some(held) = self.lock().get_mut(lease) {
            held.asked = asked;
        }
    }

    /// Extends a lease no more, though its outcome is not recorded: its attempt, if one goes on, is cancelled.
    pub(super) fn forget(&self, lease: &LeaseRef) -> Option<TaskContext> {
        let context = self.lock().remove(lease)?.context?;
        context.cancel();
        Some(context)
    }

    /// Gives a lease up. Not if its attempt has ended: then the lease may be gone because its outcome is recorded, and
    /// else the settler tells of it.
    fn lose(&self, lease: &LeaseRef) {
        if self.lock().get(lease).is_some_and(|held| held.ended) {
            return;
        }
        if let Some(context) = self.forget(lease) {
            let kind = context.kind();
            log::say(|| tracing::warn!(id = %lease.id, %kind, "the lease is lost, the attempt is cancelled"));
        }
    }

    /// The leases that were not extended since `limit`.
    fn asked_before(&self, limit: Duration) -> Vec<LeaseRef> {
        self.lock().iter().filter(|(_, lease)| lease.asked < limit).map(|(lease, _)| *lease).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LeaseRef, Lease>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
                let error = crate::outcome::chain(&error);
                log::say(|| tracing::error!(error, "cannot extend leases, trying again"));
            }
        }
        // By our own clock these have run out: another worker may have the tasks.
        if let Some(limit) = crew.clock.monotonic().checked_sub(crew.lease) {
            crew.held.asked_before(limit).iter().for_each(|lease| crew.held.lose(lease));
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
pub(super) mod tests {
    use super::*;
    use crate::backend::LeaseToken;
    use crate::context::AttemptInfo;
    use crate::queue::QueueName;
    use crate::task::{Kind, TaskId};

    pub(in crate::worker) fn lease() -> LeaseRef {
        LeaseRef { id: TaskId::from_bytes([1; 16]), token: LeaseToken::from_bits(1) }
    }

    /// A held lease with an attempt under it.
    pub(in crate::worker) fn held() -> (Held, TaskContext) {
        let held = Held::default();
        let entry = Lease { asked: Duration::ZERO, context: None, suspect: false, ended: false };
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
        assert!(held.started(lease(), &context));
        (held, context)
    }

    #[test]
    fn an_attempt_whose_lease_is_lost_is_cancelled() {
        let (held, context) = held();
        held.lose(&lease());
        assert!(context.is_cancelled() && held.all().is_empty());
    }

    #[test]
    fn an_attempt_whose_lease_is_lost_is_cancelled_though_the_log_panics() {
        let (held, context) = held();
        crate::log::tests::broken(|| held.lose(&lease()));
        assert!(context.is_cancelled());
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
