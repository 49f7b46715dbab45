//! Keys of unique tasks: who has one, and what a call does that meets it.

use rusqlite::Connection;

use super::catalogue::Catalogue;
use super::error::Fault;
use super::task::{self, Task};
use super::{name, ready, waiting};
use crate::backend::NewTask;
use crate::backend::lifecycle::{Facts, Holder as Named};
use crate::backend::unique::{Claim, Holder, Place, claim};
use crate::queue::QueueName;
use crate::task::{Deferred, UniqueKey};
use crate::time::Timestamp;

/// Decides what becomes of a task with a key, and makes room for it. The caller stores the task if
/// it has a place.
pub(super) fn take(
    connection: &Connection,
    catalogue: &mut Catalogue,
    task: &NewTask,
    key: UniqueKey,
    now: Timestamp,
) -> Result<(Deferred, Option<Place>), Fault> {
    let (own, queue) = (task.spec.id, &task.spec.queue);
    // Checked before the key: the same task again has the same answer as the first time, whoever
    // has its key.
    if task::is_stored(connection, own)? {
        return Ok((Deferred::new(own, true), None));
    }
    let (holder, of_holder) = holder(connection, catalogue, queue, key)?;
    let claim = claim(holder, task.on_conflict, task.schedule, now);
    match (claim, of_holder) {
        (Claim::Replace { .. }, Some(other)) => {
            if let Some((lane, standing)) = other.remove(connection, catalogue, now)? {
                ready::refresh(connection, lane, standing)?;
            }
        }
        (Claim::Reschedule(_, facts), Some(other)) => {
            reschedule(connection, catalogue, other, facts)?;
        }
        _ => {}
    }
    let place = claim.place(task.schedule, now);
    if place.is_some() {
        name::hold(connection, queue.as_str(), &key.in_names(), own, None)?;
    }
    Ok((claim.answer(own), place))
}

/// Returns who has a key; a stored task with its row.
fn holder(
    connection: &Connection,
    catalogue: &Catalogue,
    queue: &QueueName,
    key: UniqueKey,
) -> Result<(Holder, Option<Task>), Fault> {
    let id = match name::holder_of(connection, queue.as_str(), &key.in_names())? {
        None => return Ok((Holder::Nobody, None)),
        Some(Named::Tombstone { of, until }) => {
            return Ok((Holder::Finished { id: of, until }, None));
        }
        Some(Named::Task(id)) => id,
    };
    let Some(task) = Task::load(connection, catalogue, id)? else {
        return Ok((Holder::Nobody, None));
    };
    let Facts { wait, died, .. } = task.facts;
    if died.is_some() {
        return Ok((Holder::Dead { id }, Some(task)));
    }
    let how = waiting::how(connection, id, task.lane, task.facts.standing(), wait.due())?;
    let holder = match how {
        None => Holder::Running { id },
        Some(wait) => {
            let facts = Facts { wait, ..task.facts };
            Holder::Waiting { id, facts, is_readable: catalogue.is_readable(task.lane) }
        }
    };
    Ok((holder, Some(task)))
}

/// Lets a waiting task wait otherwise.
fn reschedule(
    connection: &Connection,
    catalogue: &mut Catalogue,
    mut task: Task,
    facts: Facts,
) -> Result<(), Fault> {
    let (lane, standing) = (task.lane, task.facts.standing());
    waiting::take(connection, task.id, lane, standing, task.facts.wait.due())?;
    task.facts = facts;
    task.save(connection, catalogue)?;
    ready::refresh(connection, lane, standing)
}
