//! The tasks that a lease takes, read from their rows, each with its token.

use rusqlite::{CachedStatement, Connection, Row, params};

use super::error::Fault;
use super::held;
use super::lane::Lane;
use super::row::{deadline, retry, task_name};
use crate::backend::{LeaseRef, LeaseToken, LeasedTask, Standing};
use crate::task::{TaskId, TaskSpec};
use crate::time::Timestamp;

pub(super) const TASK: &str = "SELECT name, schedule_time, attempts, deadline, attributes, payload, retry, max_attempts, first_attempt FROM gae_tasks_task WHERE id = ?1";

/// What the tasks have in common that are taken together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rank {
    pub(super) standing: Standing,
    pub(super) alone: bool,
}

/// Reads the rows of tasks that are taken.
pub(super) struct TaskRows<'a> {
    pub(super) connection: &'a Connection,
    statement: CachedStatement<'a>,
    /// The token of clear tasks, and for how many more it is.
    token: (LeaseToken, usize),
}

impl<'a> TaskRows<'a> {
    pub(super) fn prepare(connection: &'a Connection) -> Result<Self, Fault> {
        Ok(Self {
            connection,
            statement: connection.prepare_cached(TASK)?,
            token: (held::token(), held::MOST),
        })
    }

    /// A lease of a task that is taken. Those that have lost leases have a token each.
    pub(super) fn lease(&mut self, id: TaskId, rank: Rank) -> LeaseRef {
        if rank.standing != Standing::Clear {
            return LeaseRef { id, token: held::token() };
        }
        if self.token.1 == 0 {
            self.token = (held::token(), held::MOST);
        }
        self.token.1 -= 1;
        LeaseRef { id, token: self.token.0 }
    }

    /// The task; `None` if its row cannot be read, or is gone.
    pub(super) fn read(
        &mut self,
        lane: &Lane,
        id: TaskId,
        rank: Rank,
    ) -> Result<Option<LeasedTask>, Fault> {
        let lease = self.lease(id, rank);
        let mut rows = self.statement.query(params![id.as_bytes()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(task(self.connection, row, 0, lane, lease, rank).ok())
    }
}

/// The task of a row, whose columns begin with `first`.
pub(super) fn task(
    connection: &Connection,
    row: &Row<'_>,
    first: usize,
    lane: &Lane,
    lease: LeaseRef,
    rank: Rank,
) -> rusqlite::Result<LeasedTask> {
    // No bytes are no settings that can be read.
    let own_retry: Option<Vec<u8>> = row.get(first + 6).unwrap_or(Some(Vec::new()));
    let (kind, shape, queue) = (lane.route.kind().clone(), lane.route.shape(), lane.queue.clone());
    let spec = TaskSpec {
        name: task_name(connection, lease.id, row, first),
        max_attempts: row.get(first + 7).unwrap_or_default(),
        retry: retry(connection, lease.id, own_retry.as_deref()),
        deadline: deadline(row.get(first + 3)?),
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
        first_attempt: row.get(first + 8).ok().flatten().map(Timestamp::from_micros),
        // Of the queue, for all of its tasks together.
        retry: None,
        alone: rank.alone,
    })
}
