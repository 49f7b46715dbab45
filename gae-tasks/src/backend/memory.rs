//! The backend in this process's memory: for tests, and the reference that the other backends are
//! compared with.

mod limited;
mod order;
mod store;

use std::fmt;
use std::mem;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

use self::store::{Store, Stored};
use super::{
    Backend, BackendFuture, Bury, Cancelled, Capabilities, ChangeSchedule, DeleteQueue, Due,
    DueSchedules, Enqueue, Extend, Lease, LeaseRef, Leased, List, Pull, Purged, PutSchedules,
    QueueRecord, ReplaceQueue, RouteStats, Sample, Sampled, ScheduleChanged, SchedulesPut, Settle,
    Settled, StoredSchedule, Sweep, Swept, TaskRecord, TaskRequest, Tick, UnreadQueue, sealed,
};
use crate::error::Error;
use crate::payload::SensitivePaths;
use crate::queue::{QueueConfig, QueueName};
use crate::retention::Retention;
use crate::task::{Deferred, Kind, Shape, TaskId, TaskName};
use crate::time::{Now, Timestamp};

/// Tasks in this process's memory, which end with the process.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), gae_tasks::Error> {
/// use gae_tasks::{Client, backend::memory::Memory};
///
/// let tasks = Client::builder().build(Memory::new())?;
/// assert_eq!(tasks.stats().await?.open(), 0);
/// # Ok(())
/// # }
/// ```
pub struct Memory {
    store: Mutex<Store>,
    wakeups: watch::Sender<u64>,
    /// Changes whenever the cancellation of a leased task was requested.
    cancels: watch::Sender<u64>,
    schedule_changes: watch::Sender<u64>,
}

impl Memory {
    /// Creates a backend without tasks.
    pub fn new() -> Self {
        let (wakeups, cancels) = (watch::Sender::new(0), watch::Sender::new(0));
        Self { store: Mutex::default(), wakeups, cancels, schedule_changes: watch::Sender::new(0) }
    }

    /// Runs `work` on the store; the returned future is ready at once.
    fn answer<'a, T: Send + 'a>(&self, work: impl FnOnce(&mut Store) -> T) -> BackendFuture<'a, T> {
        Box::pin(std::future::ready(Ok(self.change(work))))
    }

    /// Runs `work` on the store and wakes the workers if a queue with limits may give more tasks
    /// than before.
    fn change<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.lock();
        let done = work(&mut store);
        let has_opened = mem::take(&mut store.has_opened);
        drop(store);
        if has_opened {
            self.wake();
        }
        done
    }

    /// Runs `work` on the store and wakes the workers, because a task may have become due.
    fn answer_and_wake<'a, T: Send + 'a>(
        &self,
        work: impl FnOnce(&mut Store) -> T,
    ) -> BackendFuture<'a, T> {
        let answer = self.answer(work);
        self.wake();
        answer
    }

    fn wake(&self) {
        self.wakeups.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        // No operation leaves the store half changed, so a panic leaves it usable.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("tasks", &self.lock().tasks.len()).finish_non_exhaustive()
    }
}

impl sealed::Sealed for Memory {}

impl Backend for Memory {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new("memory")
    }

    fn enqueue(&self, request: Enqueue) -> BackendFuture<'_, Vec<Result<Deferred, Error>>> {
        let now = moment(request.now);
        self.answer_and_wake(|store| {
            request.tasks.into_iter().map(|task| Ok(store.enqueue(task, now))).collect()
        })
    }

    fn get(&self, id: TaskId) -> BackendFuture<'_, Option<TaskRecord>> {
        self.answer(|store| store.tasks.get(&id).map(|stored| stored.record(true)))
    }

    fn find(&self, queue: QueueName, name: TaskName) -> BackendFuture<'_, Option<TaskRecord>> {
        self.answer(|store| store.named(queue, name).map(|stored| stored.record(true)))
    }

    fn schemas(&self, shapes: Vec<Shape>) -> BackendFuture<'_, Vec<Option<Arc<[u8]>>>> {
        self.answer(|store| shapes.iter().map(|shape| store.schemas.get(shape).cloned()).collect())
    }

    fn sensitive(&self, kinds: Vec<Kind>) -> BackendFuture<'_, Vec<SensitivePaths>> {
        self.answer(|store| kinds.iter().map(|kind| store.sensitive_of(kind)).collect())
    }

    fn list(&self, request: List) -> BackendFuture<'_, Vec<TaskRecord>> {
        self.answer(|store| {
            let bound = request.after.map_or(Bound::Unbounded, Bound::Excluded);
            let meant = |(_, stored): (_, &Stored)| {
                stored.is_meant(&request.filter).then(|| stored.record(request.with_payloads))
            };
            if request.newest_first {
                let earlier = store.tasks.range((Bound::Unbounded, bound)).rev();
                return earlier.filter_map(meant).take(request.limit).collect();
            }
            store
                .tasks
                .range((bound, Bound::Unbounded))
                .filter_map(meant)
                .take(request.limit)
                .collect()
        })
    }

    fn delete(&self, request: TaskRequest) -> BackendFuture<'_, bool> {
        let now = moment(request.now);
        self.answer(|store| store.remove(request.id, now).is_some())
    }

    fn run_now(&self, request: TaskRequest) -> BackendFuture<'_, ()> {
        let now = moment(request.now);
        let answer = self.lock().run_now(request.id, now);
        self.wake();
        Box::pin(std::future::ready(answer))
    }

    fn cancel(&self, request: TaskRequest) -> BackendFuture<'_, Cancelled> {
        let now = moment(request.now);
        let cancelled = self.change(|store| store.cancel(request.id, now));
        if cancelled == Cancelled::Requested {
            self.cancels.send_modify(|count| *count += 1);
        }
        Box::pin(std::future::ready(Ok(cancelled)))
    }

    fn replay(&self, request: TaskRequest) -> BackendFuture<'_, ()> {
        let now = moment(request.now);
        let answer = self.lock().replay(request.id, now);
        self.wake();
        Box::pin(std::future::ready(answer))
    }

    fn bury(&self, request: Bury) -> BackendFuture<'_, ()> {
        let now = moment(request.now);
        self.answer(|store| store.bury(request, now))
    }

    fn put_queue(&self, queue: QueueName, config: QueueConfig) -> BackendFuture<'_, ()> {
        self.answer_and_wake(|store| store.configure(&queue, |stored| stored.merged(config)))
    }

    fn replace_queue(&self, request: ReplaceQueue) -> BackendFuture<'_, ()> {
        let ReplaceQueue { queue, config, is_stored } = request;
        // Tasks that a limit has held back may be due.
        self.answer_and_wake(|store| {
            if !is_stored {
                store.configure(&queue, |stored| stored.replaced(config));
            }
        })
    }

    fn raise_retention(&self, queue: QueueName, stated: Retention) -> BackendFuture<'_, ()> {
        self.answer(|store| store.configure(&queue, |stored| stored.raised(stated)))
    }

    fn queues(&self) -> BackendFuture<'_, Vec<QueueRecord>> {
        self.answer(|store| store.queues.values().cloned().collect())
    }

    fn set_paused(&self, queue: QueueName, paused: bool) -> BackendFuture<'_, ()> {
        let answer = self.answer_and_wake(|store| store.set_paused(&queue, paused));
        Box::pin(async { answer.await? })
    }

    fn purge(&self, queue: QueueName, now: Now) -> BackendFuture<'_, Purged> {
        let now = moment(now);
        self.answer(|store| store.purge(&queue, now))
    }

    fn delete_queue(&self, request: DeleteQueue) -> BackendFuture<'_, Purged> {
        let now = moment(request.now);
        let answer = self.change(|store| store.delete_queue(&request, now));
        Box::pin(std::future::ready(answer))
    }

    fn stats(&self, now: Now) -> BackendFuture<'_, Vec<RouteStats>> {
        let now = moment(now);
        self.answer(|store| store.stats(now))
    }

    fn sample(&self, request: Sample) -> BackendFuture<'_, Result<Vec<Sampled>, UnreadQueue>> {
        self.answer(|store| Ok(store.sample(&request)))
    }

    fn put_schedules(&self, request: PutSchedules) -> BackendFuture<'_, SchedulesPut> {
        let now = moment(request.now);
        let answer = self.answer(|store| store.put_schedules(&request, now));
        self.schedule_changes.send_modify(|count| *count += 1);
        answer
    }

    fn schedules(&self, program: Option<String>) -> BackendFuture<'_, Vec<StoredSchedule>> {
        self.answer(|store| store.schedules_of(program.as_deref()))
    }

    fn change_schedule(&self, request: ChangeSchedule) -> BackendFuture<'_, ScheduleChanged> {
        let now = moment(request.now);
        let answer = self.answer(|store| store.change_schedule(&request, now));
        self.schedule_changes.send_modify(|count| *count += 1);
        answer
    }
}

impl Pull for Memory {
    fn lease(&self, request: Lease) -> BackendFuture<'_, Leased> {
        let (now, mut answers) = (moment(request.now), Vec::new());
        loop {
            let leased = self.lock().lease(&request, &answers, now);
            match leased {
                Ok(leased) => return Box::pin(std::future::ready(Ok(leased))),
                // The worker decides while the store is free for others.
                Err(questions) => answers.extend(request.routes.answer(questions)),
            }
        }
    }

    fn extend(&self, request: Extend) -> BackendFuture<'_, Vec<bool>> {
        let now = moment(request.now);
        self.answer(|store| {
            let extend = |lease| store.extend(lease, now, request.duration);
            request.leases.into_iter().map(extend).collect()
        })
    }

    fn settle(&self, request: Settle) -> BackendFuture<'_, Vec<Settled>> {
        let now = moment(request.now);
        let settle = |store: &mut Store| -> Vec<Settled> {
            request
                .settlements
                .into_iter()
                .map(|settlement| store.settle(settlement, now))
                .collect()
        };
        let settled = self.change(settle);
        if settled.iter().any(|settled| matches!(settled, Settled::Scheduled(_))) {
            self.wake();
        }
        Box::pin(std::future::ready(Ok(settled)))
    }

    fn sweep(&self, request: Sweep) -> BackendFuture<'_, Swept> {
        let now = moment(request.now);
        let swept = self.change(|store| store.sweep(&request, now));
        if swept.recovered > 0 || swept.shortened > 0 {
            self.wake();
        }
        Box::pin(std::future::ready(Ok(swept)))
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        self.wakeups.subscribe()
    }

    fn cancelled(&self) -> BackendFuture<'_, Vec<LeaseRef>> {
        self.answer(|store| store.cancelled())
    }

    fn cancels(&self) -> watch::Receiver<u64> {
        self.cancels.subscribe()
    }

    fn due_schedules(&self, request: DueSchedules) -> BackendFuture<'_, Due> {
        let now = moment(request.now);
        self.answer(|store| store.due_schedules(&request, now))
    }

    fn tick(&self, request: Tick) -> BackendFuture<'_, Vec<Result<bool, Error>>> {
        let now = moment(request.now);
        let tick = |store: &mut Store| -> Vec<_> {
            request.moves.into_iter().map(|made| store.tick(made, now)).collect()
        };
        let made = tick(&mut self.lock());
        if made.contains(&true) {
            self.wake();
        }
        Box::pin(std::future::ready(Ok(made.into_iter().map(Ok).collect())))
    }

    fn schedule_changes(&self) -> watch::Receiver<u64> {
        self.schedule_changes.subscribe()
    }
}

fn moment(now: Now) -> Timestamp {
    now.resolve(|| SystemTime::now().into())
}
