//! The model of a queue: the stored tasks and queues, and the changes that the lifecycle decides.
//! The other backends are compared with it.

mod lease;
mod limits;
mod schedules;
mod settle;
mod unique;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::limited::Limited;
use super::order::{Lane, Order};
use crate::backend::lifecycle::{self, Facts, Holder};
use crate::backend::readers::KnownReaders;
use crate::backend::record::error_text;
use crate::backend::unique::Place;
use crate::backend::{
    Bury, Cancelled, DeleteQueue, HeldLease, LeaseRef, LeaseToken, MAX_ERRORS, NewTask, Purged,
    QueueRecord, RouteStats, Sample, Sampled, ScheduleKey, Stats, StoredSchedule, TaskError,
    TaskFilter, TaskRecord, TaskState,
};
use crate::error::Error;
use crate::payload::SensitivePaths;
use crate::queue::{QueueConfig, QueueName};
use crate::task::{Deferred, Kind, Route, Shape, TaskId, TaskName, UniqueKey};
use crate::time::Timestamp;
use crate::version;

/// Everything that is stored.
#[derive(Default)]
pub(super) struct Store {
    pub(super) tasks: BTreeMap<TaskId, Stored>,
    /// Every name in use, by queue: names of stored tasks, and of tasks that are over.
    names: HashMap<(QueueName, TaskName), Holder>,
    /// Every key of unique tasks in use, by queue.
    keys: HashMap<(QueueName, UniqueKey), Holder>,
    pub(super) queues: BTreeMap<QueueName, QueueRecord>,
    /// The schema of each shape that a task has ever had.
    pub(super) schemas: HashMap<Shape, Arc<[u8]>>,
    /// The paths of args that are never shown, by the kinds of tasks that brought them.
    sensitive: HashMap<Kind, BTreeSet<Box<str>>>,
    readers: KnownReaders,
    order: Order,
    /// The place of each queue in the order of turns: the order in which queues received their
    /// first task.
    places: HashMap<QueueName, usize>,
    schedules: BTreeMap<ScheduleKey, StoredSchedule>,
    /// The buckets and leases of queues that have limits, or had.
    limited: HashMap<QueueName, Limited>,
    /// Whether a queue with limits may give a task that it could not give before.
    pub(super) has_opened: bool,
    /// The leased tasks whose cancellation was requested: workers ask for them again and again.
    cancelled: BTreeSet<TaskId>,
}

/// A task with its lease.
pub(super) struct Stored {
    task: NewTask,
    facts: Facts,
    errors: Vec<TaskError>,
    lease: Option<Held>,
}

/// The lease of a stored task.
struct Held {
    token: LeaseToken,
    alone: bool,
    /// Whether the cancellation of the task was requested.
    cancelled: bool,
    expires: Timestamp,
    duration: Duration,
    /// Whether the lease counts for the limit of its queue.
    is_counted: bool,
    /// Whether the lease took a token of its queue's bucket.
    is_paid: bool,
}

impl Store {
    pub(super) fn enqueue(&mut self, task: NewTask, now: Timestamp) -> Deferred {
        if self.tasks.contains_key(&task.spec.id) {
            return Deferred::new(task.spec.id, true);
        }
        if let Some(name) = &task.spec.name {
            let key = (task.spec.queue.clone(), name.clone());
            if let Some(answer) =
                lifecycle::refuse_name(self.names.get(&key).copied(), task.spec.id, now)
            {
                return answer;
            }
            self.names.insert(key, Holder::Task(task.spec.id));
        }
        let claim = self.claim(&task, now);
        self.make_room(claim, &task, now);
        let answer = claim.answer(task.spec.id);
        if let Some(place) = claim.place(task.schedule, now) {
            self.insert(task, place);
        }
        answer
    }

    /// Stores a task that waits like this since `created`.
    fn insert(&mut self, task: NewTask, (wait, created): Place) {
        if !task.schema.is_empty() && task.spec.shape.may_be_of(&task.schema) {
            self.schemas.entry(task.spec.shape).or_insert_with(|| Arc::clone(&task.schema));
        }
        self.keep_sensitive(&task);
        self.queue(&task.spec.queue);
        let turn = self.places.len();
        self.places.entry(task.spec.queue.clone()).or_insert(turn);
        let (id, max_attempts) = (task.spec.id, task.spec.max_attempts);
        let facts = Facts { wait, ..Facts::new(task.schedule, max_attempts, created) };
        self.tasks.insert(id, Stored { task, facts, errors: Vec::new(), lease: None });
        self.wait(id);
    }

    fn keep_sensitive(&mut self, task: &NewTask) {
        if !task.sensitive.is_empty() {
            let paths = self.sensitive.entry(task.spec.kind.clone()).or_default();
            for path in
                task.sensitive.iter().filter(|path| !paths.contains(*path)).collect::<Vec<_>>()
            {
                paths.insert(path.clone());
            }
        }
    }

    /// Returns the paths of args that are never shown in tasks of `kind`.
    pub(super) fn sensitive_of(&self, kind: &Kind) -> SensitivePaths {
        self.sensitive.get(kind).into_iter().flatten().cloned().collect()
    }

    /// Returns the stored task that has this name.
    pub(super) fn named(&self, queue: QueueName, name: TaskName) -> Option<&Stored> {
        match self.names.get(&(queue, name))? {
            Holder::Task(id) => self.tasks.get(id),
            Holder::Tombstone { .. } => None,
        }
    }

    /// Adds a task to the order, if the task waits and this program can run it.
    fn wait(&mut self, id: TaskId) {
        let is_meant =
            |stored: &&Stored| stored.state() == TaskState::Scheduled && !stored.is_newer();
        if let Some(stored) = self.tasks.get(&id).filter(is_meant) {
            self.order.add(&stored.task.spec.queue, stored.lane(), &stored.facts, id);
        }
    }

    /// Removes a task from the order; called before the task's facts change.
    fn unwait(&mut self, id: TaskId) {
        if let Some(stored) = self.tasks.get(&id) {
            self.order.remove(&stored.task.spec.queue, &stored.lane(), &stored.facts, id);
        }
    }

    pub(super) fn bury(&mut self, request: Bury, now: Timestamp) {
        let Bury { mut task, attempts, first_attempt, error, .. } = request;
        let id = task.spec.id;
        if self.tasks.contains_key(&id) {
            return;
        }
        let holder = task
            .spec
            .name
            .clone()
            .and_then(|name| self.names.get(&(task.spec.queue.clone(), name)).copied());
        task.spec.name.take_if(|_| lifecycle::refuse_name(holder, id, now).is_some());
        self.enqueue(task, now);
        self.unwait(id);
        if let Some(stored) = self.tasks.get_mut(&id) {
            stored.facts = lifecycle::bury(stored.facts, attempts, first_attempt, now);
            stored.keep_error(&error, now);
        }
    }

    pub(super) fn queue(&mut self, name: &QueueName) -> &mut QueueRecord {
        let new = || QueueRecord::new(name.clone(), Some(QueueConfig::new()));
        self.queues.entry(name.clone()).or_insert_with(new)
    }

    /// Pauses or resumes a queue.
    pub(super) fn set_paused(&mut self, name: &QueueName, paused: bool) -> Result<(), Error> {
        let queue = self
            .queues
            .get_mut(name)
            .ok_or_else(|| Error::NoSuchQueue { queue: name.to_string() })?;
        queue.paused = paused;
        Ok(())
    }

    /// Returns the configuration of a queue; every configuration stored here can be read.
    pub(super) fn config(&self, queue: &QueueName) -> QueueConfig {
        self.queues.get(queue).and_then(|queue| queue.config.clone()).unwrap_or_default()
    }

    pub(super) fn configure(
        &mut self,
        queue: &QueueName,
        change: impl FnOnce(QueueConfig) -> QueueConfig,
    ) {
        let config = self.config(queue);
        self.queue(queue).config = Some(change(config));
        self.count_earlier(queue);
    }

    /// Deletes a task that ends at `now`; its name is blocked for as long as its queue says.
    pub(super) fn remove(&mut self, id: TaskId, now: Timestamp) -> Option<Stored> {
        self.unwait(id);
        let stored = self.tasks.remove(&id)?;
        if let Some(held) = &stored.lease {
            self.cancelled.remove(&id);
            self.count_out(&stored.task.spec.queue, held);
        }
        if let Some(name) = &stored.task.spec.name {
            let until = lifecycle::tombstone(Some(&self.config(&stored.task.spec.queue)), now);
            self.names.insert(
                (stored.task.spec.queue.clone(), name.clone()),
                Holder::Tombstone { of: id, until },
            );
        }
        self.free_key(id, &stored.task.spec, now);
        Some(stored)
    }

    /// Cancels a task: one that waits is removed.
    pub(super) fn cancel(&mut self, id: TaskId, now: Timestamp) -> Cancelled {
        let Some(stored) = self.tasks.get_mut(&id) else { return Cancelled::Gone };
        match (stored.state(), &mut stored.lease) {
            (TaskState::Dead, _) => Cancelled::Gone,
            (_, Some(held)) => {
                held.cancelled = true;
                self.cancelled.insert(id);
                Cancelled::Requested
            }
            (_, None) => {
                self.remove(id, now);
                Cancelled::Removed
            }
        }
    }

    /// Returns the leases of tasks whose cancellation was requested.
    pub(super) fn cancelled(&self) -> Vec<LeaseRef> {
        let lease = |id: &TaskId| {
            let held = self.tasks.get(id)?.lease.as_ref()?;
            Some(LeaseRef::new(*id, held.token))
        };
        self.cancelled.iter().filter_map(lease).collect()
    }

    pub(super) fn purge(&mut self, queue: &QueueName, now: Timestamp) -> Purged {
        let is_meant = |stored: &&Stored| {
            stored.task.spec.queue == *queue && stored.state() != TaskState::Dead
        };
        let meant: Vec<_> = self
            .tasks
            .values()
            .filter(is_meant)
            .map(|stored| (stored.task.spec.id, stored.is_newer()))
            .collect();
        let (newer, doomed): (Vec<_>, Vec<_>) =
            meant.into_iter().partition(|(_, is_newer)| *is_newer);
        doomed.iter().for_each(|(id, _)| drop(self.remove(*id, now)));
        Purged::new(doomed.len() as u64, newer.len() as u64)
    }

    pub(super) fn delete_queue(
        &mut self,
        request: &DeleteQueue,
        now: Timestamp,
    ) -> Result<Purged, Error> {
        let queue = &request.queue;
        let held = || self.tasks.values().filter(|stored| stored.task.spec.queue == *queue);
        let dead_letters = held().filter(|stored| stored.state() == TaskState::Dead).count() as u64;
        let tasks = held().count() as u64 - dead_letters;
        if !request.with_tasks && tasks + dead_letters > 0 {
            return Err(Error::QueueInUse { queue: queue.to_string(), tasks, dead_letters });
        }
        let doomed: Vec<_> =
            held().filter(|stored| !stored.is_newer()).map(|stored| stored.task.spec.id).collect();
        doomed.iter().for_each(|id| drop(self.remove(*id, now)));
        let deleted = doomed.len() as u64;
        let left = tasks + dead_letters - deleted;
        if left == 0 {
            self.queues.remove(queue);
            self.limited.remove(queue);
        }
        Ok(Purged::new(deleted, left))
    }

    pub(super) fn run_now(&mut self, id: TaskId, now: Timestamp) -> Result<(), Error> {
        self.change(id, |stored| lifecycle::run_now(stored.facts, stored.lease.is_some(), now))
    }

    pub(super) fn replay(&mut self, id: TaskId, now: Timestamp) -> Result<(), Error> {
        self.change(id, |stored| lifecycle::replay(stored.facts, now))
    }

    fn change(
        &mut self,
        id: TaskId,
        change: impl FnOnce(&Stored) -> Result<Facts, &'static str>,
    ) -> Result<(), Error> {
        let refused = |problem| Error::NoSuchTask { id, problem };
        let facts =
            change(self.tasks.get(&id).ok_or(refused(error_text::NOT_STORED))?).map_err(refused)?;
        self.unwait(id);
        _ = self.tasks.get_mut(&id).map(|stored| stored.facts = facts);
        self.wait(id);
        Ok(())
    }

    pub(super) fn stats(&self, now: Timestamp) -> Vec<RouteStats> {
        let mut lines: BTreeMap<(QueueName, Route, bool), RouteStats> = BTreeMap::new();
        for stored in self.tasks.values() {
            let (queue, route) = (stored.task.spec.queue.clone(), stored.task.spec.route());
            let (mut stats, wait) = (Stats::default(), stored.facts.wait);
            match stored.state() {
                TaskState::Scheduled => {
                    stats.scheduled = 1;
                    stats.due = u64::from(wait.is_over(now));
                    stats.oldest_due = Some(wait.due());
                }
                TaskState::Leased => stats.leased = 1,
                TaskState::Dead => stats.dead = 1,
            }
            let is_newer = stored.is_newer();
            let line = lines.entry((queue.clone(), route.clone(), is_newer)).or_insert_with(|| {
                RouteStats { is_newer, ..RouteStats::new(queue, route, Stats::default()) }
            });
            line.add(stored.facts.refusers, stats);
        }
        lines.into_values().collect()
    }

    /// Returns some tasks of each route, those that wait first.
    pub(super) fn sample(&self, request: &Sample) -> Vec<Sampled> {
        let mut sampled = vec![Sampled::default(); request.routes.len()];
        let places: HashMap<_, _> = request.routes.iter().zip(0..).collect();
        for state in [TaskState::Scheduled, TaskState::Leased, TaskState::Dead] {
            let is_meant = |stored: &&Stored| {
                stored.task.spec.queue == request.queue
                    && stored.state() == state
                    && !stored.is_newer()
            };
            let mut meant: Vec<_> = self.tasks.values().filter(is_meant).collect();
            // Refused tasks are known to be a problem for somebody.
            meant.sort_by_key(|stored| stored.facts.refusers.is_empty());
            for stored in meant {
                let Some(place) = places.get(&stored.task.spec.route()) else { continue };
                let of_route: &mut Sampled = &mut sampled[*place];
                if of_route.len() < request.limit && of_route.bytes() < request.bytes {
                    of_route.records.push(stored.record(true));
                }
            }
        }
        sampled
    }
}

impl Stored {
    /// Returns the record of the task.
    pub(super) fn record(&self, with_payload: bool) -> TaskRecord {
        let NewTask { spec, payload, .. } = &self.task;
        let payload = with_payload.then(|| payload.clone());
        self.facts.record(spec.clone(), payload, self.lease.is_some(), self.errors.clone())
    }

    /// Whether `filter` selects the task.
    pub(super) fn is_meant(&self, filter: &TaskFilter) -> bool {
        filter.queue.as_ref().is_none_or(|queue| self.task.spec.queue == *queue)
            && filter.kind.as_ref().is_none_or(|kind| self.task.spec.kind == *kind)
            && filter.state.is_none_or(|state| self.state() == state)
    }

    const fn state(&self) -> TaskState {
        self.facts.state(self.lease.is_some())
    }

    fn lane(&self) -> Lane {
        let spec = &self.task.spec;
        let (route, version, priority) = (spec.route(), spec.version(), spec.priority);
        let Facts { refusers, forced, .. } = self.facts;
        Lane { route, version, priority, refusers, forced }
    }

    /// Whether a newer version of this crate stored the task.
    fn is_newer(&self) -> bool {
        self.task.spec.version() > version::KNOWN
    }

    /// Returns the lease as a sweep returns it.
    fn held(&self) -> Option<HeldLease> {
        let held = self.lease.as_ref()?;
        Some(HeldLease::new(
            LeaseRef::new(self.task.spec.id, held.token),
            held.expires,
            held.duration,
        ))
    }

    fn keep_error(&mut self, message: &str, at: Timestamp) {
        let error = TaskError::new(self.facts.attempts, at, message);
        self.errors.push(error);
        self.errors.drain(..self.errors.len().saturating_sub(MAX_ERRORS));
    }
}
