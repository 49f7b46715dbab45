//! Extending leases, and recording how attempts ended.

use rusqlite::{CachedStatement, Connection, params};

use super::call::Request;
use super::connection::Durability;
use super::error::Fault;
use super::lane::Catalogue;
use super::lost;
use super::task::Task;
use super::unreadable;
use super::writer::{Store, moment, one};
use crate::backend::lifecycle::{self, Ended};
use crate::backend::{Extend, LeaseRef, Settle, Settled, Settlement, Verdict};
use crate::task::TaskId;
use crate::time::{Timestamp, micros};

pub(super) const GIVE_UP: &str = "DELETE FROM gae_tasks_lease WHERE task = ?1 AND token = ?2";

pub(super) const REMOVE: &str = "DELETE FROM gae_tasks_task WHERE id = ?1 AND name IS NULL AND errors = 0";

pub(super) const EXTEND: &str = "UPDATE gae_tasks_lease SET expires = ?3, duration = ?4 WHERE task = ?1 AND token = ?2";

impl Request for Settle {
    type Answer = Vec<Settled>;
    const DURABILITY: Durability = Durability::Normal;

    fn weight(&self) -> usize {
        self.settlements.len()
    }

    fn perform(&mut self, store: &mut Store) -> Result<Vec<Settled>, Fault> {
        let now = moment(self.now);
        let Store { connection, catalogue, manner, .. } = store;
        let mut plain = Plain::prepare(connection)?;
        let mut settle = |settlement: &Settlement| {
            let work = |catalogue: &mut Catalogue| settle(connection, catalogue, &mut plain, settlement, now);
            Ok(one(*manner, connection, catalogue, work)?.unwrap_or_else(|refusal| {
                // Nobody extends it any more; it is recovered when the rule allows that.
                unreadable::refused(connection, settlement.lease.id, &refusal);
                Settled::LeaseLost
            }))
        };
        self.settlements.iter().map(&mut settle).collect()
    }

    fn wakes(settled: &Vec<Settled>) -> bool {
        settled.iter().any(|settled| matches!(settled, Settled::Scheduled(_)))
    }
}

fn settle(
    connection: &Connection,
    catalogue: &Catalogue,
    plain: &mut Plain<'_>,
    settlement: &Settlement,
    now: Timestamp,
) -> Result<Settled, Fault> {
    let Settlement { lease, started: began, verdict } = settlement;
    let id = lease.id;
    // Only one that goes back as it was needs to know how that was.
    let waited = if *verdict == Verdict::Release { lost::waited(connection, id)? } else { None };
    if !plain.give_up(*lease)? {
        return Ok(Settled::LeaseLost);
    }
    // What is done is over whatever the facts are.
    if *verdict == Verdict::Done && plain.remove(id)? {
        return Ok(Settled::Done);
    }
    let Some(mut task) = Task::load(connection, id)? else { return Ok(Settled::LeaseLost) };
    if let Some((is_timed, since)) = waited {
        task.waited(is_timed, since);
    }
    let rules = task.rules(connection, catalogue);
    let change = lifecycle::settle(task.facts, Ended { verdict, began: *began }, rules.as_ref(), now);
    task.apply(connection, catalogue, change, now)
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

impl Request for Extend {
    type Answer = Vec<bool>;
    const DURABILITY: Durability = Durability::Normal;

    fn perform(&mut self, store: &mut Store) -> Result<Vec<bool>, Fault> {
        let until = moment(self.now).plus(self.duration).as_micros();
        let duration = micros(self.duration);
        let mut statement = store.connection.prepare_cached(EXTEND)?;
        let mut extend = |lease: &LeaseRef| -> Result<bool, Fault> {
            Ok(statement.execute(params![lease.id.as_bytes(), lease.token.to_bits(), until, duration])? > 0)
        };
        self.leases.iter().map(&mut extend).collect()
    }
}
