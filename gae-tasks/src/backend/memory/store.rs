//! The model of a queue: what is stored, and the changes that the lifecycle makes of it. The other backends are held to it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::backend::lease::Haul;
use crate::backend::lifecycle::{self, Change, Ended, Facts, Holder, Rules};
use crate::backend::record::{bounded, error_text};
use crate::backend::{
    Bury, HeldLease, Lease, LeaseRef, LeaseToken, Leased, LeasedTask, MAX_ERRORS, NewTask, Purged, QueueRecord,
    RouteStats, Settled, Settlement, Standing, Stats, Sweep, Swept, TaskError, TaskFilter, TaskRecord, TaskState,
};
use crate::error::Error;
use crate::queue::{QueueConfig, QueueName};
use crate::task::{Deferred, Route, TaskId, TaskName};
use crate::time::Timestamp;
use crate::version;

/// All that is stored.
#[derive(Default)]
pub(super) struct Store {
    pub(super) tasks: BTreeMap<TaskId, Stored>,
    /// Every name in use, by queue: of stored tasks, and of those that are over.
    names: HashMap<(QueueName, TaskName), Holder>,
    pub(super) queues: BTreeMap<QueueName, QueueRecord>,
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
            if let Some(answer) = lifecycle::refuse_name(self.names.get(&key).copied(), task.spec.id, now) {
                return answer;
            }
            self.names.insert(key, Holder::Task(task.spec.id));
        }
        self.queue(&task.spec.queue);
        let (id, facts) = (task.spec.id, Facts::new(task.schedule, task.spec.max_attempts, now));
        self.tasks.insert(id, Stored { task, facts, errors: Vec::new(), lease: None });
        Deferred::new(id, true)
    }

    pub(super) fn bury(&mut self, request: Bury, now: Timestamp) {
        let Bury { mut task, attempts, first_attempt, error, .. } = request;
        let id = task.spec.id;
        if self.tasks.contains_key(&id) {
            return;
        }
        let holder = task.spec.name.clone().and_then(|name| self.names.get(&(task.spec.queue.clone(), name)).copied());
        task.spec.name.take_if(|_| lifecycle::refuse_name(holder, id, now).is_some());
        self.enqueue(task, now);
        if let Some(stored) = self.tasks.get_mut(&id) {
            stored.facts = lifecycle::bury(stored.facts, attempts, first_attempt, now);
            stored.keep_error(&error, now);
        }
    }

    pub(super) fn queue(&mut self, name: &QueueName) -> &mut QueueRecord {
        self.queues.entry(name.clone()).or_insert_with(|| QueueRecord {
            name: name.clone(),
            config: Some(QueueConfig::new()),
            paused: false,
            gives_up: false,
        })
    }

    /// The configuration of a queue; every one that is stored here can be read.
    pub(super) fn config(&self, queue: &QueueName) -> QueueConfig {
        self.queues.get(queue).and_then(|queue| queue.config.clone()).unwrap_or_default()
    }

    pub(super) fn configure(&mut self, queue: &QueueName, change: impl FnOnce(QueueConfig) -> QueueConfig) {
        let config = self.config(queue);
        self.queue(queue).config = Some(change(config));
    }

    /// Deletes a task that ends at `now`; its name is blocked as long as its queue says.
    pub(super) fn remove(&mut self, id: TaskId, now: Timestamp) -> Option<Stored> {
        let stored = self.tasks.remove(&id)?;
        if let Some(name) = &stored.task.spec.name {
            let until = lifecycle::tombstone(Some(&self.config(&stored.task.spec.queue)), now);
            self.names.insert((stored.task.spec.queue.clone(), name.clone()), Holder::Tombstone { of: id, until });
        }
        Some(stored)
    }

    pub(super) fn purge(&mut self, queue: &QueueName, now: Timestamp) -> Purged {
        let is_meant = |stored: &&Stored| stored.task.spec.queue == *queue && stored.state() != TaskState::Dead;
        let meant: Vec<_> =
            self.tasks.values().filter(is_meant).map(|stored| (stored.task.spec.id, stored.is_newer())).collect();
        let (newer, doomed): (Vec<_>, Vec<_>) = meant.into_iter().partition(|(_, is_newer)| *is_newer);
        doomed.iter().for_each(|(id, _)| drop(self.remove(*id, now)));
        Purged::new(doomed.len() as u64, newer.len() as u64)
    }

    pub(super) fn run_now(&mut self, id: TaskId, now: Timestamp) -> Result<(), Error> {
        self.change(id, |stored| lifecycle::run_now(stored.facts, stored.lease.is_some(), now))
    }

    pub(super) fn replay(&mut self, id: TaskId, now: Timestamp) -> Result<(), Error> {
        self.change(id, |stored| lifecycle::replay(stored.facts, now))
    }

    fn change(&mut self, id: TaskId, change: impl FnOnce(&Stored) -> Result<Facts, &'static str>) -> Result<(), Error> {
        let refused = |problem| Error::NoSuchTask { id, problem };
        let stored = self.tasks.get_mut(&id).ok_or(refused(error_text::NOT_STORED))?;
        stored.facts = change(stored).map_err(refused)?;
        Ok(())
    }

    pub(super) fn stats(&self, now: Timestamp) -> Vec<RouteStats> {
        let mut lines: BTreeMap<(QueueName, Route, bool), Stats> = BTreeMap::new();
        for stored in self.tasks.values() {
            let line = (stored.task.spec.queue.clone(), stored.route(), stored.is_newer());
            let (stats, wait) = (lines.entry(line).or_default(), stored.facts.wait);
            match stored.state() {
                TaskState::Scheduled => {
                    stats.scheduled += 1;
                    stats.due += u64::from(wait.is_over(now));
                    stats.oldest_due = Some(stats.oldest_due.map_or(wait.due(), |at| at.min(wait.due())));
                }
                TaskState::Leased => stats.leased += 1,
                TaskState::Dead => stats.dead += 1,
            }
        }
        let line = |((queue, route, is_newer), stats)| RouteStats { queue, route, is_newer, stats };
        lines.into_iter().map(line).collect()
    }

    pub(super) fn lease(&mut self, request: &Lease, now: Timestamp) -> Leased {
        let may_run = |stored: &&Stored| {
            let queue = &stored.task.spec.queue;
            stored.state() == TaskState::Scheduled
                && !stored.is_newer()
                && request.queues.contains(queue)
                && !self.queues.get(queue).is_some_and(|queue| queue.paused)
                && request.routes.contains(&stored.route())
        };
        let waiting = self.tasks.values().filter(may_run);
        let (due, later): (Vec<_>, Vec<_>) = waiting.partition(|stored| stored.facts.wait.is_over(now));
        let next = later.iter().map(|stored| stored.facts.wait.due().since(now)).min();
        let place = |stored: &Stored| (stored.facts.standing(), stored.facts.wait.due(), stored.task.spec.id);
        let mut due: Vec<_> = due.into_iter().map(place).collect();
        due.sort_unstable();
        let isolated = request.in_company && due.iter().any(|(standing, ..)| *standing == Standing::Isolated);
        let mut haul = Haul::default();
        for standing in Standing::ALL {
            let room = request.room(standing, haul.tasks());
            for (.., id) in due.iter().filter(|(of, ..)| *of == standing).take(room) {
                if !haul.is_full()
                    && let Some(task) = self.take(*id, request, now)
                {
                    haul.add(task);
                }
            }
        }
        Leased { isolated, ..haul.leased(next) }
    }

    fn take(&mut self, id: TaskId, request: &Lease, now: Timestamp) -> Option<LeasedTask> {
        let stored = self.tasks.get_mut(&id)?;
        let (token, standing, duration) = (LeaseToken::generate(), stored.facts.standing(), request.duration);
        let alone = request.isolates(standing);
        stored.lease = Some(Held { token, alone, expires: now.plus(duration), duration });
        let NewTask { spec, payload, .. } = stored.task.clone();
        let (schedule_time, attempts) = (stored.facts.wait.due(), stored.facts.attempts);
        Some(LeasedTask { lease: LeaseRef { id, token }, spec, payload, schedule_time, attempts, standing, alone })
    }

    /// The task of a lease that is held.
    fn leased(&mut self, lease: LeaseRef) -> Option<&mut Stored> {
        let holds = |stored: &&mut Stored| stored.lease.as_ref().is_some_and(|held| held.token == lease.token);
        self.tasks.get_mut(&lease.id).filter(holds)
    }

    pub(super) fn extend(&mut self, lease: LeaseRef, now: Timestamp, duration: Duration) -> bool {
        let held = self.leased(lease).and_then(|stored| stored.lease.as_mut());
        held.map(|held| (held.expires, held.duration) = (now.plus(duration), duration)).is_some()
    }

    pub(super) fn settle(&mut self, settlement: Settlement, now: Timestamp) -> Settled {
        let Settlement { lease, started, verdict } = settlement;
        let Some(stored) = self.leased(lease) else { return Settled::LeaseLost };
        let (facts, ended) = (stored.facts, Ended { verdict: &verdict, began: started });
        let rules = self.rules(lease.id);
        self.apply(lease.id, lifecycle::settle(facts, ended, rules.as_ref(), now), now)
    }

    /// What limits the attempts of a stored task.
    fn rules(&self, id: TaskId) -> Option<Rules> {
        let stored = self.tasks.get(&id).filter(|stored| !stored.is_newer())?;
        Some(Rules::of(&self.config(&stored.task.spec.queue), stored.task.spec.retry.clone()))
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
        match stored.facts.died {
            Some(_) => Settled::Dead,
            None => Settled::Scheduled(stored.facts.wait.due()),
        }
    }

    pub(super) fn sweep(&mut self, request: &Sweep, now: Timestamp) -> Swept {
        let mut swept = Swept::default();
        let is_waiting = |stored: &&mut Stored| stored.state() == TaskState::Scheduled;
        let long = self.tasks.values_mut().filter(is_waiting);
        let long = long.filter_map(|stored| Some((stored.facts.wait.shortened(now)?, stored)));
        for (wait, stored) in long.take(request.limit) {
            stored.facts.wait = wait;
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
            !stored.is_newer() && stored.facts.died.is_some_and(|died| lifecycle::is_forgotten(died, &config, now))
        };
        let old: Vec<_> =
            self.tasks.values().filter(old).take(request.limit).map(|stored| stored.task.spec.id).collect();
        for id in old {
            let removed = self.remove(id, now);
            swept.attributes.extend(removed.and_then(|stored| stored.task.spec.attributes));
            swept.forgotten += 1;
        }
        let names = self.forget_names(request.limit, now);
        let most = request.limit as u64;
        swept.more = [swept.recovered, swept.forgotten, names, swept.shortened].iter().any(|done| *done >= most);
        swept.forgotten += names;
        swept.held = self.tasks.values().filter_map(Stored::held).collect();
        swept
    }

    /// Takes back a lease, if it has not changed; gives what became of its task.
    fn recover(&mut self, lost: &HeldLease, now: Timestamp) -> Option<Settled> {
        let id = lost.lease.id;
        let stored = self.tasks.get(&id).filter(|stored| stored.held() == Some(*lost))?;
        let alone = stored.lease.as_ref().is_some_and(|held| held.alone);
        let change = lifecycle::lose(stored.facts, alone, self.rules(id).as_ref(), now);
        Some(self.apply(id, change, now))
    }

    /// Forgets names whose time is over, at most so many; answers how many.
    fn forget_names(&mut self, limit: usize, now: Timestamp) -> u64 {
        let mut forgotten = 0;
        self.names.retain(|_, holder| {
            let over = matches!(holder, Holder::Tombstone { until, .. } if *until <= now) && forgotten < limit;
            forgotten += usize::from(over);
            !over
        });
        forgotten as u64
    }
}

impl Stored {
    /// The task as it is shown.
    pub(super) fn record(&self) -> TaskRecord {
        let NewTask { spec, payload, .. } = &self.task;
        self.facts.record(spec.clone(), payload.clone(), self.lease.is_some(), self.errors.clone())
    }

    /// Whether `filter` means it.
    pub(super) fn is_meant(&self, filter: &TaskFilter) -> bool {
        filter.queue.as_ref().is_none_or(|queue| self.task.spec.queue == *queue)
            && filter.kind.as_ref().is_none_or(|kind| self.task.spec.kind == *kind)
            && filter.state.is_none_or(|state| self.state() == state)
    }

    const fn state(&self) -> TaskState {
        self.facts.state(self.lease.is_some())
    }

    fn route(&self) -> Route {
        self.task.spec.route()
    }

    /// Whether a newer version of this crate stored it.
    fn is_newer(&self) -> bool {
        self.task.spec.version() > version::KNOWN
    }

    /// Its lease, as a sweep sees it.
    fn held(&self) -> Option<HeldLease> {
        let held = self.lease.as_ref()?;
        Some(HeldLease::new(LeaseRef { id: self.task.spec.id, token: held.token }, held.expires, held.duration))
    }

    fn keep_error(&mut self, message: &str, at: Timestamp) {
        let error = TaskError { attempt: self.facts.attempts, at, message: bounded(message.to_owned()) };
        self.errors.push(error);
        self.errors.drain(..self.errors.len().saturating_sub(MAX_ERRORS));
    }
}
