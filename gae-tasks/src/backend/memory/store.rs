//! The model of a queue: what is stored, and what each request makes of it. The other backends are held to it.

use std::collections::{BTreeMap, HashMap};

use crate::backend::lease::Haul;
use crate::backend::record::{bounded, error_text};
use crate::backend::{
    Bury, Lease, LeaseRef, LeaseToken, Leased, LeasedTask, MAX_ERRORS, MAX_LOST_ATTEMPTS, NewTask, QueueRecord,
    RouteStats, Settled, Settlement, Standing, Stats, Sweep, Swept, TaskError, TaskRecord, TaskState, Verdict,
};
use crate::error::Error;
use crate::queue::{Attempts, QueueConfig, QueueName, RetryConfig};
use crate::task::{Deferred, Route, TaskId, TaskName};
use crate::time::Timestamp;

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
    token: Option<LeaseToken>,
    /// When the lease ends; of no meaning without a token.
    pub(super) expires: Timestamp,
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
            max_attempts: task.max_attempts,
            retry: task.retry,
            deadline: task.deadline,
            attributes: task.attributes,
            errors: Vec::new(),
            died: None,
        };
        self.tasks.insert(record.id, Stored { record, token: None, expires: now });
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
            config: QueueConfig::new(),
            paused: false,
            gives_up: false,
        })
    }

    fn retry_of(&mut self, queue: &QueueName) -> RetryConfig {
        self.queue(queue).config.retry().clone()
    }

    /// Deletes a task; its name is blocked until `until`.
    pub(super) fn remove(&mut self, id: TaskId, until: Timestamp) -> Option<Stored> {
        let task = self.tasks.remove(&id)?;
        if let Some(name) = &task.record.name {
            let key = (task.record.queue.clone(), name.clone());
            self.names.insert(key, Holder::Tombstone { of: id, until });
        }
        Some(task)
    }

    pub(super) fn run_now(&mut self, id: TaskId, now: Timestamp) -> Result<(), Error> {
        match self.tasks.get_mut(&id) {
            Some(task) if task.record.state == TaskState::Scheduled => {
                task.record.schedule_time = task.record.schedule_time.min(now);
                Ok(())
            }
            Some(task) if task.record.state == TaskState::Leased => Err(refused(id, error_text::RUNNING)),
            Some(_) => Err(refused(id, error_text::DEAD)),
            None => Err(refused(id, error_text::NOT_STORED)),
        }
    }

    pub(super) fn replay(&mut self, id: TaskId, now: Timestamp) -> Result<(), Error> {
        match self.tasks.get_mut(&id) {
            Some(Stored { record, .. }) if record.state == TaskState::Dead => {
                record.state = TaskState::Scheduled;
                (record.schedule_time, record.died) = (now, None);
                (record.attempts, record.lost_leases, record.first_attempt) = (0, 0, None);
                Ok(())
            }
            Some(_) => Err(refused(id, error_text::NOT_DEAD)),
            None => Err(refused(id, error_text::NOT_STORED)),
        }
    }

    pub(super) fn stats(&self, now: Timestamp) -> Vec<RouteStats> {
        let mut lines: BTreeMap<(QueueName, Route), Stats> = BTreeMap::new();
        for Stored { record, .. } in self.tasks.values() {
            let route = Route::new(record.kind.clone(), record.shape);
            let stats = lines.entry((record.queue.clone(), route)).or_default();
            match record.state {
                TaskState::Scheduled => {
                    stats.scheduled += 1;
                    stats.due += u64::from(record.schedule_time <= now);
                    let oldest = stats.oldest_due.map_or(record.schedule_time, |at| at.min(record.schedule_time));
                    stats.oldest_due = Some(oldest);
                }
                TaskState::Leased => stats.leased += 1,
                TaskState::Dead => stats.dead += 1,
            }
        }
        lines.into_iter().map(|((queue, route), stats)| RouteStats { queue, route, stats }).collect()
    }

    pub(super) fn lease(&mut self, request: &Lease, now: Timestamp) -> Leased {
        let mut waiting: Vec<(Standing, Timestamp, TaskId)> = Vec::new();
        for Stored { record, .. } in self.tasks.values() {
            if record.state == TaskState::Scheduled
                && request.queues.contains(&record.queue)
                && !self.queues.get(&record.queue).is_some_and(|queue| queue.paused)
                && request.routes.contains(&Route::new(record.kind.clone(), record.shape))
            {
                waiting.push((Standing::of(record.lost_leases), record.schedule_time, record.id));
            }
        }
        waiting.sort_unstable();
        let (due, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, at, _)| *at <= now);
        let next = later.iter().map(|(_, at, _)| at.since(now)).min();
        let until = now.plus(request.duration);
        let mut haul = Haul::default();
        for standing in Standing::ALL {
            let room = request.room(standing, haul.tasks().len());
            for (.., id) in due.iter().filter(|(of, ..)| *of == standing).take(room) {
                if !haul.is_full()
                    && let Some(task) = self.take(*id, until)
                {
                    haul.add(task);
                }
            }
        }
        haul.leased(next)
    }

    fn take(&mut self, id: TaskId, until: Timestamp) -> Option<LeasedTask> {
        let task = self.tasks.get_mut(&id)?;
        let token = LeaseToken::generate();
        (task.token, task.expires) = (Some(token), until);
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
            standing: Standing::of(record.lost_leases),
            deadline: record.deadline,
            attributes: record.attributes.clone(),
        })
    }

    pub(super) fn leased(&mut self, lease: LeaseRef) -> Option<&mut Stored> {
        self.tasks.get_mut(&lease.id).filter(|task| task.token == Some(lease.token))
    }

    pub(super) fn settle(&mut self, settlement: Settlement, now: Timestamp, until: Timestamp) -> Settled {
        let lease = settlement.lease;
        let Some(task) = self.leased(lease) else { return Settled::LeaseLost };
        let started = settlement.started.unwrap_or(now);
        match settlement.verdict {
            Verdict::Done => {
                self.remove(lease.id, until);
                Settled::Done
            }
            Verdict::Release => {
                task.give_back();
                Settled::Scheduled(task.record.schedule_time)
            }
            Verdict::Permanent { error } => {
                task.count_attempt(started);
                task.keep_error(error, now);
                task.die(now);
                Settled::Dead
            }
            Verdict::Retry { error, after, max_attempts } => {
                // A task that answers does not kill its worker.
                task.record.lost_leases = 0;
                task.count_attempt(started);
                task.keep_error(error, now);
                let cap = [task.record.max_attempts, max_attempts].into_iter().flatten().min();
                let attempts = Attempts::new(task.record.attempts, task.record.first_attempt.unwrap_or(started), cap);
                let queue = task.record.queue.clone();
                let config = task.record.retry.clone().unwrap_or_else(|| self.retry_of(&queue));
                self.tasks.get_mut(&lease.id).map_or(Settled::LeaseLost, |task| match config.next(attempts, now) {
                    None => {
                        task.die(now);
                        Settled::Dead
                    }
                    Some(by_backoff) => {
                        let next = after.map_or(by_backoff, |after| now.plus(after));
                        task.give_back();
                        task.record.schedule_time = next;
                        Settled::Scheduled(next)
                    }
                })
            }
        }
    }

    pub(super) fn sweep(&mut self, request: &Sweep, now: Timestamp) -> Swept {
        let mut swept = Swept::default();
        let expired = |task: &&mut Stored| task.token.is_some() && task.expires <= now;
        for task in self.tasks.values_mut().filter(expired).take(request.limit) {
            let queue = self.queues.get(&task.record.queue).map(|queue| queue.config.retry().clone());
            let config = task.record.retry.clone().or(queue).unwrap_or_default();
            swept.recovered += 1;
            swept.died += u64::from(task.lose_lease(&config, now));
        }
        let old = |task: &&Stored| task.record.died.is_some_and(|died| died.plus(request.dead_letters) <= now);
        let old: Vec<_> = self.tasks.values().filter(old).take(request.limit).map(|task| task.record.id).collect();
        for id in old {
            let removed = self.remove(id, now.plus(request.tombstones));
            swept.attributes.extend(removed.and_then(|task| task.record.attributes));
            swept.forgotten += 1;
        }
        swept.forgotten += self.forget_names(request.limit, now);
        swept
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
    fn give_back(&mut self) {
        self.token = None;
        self.record.state = TaskState::Scheduled;
    }

    fn die(&mut self, now: Timestamp) {
        self.token = None;
        self.record.state = TaskState::Dead;
        self.record.died = Some(now);
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

    /// The worker is gone. The first time the task is only marked: it may never have started. From then on leased
    /// means started, and the loss was an attempt. Answers whether the task is dead now.
    fn lose_lease(&mut self, config: &RetryConfig, now: Timestamp) -> bool {
        let started = self.record.lost_leases > 0;
        self.record.lost_leases = self.record.lost_leases.saturating_add(1);
        self.give_back();
        self.record.schedule_time = self.record.schedule_time.min(now);
        if !started {
            return false;
        }
        self.count_attempt(now);
        self.keep_error(error_text::LEASE_LOST.to_owned(), now);
        let first = self.record.first_attempt.unwrap_or(now);
        let attempts = Attempts::new(self.record.attempts, first, self.record.max_attempts);
        let dead = config.is_exhausted(attempts, now) || self.record.lost_leases > MAX_LOST_ATTEMPTS;
        if dead {
            self.die(now);
        }
        dead
    }
}

fn refused(id: TaskId, problem: &'static str) -> Error {
    Error::NoSuchTask { id, problem }
}
