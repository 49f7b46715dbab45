//! A backend that fails, or is slow, as planned by a test.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::backend::{
    Backend, BackendFuture, Bury, Cancelled, Capabilities, ChangeSchedule, CopyTask,
    DeadLetterCheck, DeleteQueue, Due, DueSchedules, Enqueue, Extend, Lease, LeaseRef, Leased,
    List, Pull, Purged, PutSchedules, QueueRecord, ReplaceQueue, RouteStats, Sample, Sampled,
    ScheduleChanged, SchedulesPut, Settle, Settled, Settlement, StoredSchedule, Surveyed, Sweep,
    Swept, TaskRecord, TaskRequest, Tick, UnreadQueue, sealed,
};
use crate::error::Error;
use crate::payload::SensitivePaths;
use crate::queue::{QueueConfig, QueueName};
use crate::retention::Retention;
use crate::task::{Deferred, Kind, Shape, TaskId, TaskName};
use crate::time::Now;

/// A backend that fails, loses an answer or is slow as planned by a test. Clones are the same
/// backend: keep a clone to plan faults and count calls.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), gae_tasks::Error> {
/// use gae_tasks::backend::memory::Memory;
/// use gae_tasks::testing::{Fault, Faulty, Operation};
/// use gae_tasks::{Client, deferred};
///
/// #[deferred]
/// async fn greet(name: String) {}
///
/// let backend = Faulty::new(Memory::new()).with(Operation::Enqueue, 1, Fault::Fail);
/// let tasks = Client::builder().build(backend)?;
/// assert!(greet::defer("you").on(&tasks).await.is_err());
/// assert!(greet::defer("you").on(&tasks).await.is_ok());
/// # Ok(())
/// # }
/// ```
pub struct Faulty<B>(Arc<Inner<B>>);

struct Inner<B> {
    backend: B,
    faults: Mutex<Faults>,
    /// Opened by `let_go`; each stalled call waits for it.
    gate: watch::Sender<()>,
}

impl<B> Clone for Faulty<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// An operation of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // Each variant is named after its method.
pub enum Operation {
    Enqueue,
    Get,
    Find,
    Schemas,
    Sensitive,
    List,
    Delete,
    RunNow,
    Cancel,
    Replay,
    Bury,
    Copy,
    PutQueue,
    ReplaceQueue,
    RaiseRetention,
    Queues,
    SetPaused,
    Purge,
    DeleteQueue,
    Stats,
    Survey,
    Sample,
    Lease,
    Extend,
    Settle,
    Sweep,
    Cancelled,
    PutSchedules,
    Schedules,
    ChangeSchedule,
    DueSchedules,
    Tick,
}

/// How an operation fails or stalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The operation is not carried out and returns an error.
    Fail,
    /// The operation is carried out and returns an error, as when a connection breaks at the
    /// commit.
    LoseAnswer,
    /// The operation is not carried out and returns the error of a full disk.
    DiskFull,
    /// The operation is carried out only after [`Faulty::let_go`], and never if its future is
    /// dropped before.
    Stall,
    /// The operation is carried out at once and returns only after [`Faulty::let_go`].
    Late,
}

#[derive(Default)]
struct Faults {
    calls: HashMap<Operation, u64>,
    failures: HashMap<(Operation, u64), Fault>,
    locked: HashSet<TaskId>,
    down: bool,
}

impl<B> Faulty<B> {
    /// Wraps `backend`, with no faults planned.
    pub fn new(backend: B) -> Self {
        Self(Arc::new(Inner { backend, faults: Mutex::default(), gate: watch::Sender::new(()) }))
    }

    /// Plans `fault` for the `nth` call of `operation` from now, counted from 1.
    pub fn with(self, operation: Operation, nth: u64, fault: Fault) -> Self {
        {
            let mut faults = self.faults();
            let call = faults.calls.get(&operation).copied().unwrap_or(0) + nth;
            faults.failures.insert((operation, call), fault);
        }
        self
    }

    /// Sets whether every call fails.
    pub fn set_down(&self, down: bool) {
        self.faults().down = down;
    }

    /// Keeps the outcome of an attempt of `task` from being recorded until
    /// [`unlock`](Self::unlock), as a transaction of the application does that has locked the task
    /// in a Postgres database.
    pub fn lock(&self, task: TaskId) {
        self.faults().locked.insert(task);
    }

    /// Lets the outcome of an attempt of `task` be recorded again.
    pub fn unlock(&self, task: TaskId) {
        self.faults().locked.remove(&task);
    }

    /// Returns the number of calls of `operation`.
    pub fn calls(&self, operation: Operation) -> u64 {
        self.faults().calls.get(&operation).copied().unwrap_or(0)
    }

    /// Returns the number of calls that are stalled now.
    pub fn stalled(&self) -> usize {
        self.0.gate.receiver_count()
    }

    /// Resumes all stalled calls. Calls that stall later wait for the next `let_go`.
    ///
    /// ```standalone_crate
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), gae_tasks::Error> {
    /// use gae_tasks::backend::memory::Memory;
    /// use gae_tasks::testing::{Fault, Faulty, Operation};
    /// use gae_tasks::{Client, deferred};
    ///
    /// #[deferred]
    /// async fn greet(name: String) {}
    ///
    /// let backend = Faulty::new(Memory::new()).with(Operation::Enqueue, 1, Fault::Stall);
    /// let tasks = Client::builder().build(backend.clone())?;
    /// let let_go = async {
    ///     assert_eq!(backend.stalled(), 1);
    ///     assert_eq!(tasks.stats().await?.open(), 0);
    ///     backend.let_go();
    ///     Ok::<_, gae_tasks::Error>(())
    /// };
    /// let (stored, looked) = tokio::join!(biased; greet::defer("you").on(&tasks), let_go);
    /// assert!(stored?.created && looked.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn let_go(&self) {
        self.0.gate.send_replace(());
    }

    fn fault(&self, operation: Operation) -> Option<Fault> {
        let mut faults = self.faults();
        let call = faults.calls.entry(operation).or_default();
        *call += 1;
        let call = *call;
        if faults.down { Some(Fault::Fail) } else { faults.failures.remove(&(operation, call)) }
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.0.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        answer: impl FnOnce(&'a B) -> BackendFuture<'a, T> + Send + 'a,
    ) -> BackendFuture<'a, T>
    where
        B: Send + Sync,
    {
        match self.fault(operation) {
            None => answer(&self.0.backend),
            Some(fault) => self.faulted(fault, operation, answer),
        }
    }

    fn faulted<'a, T: Send + 'a>(
        &'a self,
        fault: Fault,
        operation: Operation,
        answer: impl FnOnce(&'a B) -> BackendFuture<'a, T> + Send + 'a,
    ) -> BackendFuture<'a, T>
    where
        B: Send + Sync,
    {
        match fault {
            Fault::Fail => Box::pin(std::future::ready(Err(injected(operation)))),
            Fault::DiskFull => Box::pin(std::future::ready(Err(disk_full(operation)))),
            Fault::Stall => {
                let mut gate = self.0.gate.subscribe();
                Box::pin(async move {
                    // The sender is part of `self`, so `changed` does not fail.
                    _ = gate.changed().await;
                    drop(gate);
                    answer(&self.0.backend).await
                })
            }
            Fault::Late => {
                let (mut gate, answer) = (self.0.gate.subscribe(), answer(&self.0.backend));
                Box::pin(async move {
                    let answer = answer.await;
                    _ = gate.changed().await;
                    answer
                })
            }
            Fault::LoseAnswer => {
                let answer = answer(&self.0.backend);
                Box::pin(async move { answer.await.and(Err(injected(operation))) })
            }
        }
    }
}

/// Settles the tasks that are not locked.
fn settle_others<'a>(
    backend: &'a impl Pull,
    mut request: Settle,
    locked: &HashSet<TaskId>,
) -> BackendFuture<'a, Vec<Settled>> {
    if locked.is_empty() {
        return backend.settle(request);
    }
    let is_locked = |settlement: &Settlement| locked.contains(&settlement.lease.id);
    let are_locked: Vec<_> = request.settlements.iter().map(is_locked).collect();
    request.settlements.retain(|settlement| !is_locked(settlement));
    let answer = backend.settle(request);
    Box::pin(async move {
        let mut settled = answer.await?.into_iter();
        let answers = are_locked.into_iter();
        let answer = |is_locked| if is_locked { Some(Settled::Locked) } else { settled.next() };
        Ok(answers.filter_map(answer).collect())
    })
}

fn injected(operation: Operation) -> Error {
    storage(format!("failed in {operation:?}"))
}

fn disk_full(operation: Operation) -> Error {
    storage(format!(
        "finds no room in {operation:?}: free space on its disk; nothing of this call was stored"
    ))
}

fn storage(problem: String) -> Error {
    Error::Storage { backend: "faulty", problem, source: "injected by a test".into() }
}

impl<B: fmt::Debug> fmt::Debug for Faulty<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("backend", &self.0.backend).finish_non_exhaustive()
    }
}

impl<B> sealed::Sealed for Faulty<B> {}

// Every method of the trait must be implemented here, with its faults.
#[deny(clippy::missing_trait_methods)]
impl<B: Backend> Backend for Faulty<B> {
    fn capabilities(&self) -> Capabilities {
        self.0.backend.capabilities()
    }

    fn enqueue(&self, request: Enqueue) -> BackendFuture<'_, Vec<Result<Deferred, Error>>> {
        self.call(Operation::Enqueue, move |backend| backend.enqueue(request))
    }

    fn enqueue_blocking(&self, request: Enqueue) -> Result<Vec<Result<Deferred, Error>>, Error> {
        match self.fault(Operation::Enqueue) {
            None => self.0.backend.enqueue_blocking(request),
            Some(fault) => pollster::block_on(self.faulted(
                fault,
                Operation::Enqueue,
                move |backend| backend.enqueue(request),
            )),
        }
    }

    fn get(&self, id: TaskId) -> BackendFuture<'_, Option<TaskRecord>> {
        self.call(Operation::Get, move |backend| backend.get(id))
    }

    fn find(&self, queue: QueueName, name: TaskName) -> BackendFuture<'_, Option<TaskRecord>> {
        self.call(Operation::Find, move |backend| backend.find(queue, name))
    }

    fn stored(&self, ids: Vec<TaskId>) -> BackendFuture<'_, Vec<TaskId>> {
        Box::pin(async move {
            let mut stored = Vec::new();
            for id in ids {
                // Calls `get` for its faults.
                if self.get(id).await?.is_some() {
                    stored.push(id);
                }
            }
            Ok(stored)
        })
    }

    fn schemas(&self, shapes: Vec<Shape>) -> BackendFuture<'_, Vec<Option<Arc<[u8]>>>> {
        self.call(Operation::Schemas, move |backend| backend.schemas(shapes))
    }

    fn sensitive(&self, kinds: Vec<Kind>) -> BackendFuture<'_, Vec<SensitivePaths>> {
        self.call(Operation::Sensitive, move |backend| backend.sensitive(kinds))
    }

    fn list(&self, request: List) -> BackendFuture<'_, Vec<TaskRecord>> {
        self.call(Operation::List, move |backend| backend.list(request))
    }

    fn delete(&self, request: TaskRequest) -> BackendFuture<'_, bool> {
        self.call(Operation::Delete, move |backend| backend.delete(request))
    }

    fn run_now(&self, request: TaskRequest) -> BackendFuture<'_, ()> {
        self.call(Operation::RunNow, move |backend| backend.run_now(request))
    }

    fn cancel(&self, request: TaskRequest) -> BackendFuture<'_, Cancelled> {
        self.call(Operation::Cancel, move |backend| backend.cancel(request))
    }

    fn replay(&self, request: TaskRequest) -> BackendFuture<'_, ()> {
        self.call(Operation::Replay, move |backend| backend.replay(request))
    }

    fn bury(&self, request: Bury) -> BackendFuture<'_, ()> {
        self.call(Operation::Bury, move |backend| backend.bury(request))
    }

    fn check_dead_letters(&self, queues: Vec<QueueName>) -> BackendFuture<'_, DeadLetterCheck> {
        self.0.backend.check_dead_letters(queues)
    }

    fn copy(&self, request: CopyTask) -> BackendFuture<'_, ()> {
        self.call(Operation::Copy, move |backend| backend.copy(request))
    }

    fn put_queue(&self, queue: QueueName, config: QueueConfig) -> BackendFuture<'_, ()> {
        self.call(Operation::PutQueue, move |backend| backend.put_queue(queue, config))
    }

    fn replace_queue(&self, request: ReplaceQueue) -> BackendFuture<'_, ()> {
        self.call(Operation::ReplaceQueue, move |backend| backend.replace_queue(request))
    }

    fn raise_retention(&self, queue: QueueName, stated: Retention) -> BackendFuture<'_, ()> {
        self.call(Operation::RaiseRetention, move |backend| backend.raise_retention(queue, stated))
    }

    fn queues(&self) -> BackendFuture<'_, Vec<QueueRecord>> {
        self.call(Operation::Queues, move |backend| backend.queues())
    }

    fn set_paused(&self, queue: QueueName, paused: bool) -> BackendFuture<'_, ()> {
        self.call(Operation::SetPaused, move |backend| backend.set_paused(queue, paused))
    }

    fn purge(&self, queue: QueueName, now: Now) -> BackendFuture<'_, Purged> {
        self.call(Operation::Purge, move |backend| backend.purge(queue, now))
    }

    fn delete_queue(&self, request: DeleteQueue) -> BackendFuture<'_, Purged> {
        self.call(Operation::DeleteQueue, move |backend| backend.delete_queue(request))
    }

    fn stats(&self, now: Now) -> BackendFuture<'_, Vec<RouteStats>> {
        self.call(Operation::Stats, move |backend| backend.stats(now))
    }

    fn survey(&self, now: Now) -> BackendFuture<'_, Surveyed> {
        self.call(Operation::Survey, move |backend| backend.survey(now))
    }

    fn sample(&self, request: Sample) -> BackendFuture<'_, Result<Vec<Sampled>, UnreadQueue>> {
        self.call(Operation::Sample, move |backend| backend.sample(request))
    }

    fn put_schedules(&self, request: PutSchedules) -> BackendFuture<'_, SchedulesPut> {
        self.call(Operation::PutSchedules, move |backend| backend.put_schedules(request))
    }

    fn schedules(&self, program: Option<String>) -> BackendFuture<'_, Vec<StoredSchedule>> {
        self.call(Operation::Schedules, move |backend| backend.schedules(program))
    }

    fn change_schedule(&self, request: ChangeSchedule) -> BackendFuture<'_, ScheduleChanged> {
        self.call(Operation::ChangeSchedule, move |backend| backend.change_schedule(request))
    }
}

#[deny(clippy::missing_trait_methods)]
impl<B: Pull> Pull for Faulty<B> {
    fn lease(&self, request: Lease) -> BackendFuture<'_, Leased> {
        self.call(Operation::Lease, move |backend| backend.lease(request))
    }

    fn extend(&self, request: Extend) -> BackendFuture<'_, Vec<bool>> {
        self.call(Operation::Extend, move |backend| backend.extend(request))
    }

    fn settle(&self, request: Settle) -> BackendFuture<'_, Vec<Settled>> {
        let locked = self.faults().locked.clone();
        self.call(Operation::Settle, move |backend| settle_others(backend, request, &locked))
    }

    fn sweep(&self, request: Sweep) -> BackendFuture<'_, Swept> {
        self.call(Operation::Sweep, move |backend| backend.sweep(request))
    }

    fn commits(&self) -> Option<i64> {
        self.0.backend.commits()
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        self.0.backend.wakeups()
    }

    fn cancelled(&self) -> BackendFuture<'_, Vec<LeaseRef>> {
        self.call(Operation::Cancelled, move |backend| backend.cancelled())
    }

    fn cancels(&self) -> watch::Receiver<u64> {
        self.0.backend.cancels()
    }

    fn due_schedules(&self, request: DueSchedules) -> BackendFuture<'_, Due> {
        self.call(Operation::DueSchedules, move |backend| backend.due_schedules(request))
    }

    fn tick(&self, request: Tick) -> BackendFuture<'_, Vec<Result<bool, Error>>> {
        self.call(Operation::Tick, move |backend| backend.tick(request))
    }

    fn schedule_changes(&self) -> watch::Receiver<u64> {
        self.0.backend.schedule_changes()
    }
}
