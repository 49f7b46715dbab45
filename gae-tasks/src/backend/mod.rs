//! The contract with storage: [`Backend`] for every backend, [`Pull`] for those that workers lease
//! from.
//!
//! A backend stores records and bytes; it never knows task types. Every request carries its `now`.
//!
//! Requests and answers are plain data: structs with a constructor for the required fields and
//! public fields for the rest. A new field breaks no caller.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

pub(crate) mod accept;
mod cancel;
mod capabilities;
#[cfg(feature = "cron")]
pub(crate) mod definition;
pub(crate) mod gate;
pub(crate) mod haul;
pub(crate) mod home;
pub(crate) mod lease;
pub(crate) mod lifecycle;
pub(crate) mod opaque;
pub(crate) mod outlook;
pub(crate) mod ownership;
mod readers;
pub(crate) mod record;
pub(crate) mod refusers;
mod request;
#[cfg(any(feature = "cloud-tasks", feature = "postgres"))]
mod runtime;
mod schedule;
pub(crate) mod settle;
mod shared;
mod survey;
pub(crate) mod transaction;
pub(crate) mod unique;

#[cfg(feature = "cloud-tasks")]
#[cfg_attr(docsrs, doc(cfg(feature = "cloud-tasks")))]
pub mod cloud_tasks;
pub mod memory;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub mod postgres;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub mod sqlite;

pub use cancel::Cancelled;
pub use capabilities::{Capabilities, QueueLimits};
pub use home::Home;
#[doc(hidden)]
pub use lease::{
    Extend, Lease, LeaseRef, LeaseToken, Leased, LeasedTask, ReadsRoutes, Room, Routes, Standing,
};
pub use record::{
    DeadLetterCheck, MAX_ERROR_BYTES, MAX_ERRORS, QueueRecord, RouteStats, Stats, TaskError,
    TaskRecord, TaskState,
};
pub use refusers::ReaderId;
pub use request::{
    Bury, CopyTask, DeleteQueue, Enqueue, List, NewTask, Purged, ReplaceQueue, TaskFilter,
    TaskRequest,
};
pub use schedule::{
    ChangeSchedule, NewSchedule, PutSchedules, ScheduleChange, ScheduleChanged, ScheduleKey,
    SchedulePut, SchedulesPut, StoredSchedule,
};
#[doc(hidden)]
pub use schedule::{Due, DueSchedules, Tick, TickMove};
#[doc(hidden)]
pub use settle::{ForgottenTask, HeldLease, Settle, Settled, Settlement, Sweep, Swept, Verdict};
pub use survey::{Sample, Sampled, Surveyed, UnreadQueue};
pub use transaction::CallersTransaction;

use crate::error::Error;
pub use crate::payload::SensitivePaths;
#[doc(hidden)]
pub use crate::queue::TypeBackoff;
use crate::queue::{QueueConfig, QueueName};
use crate::retention::Retention;
use crate::task::{Deferred, Kind, Shape, TaskId, TaskName};
use crate::time::Now;

/// The boxed future that an operation of a backend returns, so that backends can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The boxed future of an operation that may fail.
pub type BackendFuture<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// A store of tasks.
///
/// Sealed until 1.0: new methods may be added. An operation whose future is dropped may or may not
/// have happened.
pub trait Backend: fmt::Debug + Send + Sync + sealed::Sealed + 'static {
    /// Returns what the backend can promise.
    fn capabilities(&self) -> Capabilities;

    /// Stores tasks in one transaction and returns a result for each.
    ///
    /// Storing the same task (by id) again is a no-op with the same answer as the first time, as
    /// long as the task is stored or its name is remembered; an unnamed task that is over is stored
    /// anew. A name in use is answered with the id that has the name and `created: false`. Queues
    /// that do not exist are created with the default configuration.
    fn enqueue(&self, request: Enqueue) -> BackendFuture<'_, Vec<Result<Deferred, Error>>>;

    /// Like [`enqueue`](Self::enqueue), for a caller that blocks its thread until the answer
    /// arrives.
    ///
    /// # Errors
    /// As `enqueue`.
    fn enqueue_blocking(&self, request: Enqueue) -> Result<Vec<Result<Deferred, Error>>, Error> {
        pollster::block_on(self.enqueue(request))
    }

    /// Returns the stored task with this id; a finished task is not stored.
    fn get(&self, id: TaskId) -> BackendFuture<'_, Option<TaskRecord>>;

    /// Returns the stored task, dead letters included, that has this name in this queue; a
    /// tombstone is not a task.
    fn find(&self, queue: QueueName, name: TaskName) -> BackendFuture<'_, Option<TaskRecord>>;

    /// Returns those of `ids`, in their order, under which a stored task was deferred. Dead letters
    /// and tasks of newer versions of this crate count, whatever id a task is shown under.
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

    /// Returns the schemas of payloads of these shapes, in their order; `None` where none is
    /// stored.
    ///
    /// A schema is stored with the first task of its shape, in one transaction, and kept for good:
    /// it is small, and there are as many as there were versions of parameters. So every task, dead
    /// letters included, has its schema here. If a schema [travels with each
    /// task](TaskRecord::schema) instead, none is stored.
    fn schemas(&self, shapes: Vec<Shape>) -> BackendFuture<'_, Vec<Option<Arc<[u8]>>>>;

    /// Returns the paths of args that are never shown, for tasks of these kinds, in their order.
    ///
    /// Paths are stored with the first task of their kind that brings them, in one transaction, and
    /// kept for good. If they [travel with each task](TaskRecord::sensitive) instead, none is
    /// stored.
    fn sensitive(&self, kinds: Vec<Kind>) -> BackendFuture<'_, Vec<SensitivePaths>>;

    /// Returns a page of stored tasks.
    fn list(&self, request: List) -> BackendFuture<'_, Vec<TaskRecord>>;

    /// Deletes a task in any state; a lease of the task is lost. Its name leaves a tombstone.
    ///
    /// Returns whether the task was stored.
    fn delete(&self, request: TaskRequest) -> BackendFuture<'_, bool>;

    /// Makes a waiting task due at once: it is dispatched even while its queue is paused, and
    /// before the other tasks of its queue. If its attempt fails, it is retried like any other
    /// task.
    ///
    /// # Errors
    /// [`Error::NoSuchTask`] if the task is not stored, is leased or is dead.
    fn run_now(&self, request: TaskRequest) -> BackendFuture<'_, ()>;

    /// Cancels a task. One that waits is deleted, and its name leaves a tombstone. Of a task that a
    /// worker has, the request is stored until the lease ends, whoever ends it: if the task is not
    /// done then, it is a dead letter.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if a queue that calls handlers has sent the task to one.
    fn cancel(&self, request: TaskRequest) -> BackendFuture<'_, Cancelled>;

    /// Gives a dead letter a new life: due at once, no attempts made, its errors kept.
    ///
    /// # Errors
    /// [`Error::NoSuchTask`] if the task is not stored, or not dead.
    fn replay(&self, request: TaskRequest) -> BackendFuture<'_, ()>;

    /// Stores a task that ended elsewhere as a dead letter, to be listed and replayed here.
    ///
    /// If a task with this id is already stored, nothing changes. The name of the task is kept only
    /// if no other task has it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the backend keeps no dead letters.
    fn bury(&self, request: Bury) -> BackendFuture<'_, ()>;

    /// Checks whether the dead letters of these queues can be kept, as far as that can be known
    /// before the first one.
    ///
    /// # Errors
    /// The storage does not answer.
    fn check_dead_letters(&self, queues: Vec<QueueName>) -> BackendFuture<'_, DeadLetterCheck> {
        _ = queues;
        Box::pin(std::future::ready(Ok(DeadLetterCheck::default())))
    }

    /// Stores a copy of a task that the queue has delivered: under the same id, with the attempts
    /// made so far, at a time that the handler chose. Storing the same copy (by id and number)
    /// again is a no-op, even if the copy is over.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where workers lease tasks: they settle with a time.
    fn copy(&self, request: CopyTask) -> BackendFuture<'_, ()> {
        _ = request;
        let (backend, what) =
            (self.capabilities().backend, "copies of tasks: workers settle with a time");
        Box::pin(std::future::ready(Err(Error::Unsupported { backend, what })))
    }

    /// Creates a queue, or changes the fields of its configuration that are set. A paused queue
    /// stays paused.
    ///
    /// # Errors
    /// [`Error::NewerQueue`] if a newer version of this crate wrote the queue's configuration,
    /// which then stays unchanged.
    fn put_queue(&self, queue: QueueName, config: QueueConfig) -> BackendFuture<'_, ()>;

    /// Creates a queue, or gives it exactly the retries and limits of the request: those that are
    /// not set are removed. A paused queue stays paused.
    ///
    /// # Errors
    /// As [`put_queue`](Self::put_queue).
    fn replace_queue(&self, request: ReplaceQueue) -> BackendFuture<'_, ()>;

    /// Raises the retention of a queue to at least `stated`; a missing queue is created. A queue
    /// that a newer version of this crate configured stays unchanged.
    fn raise_retention(&self, queue: QueueName, stated: Retention) -> BackendFuture<'_, ()>;

    /// Returns all queues by name.
    fn queues(&self) -> BackendFuture<'_, Vec<QueueRecord>>;

    /// Pauses or resumes a queue: a paused queue accepts tasks, but none is leased unless it was
    /// [made due by hand](Self::run_now).
    ///
    /// # Errors
    /// [`Error::NoSuchQueue`] if the queue does not exist: neither [put](Self::put_queue) nor
    /// created by a first task.
    fn set_paused(&self, queue: QueueName, paused: bool) -> BackendFuture<'_, ()>;

    /// Deletes the tasks of a queue that are stored now, except dead letters and tasks that a newer
    /// version of this crate stored; names leave tombstones. A large queue is purged in several
    /// steps: if one fails, the earlier steps stay done.
    fn purge(&self, queue: QueueName, now: Now) -> BackendFuture<'_, Purged>;

    /// Deletes a queue with its configuration. If the request says so, its tasks and dead letters
    /// are deleted first, in several steps as in [`purge`](Self::purge). Names leave tombstones.
    /// Returns how many tasks and dead letters were deleted, and how many are left: tasks that a
    /// newer version of this crate stored, tasks of a queue whose configuration is damaged, tasks
    /// that cannot be read, and tasks that were stored meanwhile. If any is left, the queue stays.
    /// A queue that is not stored counts as deleted already.
    ///
    /// # Errors
    /// [`Error::QueueInUse`] if the queue holds tasks or dead letters and the request spares them;
    /// [`Error::NewerQueue`] if a newer version of this crate wrote its configuration. Nothing is
    /// deleted then, unless that configuration was written between two steps.
    fn delete_queue(&self, request: DeleteQueue) -> BackendFuture<'_, Purged>;

    /// Counts the tasks in each state, by queue and route.
    fn stats(&self, now: Now) -> BackendFuture<'_, Vec<RouteStats>>;

    /// Like [`stats`](Self::stats), where a queue that this program may not read fails alone.
    fn survey(&self, now: Now) -> BackendFuture<'_, Surveyed> {
        let lines = self.stats(now);
        Box::pin(async { Ok(Surveyed::new(lines.await?)) })
    }

    /// Returns some tasks of each route of the request, in its order, with their payloads, and
    /// changes nothing. Tasks that a newer version of this crate stored are left out.
    ///
    /// # Errors
    /// Besides errors of the storage, the inner one: this program may not read the queue.
    fn sample(&self, request: Sample) -> BackendFuture<'_, Result<Vec<Sampled>, UnreadQueue>>;

    /// Stores schedules of a program in one transaction. Which of them replace what is stored, and
    /// which of the program's others end, is as documented at [`SchedulePut`] and
    /// [`SchedulesPut::stopped`].
    ///
    /// # Errors
    /// [`Error::Unsupported`] without [`Capabilities::schedules`]; so for all calls about
    /// schedules.
    fn put_schedules(&self, request: PutSchedules) -> BackendFuture<'_, SchedulesPut> {
        _ = request;
        without_schedules(self.capabilities().backend)
    }

    /// Returns the stored schedules of a program, or of all, by program and name.
    ///
    /// # Errors
    /// As [`put_schedules`](Self::put_schedules).
    fn schedules(&self, program: Option<String>) -> BackendFuture<'_, Vec<StoredSchedule>> {
        _ = program;
        without_schedules(self.capabilities().backend)
    }

    /// Pauses, resumes or removes a schedule.
    ///
    /// # Errors
    /// As [`put_schedules`](Self::put_schedules).
    fn change_schedule(&self, request: ChangeSchedule) -> BackendFuture<'_, ScheduleChanged> {
        _ = request;
        without_schedules(self.capabilities().backend)
    }
}

/// A backend that workers lease from: what [`Worker::new`](crate::Worker::new) and
/// [`ClientBuilder::build`](crate::ClientBuilder::build) take.
///
/// Its methods are for workers and not part of the public API: they, their requests and their
/// answers are hidden from the documentation and change in any release. Applications use the
/// [`Client`](crate::Client), which has a method for every operation of a [`Backend`].
pub trait Pull: Backend {
    /// Leases due tasks for a worker, except tasks that a newer version of this crate stored.
    /// Changes and writes nothing if no task is due.
    #[doc(hidden)]
    fn lease(&self, request: Lease) -> BackendFuture<'_, Leased>;

    /// Extends leases and returns for each whether it is still held. A lease that has expired but
    /// is not yet recovered can be extended.
    #[doc(hidden)]
    fn extend(&self, request: Extend) -> BackendFuture<'_, Vec<bool>>;

    /// Records outcomes in one transaction and returns a result for each. What a transaction of the
    /// application has locked is waited for only for a moment, since all results come together.
    #[doc(hidden)]
    fn settle(&self, request: Settle) -> BackendFuture<'_, Vec<Settled>>;

    /// Recovers lost leases, deletes old dead letters and tombstones, and shortens pauses that the
    /// clock, set back, would make longer than chosen. Tasks that a newer version of this crate
    /// stored are recovered and never deleted.
    #[doc(hidden)]
    fn sweep(&self, request: Sweep) -> BackendFuture<'_, Swept>;

    /// Returns a number that differs from the one returned before if anybody has committed anything
    /// to the storage in between; `None` if the backend cannot know. It waits for nobody, as it is
    /// asked while an open transaction keeps everybody from writing. Where leases are watched, a
    /// watcher sees time pass in transactions that write: without a commit, no time passes.
    #[doc(hidden)]
    fn commits(&self) -> Option<i64> {
        None
    }

    /// Returns a channel that changes whenever a task may have become due, sometimes in vain:
    /// through this process and, where the backend hears of other processes, through them.
    #[doc(hidden)]
    fn wakeups(&self) -> watch::Receiver<u64>;

    /// Returns the leases, of any worker, whose tasks were [cancelled](Backend::cancel) since they
    /// were leased. It is asked often, so it is cheap where there are none.
    #[doc(hidden)]
    fn cancelled(&self) -> BackendFuture<'_, Vec<LeaseRef>>;

    /// Returns a channel that changes whenever there may be another [such
    /// lease](Self::cancelled), through this process.
    #[doc(hidden)]
    fn cancels(&self) -> watch::Receiver<u64>;

    /// Returns the schedules that must be looked at by the storage's time, except those that are
    /// paused and those that a newer version of this crate stored.
    #[doc(hidden)]
    fn due_schedules(&self, request: DueSchedules) -> BackendFuture<'_, Due> {
        _ = request;
        without_schedules(self.capabilities().backend)
    }

    /// Makes moves of schedules that were due, and stores their tasks by the rules of
    /// [`enqueue`](Backend::enqueue). A move and its tasks are one transaction. Returns for each
    /// whether it was made: not if the schedule has changed since it was read.
    #[doc(hidden)]
    fn tick(&self, request: Tick) -> BackendFuture<'_, Vec<Result<bool, Error>>> {
        _ = request;
        without_schedules(self.capabilities().backend)
    }

    /// Returns a channel that changes whenever a schedule was put, resumed or changed through this
    /// process.
    #[doc(hidden)]
    fn schedule_changes(&self) -> watch::Receiver<u64> {
        watch::Sender::new(0).subscribe()
    }
}

/// The answer of a backend that stores no schedules.
fn without_schedules<'a, T: Send + 'a>(backend: &'static str) -> BackendFuture<'a, T> {
    let what = "schedules: where a queue calls handlers over HTTP, let Cloud Scheduler call them \
                (`client.cloud_scheduler_jobs(..)`)";
    Box::pin(std::future::ready(Err(Error::Unsupported { backend, what })))
}

/// The stored schema of payloads of `shape`; `None` as well if the storage cannot be reached.
pub(crate) async fn stored_schema(backend: &dyn Backend, shape: Shape) -> Option<Arc<[u8]>> {
    backend.schemas(vec![shape]).await.ok()?.pop().flatten()
}

pub(crate) mod sealed {
    /// Keeps the backend traits to this crate.
    pub trait Sealed {}
}
