//! A backend that fails when a test wants it to.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::backend::{
    Answer, Backend, Capabilities, Enqueue, Extend, Lease, Leased, List, Pull, Purge, QueueRecord, RouteStats, Settle,
    Settled, Sweep, Swept, TaskRecord, Touch, sealed,
};
use crate::error::Error;
use crate::queue::{QueueConfig, QueueName};
use crate::task::{Deferred, TaskId};
use crate::time::Now;

/// A backend that fails, or loses an answer, when a test wants it to. Clones are the same backend: keep one to plan
/// faults and count calls.
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
    plan: Mutex<Plan>,
    /// Changes whenever slow calls may go on.
    gone_on: watch::Sender<u64>,
}

impl<B> Clone for Faulty<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// What a backend can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // Each is named after its method.
pub enum Operation {
    Enqueue,
    Get,
    List,
    Delete,
    RunNow,
    Replay,
    PutQueue,
    Queues,
    SetPaused,
    Purge,
    Stats,
    Lease,
    Extend,
    Settle,
    Sweep,
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It does nothing and answers with an error.
    Fail,
    /// It is carried out and answers with an error: a connection that breaks at the commit.
    LoseAnswer,
    /// It does nothing and answers that there is no room left.
    DiskFull,
    /// It is carried out once the test says so: [`Faulty::go_on`].
    Slow,
}

#[derive(Default)]
struct Plan {
    calls: HashMap<Operation, u64>,
    faults: HashMap<(Operation, u64), Fault>,
    down: bool,
}

impl<B> Faulty<B> {
    /// `backend`, without faults so far.
    pub fn new(backend: B) -> Self {
        Self(Arc::new(Inner { backend, plan: Mutex::default(), gone_on: watch::Sender::default() }))
    }

    /// Lets the `nth` call of `operation` from now, counted from 1, fail.
    pub fn with(self, operation: Operation, nth: u64, fault: Fault) -> Self {
        {
            let mut plan = self.plan();
            let call = plan.calls.get(&operation).copied().unwrap_or(0) + nth;
            plan.faults.insert((operation, call), fault);
        }
        self
    }

    /// Lets every call fail until it is up again.
    pub fn set_down(&self, down: bool) {
        self.plan().down = down;
    }

    /// Lets the [slow](Fault::Slow) calls go on that have been made so far.
    pub fn go_on(&self) {
        self.0.gone_on.send_modify(|times| *times += 1);
    }

    /// How often `operation` was called.
    pub fn calls(&self, operation: Operation) -> u64 {
        self.plan().calls.get(&operation).copied().unwrap_or(0)
    }

    fn fault(&self, operation: Operation) -> Option<Fault> {
        let mut plan = self.plan();
        let call = plan.calls.entry(operation).or_default();
        *call += 1;
        let call = *call;
        if plan.down { Some(Fault::Fail) } else { plan.faults.remove(&(operation, call)) }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Backend> Faulty<B> {
    fn call<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        answer: impl FnOnce(&'a B) -> Answer<'a, T> + Send + 'a,
    ) -> Answer<'a, T> {
        match self.fault(operation) {
            None => answer(&self.0.backend),
            Some(Fault::Fail) => Box::pin(std::future::ready(Err(injected(operation, "injected by a test")))),
            Some(Fault::DiskFull) => Box::pin(std::future::ready(Err(injected(operation, NO_ROOM)))),
            Some(Fault::LoseAnswer) => {
                let answer = answer(&self.0.backend);
                Box::pin(async move { answer.await.and(Err(injected(operation, "injected by a test"))) })
            }
            Some(Fault::Slow) => {
                let mut gone_on = self.0.gone_on.subscribe();
                // Not asked yet: what is slow may be the way to the storage.
                let answer = async move {
                    // It cannot fail: this backend holds the sender.
                    _ = gone_on.changed().await;
                    answer(&self.0.backend).await
                };
                Box::pin(answer)
            }
        }
    }
}

/// As SQLite says it.
const NO_ROOM: &str = "database or disk is full";

fn injected(operation: Operation, source: &'static str) -> Error {
    Error::Storage { backend: "faulty", problem: format!("failed in {operation:?}"), source: source.into() }
}

impl<B: fmt::Debug> fmt::Debug for Faulty<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("backend", &self.0.backend).finish_non_exhaustive()
    }
}

impl<B> sealed::Sealed for Faulty<B> {}

// A method that is added to the trait must be given its faults here.
#[deny(clippy::missing_trait_methods)]
impl<B: Backend> Backend for Faulty<B> {
    fn capabilities(&self) -> Capabilities {
        self.0.backend.capabilities()
    }

    fn enqueue(&self, request: Enqueue) -> Answer<'_, Vec<Result<Deferred, Error>>> {
        self.call(Operation::Enqueue, move |backend| backend.enqueue(request))
    }

    fn get(&self, id: TaskId) -> Answer<'_, Option<TaskRecord>> {
        self.call(Operation::Get, move |backend| backend.get(id))
    }

    fn list(&self, request: List) -> Answer<'_, Vec<TaskRecord>> {
        self.call(Operation::List, move |backend| backend.list(request))
    }

    fn delete(&self, request: Touch) -> Answer<'_, bool> {
        self.call(Operation::Delete, move |backend| backend.delete(request))
    }

    fn run_now(&self, request: Touch) -> Answer<'_, ()> {
        self.call(Operation::RunNow, move |backend| backend.run_now(request))
    }

    fn replay(&self, request: Touch) -> Answer<'_, ()> {
        self.call(Operation::Replay, move |backend| backend.replay(request))
    }

    fn put_queue(&self, queue: QueueName, config: QueueConfig) -> Answer<'_, ()> {
        self.call(Operation::PutQueue, move |backend| backend.put_queue(queue, config))
    }

    fn queues(&self) -> Answer<'_, Vec<QueueRecord>> {
        self.call(Operation::Queues, move |backend| backend.queues())
    }

    fn set_paused(&self, queue: QueueName, paused: bool) -> Answer<'_, ()> {
        self.call(Operation::SetPaused, move |backend| backend.set_paused(queue, paused))
    }

    fn purge(&self, queue: QueueName, request: Purge) -> Answer<'_, u64> {
        self.call(Operation::Purge, move |backend| backend.purge(queue, request))
    }

    fn stats(&self, now: Now) -> Answer<'_, Vec<RouteStats>> {
        self.call(Operation::Stats, move |backend| backend.stats(now))
    }
}

#[deny(clippy::missing_trait_methods)]
impl<B: Pull> Pull for Faulty<B> {
    fn lease(&self, request: Lease) -> Answer<'_, Leased> {
        self.call(Operation::Lease, move |backend| backend.lease(request))
    }

    fn extend(&self, request: Extend) -> Answer<'_, Vec<bool>> {
        self.call(Operation::Extend, move |backend| backend.extend(request))
    }

    fn settle(&self, request: Settle) -> Answer<'_, Vec<Settled>> {
        self.call(Operation::Settle, move |backend| backend.settle(request))
    }

    fn sweep(&self, request: Sweep) -> Answer<'_, Swept> {
        self.call(Operation::Sweep, move |backend| backend.sweep(request))
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        self.0.backend.wakeups()
    }
}
