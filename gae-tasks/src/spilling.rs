//! A backend whose large payloads are in a payload store: put before their tasks are stored,
//! deleted after the tasks' end.

mod leased;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use self::leased::LeasedKeys;
use crate::attributes::{Attributes, Spilled};
use crate::backend::{
    Backend, BackendFuture, Bury, Cancelled, Capabilities, ChangeSchedule, CopyTask,
    DeadLetterCheck, DeleteQueue, Due, DueSchedules, Enqueue, Extend, Lease, LeaseRef, Leased,
    LeasedTask, List, NewTask, Pull, Purged, PutSchedules, QueueRecord, ReplaceQueue, RouteStats,
    Sample, Sampled, ScheduleChanged, SchedulesPut, Settle, Settled, StoredSchedule, Surveyed,
    Sweep, Swept, TaskFilter, TaskRecord, TaskRequest, Tick, UnreadQueue, sealed,
};
use crate::error::Error;
use crate::payload::SensitivePaths;
use crate::payload_store::{Shelf, key, task_of};
use crate::queue::{QueueConfig, QueueName};
use crate::retention::Retention;
use crate::task::{Deferred, Kind, Shape, TaskId, TaskName};
use crate::time::Now;

/// The number of tasks per page when a queue is emptied.
const PAGE: usize = 1000;

/// A backend that stores payloads above a limit in a payload store.
///
/// A payload is put before its task is stored. It is deleted after an answer that says that the
/// task has ended or was not stored; if an answer is lost, the payload stays until a sweep of
/// payloads. Payloads are never loaded here: their tasks are leased and listed with an empty
/// payload, and with attributes that say where it is.
#[derive(Debug)]
pub(crate) struct Spilling<B> {
    backend: B,
    shelf: Shelf,
    inline: usize,
    capabilities: Capabilities,
    /// Whether the backend knows a task by the id that it was deferred with: Google shows a named
    /// task under another id.
    ids_are_own: bool,
    leased: Mutex<LeasedKeys>,
}

/// The most bytes of a payload that is stored with this task: `inline`, or less if more does not
/// fit beside what travels with the task.
pub(crate) fn inline_for(task: &NewTask, inline: usize, capabilities: &Capabilities) -> usize {
    let beside = if capabilities.schemas_travel { task.bytes_beside() } else { 0 };
    inline.min(capabilities.max_payload.saturating_sub(beside))
}

/// The key, payload and kind of a payload that is put before its task is stored.
type Put = (String, Vec<u8>, Kind);

impl<B: Backend> Spilling<B> {
    /// Creates a backend that puts payloads of more than `inline` bytes, or of more than `backend`
    /// accepts, into `shelf`.
    pub(crate) fn new(backend: B, shelf: Shelf, inline: usize) -> Self {
        let capabilities = backend.capabilities();
        let ids_are_own = capabilities.pull;
        Self { backend, shelf, inline, capabilities, ids_are_own, leased: Mutex::default() }
    }

    /// Takes a payload that is too large out of its task; the attributes then say where the payload
    /// will be. A task whose attributes cannot be read keeps its payload.
    fn take_out(&self, task: &mut NewTask) -> Option<Put> {
        if task.payload.len() <= inline_for(task, self.inline, &self.capabilities) {
            return None;
        }
        let attributes = Attributes::decode(task.spec.attributes.as_deref())?;
        let payload = std::mem::take(&mut task.payload);
        let spilled = Spilled::new(key(task.spec.id), self.shelf.store.name(), &payload);
        let put = (spilled.key.clone(), payload, task.spec.kind.clone());
        task.spec.attributes = Attributes { spilled: Some(spilled), ..attributes }.encode();
        Some(put)
    }

    async fn enqueue_spilled(
        &self,
        request: Enqueue,
        put: Vec<Put>,
    ) -> Result<Vec<Result<Deferred, Error>>, Error> {
        let mut keys: Vec<_> = put.iter().map(|(key, ..)| key.clone()).collect();
        if let Err((tried, error)) = self.shelf.put_all(put).await {
            keys.truncate(tried);
            self.take_back(&request.tasks, &keys.into_iter().collect()).await;
            return Err(error);
        }
        let put: HashSet<_> = keys.into_iter().collect();
        let keys: Vec<_> = request.tasks.iter().map(|task| key_among(&put, task)).collect();
        let is_unneeded = |answer: &Result<Deferred, Error>| match answer {
            Ok(deferred) => !deferred.created,
            Err(error) => is_certain(error),
        };
        let answers = self.backend.enqueue(request).await;
        let unneeded: Vec<_> = match &answers {
            Ok(answers) => {
                let refused =
                    keys.into_iter().zip(answers).filter(|(_, answer)| is_unneeded(answer));
                refused.filter_map(|(key, _)| key).collect()
            }
            Err(error) if is_certain(error) => keys.into_iter().flatten().collect(),
            Err(_) => Vec::new(),
        };
        self.shelf.forget(&unneeded).await;
        answers
    }

    /// Stores a copy of a task that had its payload with it. If the copy is refused, another copy
    /// of the task may have the same payload.
    async fn copy_spilled(&self, request: CopyTask, put: Put) -> Result<(), Error> {
        let (id, key) = (request.task.spec.id, put.0.clone());
        let answer = match self.shelf.put_all(vec![put]).await {
            Ok(()) => self.backend.copy(request).await,
            Err((_, error)) => Err(error),
        };
        if answer.as_ref().is_err_and(is_certain) {
            self.delete_orphans(vec![(id, key)]).await;
        }
        answer
    }

    /// Deletes the payloads that were `put` and whose tasks are not stored. A task that is enqueued
    /// again may already be stored; on a push queue, a named task is not found by the id of the
    /// call that created it.
    async fn take_back(&self, tasks: &[NewTask], put: &HashSet<String>) {
        let finds_names = self.backend.capabilities().pull;
        let known = tasks.iter().filter(|task| finds_names || task.spec.name.is_none());
        self.delete_orphans(
            known.filter_map(|task| Some((task.spec.id, key_among(put, task)?))).collect(),
        )
        .await;
    }

    /// The key of the payload of a task that is about to be deleted, if the payload is spilled.
    async fn key_of_stored(&self, id: TaskId) -> Option<String> {
        // If this fails, the deletion fails too, or the payload is left to a sweep.
        let record = self.backend.get(id).await.ok().flatten()?;
        self.key_of(record.spec.id, record.spec.attributes.as_deref())
    }

    /// The payloads of a queue's tasks, dead letters included.
    async fn spilled_in(&self, queue: &QueueName) -> Result<Vec<(TaskId, String)>, Error> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let request = List::new(TaskFilter::new().queue(queue.clone()), PAGE).after(after);
            let page = self.backend.list(request).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after = Some(last.spec.id);
            found.extend(page.iter().filter_map(|record| {
                Some((
                    record.spec.id,
                    self.key_of(record.spec.id, record.spec.attributes.as_deref())?,
                ))
            }));
        }
    }

    /// Deletes the payloads in `spilled` whose tasks are not stored.
    async fn delete_orphans(&self, spilled: Vec<(TaskId, String)>) {
        let mut keys = Vec::new();
        for (id, key) in spilled {
            if matches!(self.backend.get(id).await, Ok(None)) {
                keys.push(key);
            }
        }
        self.shelf.forget(&keys).await;
    }

    /// Empties a queue, and deletes the payloads of the deleted tasks.
    async fn emptied<T>(
        &self,
        queue: QueueName,
        emptied: impl AsyncFnOnce(&B) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let spilled = self.spilled_in(&queue).await?;
        let answer = emptied(&self.backend).await?;
        self.delete_orphans(spilled).await;
        Ok(answer)
    }
}

impl<B> Spilling<B> {
    fn leased(&self) -> MutexGuard<'_, LeasedKeys> {
        self.leased.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key of this task's payload, if the payload is spilled. A key of another task is ignored:
    /// otherwise whoever wrote the attributes could have the other task's payload deleted.
    fn key_of(&self, id: TaskId, attributes: Option<&[u8]>) -> Option<String> {
        let key = Attributes::spilled_in(Some(attributes?))?.key;
        let task = task_of(&key)?;
        (task == id || !self.ids_are_own).then_some(key)
    }

    fn spilled_of(&self, tasks: &[LeasedTask]) -> impl Iterator<Item = (LeaseRef, String)> {
        let key = |task: &LeasedTask| self.key_of(task.spec.id, task.spec.attributes.as_deref());
        tasks.iter().filter_map(move |task| Some((task.lease, key(task)?)))
    }

    fn remember(&self, spilled: impl IntoIterator<Item = (LeaseRef, String)>) {
        let mut spilled = spilled.into_iter().peekable();
        if spilled.peek().is_some() {
            let mut leased = self.leased();
            spilled.for_each(|(lease, key)| leased.insert(lease, key));
        }
    }

    /// Forgets these leases; returns the keys of the known ones.
    fn take<'a>(
        &self,
        leases: impl IntoIterator<Item = &'a LeaseRef>,
    ) -> HashMap<LeaseRef, String> {
        let mut leased = self.leased();
        leases.into_iter().filter_map(|lease| Some((*lease, leased.remove(lease)?))).collect()
    }
}

/// The key of the payload of a task with these attributes, if the payload is spilled.
fn key_in(attributes: Option<&[u8]>) -> Option<String> {
    Some(Attributes::spilled_in(Some(attributes?))?.key)
}

/// Like [`key_in`], if the key is among those that were `put`.
fn key_among(put: &HashSet<String>, task: &NewTask) -> Option<String> {
    key_in(task.spec.attributes.as_deref()).filter(|key| put.contains(key))
}

/// Whether this answer means that its task was certainly not stored. If the storage failed, perhaps
/// only its answer was lost: a task without its payload would be worse than a payload without its
/// task.
const fn is_certain(error: &Error) -> bool {
    !matches!(error, Error::Storage { .. })
}

impl<B> sealed::Sealed for Spilling<B> {}

// A method that is added to the trait must be considered here.
#[deny(clippy::missing_trait_methods)]
impl<B: Backend> Backend for Spilling<B> {
    fn capabilities(&self) -> Capabilities {
        self.backend.capabilities()
    }

    fn enqueue(&self, mut request: Enqueue) -> BackendFuture<'_, Vec<Result<Deferred, Error>>> {
        let put: Vec<_> = request.tasks.iter_mut().filter_map(|task| self.take_out(task)).collect();
        if put.is_empty() {
            self.backend.enqueue(request)
        } else {
            Box::pin(self.enqueue_spilled(request, put))
        }
    }

    fn enqueue_blocking(
        &self,
        mut request: Enqueue,
    ) -> Result<Vec<Result<Deferred, Error>>, Error> {
        let put: Vec<_> = request.tasks.iter_mut().filter_map(|task| self.take_out(task)).collect();
        if put.is_empty() {
            return self.backend.enqueue_blocking(request);
        }
        pollster::block_on(self.enqueue_spilled(request, put))
    }

    fn get(&self, id: TaskId) -> BackendFuture<'_, Option<TaskRecord>> {
        self.backend.get(id)
    }

    fn find(&self, queue: QueueName, name: TaskName) -> BackendFuture<'_, Option<TaskRecord>> {
        self.backend.find(queue, name)
    }

    fn stored(&self, ids: Vec<TaskId>) -> BackendFuture<'_, Vec<TaskId>> {
        self.backend.stored(ids)
    }

    fn schemas(&self, shapes: Vec<Shape>) -> BackendFuture<'_, Vec<Option<Arc<[u8]>>>> {
        self.backend.schemas(shapes)
    }

    fn sensitive(&self, kinds: Vec<Kind>) -> BackendFuture<'_, Vec<SensitivePaths>> {
        self.backend.sensitive(kinds)
    }

    fn list(&self, request: List) -> BackendFuture<'_, Vec<TaskRecord>> {
        self.backend.list(request)
    }

    fn delete(&self, request: TaskRequest) -> BackendFuture<'_, bool> {
        Box::pin(async move {
            let key = self.key_of_stored(request.id).await;
            let was_stored = self.backend.delete(request).await?;
            if let Some(key) = key.filter(|_| was_stored) {
                self.shelf.forget(&[key]).await;
            }
            Ok(was_stored)
        })
    }

    fn cancel(&self, request: TaskRequest) -> BackendFuture<'_, Cancelled> {
        Box::pin(async move {
            let key = self.key_of_stored(request.id).await;
            let cancelled = self.backend.cancel(request).await?;
            if let Some(key) = key.filter(|_| cancelled == Cancelled::Removed) {
                self.shelf.forget(&[key]).await;
            }
            Ok(cancelled)
        })
    }

    fn run_now(&self, request: TaskRequest) -> BackendFuture<'_, ()> {
        self.backend.run_now(request)
    }

    fn replay(&self, request: TaskRequest) -> BackendFuture<'_, ()> {
        self.backend.replay(request)
    }

    fn bury(&self, request: Bury) -> BackendFuture<'_, ()> {
        self.backend.bury(request)
    }

    fn check_dead_letters(&self, queues: Vec<QueueName>) -> BackendFuture<'_, DeadLetterCheck> {
        self.backend.check_dead_letters(queues)
    }

    fn copy(&self, mut request: CopyTask) -> BackendFuture<'_, ()> {
        // A task and its copies share a payload in the store.
        match self.take_out(&mut request.task) {
            None => self.backend.copy(request),
            Some(put) => Box::pin(self.copy_spilled(request, put)),
        }
    }

    fn put_queue(&self, queue: QueueName, config: QueueConfig) -> BackendFuture<'_, ()> {
        self.backend.put_queue(queue, config)
    }

    fn replace_queue(&self, request: ReplaceQueue) -> BackendFuture<'_, ()> {
        self.backend.replace_queue(request)
    }

    fn raise_retention(&self, queue: QueueName, stated: Retention) -> BackendFuture<'_, ()> {
        self.backend.raise_retention(queue, stated)
    }

    fn queues(&self) -> BackendFuture<'_, Vec<QueueRecord>> {
        self.backend.queues()
    }

    fn set_paused(&self, queue: QueueName, paused: bool) -> BackendFuture<'_, ()> {
        self.backend.set_paused(queue, paused)
    }

    fn purge(&self, queue: QueueName, now: Now) -> BackendFuture<'_, Purged> {
        Box::pin(self.emptied(queue.clone(), async move |backend| backend.purge(queue, now).await))
    }

    fn delete_queue(&self, request: DeleteQueue) -> BackendFuture<'_, Purged> {
        if !request.with_tasks {
            return self.backend.delete_queue(request);
        }
        Box::pin(self.emptied(request.queue.clone(), async move |backend| {
            backend.delete_queue(request).await
        }))
    }

    fn stats(&self, now: Now) -> BackendFuture<'_, Vec<RouteStats>> {
        self.backend.stats(now)
    }

    fn survey(&self, now: Now) -> BackendFuture<'_, Surveyed> {
        self.backend.survey(now)
    }

    fn sample(&self, request: Sample) -> BackendFuture<'_, Result<Vec<Sampled>, UnreadQueue>> {
        self.backend.sample(request)
    }

    fn put_schedules(&self, request: PutSchedules) -> BackendFuture<'_, SchedulesPut> {
        self.backend.put_schedules(request)
    }

    fn schedules(&self, program: Option<String>) -> BackendFuture<'_, Vec<StoredSchedule>> {
        self.backend.schedules(program)
    }

    fn change_schedule(&self, request: ChangeSchedule) -> BackendFuture<'_, ScheduleChanged> {
        self.backend.change_schedule(request)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<B: Pull> Pull for Spilling<B> {
    fn lease(&self, request: Lease) -> BackendFuture<'_, Leased> {
        let answer = self.backend.lease(request);
        Box::pin(async {
            let leased = answer.await?;
            self.remember(self.spilled_of(&leased.tasks));
            Ok(leased)
        })
    }

    fn extend(&self, request: Extend) -> BackendFuture<'_, Vec<bool>> {
        let leases = request.leases.clone();
        let answer = self.backend.extend(request);
        Box::pin(async move {
            let held = answer.await?;
            self.take(leases.iter().zip(&held).filter(|(_, held)| !**held).map(|(lease, _)| lease));
            Ok(held)
        })
    }

    fn settle(&self, request: Settle) -> BackendFuture<'_, Vec<Settled>> {
        let leases: Vec<_> =
            request.settlements.iter().map(|settlement| settlement.lease).collect();
        // Taken before the request: a concurrent extension, which finds the lease gone, must not
        // forget keys that are to be deleted.
        let mut keys = self.take(&leases);
        let kept = request.settlements.iter().filter(|settlement| settlement.keeps_payload);
        let kept: HashSet<_> = kept.map(|settlement| settlement.lease).collect();
        let answer = self.backend.settle(request);
        Box::pin(async move {
            let settled = match answer.await {
                Ok(settled) => settled,
                Err(error) => {
                    self.remember(keys);
                    return Err(error);
                }
            };
            let answered = |answer: Settled| {
                let answers = leases.iter().zip(&settled);
                answers.filter(move |(_, one)| **one == answer).map(|(lease, _)| lease)
            };
            // Nothing became of these tasks: they are settled again.
            let locked = answered(Settled::Locked);
            self.remember(locked.filter_map(|lease| Some((*lease, keys.remove(lease)?))));
            let over = answered(Settled::Done).filter(|lease| !kept.contains(*lease));
            let over = over.filter_map(|lease| keys.remove(lease)).collect();
            // In the background: the worker must record other outcomes before their leases expire.
            self.shelf.forget_beside(over).await;
            Ok(settled)
        })
    }

    fn sweep(&self, request: Sweep) -> BackendFuture<'_, Swept> {
        let lost: Vec<_> = request.lost.iter().map(|held| held.lease).collect();
        let answer = self.backend.sweep(request);
        Box::pin(async move {
            let swept = answer.await?;
            let held: HashSet<_> = swept.held.iter().map(|held| held.lease).collect();
            self.take(lost.iter().filter(|lease| !held.contains(lease)));
            let keys = swept
                .forgotten_tasks
                .iter()
                .filter_map(|task| self.key_of(task.id, task.attributes.as_deref()))
                .collect();
            // In the background: a sweep must not wait for the payload store.
            self.shelf.forget_beside(keys).await;
            Ok(swept)
        })
    }

    fn commits(&self) -> Option<i64> {
        self.backend.commits()
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        self.backend.wakeups()
    }

    fn cancelled(&self) -> BackendFuture<'_, Vec<LeaseRef>> {
        self.backend.cancelled()
    }

    fn cancels(&self) -> watch::Receiver<u64> {
        self.backend.cancels()
    }

    fn due_schedules(&self, request: DueSchedules) -> BackendFuture<'_, Due> {
        self.backend.due_schedules(request)
    }

    fn tick(&self, request: Tick) -> BackendFuture<'_, Vec<Result<bool, Error>>> {
        // A schedule whose payload would be spilled is refused when it is put.
        self.backend.tick(request)
    }

    fn schedule_changes(&self) -> watch::Receiver<u64> {
        self.backend.schedule_changes()
    }
}
