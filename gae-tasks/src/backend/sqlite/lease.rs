//! Leasing: the tasks that are due first, of all lanes a worker can run.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::connection::Durability;
use super::error::Fault;
use super::lane::Lane;
use super::row::{deadline, task_id, task_name};
use super::waiting;
use super::writer::{Request, Store, moment};
use crate::backend::{Lease, LeaseRef, LeaseToken, Leased, LeasedTask, Standing};
use crate::task::TaskId;
use crate::time::Timestamp;

/// The CROSS JOIN keeps SQLite from starting with the larger table.
pub(super) const READ: &str = "SELECT w.due, w.task, t.name, t.schedule_time, t.attempts, t.deadline, t.attributes, \
                               t.payload FROM gae_tasks_waiting w CROSS JOIN gae_tasks_task t ON t.id = w.task \
                               WHERE w.lane = ?1 AND w.standing = ?2 AND w.due <= ?3 AND (w.due, w.task) > (?4, ?5) \
                               ORDER BY w.due, w.task LIMIT ?6";

pub(super) const LATER: &str = "SELECT due FROM gae_tasks_waiting WHERE lane = ?1 AND standing = ?2 AND due > ?3 \
                               ORDER BY due LIMIT 1";

pub(super) const DUE: &str = "SELECT 1 FROM gae_tasks_waiting WHERE lane = ?1 AND standing = ?2 AND due <= ?3 LIMIT 1";

impl Request for Lease {
    type Answer = Leased;
    const DURABILITY: Durability = Durability::Normal;
    const MAY_REST: bool = true;

    fn look(&self, store: &mut Store) -> Result<Option<Leased>, Fault> {
        let now = moment(self.now);
        let lanes = store.catalogue.runnable(&self.queues, &self.routes);
        for lane in &*lanes {
            for standing in Standing::ALL {
                if self.room(standing, 0) > 0 && is_due(&store.connection, lane.id, standing, now)? {
                    return Ok(None);
                }
            }
        }
        Ok(Some(Leased::new(Vec::new(), next(&store.connection, &lanes, now)?)))
    }

    fn perform(&self, store: &mut Store) -> Result<Leased, Fault> {
        let now = moment(self.now);
        let lanes = store.catalogue.runnable(&self.queues, &self.routes);
        let Store { connection, session, .. } = store;
        let mut tasks = Vec::new();
        for standing in Standing::ALL {
            tasks.extend(due(connection, &lanes, standing, now, self.room(standing, tasks.len()))?);
        }
        if !tasks.is_empty() {
            let session = session.begin(connection, now)?;
            write_leases(connection, &tasks, now.plus(self.duration), session)?;
        }
        Ok(Leased::new(tasks, next(connection, &lanes, now)?))
    }
}

/// How long until a further task of these lanes becomes due.
fn next(connection: &Connection, lanes: &[Arc<Lane>], now: Timestamp) -> Result<Option<Duration>, Fault> {
    let mut statement = connection.prepare_cached(LATER)?;
    let mut soonest: Option<i64> = None;
    for lane in lanes {
        for standing in Standing::ALL {
            let later =
                statement.query_row(params![lane.id, standing as i64, now.as_micros()], |row| row.get(0)).optional()?;
            soonest = [soonest, later].into_iter().flatten().min();
        }
    }
    Ok(soonest.map(|at| Timestamp::from_micros(at).since(now)))
}

fn is_due(connection: &Connection, lane: i64, standing: Standing, now: Timestamp) -> Result<bool, Fault> {
    Ok(connection.prepare_cached(DUE)?.exists(params![lane, standing as i64, now.as_micros()])?)
}

fn write_leases(connection: &Connection, tasks: &[LeasedTask], expires: Timestamp, session: i64) -> Result<(), Fault> {
    const LEASE: &str =
        "INSERT OR REPLACE INTO gae_tasks_lease (task, token, expires, session) VALUES (?1, ?2, ?3, ?4)";
    let mut statement = connection.prepare_cached(LEASE)?;
    for LeaseRef { id, token } in tasks.iter().map(|task| task.lease) {
        statement.execute(params![id.as_bytes(), token.to_bits(), expires.as_micros(), session])?;
    }
    Ok(())
}

/// Takes up to `limit` due tasks out of the order, those first that have been due longest, whatever their lane.
fn due(
    connection: &Connection,
    lanes: &[Arc<Lane>],
    standing: Standing,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<LeasedTask>, Fault> {
    if limit == 0 || lanes.is_empty() {
        return Ok(Vec::new());
    }
    let mut merge = Merge { connection, standing, now, token: LeaseToken::generate(), heads: BinaryHeap::new() };
    let mut sources: Vec<_> = lanes.iter().map(|lane| Source::new(lane, limit, lanes.len())).collect();
    for (index, source) in sources.iter_mut().enumerate() {
        merge.offer(source, index)?;
    }
    let mut tasks = Vec::new();
    while tasks.len() < limit
        && let Some(Reverse((.., index))) = merge.heads.pop()
    {
        let Some(source) = sources.get_mut(index) else { break };
        if let Some((key, task)) = source.ready.pop_front() {
            source.taken = Some(key);
            tasks.push(task);
        }
        merge.offer(source, index)?;
    }
    for source in sources {
        if let Some(last) = source.taken {
            waiting::take_up_to(connection, source.lane.id, standing, last)?;
        }
    }
    Ok(tasks)
}

/// The place of a task in its lane.
type Key = (i64, TaskId);

/// The due tasks of one lane, read a few at a time.
struct Source<'a> {
    lane: &'a Lane,
    ready: VecDeque<(Key, LeasedTask)>,
    /// How many are read next; zero when there are no more.
    step: usize,
    read: Key,
    taken: Option<Key>,
}

impl<'a> Source<'a> {
    /// Of many lanes each is likely to give few, and what is read is not always taken.
    fn new(lane: &'a Lane, limit: usize, lanes: usize) -> Self {
        let step = if lanes == 1 { limit } else { (limit.saturating_mul(2) / lanes).clamp(1, limit) };
        let first = (i64::MIN, TaskId::from_bytes([0; 16]));
        Self { lane, ready: VecDeque::new(), step, read: first, taken: None }
    }
}

/// The merging of lanes by due time.
struct Merge<'a> {
    connection: &'a Connection,
    standing: Standing,
    now: Timestamp,
    token: LeaseToken,
    /// The first task of each lane that has one, with the lane's place among the sources.
    heads: BinaryHeap<Reverse<(Key, usize)>>,
}

impl Merge<'_> {
    /// Enters the source's next task into the contest.
    fn offer(&mut self, source: &mut Source<'_>, index: usize) -> Result<(), Fault> {
        if source.ready.is_empty() && source.step > 0 {
            self.read(source)?;
        }
        if let Some((key, _)) = source.ready.front() {
            self.heads.push(Reverse((*key, index)));
        }
        Ok(())
    }

    fn read(&self, source: &mut Source<'_>) -> Result<(), Fault> {
        let mut statement = self.connection.prepare_cached(READ)?;
        let (due, id) = source.read;
        let limit = i64::try_from(source.step).unwrap_or(i64::MAX);
        let now = self.now.as_micros();
        let mut rows =
            statement.query(params![source.lane.id, self.standing as i64, now, due, id.as_bytes(), limit])?;
        while let Some(row) = rows.next()? {
            source.read = (row.get(0)?, task_id(row, 1)?);
            let task = self.task(row, source.lane, source.read.1)?;
            source.ready.push_back((source.read, task));
        }
        source.step = if source.ready.len() < source.step { 0 } else { source.step.saturating_mul(2) };
        Ok(())
    }

    fn task(&self, row: &Row<'_>, lane: &Lane, id: TaskId) -> Result<LeasedTask, Fault> {
        Ok(LeasedTask {
            lease: LeaseRef { id, token: self.token },
            kind: lane.route.kind().clone(),
            shape: lane.route.shape(),
            payload: row.get(7)?,
            queue: lane.queue.clone(),
            name: task_name(row.get(2)?)?,
            schedule_time: Timestamp::from_micros(row.get(3)?),
            attempts: row.get(4)?,
            standing: self.standing,
            deadline: deadline(row.get(5)?),
            attributes: row.get(6)?,
        })
    }
}
