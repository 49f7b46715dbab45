//! Implements the backend traits for an `Arc` of a backend, so that a wrapper can hold any backend,
//! `Arc<dyn Pull>` included.

use std::sync::Arc;

use tokio::sync::watch;

use super::{
    Backend, BackendFuture, Bury, Cancelled, Capabilities, ChangeSchedule, CopyTask,
    DeadLetterCheck, DeleteQueue, Due, DueSchedules, Enqueue, Extend, Lease, LeaseRef, Leased,
    List, Pull, Purged, PutSchedules, QueueRecord, ReplaceQueue, RouteStats, Sample, Sampled,
    ScheduleChanged, SchedulesPut, Settle, Settled, StoredSchedule, Surveyed, Sweep, Swept,
    TaskRecord, TaskRequest, Tick, UnreadQueue, sealed,
};
use crate::error::Error;
use crate::payload::SensitivePaths;
use crate::queue::{QueueConfig, QueueName};
use crate::retention::Retention;
use crate::task::{Deferred, Kind, Shape, TaskId, TaskName};
use crate::time::Now;

impl<B: sealed::Sealed + ?Sized> sealed::Sealed for Arc<B> {}

// A new method of the trait must be forwarded here; its default would bypass the inner backend.
#[deny(clippy::missing_trait_methods)]
impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    fn enqueue(&self, request: Enqueue) -> BackendFuture<'_, Vec<Result<Deferred, Error>>> {
        (**self).enqueue(request)
    }

    fn enqueue_blocking(&self, request: Enqueue) -> Result<Vec<Result<Deferred, Error>>, Error> {
        (**self).enqueue_blocking(request)
    }

    fn get(&self, id: TaskId) -> BackendFuture<'_, Option<TaskRecord>> {
        (**self).get(id)
    }

    fn find(&self, queue: QueueName, name: TaskName) -> BackendFuture<'_, Option<TaskRecord>> {
        (**self).find(queue, name)
    }

    fn stored(&self, ids: Vec<TaskId>) -> BackendFuture<'_, Vec<TaskId>> {
        (**self).stored(ids)
    }

    fn schemas(&self, shapes: Vec<Shape>) -> BackendFuture<'_, Vec<Option<Arc<[u8]>>>> {
        (**self).schemas(shapes)
    }

    fn sensitive(&self, kinds: Vec<Kind>) -> BackendFuture<'_, Vec<SensitivePaths>> {
        (**self).sensitive(kinds)
    }

    fn list(&self, request: List) -> BackendFuture<'_, Vec<TaskRecord>> {
        (**self).list(request)
    }

    fn delete(&self, request: TaskRequest) -> BackendFuture<'_, bool> {
        (**self).delete(request)
    }

    fn run_now(&self, request: TaskRequest) -> BackendFuture<'_, ()> {
        (**self).run_now(request)
    }

    fn cancel(&self, request: TaskRequest) -> BackendFuture<'_, Cancelled> {
        (**self).cancel(request)
    }

    fn replay(&self, request: TaskRequest) -> BackendFuture<'_, ()> {
        (**self).replay(request)
    }

    fn bury(&self, request: Bury) -> BackendFuture<'_, ()> {
        (**self).bury(request)
    }

    fn check_dead_letters(&self, queues: Vec<QueueName>) -> BackendFuture<'_, DeadLetterCheck> {
        (**self).check_dead_letters(queues)
    }

    fn copy(&self, request: CopyTask) -> BackendFuture<'_, ()> {
        (**self).copy(request)
    }

    fn put_queue(&self, queue: QueueName, config: QueueConfig) -> BackendFuture<'_, ()> {
        (**self).put_queue(queue, config)
    }

    fn replace_queue(&self, request: ReplaceQueue) -> BackendFuture<'_, ()> {
        (**self).replace_queue(request)
    }

    fn raise_retention(&self, queue: QueueName, stated: Retention) -> BackendFuture<'_, ()> {
        (**self).raise_retention(queue, stated)
    }

    fn queues(&self) -> BackendFuture<'_, Vec<QueueRecord>> {
        (**self).queues()
    }

    fn set_paused(&self, queue: QueueName, paused: bool) -> BackendFuture<'_, ()> {
        (**self).set_paused(queue, paused)
    }

    fn purge(&self, queue: QueueName, now: Now) -> BackendFuture<'_, Purged> {
        (**self).purge(queue, now)
    }

    fn delete_queue(&self, request: DeleteQueue) -> BackendFuture<'_, Purged> {
        (**self).delete_queue(request)
    }

    fn stats(&self, now: Now) -> BackendFuture<'_, Vec<RouteStats>> {
        (**self).stats(now)
    }

    fn survey(&self, now: Now) -> BackendFuture<'_, Surveyed> {
        (**self).survey(now)
    }

    fn sample(&self, request: Sample) -> BackendFuture<'_, Result<Vec<Sampled>, UnreadQueue>> {
        (**self).sample(request)
    }

    fn put_schedules(&self, request: PutSchedules) -> BackendFuture<'_, SchedulesPut> {
        (**self).put_schedules(request)
    }

    fn schedules(&self, program: Option<String>) -> BackendFuture<'_, Vec<StoredSchedule>> {
        (**self).schedules(program)
    }

    fn change_schedule(&self, request: ChangeSchedule) -> BackendFuture<'_, ScheduleChanged> {
        (**self).change_schedule(request)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<B: Pull + ?Sized> Pull for Arc<B> {
    fn lease(&self, request: Lease) -> BackendFuture<'_, Leased> {
        (**self).lease(request)
    }

    fn extend(&self, request: Extend) -> BackendFuture<'_, Vec<bool>> {
        (**self).extend(request)
    }

    fn settle(&self, request: Settle) -> BackendFuture<'_, Vec<Settled>> {
        (**self).settle(request)
    }

    fn sweep(&self, request: Sweep) -> BackendFuture<'_, Swept> {
        (**self).sweep(request)
    }

    fn commits(&self) -> Option<i64> {
        (**self).commits()
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        (**self).wakeups()
    }

    fn cancelled(&self) -> BackendFuture<'_, Vec<LeaseRef>> {
        (**self).cancelled()
    }

    fn cancels(&self) -> watch::Receiver<u64> {
        (**self).cancels()
    }

    fn due_schedules(&self, request: DueSchedules) -> BackendFuture<'_, Due> {
        (**self).due_schedules(request)
    }

    fn tick(&self, request: Tick) -> BackendFuture<'_, Vec<Result<bool, Error>>> {
        (**self).tick(request)
    }

    fn schedule_changes(&self) -> watch::Receiver<u64> {
        (**self).schedule_changes()
    }
}
