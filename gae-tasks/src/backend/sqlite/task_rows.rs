//! Reading the rows of the tasks that a lease takes, each with its token.

use rusqlite::{CachedStatement, Connection, Row, params};

use super::error::Fault;
use super::held;
use super::lane::{Lane, RunnableLane};
use super::row::{deadline, known_as, retry};
use crate::backend::{LeaseRef, LeaseToken, LeasedTask, Standing};
use crate::task::{TaskId, TaskSpec};
use crate::time::Timestamp;

pub(super) const TASK: &str = "SELECT name, schedule_time, attempts, deadline, attributes, \
                               payload, retry, max_attempts, first_attempt, lost_leases FROM \
                               gae_tasks_task WHERE id = ?1";

/// What the tasks that are taken together have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rank {
    pub(super) standing: Standing,
    pub(super) alone: bool,
}

/// Reads the rows of tasks that are taken.
pub(super) struct TaskRows<'a> {
    pub(super) connection: &'a Connection,
    statement: CachedStatement<'a>,
    /// The token of clear tasks, and for how many more tasks it can be used.
    token: (LeaseToken, usize),
    /// The queue of the token's tasks, if it has limits: its place in the order of turns, and
    /// whether the tasks were made due by hand.
    of: Option<(i64, bool)>,
}

impl<'a> TaskRows<'a> {
    pub(super) fn prepare(connection: &'a Connection) -> Result<Self, Fault> {
        Ok(Self {
            connection,
            statement: connection.prepare_cached(TASK)?,
            token: (held::token(), held::MOST),
            of: None,
        })
    }

    /// Returns the lease of a task that is taken. Each task that has lost leases has its own token,
    /// and so has each turn of a queue with limits.
    pub(super) fn lease(&mut self, lane: &RunnableLane, id: TaskId, rank: Rank) -> LeaseRef {
        if rank.standing != Standing::Clear {
            return LeaseRef { id, token: held::token() };
        }
        let of = lane.limits.map(|_| (lane.turn, lane.forced));
        if self.token.1 == 0 || self.of != of {
            (self.token, self.of) = ((held::token(), held::MOST), of);
        }
        self.token.1 -= 1;
        LeaseRef { id, token: self.token.0 }
    }

    /// Reads the task; `None` if its row cannot be read, or is gone.
    pub(super) fn read(
        &mut self,
        lane: &RunnableLane,
        id: TaskId,
        rank: Rank,
    ) -> Result<Option<LeasedTask>, Fault> {
        let lease = self.lease(lane, id, rank);
        let mut rows = self.statement.query(params![id.as_bytes()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(task(self.connection, row, 0, lane, lease, rank).ok())
    }
}

/// Reads the task from a row whose columns begin at `first`.
pub(super) fn task(
    connection: &Connection,
    row: &Row<'_>,
    first: usize,
    lane: &Lane,
    lease: LeaseRef,
    rank: Rank,
) -> rusqlite::Result<LeasedTask> {
    // Empty bytes are not readable settings.
    let own_retry: Option<Vec<u8>> = row.get(first + 6).unwrap_or(Some(Vec::new()));
    let (kind, shape, queue) = (lane.route.kind().clone(), lane.route.shape(), lane.queue.clone());
    let (name, unique) = known_as(connection, lease.id, row, first);
    let spec = TaskSpec {
        name,
        unique,
        max_attempts: row.get(first + 7).unwrap_or_default(),
        retry: retry(connection, lease.id, own_retry.as_deref()),
        deadline: deadline(row.get(first + 3)?),
        priority: lane.priority,
        attributes: row.get(first + 4)?,
        ..TaskSpec::new(lease.id, kind, shape, queue)
    };
    Ok(LeasedTask {
        lease,
        spec,
        payload: row.get(first + 5)?,
        schedule_time: Timestamp::from_micros(row.get(first + 1)?),
        attempts: row.get(first + 2)?,
        standing: rank.standing,
        lost_leases: row.get(first + 9).unwrap_or_default(),
        first_attempt: row.get(first + 8).ok().flatten().map(Timestamp::from_micros),
        // Set later for all tasks of a queue together.
        retry: None,
        alone: rank.alone,
        // Set when the task is added to the haul.
        at_once: false,
        paid: false,
        forced: lane.forced,
    })
}
