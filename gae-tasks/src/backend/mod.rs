//! The contract with storage: [`Backend`] for every one, [`Pull`] for those a worker leases from.
//!
//! A backend stores records and bytes; it never knows task types. Every request carries its `now`.
//!
//! Requests and answers are plain data: structs with a constructor for what each of them needs, and public fields for the
//! rest. They gain fields without breaking anyone.

use std::fmt;
use std::pin::Pin;

use tokio::sync::watch;

pub(crate) mod haul;
pub(crate) mod lease;
pub(crate) mod lifecycle;
pub(crate) mod opaque;
pub(crate) mod outlook;
pub(crate) mod record;
mod request;
mod settle;
mod shared;

#[cfg(feature = "cloud-tasks")]
#[cfg_attr(docsrs, doc(cfg(feature = "cloud-tasks")))]
pub mod cloud_tasks;
pub mod memory;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub mod sqlite;

#[doc(hidden)]
pub use lease::{Extend, Lease, LeaseRef, LeaseToken, Leased, LeasedTask, Room, Routes, Standing};
pub use record::{
    Capabilities, DeadLetterCheck, MAX_ERROR_BYTES, MAX_ERRORS, QueueRecord, RouteStats, Stats,
    TaskError, TaskRecord, TaskState,
};
pub use request::{
    Bury, CopyTask, DeleteQueue, Enqueue, List, NewTask, Purged, TaskFilter, TaskRequest,
};
#[doc(hidden)]
pub use settle::{ForgottenTask, HeldLease, Settle, Settled, Settlement, Sweep, Swept, Verdict};

use crate::error::Error;
#[doc(hidden)]
pub use crate::queue::TypeBackoff;
use crate::queue::{QueueConfig, QueueName};
use crate::retention::Retention;
use crate::task::{Deferred, TaskId, TaskName};
use crate::time::Now;

/// What an operation of a backend gives: boxed, so that backends can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an operation of a backend gives, which may fail.
pub type BackendFuture<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// Where tasks are stored.
///
/// Sealed until 1.0: new methods may be added. An operation whose future is dropped may or may not have happened.
pub trait Backend: fmt::Debug + Send + Sync + sealed::Sealed + 'static {
    /// What it can promise.
    fn capabilities(&self) -> Capabilities;

    /// Stores tasks in one transaction and answers for each.
    ///
    /// Storing the same task (by id) again is a no-op that answers as the first time did, as long as it is stored or
    /// its name is remembered; an unnamed one that is over would be stored anew. A name in use answers with the id that
    /// has it and `created: false`. Queues that do not exist are made with the default configuration.
    fn enqueue(&self, request: Enqueue) -> BackendFuture<'_, Vec<Result<Deferred, Error>>>;

    /// As [`enqueue`](Self::enqueue), for a caller that blocks its thread until the answer is there.
    ///
    /// # Errors
    /// As `enqueue`.
    fn enqueue_blocking(&self, request: Enqueue) -> Result<Vec<Result<Deferred, Error>>, Error> {
        pollster::block_on(self.enqueue(request))
    }

    /// The stored task of this id; a finished one is not stored.
    fn get(&self, id: TaskId) -> BackendFuture<'_, Option<TaskRecord>>;

    /// The stored task, dead letters included, that has this name in this queue; a tombstone is not a task.
    fn find(&self, queue: QueueName, name: TaskName) -> BackendFuture<'_, Option<TaskRecord>>;

    /// Those of these ids with which a stored task was deferred, dead letters and the tasks of newer versions of this
    /// crate included, and whatever id the task is shown under. In the order of `ids`.
    fn stored(&self, ids: Vec<TaskId>) -> BackendFuture<'_, Vec<TaskId>> {
        Box::pin(async move {
            let mut stored = Vec::new();
            for id in ids {
                if self.get(id).await?.is_some() {
                    stored.push(id);
                }
            }
            Ok(stored)
        })
    }

    /// A page of stored tasks.
    fn list(&self, request: List) -> BackendFuture<'_, Vec<TaskRecord>>;

    /// Deletes a task in whatever state; a lease of it is lost. Its name leaves a tombstone.
    ///
    /// Answers whether it was stored.
    fn delete(&self, request: TaskRequest) -> BackendFuture<'_, bool>;

    /// Makes a waiting task due at once.
    ///
    /// # Errors
    /// [`Error::NoSuchTask`] if it is not stored, leased or dead.
    fn run_now(&self, request: TaskRequest) -> BackendFuture<'_, ()>;

    /// Gives a dead letter a new life: due at once, no attempts made, its errors kept.
    ///
    /// # Errors
    /// [`Error::NoSuchTask`] if it is not stored, or not dead.
    fn replay(&self, request: TaskRequest) -> BackendFuture<'_, ()>;

    /// Stores a task that ended elsewhere as a dead letter, to be looked at and replayed here.
    ///
    /// A task of this id that is stored already stays as it is. Its name is kept only where no other task has it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the backend keeps no dead letters.
    fn bury(&self, request: Bury) -> BackendFuture<'_, ()>;

    /// Whether the dead letters of these queues can be kept, as far as that shows before the first.
    ///
    /// # Errors
    /// The storage does not answer.
    fn check_dead_letters(&self, queues: Vec<QueueName>) -> BackendFuture<'_, DeadLetterCheck> {
        _ = queues;
        Box::pin(std::future::ready(Ok(DeadLetterCheck::default())))
    }

    /// Stores a copy of a task that the queue has delivered: under the same id, with the attempts made so far, at a time
    /// that the handler chose. The same copy (by id and number) again is a no-op, also when it is over.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where workers lease tasks: they settle with a time.
    fn copy(&self, request: CopyTask) -> BackendFuture<'_, ()> {
        _ = request;
        let (backend, what) =
            (self.capabilities().backend, "copies of tasks: workers settle with a time");
        Box::pin(std::future::ready(Err(Error::Unsupported { backend, what })))
    }

    /// Creates a queue or changes the fields of its configuration that are set; it stays paused if it was.
    ///
    /// # Errors
    /// [`Error::NewerQueue`] if a newer version of this crate wrote its configuration: it stays as it is.
    fn put_queue(&self, queue: QueueName, config: QueueConfig) -> BackendFuture<'_, ()>;

    /// Raises the retention of a queue to at least `stated`; a missing queue is made. A queue that a newer version of
    /// this crate configured stays as it is.
    fn raise_retention(&self, queue: QueueName, stated: Retention) -> BackendFuture<'_, ()>;

    /// All queues by name.
    fn queues(&self) -> BackendFuture<'_, Vec<QueueRecord>>;

    /// Pauses a queue, or lets it go on: a paused queue accepts tasks, none of which is leased.
    ///
    /// # Errors
    /// [`Error::NoSuchQueue`] if it is not there: neither [put](Self::put_queue) nor made by a first task.
    fn set_paused(&self, queue: QueueName, paused: bool) -> BackendFuture<'_, ()>;

    /// Deletes the tasks of a queue that are stored now, except dead letters and tasks that a newer version of this
    /// crate stored; names leave tombstones. A large queue is purged in several steps: if one fails, the earlier ones
    /// stay done.
    fn purge(&self, queue: QueueName, now: Now) -> BackendFuture<'_, Purged>;

    /// Deletes a queue with its configuration, and where the request says so its tasks and dead letters first, in several
    /// steps as [`purge`](Self::purge). Names leave tombstones. Answers how many tasks and dead letters were deleted, and
    /// how many are left: those that a newer version of this crate stored, those of a queue whose configuration is damaged,
    /// those that cannot be read, and those stored meanwhile. If any is left, the queue stays. One that is not stored
    /// is deleted already.
    ///
    /// # Errors
    /// [`Error::QueueInUse`] if it holds tasks or dead letters and the request spares them; [`Error::NewerQueue`] if a newer
    /// version of this crate wrote its configuration. Nothing is deleted then, unless that configuration was written between
    /// two steps.
    fn delete_queue(&self, request: DeleteQueue) -> BackendFuture<'_, Purged>;

    /// How many tasks stand where, by queue and route.
    fn stats(&self, now: Now) -> BackendFuture<'_, Vec<RouteStats>>;
}

/// A backend that workers lease from: what [`Worker::new`](crate::Worker::new) and
/// [`ClientBuilder::build`](crate::ClientBuilder::build) take.
///
/// Its calls are for workers, and no part of the public API: they and what they take and answer are hidden from the
/// documentation, and change in any release. An application asks the [`Client`](crate::Client), which has verbs for all that
/// a [`Backend`] can be asked.
pub trait Pull: Backend {
    /// Leases due tasks for a worker, but none that a newer version of this crate stored. Changes nothing, and writes
    /// nothing, where none is due.
    #[doc(hidden)]
    fn lease(&self, request: Lease) -> BackendFuture<'_, Leased>;

    /// Extends leases; answers for each whether it is still held. A lease that expired but was not yet recovered is held
    /// on.
    #[doc(hidden)]
    fn extend(&self, request: Extend) -> BackendFuture<'_, Vec<bool>>;

    /// Records outcomes in one transaction and answers for each.
    #[doc(hidden)]
    fn settle(&self, request: Settle) -> BackendFuture<'_, Vec<Settled>>;

    /// Recovers lost leases, forgets old dead letters and tombstones, and lets no retry wait longer than its pause though
    /// the clock was set back. What a newer version of this crate stored is recovered and never forgotten.
    #[doc(hidden)]
    fn sweep(&self, request: Sweep) -> BackendFuture<'_, Swept>;

    /// Changes whenever a task may have become due, and sometimes in vain: through this process, and where the backend
    /// hears of others, through them.
    #[doc(hidden)]
    fn wakeups(&self) -> watch::Receiver<u64>;
}

pub(crate) mod sealed {
    /// Keeps the backend traits to this crate.
    pub trait Sealed {}
}
