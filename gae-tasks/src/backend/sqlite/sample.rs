//! Reads some tasks of a route with their payloads: by the order in which its lanes are leased, and
//! by the index of dead letters, whatever else is stored.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::Fault;
use super::{held, row, unreadable};
use crate::backend::{Sample, Sampled, TaskState};
use crate::queue::QueueName;
use crate::task::{Route, TaskId};
use crate::version;

// Refused tasks come first: they are known to be a problem for somebody.
const LANES: &str = "SELECT id FROM gae_tasks_lane WHERE queue = ?1 AND kind = ?2 AND shape = ?3 \
                     AND version <= ?4 ORDER BY refusers = x'', id";
pub(super) const WAITING: &str = "SELECT task FROM gae_tasks_waiting WHERE lane = ?1 LIMIT ?2";
pub(super) const DEAD: &str = "SELECT id FROM gae_tasks_task WHERE lane = ?1 AND died IS NOT NULL \
                               ORDER BY died DESC LIMIT ?2";

/// Returns some tasks of each route of the request.
pub(super) fn sample(connection: &Connection, request: &Sample) -> Result<Vec<Sampled>, Fault> {
    let leased: Vec<_> =
        held::leases(connection)?.into_iter().map(|(held, _)| held.lease.id).collect();
    let of_route = |route| {
        let lanes = lanes(connection, &request.queue, route)?;
        let mut sampled = Sampled::default();
        for state in [TaskState::Scheduled, TaskState::Leased, TaskState::Dead] {
            let ids = match state {
                TaskState::Scheduled => of_lanes(connection, WAITING, &lanes, request)?,
                TaskState::Leased => in_lanes(connection, &leased, &lanes, request)?,
                TaskState::Dead => of_lanes(connection, DEAD, &lanes, request)?,
            };
            read(connection, request, &ids, state, &mut sampled);
        }
        Ok(sampled)
    };
    request.routes.iter().map(of_route).collect()
}

/// Returns the lanes of a route: there is one for each version and priority, and for the readers
/// that refused.
fn lanes(connection: &Connection, queue: &QueueName, route: &Route) -> Result<Vec<i64>, Fault> {
    let mut statement = connection.prepare_cached(LANES)?;
    let shape = route.shape().to_bits().cast_signed();
    let lanes = statement.query_map(
        params![queue.as_str(), route.kind().as_str(), shape, version::KNOWN],
        |row| row.get(0),
    )?;
    // A row whose number cannot be read has no tasks.
    Ok(lanes.filter_map(Result::ok).collect())
}

/// Returns the ids that `query` finds in each lane, as many as the request asks for.
fn of_lanes(
    connection: &Connection,
    query: &str,
    lanes: &[i64],
    request: &Sample,
) -> Result<Vec<TaskId>, Fault> {
    let mut statement = connection.prepare_cached(query)?;
    let limit = i64::try_from(request.limit).unwrap_or(i64::MAX);
    let mut ids = Vec::new();
    for lane in lanes {
        let mut rows = statement.query(params![lane, limit])?;
        while let Some(row) = rows.next()? {
            ids.extend(row::task_id(row, 0));
        }
    }
    Ok(ids)
}

/// Returns those of the leased tasks that are in these lanes.
fn in_lanes(
    connection: &Connection,
    leased: &[TaskId],
    lanes: &[i64],
    request: &Sample,
) -> Result<Vec<TaskId>, Fault> {
    let mut lane = connection.prepare_cached("SELECT lane FROM gae_tasks_task WHERE id = ?1")?;
    let mut ids = Vec::new();
    for id in leased {
        if ids.len() >= request.limit {
            break;
        }
        let found = lane.query_row(params![id.as_bytes()], |row| Ok(row.get(0).ok())).optional()?;
        ids.extend(found.flatten().filter(|lane| lanes.contains(lane)).map(|_| *id));
    }
    Ok(ids)
}

/// Adds tasks until the request has enough.
fn read(
    connection: &Connection,
    request: &Sample,
    ids: &[TaskId],
    state: TaskState,
    sampled: &mut Sampled,
) {
    for id in ids {
        if sampled.len() >= request.limit || sampled.bytes() >= request.bytes {
            break;
        }
        match row::get(connection, *id) {
            Ok(record) => sampled.records.extend(record),
            Err(_) => {
                unreadable::task(connection, *id);
                sampled.unreadable.push(state);
            }
        }
    }
}
