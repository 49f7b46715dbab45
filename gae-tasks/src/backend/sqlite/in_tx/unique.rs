//! Keys of unique tasks, as `unique` of the backend reads and writes them.

use super::super::{name, ready, task, waiting};
use super::names;
use super::statements::{Failed, Row, Statements, Value};
use crate::backend::lifecycle::{Facts, Holder as Named, Wait};
use crate::backend::unique::{Claim, Holder, Place, claim};
use crate::backend::{NewTask, Standing};
use crate::queue::QueueName;
use crate::task::{Deferred, TaskId, UniqueKey};
use crate::time::{Schedule, Timestamp};
use crate::version;

/// A stored task, its lane, and how it waits.
const TASK: &str = "SELECT t.lane, t.schedule_time, t.lost_leases, t.created, t.died, l.version, \
                    l.forced, w.timed, w.since FROM gae_tasks_task t LEFT JOIN gae_tasks_lane l ON \
                    l.id = t.lane LEFT JOIN gae_tasks_waiting w ON w.lane = t.lane AND w.standing \
                    IN (0, 1, 2, 3) AND w.timed IN (0, 1) AND w.due = t.schedule_time AND w.task = \
                    t.id WHERE t.id = ?1";

const REMOVE: &str = "DELETE FROM gae_tasks_task WHERE id = ?1";

const RESCHEDULE: &str = "UPDATE gae_tasks_task SET schedule_time = ?2 WHERE id = ?1";

/// A stored task that has a key.
struct Found {
    id: TaskId,
    lane: i64,
    facts: Facts,
    is_readable: bool,
    waits: bool,
}

/// Decides what becomes of a task with a key, and makes room for it, as the backend does. The
/// caller stores the task if it has a place.
pub(super) async fn take(
    statements: &mut impl Statements,
    task: &NewTask,
    key: UniqueKey,
    now: Timestamp,
) -> Result<(Deferred, Option<Place>), Failed> {
    let (own, queue, text) = (task.spec.id, &task.spec.queue, key.in_names());
    let (holder, found) = holder(statements, queue, &text).await?;
    let claim = claim(holder, task.on_conflict, task.schedule, now);
    match (claim, &found) {
        (Claim::Replace { .. }, Some(found)) => {
            let id = Value::from(found.id.as_bytes().as_slice());
            statements.run(REMOVE, &[id]).await?;
            statements.run(task::REMOVE_ERRORS, &[id]).await?;
            unwait(statements, found).await?;
        }
        (Claim::Reschedule(_, facts), Some(found)) => {
            reschedule(statements, found, facts.wait).await?;
        }
        _ => {}
    }
    let place = claim.place(task.schedule, now);
    if place.is_some() {
        let id = Value::from(own.as_bytes().as_slice());
        let values = [queue.as_str().into(), text.as_str().into(), id, Value::Null];
        statements.run(name::HOLD, &values).await?;
    }
    Ok((claim.answer(own), place))
}

/// Frees the key of a task that is over, or blocks it until `until` if it outlives the task.
pub(super) async fn free(
    statements: &mut impl Statements,
    (queue, key): (&QueueName, UniqueKey),
    id: TaskId,
    until: Timestamp,
) -> Result<(), Failed> {
    let text = key.in_names();
    let id = Value::from(id.as_bytes().as_slice());
    let [queue, text] = [Value::from(queue.as_str()), text.as_str().into()];
    if key.outlives() {
        statements.run(name::KEEP, &[queue, text, id, until.as_micros().into()]).await?;
    } else {
        statements.run(name::FREE, &[queue, text, id]).await?;
    }
    Ok(())
}

/// Returns who has a key; a stored task with what is known of it.
async fn holder(
    statements: &mut impl Statements,
    queue: &QueueName,
    text: &str,
) -> Result<(Holder, Option<Found>), Failed> {
    let id = match names::holder(statements, queue, text).await? {
        None => return Ok((Holder::Nobody, None)),
        Some(Named::Tombstone { of, until }) => {
            return Ok((Holder::Finished { id: of, until }, None));
        }
        Some(Named::Task(id)) => id,
    };
    let row = statements.read(TASK, &[id.as_bytes().as_slice().into()]).await?.pop();
    let Some(row) = row else { return Ok((Holder::Nobody, None)) };
    let found = found(id, &row);
    let holder = match (found.facts.died, found.waits) {
        (Some(_), _) => Holder::Dead { id },
        (None, false) => Holder::Running { id },
        (None, true) => Holder::Waiting { id, facts: found.facts, is_readable: found.is_readable },
    };
    Ok((holder, Some(found)))
}

fn found(id: TaskId, row: &Row) -> Found {
    let number = |column| row.integer(column).unwrap_or_default();
    let time = |column| row.integer(column).map(Timestamp::from_micros);
    let due = time(1).unwrap_or_default();
    let facts = Facts {
        created: time(3).unwrap_or_default(),
        wait: Wait::of(number(7) == 1, time(8), due),
        lost_leases: u32::try_from(number(2)).unwrap_or(u32::MAX),
        forced: number(6) == 1,
        died: time(4),
        ..Facts::new(Schedule::Now, None, due)
    };
    let is_readable = row.integer(5).is_some_and(|of| of <= i64::from(version::KNOWN));
    Found { id, lane: number(0), facts, is_readable, waits: !row.is_null(7) }
}

/// Lets a waiting task wait otherwise.
async fn reschedule(
    statements: &mut impl Statements,
    found: &Found,
    wait: Wait,
) -> Result<(), Failed> {
    let (id, due) = (Value::from(found.id.as_bytes().as_slice()), wait.due().as_micros());
    let standing = found.facts.standing() as i64;
    statements.run(RESCHEDULE, &[id, due.into()]).await?;
    unwait(statements, found).await?;
    let (timed, since) = (i64::from(wait.is_timed()), wait.since().map(Timestamp::as_micros));
    let values = [found.lane.into(), standing.into(), timed.into(), due.into(), id, since.into()];
    statements.run(waiting::PUT, &values).await?;
    let values = [standing.into(), found.lane.into(), ready::due(wait).into()];
    statements.run(ready::ADD, &values).await.map(drop)
}

/// Takes a task out of the order, and records what is left of its lane.
async fn unwait(statements: &mut impl Statements, found: &Found) -> Result<(), Failed> {
    let id = Value::from(found.id.as_bytes().as_slice());
    let standing: Standing = found.facts.standing();
    let (lane, standing) = (Value::from(found.lane), Value::from(standing as i64));
    let due = found.facts.wait.due().as_micros();
    statements.run(waiting::TAKE, &[lane, standing, due.into(), id]).await?;
    match statements.read(ready::FIRST, &[lane, standing]).await?.pop() {
        None => statements.run(ready::REMOVE, &[standing, lane]).await?,
        Some(first) => {
            let is_timed = first.integer(0) == Some(1);
            let due = first.integer(1).filter(|_| is_timed).unwrap_or(ready::AT_ONCE);
            statements.run(ready::CHANGE, &[standing, lane, due.into()]).await?
        }
    };
    Ok(())
}
