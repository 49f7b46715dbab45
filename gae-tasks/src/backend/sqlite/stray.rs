//! Tasks that neither wait nor are leased: this crate never leaves a task so, but a row can be lost
//! or damaged.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use super::error::Fault;
use super::held;
use super::row::task_id;
use super::waiting::waits;
use crate::task::TaskId;

/// How many tasks a sweep looks at, so that an idle worker stays idle: each of 100,000 tasks is
/// seen once in a quarter of an hour.
const AT_ONCE: i64 = 128;

/// Reads tasks in the order of their ids, and whether each waits, is dead, or cannot be read.
pub(super) const LOOK: &str = concat!(
    "SELECT t.id, t.died IS NOT NULL OR typeof(t.schedule_time) <> 'integer' OR typeof(t.lane) <> \
     'integer' OR NOT EXISTS (SELECT 1 FROM gae_tasks_lane l WHERE l.id = t.lane) OR ",
    waits!(),
    " FROM gae_tasks_task t WHERE t.id > ?1 AND t.id <= ?2 ORDER BY t.id LIMIT ?3"
);

const LAST: &str = "SELECT id FROM gae_tasks_task WHERE typeof(id) = 'blob' AND length(id) = 16 \
                    ORDER BY id DESC LIMIT 1";

/// Looks at all tasks, some with each sweep.
#[derive(Debug, Default)]
pub(super) struct Strays {
    round: Round,
    /// The state of the round once the transaction under way is committed.
    next: Option<Round>,
}

/// The progress among the tasks that were stored when the round began. A round ends even while new
/// tasks keep coming.
#[derive(Debug, Clone, Copy, Default)]
struct Round {
    /// The last task that was looked at, and the last task of the round.
    at: Option<(TaskId, TaskId)>,
}

impl Strays {
    /// Returns the stray tasks among those looked at next. The result is the same until
    /// [`go_on`](Self::go_on).
    pub(super) fn look(&mut self, connection: &Connection) -> Result<Vec<TaskId>, Fault> {
        let (after, until) = match self.round.at {
            Some((after, until)) => (after, until),
            None => match connection.prepare_cached(LAST)?.query_row([], |row| task_id(row, 0)) {
                Ok(last) => (TaskId::from_bytes([0; 16]), last),
                Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            },
        };
        let mut statement = connection.prepare_cached(LOOK)?;
        let mut rows = statement.query(params![after.as_bytes(), until.as_bytes(), AT_ONCE])?;
        let (mut seen, mut last, mut found) = (0, after, Vec::new());
        while let Some(row) = rows.next()? {
            seen += 1;
            let Ok(id) = task_id(row, 0) else { continue };
            last = id;
            if !row.get(1).unwrap_or(true) {
                found.push(id);
            }
        }
        self.next = Some(Round { at: (seen == AT_ONCE && last < until).then_some((last, until)) });
        if !found.is_empty() {
            let leased: HashSet<_> =
                held::leases(connection)?.into_iter().map(|(held, _)| held.lease.id).collect();
            found.retain(|id| !leased.contains(id));
        }
        Ok(found)
    }

    /// Moves on to the next tasks, after the last look's result was handled and committed.
    pub(super) fn go_on(&mut self) {
        self.round = self.next.take().unwrap_or(self.round);
    }
}
