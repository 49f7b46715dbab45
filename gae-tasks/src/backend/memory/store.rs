//! The model of a queue: the stored tasks and queues, and the changes that the lifecycle decides.
//! The other backends are compared with it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::order::{Lane, Order, Source};
use crate::backend::haul::{Haul, turn_length};
use crate::backend::lifecycle::{self, Change, Ended, Facts, Holder, Rules};
use crate::backend::readers::KnownReaders;
use crate::backend::record::error_text;
use crate::backend::{
    Bury, DeleteQueue, ForgottenTask, HeldLease, Lease, LeaseRef, LeaseToken, Leased, LeasedTask,
    MAX_ERRORS, NewTask, Purged, QueueRecord, RouteStats, Sample, Sampled, Settled, Settlement,
    Standing, Stats, Sweep, Swept, TaskError, TaskFilter, TaskRecord, TaskState,
};
use crate::error::Error;
use crate::payload::SensitivePaths;
use crate::queue::{QueueConfig, QueueName};
use crate::task::{Deferred, Kind, Route, Shape, TaskId, TaskName};
use crate::time::Timestamp;
use crate::version;

/// Everything that is stored.
#[derive(Default)]
pub(super) struct Store {
    pub(super) tasks: BTreeMap<TaskId, Stored>,
    /// Every name in use, by queue: names of stored tasks, and of tasks that are over.
    names: HashMap<(QueueName, TaskName), Holder>,
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
    expires: Timestamp,
    duration: Duration,
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
        if !task.schema.is_empty() {
            self.schemas.entry(task.spec.shape).or_insert_with(|| Arc::clone(&task.schema));
        }
        self.keep_sensitive(&task);
        self.queue(&task.spec.queue);
        let place = self.places.len();
        self.places.entry(task.spec.queue.clone()).or_insert(place);
        let (id, facts) = (task.spec.id, Facts::new(task.schedule, task.spec.max_attempts, now));
        self.tasks.insert(id, Stored { task, facts, errors: Vec::new(), lease: None });
        self.wait(id);
        Deferred::new(id, true)
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
    }

    /// Deletes a task that ends at `now`; its name is blocked for as long as its queue says.
    pub(super) fn remove(&mut self, id: TaskId, now: Timestamp) -> Option<Stored> {
        self.unwait(id);
        let stored = self.tasks.remove(&id)?;
        if let Some(name) = &stored.task.spec.name {
            let until = lifecycle::tombstone(Some(&self.config(&stored.task.spec.queue)), now);
            self.names.insert(
                (stored.task.spec.queue.clone(), name.clone()),
                Holder::Tombstone { of: id, until },
            );
        }
        Some(stored)
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
        let mut lines: BTreeMap<(QueueName, Route, bool), Stats> = BTreeMap::new();
        for stored in self.tasks.values() {
            let line =
                (stored.task.spec.queue.clone(), stored.task.spec.route(), stored.is_newer());
            let (stats, wait) = (lines.entry(line).or_default(), stored.facts.wait);
            match stored.state() {
                TaskState::Scheduled => {
                    stats.scheduled += 1;
                    stats.due += u64::from(wait.is_over(now));
                    stats.oldest_due =
                        Some(stats.oldest_due.map_or(wait.due(), |at| at.min(wait.due())));
                }
                TaskState::Leased => stats.leased += 1,
                TaskState::Dead => stats.dead += 1,
            }
        }
        let line = |((queue, route, is_newer), stats)| RouteStats { queue, route, is_newer, stats };
        lines.into_iter().map(line).collect()
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
            for stored in self.tasks.values().filter(is_meant) {
                let Some(place) = places.get(&stored.task.spec.route()) else { continue };
                let of_route: &mut Sampled = &mut sampled[*place];
                if of_route.len() < request.limit && of_route.bytes() < request.bytes {
                    of_route.records.push(stored.record(true));
                }
            }
        }
        sampled
    }

    pub(super) fn lease(&mut self, request: &Lease, now: Timestamp) -> Leased {
        let queues = self.readable(request);
        let mut haul = Haul::new(request);
        let mut isolated = false;
        for standing in [Standing::Isolated, Standing::Suspect, Standing::Marked] {
            let due = |source| self.order.due(source, standing, now, usize::MAX);
            let mut due: Vec<_> = queues.iter().flat_map(due).collect();
            due.sort_unstable();
            isolated |=
                standing == Standing::Isolated && request.room.in_company && !due.is_empty();
            self.take_each(due, request, &mut haul, standing, now);
        }
        self.take_turns(&queues, request, &mut haul, now);
        let next = queues.iter().filter_map(|source| self.order.next(source, now)).min();
        Leased {
            isolated,
            ..haul.leased(next.map(|next| next.since(now)), |queue| {
                self.config(queue).own_retry().cloned()
            })
        }
    }

    /// Returns the queues of `lease` that are not paused and have waiting tasks that the worker can
    /// run, in the order of turns.
    fn readable(&mut self, lease: &Lease) -> Vec<Source> {
        let Self { order, queues, readers, schemas, places, .. } = self;
        let is_paused = |queue: &QueueName| queues.get(queue).is_some_and(|queue| queue.paused);
        let mut sources = Vec::new();
        for queue in order.queues(lease).filter(|queue| !is_paused(queue)) {
            let mut read = |lane: &Lane| {
                let (route, _, refusers) = lane;
                let schema = || Ok::<_, Infallible>(schemas.get(&route.shape()).cloned());
                let Ok(reader) = readers.reader(&lease.routes, route, schema);
                Some((lane.clone(), refusers.spare(reader?)))
            };
            let lanes = order.lanes(queue).filter_map(&mut read).collect();
            sources.push(Source { queue: queue.clone(), lanes });
        }
        sources.sort_unstable_by_key(|source| places.get(&source.queue));
        sources
    }

    /// Leases clear tasks by the turns of their queues, until there is no more room or no task is
    /// due.
    fn take_turns(&mut self, queues: &[Source], request: &Lease, haul: &mut Haul, now: Timestamp) {
        let due = |store: &Self, source: &Source, limit| {
            store.order.due(source, Standing::Clear, now, limit)
        };
        let is_due =
            |source: &&Source| haul.room_of(&source.queue) > 0 && !due(self, source, 1).is_empty();
        let queues: Vec<_> = queues.iter().filter(is_due).collect();
        let length = turn_length(haul.room(Standing::Clear), queues.len());
        let last = request.last_turn.as_ref().and_then(|last| self.places.get(last));
        let next = queues.partition_point(|source| {
            last.is_some_and(|last| self.places.get(&source.queue) <= Some(last))
        });
        let mut line: VecDeque<_> = queues.into();
        line.rotate_left(next);
        while let Some(source) = line.pop_front() {
            let most = length.min(haul.room(Standing::Clear)).min(haul.room_of(&source.queue));
            let due = due(self, source, most);
            if due.len() >= most && most > 0 {
                line.push_back(source);
            }
            self.take_each(due, request, haul, Standing::Clear, now);
        }
    }

    /// Leases these tasks, as far as there is room.
    fn take_each(
        &mut self,
        due: Vec<(Timestamp, TaskId)>,
        request: &Lease,
        haul: &mut Haul,
        standing: Standing,
        now: Timestamp,
    ) {
        for (_, id) in due {
            if haul.room(standing) > 0
                && self
                    .tasks
                    .get(&id)
                    .is_some_and(|stored| haul.room_of(&stored.task.spec.queue) > 0)
                && let Some(task) = self.take(id, request, now)
            {
                haul.add(task);
            }
        }
    }

    fn take(&mut self, id: TaskId, request: &Lease, now: Timestamp) -> Option<LeasedTask> {
        self.unwait(id);
        let stored = self.tasks.get_mut(&id)?;
        let (token, standing, duration) =
            (LeaseToken::generate(), stored.facts.standing(), request.duration);
        let alone = request.room.isolates(standing);
        stored.lease = Some(Held { token, alone, expires: now.plus(duration), duration });
        let NewTask { spec, payload, .. } = stored.task.clone();
        let mut task =
            LeasedTask::new(LeaseRef::new(id, token), spec, payload, stored.facts.wait.due());
        (task.attempts, task.first_attempt) = (stored.facts.attempts, stored.facts.first_attempt);
        (task.standing, task.alone) = (standing, alone);
        Some(task)
    }

    /// Returns the task of a lease that is held.
    fn leased(&mut self, lease: LeaseRef) -> Option<&mut Stored> {
        let holds = |stored: &&mut Stored| {
            stored.lease.as_ref().is_some_and(|held| held.token == lease.token)
        };
        self.tasks.get_mut(&lease.id).filter(holds)
    }

    pub(super) fn extend(&mut self, lease: LeaseRef, now: Timestamp, duration: Duration) -> bool {
        let held = self.leased(lease).and_then(|stored| stored.lease.as_mut());
        held.map(|held| (held.expires, held.duration) = (now.plus(duration), duration)).is_some()
    }

    pub(super) fn settle(&mut self, settlement: Settlement, now: Timestamp) -> Settled {
        // No transaction of an application completes tasks in memory.
        let Settlement { lease, started, verdict, backoff, rolled_back: _ } = settlement;
        let Some(stored) = self.leased(lease) else { return Settled::LeaseLost };
        let (facts, ended) = (stored.facts, Ended { verdict: &verdict, began: started, backoff });
        let rules = self.rules(lease.id);
        self.apply(lease.id, lifecycle::settle(facts, ended, rules.as_ref(), now), now)
    }

    /// Returns the limits on the attempts of a stored task.
    fn rules(&self, id: TaskId) -> Option<Rules> {
        let stored = self.tasks.get(&id).filter(|stored| !stored.is_newer())?;
        let rules =
            Rules::of(&self.config(&stored.task.spec.queue), stored.task.spec.retry.clone());
        Some(rules.jittered(id))
    }

    /// Ends the lease of a task with a change.
    fn apply(&mut self, id: TaskId, change: Change<'_>, now: Timestamp) -> Settled {
        if change == Change::Over {
            self.remove(id, now);
            return Settled::Done;
        }
        let Some(stored) = self.tasks.get_mut(&id) else { return Settled::LeaseLost };
        stored.lease = None;
        if let Change::To { facts, error } = change {
            stored.facts = facts;
            _ = error.map(|error| stored.keep_error(error, now));
        }
        let settled = stored
            .facts
            .died
            .map_or(Settled::Scheduled(stored.facts.wait.due()), |_| Settled::Dead);
        self.wait(id);
        settled
    }

    pub(super) fn sweep(&mut self, request: &Sweep, now: Timestamp) -> Swept {
        let mut swept = Swept::default();
        let is_waiting = |stored: &&Stored| stored.state() == TaskState::Scheduled;
        let long = self.tasks.values().filter(is_waiting);
        let long = long
            .filter_map(|stored| Some((stored.task.spec.id, stored.facts.wait.shortened(now)?)));
        for (id, wait) in long.take(request.limit).collect::<Vec<_>>() {
            self.unwait(id);
            _ = self.tasks.get_mut(&id).map(|stored| stored.facts.wait = wait);
            self.wait(id);
            swept.shortened += 1;
        }
        for lost in request.lost.iter().take(request.limit) {
            if let Some(settled) = self.recover(lost, now) {
                swept.recovered += 1;
                swept.died += u64::from(settled == Settled::Dead);
            }
        }
        let old = |stored: &&Stored| {
            let config = self.config(&stored.task.spec.queue);
            !stored.is_newer()
                && stored.facts.died.is_some_and(|died| lifecycle::is_forgotten(died, &config, now))
        };
        let old: Vec<_> = self
            .tasks
            .values()
            .filter(old)
            .take(request.limit)
            .map(|stored| stored.task.spec.id)
            .collect();
        for id in old {
            let attributes = self.remove(id, now).and_then(|stored| stored.task.spec.attributes);
            swept.forgotten_tasks.push(ForgottenTask::new(id, attributes));
            swept.forgotten += 1;
        }
        let names = self.forget_names(request.limit, now);
        let most = request.limit as u64;
        swept.more = [swept.recovered, swept.forgotten, names, swept.shortened]
            .iter()
            .any(|done| *done >= most);
        swept.forgotten += names;
        swept.held = self.tasks.values().filter_map(Stored::held).collect();
        swept
    }

    /// Recovers a lease, if it is unchanged; returns what became of its task.
    fn recover(&mut self, lost: &HeldLease, now: Timestamp) -> Option<Settled> {
        let id = lost.lease.id;
        let stored = self.tasks.get(&id).filter(|stored| stored.held() == Some(*lost))?;
        let alone = stored.lease.as_ref().is_some_and(|held| held.alone);
        let change = lifecycle::lose(stored.facts, alone, self.rules(id).as_ref(), now);
        Some(self.apply(id, change, now))
    }

    /// Deletes at most `limit` tombstones that have expired; returns how many.
    fn forget_names(&mut self, limit: usize, now: Timestamp) -> u64 {
        let mut forgotten = 0;
        self.names.retain(|_, holder| {
            let over = matches!(holder, Holder::Tombstone { until, .. } if *until <= now)
                && forgotten < limit;
            forgotten += usize::from(over);
            !over
        });
        forgotten as u64
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
        (self.task.spec.route(), self.task.spec.version(), self.facts.refusers)
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
