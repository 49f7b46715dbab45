//! The limits of queues: their token buckets, and how many of their tasks are leased.
//!
//! Tasks of a queue with limits are leased in rows of their own. If the queue bounds how many run
//! at a time, the rows name it, so the leases that count are the members of these rows: whatever
//! ends a lease, or splits a row, counts too.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::catalogue::Catalogue;
use super::error::Fault;
use super::held;
use super::lane::{Lane, Runnable, RunnableLane};
use super::members::Members;
use super::ready;
use super::task;
use super::unreadable::Columns;
use crate::backend::Standing;
use crate::backend::gate::{Gate, Opens, given_back};
use crate::backend::haul::Haul;
use crate::queue::{Bucket, QueueName};
use crate::time::Timestamp;

pub(super) const BUCKET: &str = "SELECT millionths, at FROM gae_tasks_bucket WHERE queue = ?1";

/// Selects the bytes of all leases that count for a queue.
pub(super) const LIVE: &str =
    "SELECT coalesce(sum(length(tasks)), 0) FROM gae_tasks_lease WHERE queue = ?1";

const KEEP: &str = "INSERT OR REPLACE INTO gae_tasks_bucket (queue, millionths, at) VALUES (?1, \
                    ?2, ?3)";

/// Returns how many more tasks of a lane a lease may take.
pub(super) fn room_in(haul: &Haul, lane: &Lane) -> usize {
    if lane.forced { haul.room_of_forced(&lane.queue) } else { haul.room_of(&lane.queue) }
}

/// Whether a lane would give another task if another runner was free.
pub(super) fn holds_back(haul: &Haul, lane: &Lane) -> bool {
    if lane.forced { haul.holds_back_forced(&lane.queue) } else { haul.holds_back(&lane.queue) }
}

/// Applies the limits of the queues that have tasks due to a lease. A worker whose queues have no
/// limits pays nothing.
pub(super) fn apply(
    connection: &Connection,
    runnable: &Runnable,
    haul: &mut Haul,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), Fault> {
    if haul.obeys_limits() {
        for (queue, gate) in gates(connection, runnable, until, now)? {
            haul.limit(queue, gate);
        }
    }
    Ok(())
}

/// Returns the gates of the queues with limits that have tasks due at `until`, as of `now`.
pub(super) fn gates(
    connection: &Connection,
    runnable: &Runnable,
    until: Timestamp,
    now: Timestamp,
) -> Result<HashMap<QueueName, Gate>, Fault> {
    let mut gates = HashMap::new();
    if !runnable.has_limits() {
        return Ok(gates);
    }
    let mut due = Vec::new();
    for standing in Standing::ALL {
        ready::each_due(connection, runnable, standing, until, |place| {
            due.extend(Some(&runnable.lanes()[place]).filter(|lane| lane.limits.is_some()));
            true
        })?;
    }
    for lane in due {
        if !gates.contains_key(&lane.queue)
            && let Some(gate) = gate(connection, lane, now)?
        {
            gates.insert(lane.queue.clone(), gate);
        }
    }
    Ok(gates)
}

fn gate(
    connection: &Connection,
    lane: &RunnableLane,
    now: Timestamp,
) -> Result<Option<Gate>, Fault> {
    let Some(limits) = lane.limits else { return Ok(None) };
    let stored = match limits.rate() {
        Some(_) => bucket(connection, lane.turn)?,
        None => None,
    };
    let live = match limits.concurrent() {
        Some(_) => live(connection, lane.turn)?,
        None => 0,
    };
    Ok(Some(Gate::new(limits, stored, live, now)))
}

/// Returns the stored bucket of a queue. One that cannot be read is an empty one of a time that is
/// still to come, so the next lease stores it anew.
fn bucket(connection: &Connection, queue: i64) -> Result<Option<Bucket>, Fault> {
    let mut statement = connection.prepare_cached(BUCKET)?;
    let read = statement.query_row(params![queue], |row| {
        let columns = Columns::of(row);
        Ok(columns.get::<i64>(0).zip(columns.get::<i64>(1)))
    });
    Ok(read.optional()?.map(|parts| {
        let (millionths, at) = parts.unwrap_or((0, i64::MAX));
        Bucket::stored(millionths.max(0).unsigned_abs(), Timestamp::from_micros(at))
    }))
}

/// Returns how many leases of a queue count.
fn live(connection: &Connection, queue: i64) -> Result<usize, Fault> {
    let bytes: i64 =
        connection.prepare_cached(LIVE)?.query_row(params![queue], |row| row.get(0))?;
    Ok(usize::try_from(bytes).unwrap_or_default() / Members::SIZE)
}

/// Stores the buckets from which a lease has taken tokens.
pub(super) fn keep_buckets(
    connection: &Connection,
    catalogue: &Catalogue,
    haul: &Haul,
) -> Result<(), Fault> {
    for (queue, gate) in haul.gates() {
        if let Some((bucket, queue)) = gate.changed_bucket().zip(catalogue.turn_of(queue)) {
            keep(connection, queue, bucket)?;
        }
    }
    Ok(())
}

fn keep(connection: &Connection, queue: i64, bucket: Bucket) -> Result<(), Fault> {
    let (millionths, at) = bucket.parts();
    let millionths = i64::try_from(millionths).unwrap_or(i64::MAX);
    connection.prepare_cached(KEEP)?.execute(params![queue, millionths, at.as_micros()])?;
    Ok(())
}

/// Gives the token of a lease back under which no attempt was made, to the queue of `lane`.
pub(super) fn give_back(
    connection: &Connection,
    catalogue: &Catalogue,
    lane: i64,
    now: Timestamp,
) -> Result<(), Fault> {
    let Some((config, lane)) = catalogue.config(lane).zip(catalogue.lane(lane)) else {
        return Ok(());
    };
    let stored = bucket(connection, lane.turn)?;
    match given_back(config.limits(), stored, 1, now) {
        Some(bucket) => keep(connection, lane.turn, bucket),
        None => Ok(()),
    }
}

/// Counts the leases that a queue gave before it bounded how many of its tasks run at a time.
pub(super) fn count_earlier(
    connection: &Connection,
    catalogue: &Catalogue,
    queue: &QueueName,
) -> Result<(), Fault> {
    let Some(turn) = catalogue.turn_of(queue) else { return Ok(()) };
    held::count(connection, turn, |id| {
        let lane = task::lane_of(connection, id)?.and_then(|lane| catalogue.lane(lane));
        Ok(lane.is_some_and(|lane| lane.turn == turn))
    })
}

/// Removes the bucket of a queue that is deleted.
pub(super) fn forget(
    connection: &Connection,
    catalogue: &Catalogue,
    queue: &QueueName,
) -> Result<(), Fault> {
    const FORGET: &str = "DELETE FROM gae_tasks_bucket WHERE queue = ?1";
    if let Some(turn) = catalogue.turn_of(queue) {
        connection.prepare_cached(FORGET)?.execute(params![turn])?;
    }
    Ok(())
}

/// Returns when a lane gives a task that is due at this time, if its queue opens then; `None` while
/// the queue waits for the end of a lease. Tasks that were made due by hand do not wait for it.
pub(super) fn given_at(lane: &Lane, opens: Opens, due: i64, now: Timestamp) -> Option<i64> {
    match opens {
        _ if lane.forced => Some(due),
        Opens::Now => Some(due),
        Opens::After(wait) => Some(due.max(now.plus(wait).as_micros())),
        Opens::WhenOneEnds => None,
    }
}
