//! Extending leases, and recording how attempts ended.

use rusqlite::{CachedStatement, Connection, params};

use super::call::Request;
use super::catalogue::Catalogue;
use super::connection::Durability;
use super::database::{Database, moment};
use super::error::Fault;
use super::grouping::one;
use super::held::{Held, Terms};
use super::limits;
use super::members::Waited;
use super::task::{self, Task};
use super::unreadable;
use crate::backend::lifecycle::{self, Ended};
use crate::backend::{Extend, Settle, Settled, Settlement, Verdict};
use crate::task::TaskId;
use crate::time::Timestamp;

pub(super) const REMOVE: &str =
    "DELETE FROM gae_tasks_task WHERE id = ?1 AND name IS NULL AND errors = 0";

impl Request for Settle {
    type Output = Vec<Settled>;
    const DURABILITY: Durability = Durability::Normal;

    fn weight(&self) -> usize {
        self.settlements.len()
    }

    fn perform(&mut self, database: &mut Database) -> Result<Vec<Settled>, Fault> {
        let now = moment(self.now);
        let Database { connection, catalogue, grouping, has_opened, .. } = database;
        let (mut plain, mut held) = (Plain::prepare(connection)?, Held::new(connection));
        let mut settle = |settlement: &Settlement| {
            let is_over = settlement.rolled_back.is_some()
                && !task::is_stored(connection, settlement.lease.id)?;
            let Some((waited, terms)) = held.find(settlement.lease)? else {
                return Ok(if is_over { Settled::Done } else { Settled::LeaseLost });
            };
            if is_over {
                held.end(settlement.lease)?;
                return Ok(Settled::Done);
            }
            let work = |catalogue: &mut Catalogue| {
                settle(connection, catalogue, &mut plain, settlement, (waited, terms), now)
            };
            match one(*grouping, connection, catalogue, work)? {
                Ok((settled, opens)) => {
                    *has_opened |= opens;
                    held.end(settlement.lease)?;
                    Ok(settled)
                }
                Err(refusal) => {
                    // Nobody extends the lease any more; the task is recovered when the rule
                    // permits it.
                    unreadable::refused(connection, settlement.lease.id, &refusal);
                    Ok(Settled::LeaseLost)
                }
            }
        };
        let settled = self.settlements.iter().map(&mut settle).collect::<Result<_, Fault>>()?;
        *has_opened |= held.write()?;
        Ok(settled)
    }

    fn wakes(settled: &Vec<Settled>) -> bool {
        settled.iter().any(|settled| matches!(settled, Settled::Scheduled(_)))
    }
}

/// Settles a task. Returns besides whether the token of its lease was given back.
fn settle(
    connection: &Connection,
    catalogue: &mut Catalogue,
    plain: &mut Plain<'_>,
    settlement: &Settlement,
    ((is_timed, since), terms): (Waited, Terms),
    now: Timestamp,
) -> Result<(Settled, bool), Fault> {
    let Settlement { lease, started: began, backoff, .. } = settlement;
    let verdict = settlement.rolled_back.as_ref().unwrap_or(&settlement.verdict);
    let id = lease.id;
    // A task that is done is over whatever its facts are.
    if *verdict == Verdict::Done && plain.remove(id)? {
        return Ok((Settled::Done, false));
    }
    let Some(mut task) = Task::load(connection, catalogue, id)? else {
        return Ok((Settled::LeaseLost, false));
    };
    // Only a released task needs to know how it waited.
    if *verdict == Verdict::Release {
        task.waited(is_timed, since);
    }
    let rules = task.rules(connection, catalogue);
    let change = lifecycle::settle(
        task.facts,
        Ended { verdict, began: *began, backoff: *backoff, cancelled: terms.cancelled },
        rules.as_ref(),
        now,
    );
    let gives_back = terms.paid && !verdict.is_of_an_attempt();
    if gives_back {
        limits::give_back(connection, catalogue, task.lane, now)?;
    }
    Ok((task.apply(connection, catalogue, change, now)?, gives_back))
}

/// What almost every settlement needs, looked up once for all.
struct Plain<'a> {
    remove: CachedStatement<'a>,
}

impl<'a> Plain<'a> {
    fn prepare(connection: &'a Connection) -> Result<Self, Fault> {
        Ok(Self { remove: connection.prepare_cached(REMOVE)? })
    }

    /// Deletes a leased task that has only its own row left; returns whether it was such a task.
    fn remove(&mut self, id: TaskId) -> Result<bool, Fault> {
        Ok(self.remove.execute(params![id.as_bytes()])? > 0)
    }
}

impl Request for Extend {
    type Output = Vec<bool>;
    const DURABILITY: Durability = Durability::Normal;

    fn perform(&mut self, database: &mut Database) -> Result<Vec<bool>, Fault> {
        let until = moment(self.now).plus(self.duration);
        let mut held = Held::new(&database.connection);
        let answers = held.extend(&self.leases, until, self.duration)?;
        held.write()?;
        Ok(answers)
    }
}
