//! Lost leases: recovers tasks whose worker is gone.

use rusqlite::Connection;

use super::catalogue::Catalogue;
use super::error::Fault;
use super::grouping::{Grouping, one};
use super::held::Held;
use super::members::Waited;
use super::task::Task;
use super::unreadable;
use crate::backend::lifecycle::{self, Loss};
use crate::backend::{HeldLease, LeaseRef, Settled};
use crate::task::TaskId;
use crate::time::Timestamp;

/// Recovers a lease, if it is held. Returns whether the task is dead now; `None` if nothing was
/// recovered.
///
/// A task that a rule of the database protects from changes keeps its lease.
pub(super) fn recover(
    grouping: Grouping,
    held: &mut Held<'_>,
    connection: &Connection,
    catalogue: &mut Catalogue,
    lease: LeaseRef,
    now: Timestamp,
) -> Result<Option<bool>, Fault> {
    let Some((waited, terms)) = held.find(lease)? else { return Ok(None) };
    let loss = Loss { alone: terms.alone, cancelled: terms.cancelled };
    let lose = |catalogue: &mut Catalogue| lose(connection, catalogue, lease.id, waited, loss, now);
    match one(grouping, connection, catalogue, lose)? {
        Ok(recovered) => {
            held.end(lease)?;
            Ok(recovered)
        }
        Err(refusal) => {
            unreadable::refused(connection, lease.id, &refusal);
            Ok(None)
        }
    }
}

/// Changes a task that has lost its lease. Returns whether the task is dead now; `None` if it is
/// not stored.
pub(super) fn lose(
    connection: &Connection,
    catalogue: &mut Catalogue,
    id: TaskId,
    (is_timed, since): Waited,
    loss: Loss,
    now: Timestamp,
) -> Result<Option<bool>, Fault> {
    let Some(mut task) = Task::load(connection, catalogue, id)? else { return Ok(None) };
    task.waited(is_timed, since);
    let rules = task.rules(connection, catalogue);
    let change = lifecycle::lose(task.facts, loss, rules.as_ref(), now);
    Ok(Some(task.apply(connection, catalogue, change, now)? == Settled::Dead))
}

/// Puts a task back that neither waits nor is leased, as if it had lost a lease. How the task
/// waited is not known any more: it waits for its schedule time, if this is later than both now and
/// the time the task was stored.
pub(super) fn put_back(
    connection: &Connection,
    catalogue: &mut Catalogue,
    id: TaskId,
    now: Timestamp,
) -> Result<Option<bool>, Fault> {
    let Some(task) = Task::load(connection, catalogue, id)? else { return Ok(None) };
    let due = task.facts.wait.due();
    let waited = (due > now && due > task.facts.created, None);
    // With the lease, a request to cancel the task is lost.
    let loss = Loss { alone: false, cancelled: false };
    lose(connection, catalogue, id, waited, loss, now)
}

/// Whether the lease is unchanged since it was seen.
pub(super) fn is_unchanged(held: &mut Held<'_>, lease: &HeldLease) -> Result<bool, Fault> {
    Ok(held.find(lease.lease)?.is_some_and(|(_, terms)| terms.expires == lease.expires))
}

/// Returns the leases of a session.
pub(super) fn of_session(leases: &[(HeldLease, i64)], session: i64) -> Vec<LeaseRef> {
    leases.iter().filter(|(_, of)| *of == session).map(|(held, _)| held.lease).collect()
}
