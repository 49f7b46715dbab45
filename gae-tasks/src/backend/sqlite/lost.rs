//! Lost leases: what becomes of tasks whose worker is gone.

use rusqlite::Connection;

use super::error::Fault;
use super::held::{self, Held, Terms, Waited};
use super::lane::Catalogue;
use super::manner::{Manner, one};
use super::task::Task;
use super::unreadable;
use crate::backend::lifecycle;
use crate::backend::{HeldLease, LeaseRef, Settled};
use crate::task::TaskId;
use crate::time::Timestamp;

/// Recovers a lease, if it is held. Returns whether the task is dead now; `None` if nothing was recovered.
///
/// A task that the database keeps as it is, by a rule, keeps its lease.
pub(super) fn recover(
    manner: Manner,
    held: &mut Held<'_>,
    connection: &Connection,
    catalogue: &mut Catalogue,
    lease: LeaseRef,
    now: Timestamp,
) -> Result<Option<bool>, Fault> {
    let Some((waited, Terms { alone, .. })) = held.find(lease)? else { return Ok(None) };
    let lose = |catalogue: &mut Catalogue| lose(connection, catalogue, lease.id, waited, alone, now);
    match one(manner, connection, catalogue, lose)? {
        Ok(is_dead) => {
            held.end(lease)?;
            Ok(Some(is_dead))
        }
        Err(refusal) => {
            unreadable::refused(connection, lease.id, &refusal);
            Ok(None)
        }
    }
}

/// What becomes of a task that has lost its lease. Returns whether it is dead now.
pub(super) fn lose(
    connection: &Connection,
    catalogue: &Catalogue,
    id: TaskId,
    (is_timed, since): Waited,
    was_alone: bool,
    now: Timestamp,
) -> Result<bool, Fault> {
    let Some(mut task) = Task::load(connection, id)? else { return Ok(false) };
    task.waited(is_timed, since);
    let rules = task.rules(connection, catalogue);
    let change = lifecycle::lose(task.facts, was_alone, rules.as_ref(), now);
    Ok(task.apply(connection, catalogue, change, now)? == Settled::Dead)
}

/// Whether the lease is as it was seen.
pub(super) fn is_unchanged(held: &mut Held<'_>, lease: &HeldLease) -> Result<bool, Fault> {
    Ok(held.find(lease.lease)?.is_some_and(|(_, terms)| terms.expires == lease.expires))
}

/// Up to `limit` leases of a session.
pub(super) fn of_session(connection: &Connection, session: i64, limit: usize) -> Result<Vec<LeaseRef>, Fault> {
    let leases = held::leases(connection)?.into_iter().filter(|(_, of)| *of == session);
    Ok(leases.map(|(held, _)| held.lease).take(limit).collect())
}
