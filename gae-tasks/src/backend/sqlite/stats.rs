//! Counting tasks by state over the small tables and indexes, without reading task rows.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::Fault;
use super::held;
use super::lane_row::names_of_lane;
use super::queue_row::queue_record;
use super::unreadable;
use crate::backend::refusers::Refusers;
use crate::backend::{QueueRecord, RouteStats, Stats};
use crate::queue::QueueName;
use crate::task::Route;
use crate::time::Timestamp;
use crate::version;

pub(super) const WAITING: &str = "SELECT lane, count(*), coalesce(sum(timed = 0 OR due <= ?1), 0), \
                                  min(due) FROM gae_tasks_waiting GROUP BY lane";

/// Returns the lines of the statistics by queue and route.
pub(super) fn stats(connection: &Connection, now: Timestamp) -> Result<Vec<RouteStats>, Fault> {
    const DEAD: &str =
        "SELECT lane, count(*) FROM gae_tasks_task WHERE died IS NOT NULL GROUP BY lane";
    let mut lane = connection.prepare_cached("SELECT lane FROM gae_tasks_task WHERE id = ?1")?;
    let mut lanes: BTreeMap<i64, Stats> = BTreeMap::new();
    let mut statement = connection.prepare_cached(WAITING)?;
    let mut rows = statement.query(params![now.as_micros()])?;
    while let Some(row) = rows.next()? {
        let Ok(lane) = row.get(0) else { continue };
        let stats = lanes.entry(lane).or_default();
        (stats.scheduled, stats.due) = (count(row, 1)?, count(row, 2)?);
        stats.oldest_due = row.get(3).ok().map(Timestamp::from_micros);
    }
    for (held, _) in held::leases(connection)? {
        let lane = lane
            .query_row(params![held.lease.id.as_bytes()], |row| Ok(row.get(0).ok()))
            .optional()?;
        lane.flatten().into_iter().for_each(|lane| lanes.entry(lane).or_default().leased += 1);
    }
    for (lane, dead) in counts(connection, DEAD)? {
        lanes.entry(lane).or_default().dead = dead;
    }
    by_route(connection, &lanes)
}

/// Returns the statistics with the names of their lanes, ordered by name.
fn by_route(
    connection: &Connection,
    lanes: &BTreeMap<i64, Stats>,
) -> Result<Vec<RouteStats>, Fault> {
    const LANE: &str =
        "SELECT queue, kind, shape, version, refusers FROM gae_tasks_lane WHERE id = ?1";
    let unread = queues(connection)?.into_iter().filter(|queue| queue.config.is_none());
    let unread: BTreeSet<_> = unread.map(|queue| queue.name).collect();
    let mut lines: BTreeMap<(QueueName, Route, bool), RouteStats> = BTreeMap::new();
    let mut statement = connection.prepare_cached(LANE)?;
    for (lane, stats) in lanes {
        let mut rows = statement.query(params![lane])?;
        let Some(row) = rows.next()? else { continue };
        let Some((queue, route, of_lane)) = names_of_lane(row, 0) else {
            unreadable::row(connection, "gae_tasks_lane", lane);
            continue;
        };
        let refusers = row.get_ref(4)?.as_blob().ok().and_then(Refusers::from_bytes);
        let is_newer = of_lane > version::KNOWN || unread.contains(&queue);
        let line = lines.entry((queue.clone(), route.clone(), is_newer)).or_insert_with(|| {
            RouteStats { is_newer, ..RouteStats::new(queue, route, Stats::default()) }
        });
        line.add(refusers.unwrap_or_default(), *stats);
    }
    Ok(lines.into_values().collect())
}

fn counts(connection: &Connection, query: &str) -> Result<Vec<(i64, u64)>, Fault> {
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query([])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        // A row without a readable number belongs to no lane.
        counts.extend(row.get(0).ok().zip(count(row, 1).ok()));
    }
    Ok(counts)
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|count| count.max(0).unsigned_abs())
}

/// Returns all queues by name.
pub(super) fn queues(connection: &Connection) -> Result<Vec<QueueRecord>, Fault> {
    const QUEUES: &str = "SELECT name, config, paused FROM gae_tasks_queue ORDER BY name";
    let mut statement = connection.prepare_cached(QUEUES)?;
    let mut rows = statement.query([])?;
    let mut queues = Vec::new();
    while let Some(row) = rows.next()? {
        queues.extend(queue_record(connection, row));
    }
    Ok(queues)
}
