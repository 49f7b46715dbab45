//! The model of a queue: what is stored, and what each request makes of it. The other backends are held to it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::backend::lease::Haul;
use crate::backend::lease::after_unreadable;
use crate::backend::record::{bounded, error_text};
use crate::backend::{
    Bury, HeldLease, Lease, LeaseRef, LeaseToken, Leased, LeasedTask, MAX_ERRORS, NewTask, Purged, QueueRecord,
    RouteStats, Settled, Settlement, Standing, Stats, Sweep, Swept, TaskError, TaskRecord, TaskState, Verdict,
};
use crate::error::Error;
use crate::queue::{Attempts, QueueConfig, QueueName};
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
    pub(super) record: TaskRecord,
    /// The version of this crate's stored formats that a program must know to run it.
    version: u8,
    wait: Wait,
    lease: Option<Held>,
}

/// What a scheduled task waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// A worker, whatever the clock says.
    Worker,
    /// Its schedule time.
    Time,
    /// Its schedule time, which was chosen at the moment given: its last attempt ended then.
    Pause(Timestamp),
}

/// The lease of a stored task.
pub(super) struct Held {
    token: LeaseToken,
    alone: bool,
    pub(super) expires: Timestamp,
    pub(super) duration: Duration,
}

/// What holds a name.
enum Holder {
    Task(TaskId),
    Tombstone { of: TaskId, until: Timestamp },
}

impl Store {
    pub(super) fn enqueue(&mut self, task: NewTask, now: Timestamp) -> Deferred {
        if self.tasks.contains_key(&task.id) {
            return Deferred::new(task.id, true);
        }
        if let Some(name) = &task.name {
            let key = (task.queue.clone(), name.clone());
            match self.names.get(&key) {
                Some(Holder::Task(holder)) => return Deferred::new(*holder, false),
                // The task may be this very one, already over: its first answer was lost.
                Some(Holder::Tombstone { of, until }) if *until > now => return Deferred::new(*of, *of == task.id),
                Some(Holder::Tombstone { .. }) | None => _ = self.names.insert(key, Holder::Task(task.id)),
            }
        }
        self.queue(&task.queue);
        let version = task.version();
        let wait = if task.schedule.is_timed() { Wait::Time } else { Wait::Worker };
        let record = TaskRecord {
            id: task.id,
            kind: task.kind,
            shape: task.shape,
            payload: task.payload,
            queue: task.queue,
            name: task.name,
            state: TaskState::Scheduled,
            created: now,
            schedule_time: task.schedule.resolve(now),
            first_attempt: None,
            attempts: 0,
            lost_leases: 0,
            lost_attempts: 0,
            max_attempts: task.max_attempts,
            retry: task.retry,
            deadline: task.deadline,
            attributes: task.attributes,
            errors: Vec::new(),
            died: None,
        };
        self.tasks.insert(record.id, Stored { record, version, wait, lease: None });
        Deferred::new(task.id, true)
    }

    pub(super) fn bury(&mut self, request: Bury, now: Timestamp) {
        let Bury { mut task, attempts, first_attempt, error, .. } = request;
        let id = task.id;
        if self.tasks.contains_key(&id) {
            return;
        }
        let key = task.name.clone().map(|name| (task.queue.clone(), name));
        task.name.take_if(|_| key.is_some_and(|key| self.holds(&key, now)));
        self.enqueue(task, now);
        if let Some(Stored { record, .. }) = self.tasks.get_mut(&id) {
            (record.state, record.died) = (TaskState::Dead, Some(now));
            (record.attempts, record.first_attempt) = (attempts, first_attempt);
            record.errors = vec![TaskError { attempt: attempts, at: now, message: bounded(error) }];
        }
    }

    /// Whether a name is in use.
    fn holds(&self, key: &(QueueName, TaskName), now: Timestamp) -> bool {
        match self.names.get(key) {
            Some(Holder::Task(_)) => true,
            Some(Holder::Tombstone { until, .. }) => *until > now,
            None => false,
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
        let task = self.tasks.remove(&id)?;
        if let Some(name) = &task.record.name {
            let key = (task.record.queue.clone(), name.clone());
            let until = now.plus(self.config(&task.record.queue).tombstone_retention());
            self.names.insert(key, Holder::Tombstone { of: id, until });
        }
        Some(task)
    }

    pub(super) fn purge(&mut self, queue: &QueueName, now: Timestamp) -> Purged {
        let is_meant = |task: &&Stored| task.record.queue == *queue && task.record.state != TaskState::Dead;
        let meant: Vec<_> =
            self.tasks.values().filter(is_meant).map(|task| (task.record.id, task.is_newer())).collect();
        let (newer, doomed): (Vec<_>, Vec<_>) = meant.into_iter().partition(|(_, is_newer)| *is_newer);
        doomed.iter().for_each(|(id, _)| drop(self.remove(*id, now)));
        Purged::new(doomed.len() as u64, newer.len() as u64)
    }

    pub(super) fn run_now(&mut self, id: TaskId, now: Timestamp) -> Result<(), Error> {
        match self.tasks.get_mut(&id) {
            Some(task) if task.record.state == TaskState::Scheduled => {
                task.record.schedule_time = task.record.schedule_time.min(now);
                task.wait = Wait::Worker;
                Ok(())
            }
            Some(task) if task.record.state == TaskState::Leased => Err(refused(id, error_text::RUNNING)),
            Some(_) => Err(refused(id, error_text::DEAD)),
            None => Err(refused(id, error_text::NOT_STORED)),
        }
    }

    pub(super) fn replay(&mut self, id: TaskId, now: Timestamp) -> Result<(), Error> {
        match self.tasks.get_mut(&id) {
            Some(Stored { record, wait, .. }) if record.state == TaskState::Dead => {
                (record.state, *wait) = (TaskState::Scheduled, Wait::Worker);
                (record.schedule_time, record.died) = (now, None);
                (record.attempts, record.first_attempt) = (0, None);
                (record.lost_leases, record.lost_attempts) = (0, 0);
                Ok(())
            }
            Some(_) => Err(refused(id, error_text::NOT_DEAD)),
            None => Err(refused(id, error_text::NOT_STORED)),
        }
    }

    pub(super) fn stats(&self, now: Timestamp) -> Vec<RouteStats> {
        let mut lines: BTreeMap<(QueueName, Route, bool), Stats> = BTreeMap::new();
        for task in self.tasks.values() {
            let record = &task.record;
            let route = Route::new(record.kind.clone(), record.shape);
            let stats = lines.entry((record.queue.clone(), route, task.is_newer())).or_default();
            match record.state {
                TaskState::Scheduled => {
                    stats.scheduled += 1;
                    stats.due += u64::from(task.is_due(now));
                    let oldest = stats.oldest_due.map_or(record.schedule_time, |at| at.min(record.schedule_time));
                    stats.oldest_due = Some(oldest);
                }
                TaskState::Leased => stats.leased += 1,
                TaskState::Dead => stats.dead += 1,
            }
        }
        let line = |((queue, route, is_newer), stats)| RouteStats { queue, route, is_newer, stats };
        lines.into_iter().map(line).collect()
    }

    pub(super) fn lease(&mut self, request: &Lease, now: Timestamp) -> Leased {
        let may_run = |task: &&Stored| {
            let record = &task.record;
            record.state == TaskState::Scheduled
                && !task.is_newer()
                && request.queues.contains(&record.queue)
                && !self.queues.get(&record.queue).is_some_and(|queue| queue.paused)
                && request.routes.contains(&Route::new(record.kind.clone(), record.shape))
        };
        let (due, later): (Vec<_>, Vec<_>) = self.tasks.values().filter(may_run).partition(|task| task.is_due(now));
        let next = later.iter().map(|task| task.record.schedule_time.since(now)).min();
        let place = |task: &Stored| (task.standing(), task.record.schedule_time, task.record.id);
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
        let task = self.tasks.get_mut(&id)?;
        let (token, standing, duration) = (LeaseToken::generate(), task.standing(), request.duration);
        let alone = request.isolates(standing);
        task.lease = Some(Held { token, alone, expires: now.plus(duration), duration });
        task.record.state = TaskState::Leased;
        let record = &task.record;
        Some(LeasedTask {
            lease: LeaseRef { id, token },
            kind: record.kind.clone(),
            shape: record.shape,
            payload: record.payload.clone(),
            queue: record.queue.clone(),
            name: record.name.clone(),
            schedule_time: record.schedule_time,
            attempts: record.attempts,
            standing,
            alone,
            deadline: record.deadline,
            attributes: record.attributes.clone(),
        })
    }

    /// The task of a lease that is held.
    fn leased(&mut self, lease: LeaseRef) -> Option<&mut Stored> {
        let holds = |task: &&mut Stored| task.lease.as_ref().is_some_and(|held| held.token == lease.token);
        self.tasks.get_mut(&lease.id).filter(holds)
    }

    pub(super) fn extend(&mut self, lease: LeaseRef, now: Timestamp, duration: Duration) -> bool {
        let held = self.leased(lease).and_then(|task| task.lease.as_mut());
        held.map(|held| (held.expires, held.duration) = (now.plus(duration), duration)).is_some()
    }

    pub(super) fn settle(&mut self, settlement: Settlement, now: Timestamp) -> Settled {
        let lease = settlement.lease;
        let Some(task) = self.leased(lease) else { return Settled::LeaseLost };
        let queue = task.record.queue.clone();
        let config = self.config(&queue);
        let Some(task) = self.leased(lease) else { return Settled::LeaseLost };
        let started = settlement.started.unwrap_or(now);
        match settlement.verdict {
            Verdict::Done => {
                self.remove(lease.id, now);
                Settled::Done
            }
            Verdict::Release => {
                task.give_back();
                Settled::Scheduled(task.record.schedule_time)
            }
            Verdict::Unreadable { error } => {
                task.keep_error(error, now);
                task.pause(after_unreadable(task.record.created, now), now)
            }
            Verdict::Permanent { error } => {
                task.count_attempt(started);
                task.keep_error(error, now);
                task.die(now)
            }
            Verdict::Retry { error, after, max_attempts } => {
                // A task that answers does not kill its worker.
                (task.record.lost_leases, task.record.lost_attempts) = (0, 0);
                task.count_attempt(started);
                task.keep_error(error, now);
                let cap = [task.record.max_attempts, max_attempts].into_iter().flatten().min();
                let attempts = Attempts::new(task.record.attempts, task.record.first_attempt.unwrap_or(started), cap);
                let retry = task.record.retry.as_ref().unwrap_or_else(|| config.retry());
                match retry.next(attempts, now) {
                    None => task.die(now),
                    Some(by_backoff) => task.pause(after.map_or(by_backoff, |after| now.plus(after)), now),
                }
            }
        }
    }

    pub(super) fn sweep(&mut self, request: &Sweep, now: Timestamp) -> Swept {
        let mut swept = Swept::default();
        let long = self.tasks.values_mut().filter(|task| task.has_long_pause(now));
        for task in long.take(request.limit) {
            task.shorten_pause(now);
            swept.shortened += 1;
        }
        for lost in request.lost.iter().take(request.limit) {
            swept.recovered += u64::from(self.recover(lost, now, &mut swept.died));
        }
        let old = |task: &&Stored| {
            let keep = self.config(&task.record.queue).dead_letter_retention();
            !task.is_newer() && task.record.died.is_some_and(|died| died.plus(keep) <= now)
        };
        let old: Vec<_> = self.tasks.values().filter(old).take(request.limit).map(|task| task.record.id).collect();
        for id in old {
            let removed = self.remove(id, now);
            swept.attributes.extend(removed.and_then(|task| task.record.attributes));
            swept.forgotten += 1;
        }
        let names = self.forget_names(request.limit, now);
        let most = request.limit as u64;
        swept.more = [swept.recovered, swept.forgotten, names, swept.shortened].iter().any(|done| *done >= most);
        swept.forgotten += names;
        swept.held = self.tasks.values().filter_map(Stored::held).collect();
        swept
    }

    /// Takes back a lease that has not changed; answers whether it was still there.
    fn recover(&mut self, lost: &HeldLease, now: Timestamp, died: &mut u64) -> bool {
        let Some(task) = self.tasks.get(&lost.lease.id).filter(|task| task.held() == Some(*lost)) else { return false };
        let config = self.config(&task.record.queue);
        if let Some(task) = self.tasks.get_mut(&lost.lease.id) {
            *died += u64::from(task.lose_lease(&config, now));
        }
        true
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
    const fn standing(&self) -> Standing {
        Standing::of(self.record.lost_leases)
    }

    /// Whether a newer version of this crate stored it.
    const fn is_newer(&self) -> bool {
        self.version > version::KNOWN
    }

    /// Whether it waits for nothing but a worker.
    fn is_due(&self, now: Timestamp) -> bool {
        self.wait == Wait::Worker || self.record.schedule_time <= now
    }

    /// Its lease, as a sweep sees it.
    fn held(&self) -> Option<HeldLease> {
        let held = self.lease.as_ref()?;
        Some(HeldLease::new(LeaseRef { id: self.record.id, token: held.token }, held.expires, held.duration))
    }

    /// It waits as it did before it was leased.
    fn give_back(&mut self) {
        self.lease = None;
        self.record.state = TaskState::Scheduled;
    }

    fn pause(&mut self, until: Timestamp, now: Timestamp) -> Settled {
        self.give_back();
        (self.record.schedule_time, self.wait) = (until, Wait::Pause(now));
        Settled::Scheduled(until)
    }

    /// Whether its pause began in the future: the clock was set back.
    fn has_long_pause(&self, now: Timestamp) -> bool {
        self.record.state == TaskState::Scheduled && matches!(self.wait, Wait::Pause(since) if since > now)
    }

    /// Lets its pause last from now on as long as it was meant to.
    fn shorten_pause(&mut self, now: Timestamp) {
        if let Wait::Pause(since) = self.wait {
            self.record.schedule_time = now.plus(self.record.schedule_time.since(since));
            self.wait = Wait::Pause(now);
        }
    }

    fn die(&mut self, now: Timestamp) -> Settled {
        self.lease = None;
        self.record.state = TaskState::Dead;
        self.record.died = Some(now);
        Settled::Dead
    }

    fn count_attempt(&mut self, started: Timestamp) {
        self.record.attempts = self.record.attempts.saturating_add(1);
        self.record.first_attempt.get_or_insert(started);
    }

    fn keep_error(&mut self, message: String, at: Timestamp) {
        let errors = &mut self.record.errors;
        errors.push(TaskError { attempt: self.record.attempts, at, message: bounded(message) });
        errors.drain(..errors.len().saturating_sub(MAX_ERRORS));
    }

    /// The worker is gone. If the task was the only suspect, that was an attempt; else it may never have started, or another
    /// task may be to blame. Returns whether the task is dead now.
    fn lose_lease(&mut self, config: &QueueConfig, now: Timestamp) -> bool {
        let was_alone = self.lease.as_ref().is_some_and(|held| held.alone);
        self.record.lost_leases = self.record.lost_leases.saturating_add(1);
        self.give_back();
        if !was_alone {
            return false;
        }
        self.record.lost_attempts = self.record.lost_attempts.saturating_add(1);
        self.count_attempt(now);
        self.keep_error(error_text::LEASE_LOST.to_owned(), now);
        let first = self.record.first_attempt.unwrap_or(now);
        let attempts = Attempts::new(self.record.attempts, first, self.record.max_attempts);
        let retry = self.record.retry.as_ref().unwrap_or_else(|| config.retry());
        let is_lost = self.record.lost_attempts >= config.max_lost_attempts();
        // Whether a task dies that a newer program stored is left to one that can read all of it.
        let dead = !self.is_newer() && (retry.is_exhausted(attempts, now) || is_lost);
        if dead {
            self.die(now);
        }
        dead
    }
}

fn refused(id: TaskId, problem: &'static str) -> Error {
    Error::NoSuchTask { id, problem }
}
