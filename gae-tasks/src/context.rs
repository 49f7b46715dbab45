//! The running attempt as its handler sees it, and the state that is injected into handlers.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::backend::transaction::{CompleteInTx, Storage};
use crate::backend::{CallersTransaction, LeaseRef};
use crate::error::Error;
use crate::queue::QueueName;
use crate::task::{Kind, TaskId, TaskName, UniqueKey};
use crate::time::Timestamp;

/// The running attempt, as a handler sees it: a parameter marked `#[context]`, or
/// [`current()`](crate::current).
///
/// ```
/// use gae_tasks::{TaskContext, deferred};
///
/// #[deferred]
/// async fn import(file: String, #[context] cx: &TaskContext) {
///     println!("attempt {} at {file}", cx.attempt());
/// }
/// ```
#[derive(Clone)]
pub struct TaskContext(Arc<Inner>);

struct Inner {
    attempt: AttemptInfo,
    /// The lease of a task that is stored.
    lease: Option<Held>,
    /// Whether the handler has completed the task in a transaction, which may be rolled back.
    completed: AtomicBool,
    /// Whether the task was cancelled: the handler has a grace to end.
    requested: AtomicBool,
    /// Whether the handler is to end at once.
    stopped: AtomicBool,
    /// Notified when one of the two changes.
    cancellation: Notify,
}

/// The facts of one attempt.
#[derive(Debug, Clone)]
pub(crate) struct AttemptInfo {
    pub(crate) id: TaskId,
    pub(crate) kind: Kind,
    pub(crate) queue: QueueName,
    pub(crate) name: Option<TaskName>,
    pub(crate) attempt: u32,
    pub(crate) schedule_time: Option<Timestamp>,
    pub(crate) deadline: Duration,
    pub(crate) traceparent: Option<String>,
}

/// The lease of an attempt.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) lease: LeaseRef,
    /// The number of leases that the task had lost before.
    pub(crate) lost_leases: u32,
    /// The number of attempts that had begun before.
    pub(crate) attempts: u32,
    /// The key of the task, if it is unique.
    pub(crate) unique: Option<UniqueKey>,
    pub(crate) storage: Arc<Storage>,
}

impl TaskContext {
    pub(crate) fn new(attempt: AttemptInfo) -> Self {
        Self::under(attempt, None)
    }

    /// Creates the context of an attempt under a lease.
    pub(crate) fn leased(attempt: AttemptInfo, held: Held) -> Self {
        Self::under(attempt, Some(held))
    }

    fn under(attempt: AttemptInfo, lease: Option<Held>) -> Self {
        Self(Arc::new(Inner {
            attempt,
            lease,
            completed: AtomicBool::new(false),
            requested: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            cancellation: Notify::new(),
        }))
    }

    /// The id of the task.
    pub fn id(&self) -> TaskId {
        self.0.attempt.id
    }

    /// The kind the task was deferred as; an alias where the function has moved since.
    pub fn kind(&self) -> &Kind {
        &self.0.attempt.kind
    }

    /// The queue the task is in.
    pub fn queue(&self) -> &QueueName {
        &self.0.attempt.queue
    }

    /// The name the caller gave the task.
    pub fn name(&self) -> Option<&TaskName> {
        self.0.attempt.name.as_ref()
    }

    /// The number of this attempt, counted from 1.
    pub fn attempt(&self) -> u32 {
        self.0.attempt.attempt
    }

    /// The number of attempts before this one: 0 on the first.
    pub fn retry_count(&self) -> u32 {
        self.0.attempt.attempt.saturating_sub(1)
    }

    /// The earliest moment of this attempt; `None` if the task was never in a queue (inline mode,
    /// tests).
    pub fn schedule_time(&self) -> Option<Timestamp> {
        self.0.attempt.schedule_time
    }

    /// How long this attempt may take, from its dispatch on.
    pub fn deadline(&self) -> Duration {
        self.0.attempt.deadline
    }

    /// The trace that deferred the task, in the format of the header `traceparent` of W3C's [Trace
    /// Context](https://www.w3.org/TR/trace-context/), if known.
    pub fn traceparent(&self) -> Option<&str> {
        self.0.attempt.traceparent.as_deref()
    }

    /// Whether the deadline has passed, the lease is lost, or the task was
    /// [cancelled](crate::Client::cancel). In the first two cases, work that the handler still does
    /// may be done twice.
    pub fn is_cancelled(&self) -> bool {
        self.is_stopped() || self.is_cancel_requested()
    }

    /// Waits until the deadline has passed, the lease is lost, or the task was
    /// [cancelled](crate::Client::cancel).
    ///
    /// An async handler need not check. When the deadline has passed or the lease is lost, it is
    /// dropped at that moment. When the task was cancelled, it has
    /// [5 seconds](crate::Worker::cancel_grace) to clean up and end before it is dropped. A plain
    /// function cannot be stopped and should check [`is_cancelled`](Self::is_cancelled) between
    /// steps.
    ///
    /// ```
    /// use gae_tasks::{TaskContext, deferred};
    ///
    /// # async fn export_rows() {}
    /// # async fn remove_file() {}
    /// #[deferred]
    /// async fn export(#[context] cx: &TaskContext) -> Result<(), &'static str> {
    ///     tokio::select! {
    ///         () = export_rows() => Ok(()),
    ///         () = cx.cancelled() => {
    ///             remove_file().await;
    ///             Err("it was cancelled")
    ///         }
    ///     }
    /// }
    /// ```
    pub async fn cancelled(&self) {
        self.until(Self::is_cancelled).await;
    }

    /// Waits until the handler is to end at once.
    pub(crate) async fn stopped(&self) {
        self.until(Self::is_stopped).await;
    }

    async fn until(&self, is_so: fn(&Self) -> bool) {
        let mut notified = std::pin::pin!(self.0.cancellation.notified());
        loop {
            notified.as_mut().enable();
            if is_so(self) {
                return;
            }
            notified.as_mut().await;
            notified.set(self.0.cancellation.notified());
        }
    }

    /// Completes the task in a transaction of the handler's own: the effects of the handler and the
    /// end of the task commit together, so that in one database each task has its effects exactly
    /// once. For tasks that are stored in the database of the transaction; see the guide
    /// [transactions](crate::guide::transactions).
    ///
    /// `tx` is what [`Defer::in_tx`](crate::Defer::in_tx) takes. When the transaction has
    /// committed, the task is over, whatever the handler returns and whatever becomes of the
    /// process. If the transaction is rolled back and the handler returns `Ok`, the attempt has
    /// failed, and the task is retried.
    ///
    /// Commit before the handler returns, in SQLite soon: while a transaction holds SQLite's write
    /// lock, nothing else is recorded.
    ///
    /// # Errors
    /// [`Error::InTransaction`] if the task is not stored in the database of the transaction (in
    /// memory, on a push queue, in another file, in inline mode), if its lease is lost, so that
    /// another worker may run it, or if it is completed already; [`Error::Storage`] if a statement
    /// fails. The transaction is then as it was before: roll it back.
    ///
    /// ```
    /// use gae_tasks::{BoxError, TaskContext, deferred};
    /// use rusqlite::{Connection, TransactionBehavior::Immediate};
    ///
    /// #[deferred]
    /// fn transfer(
    ///     from: i64,
    ///     to: i64,
    ///     cents: i64,
    ///     #[context] cx: &TaskContext,
    /// ) -> Result<(), BoxError> {
    ///     let mut bank = Connection::open("bank.db")?;
    ///     let tx = bank.transaction_with_behavior(Immediate)?;
    ///     let change = "UPDATE accounts SET cents = cents + ?2 WHERE id = ?1";
    ///     tx.execute(change, (from, -cents))?;
    ///     tx.execute(change, (to, cents))?;
    ///     cx.complete_in(&tx)?;
    ///     Ok(tx.commit()?)
    /// }
    /// ```
    pub fn complete_in<T: CallersTransaction>(&self, tx: T) -> T::Answer<()> {
        let inner = Arc::clone(&self.0);
        // Noted before the savepoint is released: what is not known to have failed may have
        // happened.
        tx.complete(self.completion(), move || inner.completed.store(true, Ordering::Release))
    }

    fn completion(&self) -> Result<CompleteInTx, Error> {
        const CALL: &str = "complete_in";
        let Some(Held { lease, lost_leases, attempts, unique, storage }) = &self.0.lease else {
            let problem = "completes only tasks that a worker has leased: this one is not stored \
                           in a database";
            return Err(Error::in_transaction(CALL, problem.to_owned()));
        };
        Ok(CompleteInTx {
            home: storage.home(CALL)?,
            now: storage.clock.now(),
            lease: *lease,
            lost_leases: *lost_leases,
            attempts: *attempts,
            queue: self.queue().clone(),
            name: self.name().cloned(),
            unique: *unique,
        })
    }

    /// Whether the handler has completed the task in a transaction, which may have been rolled
    /// back.
    pub(crate) fn is_completed(&self) -> bool {
        self.0.completed.load(Ordering::Acquire)
    }

    /// Has the handler end at once: its deadline has passed, or its lease is lost.
    pub(crate) fn cancel(&self) {
        self.0.stopped.store(true, Ordering::Release);
        self.0.cancellation.notify_waiters();
    }

    /// Whether the handler is to end at once.
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Acquire)
    }

    /// Has the handler end soon: its task was cancelled.
    pub(crate) fn request_cancel(&self) {
        self.0.requested.store(true, Ordering::Release);
        self.0.cancellation.notify_waiters();
    }

    /// Whether the task was cancelled.
    pub(crate) fn is_cancel_requested(&self) -> bool {
        self.0.requested.load(Ordering::Acquire)
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let a = &self.0.attempt;
        f.debug_struct("TaskContext")
            .field("id", &a.id)
            .field("kind", &a.kind)
            .field("queue", &a.queue)
            .field("name", &a.name)
            .field("attempt", &a.attempt)
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// The values that handlers take as `#[state]`, at most one of each type.
#[derive(Clone, Default)]
pub(crate) struct States(HashMap<TypeId, (&'static str, Arc<dyn Any + Send + Sync>)>);

impl States {
    /// Adds `value`, or replaces the value of the same type.
    pub(crate) fn insert<S: Send + Sync + 'static>(&mut self, value: S) {
        self.0.insert(TypeId::of::<S>(), (type_name::<S>(), Arc::new(value)));
    }

    pub(crate) fn get<S: Send + Sync + 'static>(&self) -> Option<Arc<S>> {
        let (_, value) = self.0.get(&TypeId::of::<S>())?;
        Arc::clone(value).downcast().ok()
    }

    pub(crate) fn has(&self, id: TypeId) -> bool {
        self.0.contains_key(&id)
    }

    /// The types of all values, for the error about a missing one.
    pub(crate) fn type_names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.0.values().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.type_names()).finish()
    }
}

/// The surroundings of one consumer's handlers: they defer with its client.
pub(crate) trait Surroundings: Send + Sync {
    /// Does `work`, on this thread, in these surroundings.
    fn within(&self, work: &mut dyn FnMut());
}

tokio::task_local! {
    static RUNNING: TaskContext;
}

impl TaskContext {
    /// Runs `future` as part of this attempt.
    pub(crate) fn around<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        RUNNING.scope(self.clone(), future)
    }

    /// Does `work` on this thread as part of this attempt.
    pub(crate) fn around_call<R>(&self, work: impl FnOnce() -> R) -> R {
        RUNNING.sync_scope(self.clone(), work)
    }

    /// Calls `look` with the running attempt, without cloning it; `None` outside a task.
    pub(crate) fn with_current<R>(look: impl FnOnce(&Self) -> R) -> Option<R> {
        RUNNING.try_with(look).ok()
    }
}

/// Returns the running attempt, from anywhere in its call tree; `None` outside a task.
///
/// Code that a handler moves to `tokio::spawn` or to a thread of its own is outside.
pub fn current() -> Option<TaskContext> {
    TaskContext::with_current(Clone::clone)
}

/// Whether the calling code runs as part of a task.
pub fn is_from_task_queue() -> bool {
    TaskContext::with_current(|_| ()).is_some()
}

/// The number of attempts of the running task before this one; 0 on the first, and outside a task.
pub fn retry_count() -> u32 {
    TaskContext::with_current(TaskContext::retry_count).unwrap_or(0)
}
