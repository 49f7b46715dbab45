//! Extending leases, and recording how attempts ended.

use rusqlite::{CachedStatement, Connection, params};

use super::call::Request;
use super::connection::Durability;
use super::error::Fault;
use super::lane::Catalogue;
use super::task::Task;
use super::writer::{Store, moment};
use crate::backend::{Extend, LeaseRef, Settle, Settled, Settlement, Verdict};
use crate::queue::Attempts;
use crate::task::TaskId;
use crate::time::Timestamp;

pub(super) const GIVE_UP: &str = "DELETE FROM gae_tasks_lease WHERE task = ?1 AND token = ?2";

pub(super) const REMOVE: &str = "DELETE FROM gae_tasks_task WHERE id = ?1 AND name IS NULL AND errors = 0";

pub(super) const EXTEND: &str = "UPDATE gae_tasks_lease SET expires = ?3 WHERE task = ?1 AND token = ?2";

impl Request for Settle {
    type Answer = Vec<Settled>;
    const DURABILITY: Durability = Durability::Normal;

    fn weight(&self) -> usize {
        self.settlements.len()
    }

    fn perform(&mut self, store: &mut Store) -> Result<Vec<Settled>, Fault> {
        let now = moment(self.now);
        let times = Times { now, until: now.plus(self.tombstones) };
        let Store { connection, catalogue, .. } = store;
        let mut plain = Plain::prepare(connection)?;
        let mut settle = |settlement: &Settlement| settle(connection, catalogue, &mut plain, settlement, times);
        self.settlements.iter().map(&mut settle).collect()
    }

    fn wakes(settled: &Vec<Settled>) -> bool {
        settled.iter().any(|settled| matches!(settled, Settled::Scheduled(_)))
    }
}

/// When the settlements happen, and until when names stay blocked.
#[derive(Clone, Copy)]
struct Times {
    now: Timestamp,
    until: Timestamp,
}

fn settle(
    connection: &Connection,
    catalogue: &Catalogue,
    plain: &mut Plain<'_>,
    settlement: &Settlement,
    times: Times,
) -> Result<Settled, Fault> {
    let id = settlement.lease.id;
    if !plain.give_up(settlement.lease)? {
        return Ok(Settled::LeaseLost);
    }
    if settlement.verdict == Verdict::Done && plain.remove(id)? {
        return Ok(Settled::Done);
    }
    let Some(task) = Task::load(connection, id)? else { return Ok(Settled::LeaseLost) };
    match &settlement.verdict {
        Verdict::Done => task.remove(connection, catalogue, times.until).map(|()| Settled::Done),
        Verdict::Release => task.put_back(connection).map(|()| Settled::Scheduled(task.schedule_time)),
        Verdict::Permanent { error } => {
            let task = failed(connection, task, settlement, error, times)?;
            task.die(connection, times.now).map(|()| Settled::Dead)
        }
        Verdict::Retry { error, after, max_attempts } => {
            let mut task = failed(connection, task, settlement, error, times)?;
            // A task that answers does not kill its worker.
            task.lost_leases = 0;
            let cap = [task.max_attempts, *max_attempts].into_iter().flatten().min();
            let first = task.first_attempt.unwrap_or(times.now);
            let attempts = Attempts::new(task.attempts, first, cap);
            let Some(by_backoff) = task.retry(connection, catalogue).next(attempts, times.now) else {
                return task.die(connection, times.now).map(|()| Settled::Dead);
            };
            let next = after.map_or(by_backoff, |after| times.now.plus(after));
            task.wait(connection, next).map(|()| Settled::Scheduled(next))
        }
    }
}

/// What nearly every settlement needs, looked up once for all of them.
struct Plain<'a> {
    give_up: CachedStatement<'a>,
    remove: CachedStatement<'a>,
}

impl<'a> Plain<'a> {
    fn prepare(connection: &'a Connection) -> Result<Self, Fault> {
        Ok(Self { give_up: connection.prepare_cached(GIVE_UP)?, remove: connection.prepare_cached(REMOVE)? })
    }

    /// Ends a lease; answers whether it was held.
    fn give_up(&mut self, lease: LeaseRef) -> Result<bool, Fault> {
        Ok(self.give_up.execute(params![lease.id.as_bytes(), lease.token.to_bits()])? > 0)
    }

    /// Deletes a leased task of which nothing but its own row is left; answers whether it was one.
    fn remove(&mut self, id: TaskId) -> Result<bool, Fault> {
        Ok(self.remove.execute(params![id.as_bytes()])? > 0)
    }
}

/// The task after an attempt that failed.
fn failed(
    connection: &Connection,
    mut task: Task,
    settlement: &Settlement,
    error: &str,
    times: Times,
) -> Result<Task, Fault> {
    task.count_attempt(settlement.started.unwrap_or(times.now));
    task.keep_error(connection, error, times.now)?;
    Ok(task)
}

impl Request for Extend {
    type Answer = Vec<bool>;
    const DURABILITY: Durability = Durability::Normal;

    fn perform(&mut self, store: &mut Store) -> Result<Vec<bool>, Fault> {
        let until = moment(self.now).plus(self.duration).as_micros();
        let mut statement = store.connection.prepare_cached(EXTEND)?;
        let mut extend = |lease: &LeaseRef| -> Result<bool, Fault> {
            Ok(statement.execute(params![lease.id.as_bytes(), lease.token.to_bits(), until])? > 0)
        };
        self.leases.iter().map(&mut extend).collect()
    }
}
