//! Tasks that neither wait nor are leased: no program of ours leaves one so, but a row can be lost, or spoilt.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use super::error::Fault;
use super::held;
use super::row::task_id;
use super::waiting::waits;
use crate::task::TaskId;

/// How many tasks a sweep looks at: of a million, each is seen once in half an hour or so.
const AT_ONCE: i64 = 512;

/// Whether tasks, in the order of their ids, have a row that says that they wait, or are dead.
pub(super) const LOOK: &str = concat!(
    "SELECT t.id, t.died IS NOT NULL OR ",
    waits!(),
    " FROM gae_tasks_task t WHERE t.id > ?1 ORDER BY t.id LIMIT ?2"
);

/// How far the tasks have been looked at; after the last of them begins a new round.
#[derive(Debug, Default)]
pub(super) struct Strays {
    after: Option<TaskId>,
    found: Vec<TaskId>,
}

impl Strays {
    /// Looks at the next tasks; answers whether one is astray.
    pub(super) fn look(&mut self, connection: &Connection) -> Result<bool, Fault> {
        let mut statement = connection.prepare_cached(LOOK)?;
        let after = self.after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
        let mut rows = statement.query(params![after, AT_ONCE])?;
        let (mut seen, mut found) = (0, Vec::new());
        self.after = None;
        while let Some(row) = rows.next()? {
            seen += 1;
            let Ok(id) = task_id(row, 0) else { continue };
            self.after = Some(id);
            if !row.get::<_, bool>(1).unwrap_or_default() {
                found.push(id);
            }
        }
        if seen < AT_ONCE {
            self.after = None;
        }
        if !found.is_empty() {
            let leased: HashSet<_> = held::leases(connection)?.into_iter().map(|(held, _)| held.lease.id).collect();
            found.retain(|id| !leased.contains(id));
        }
        self.found = found;
        Ok(!self.found.is_empty())
    }

    /// Those found by the last look that are still astray, looked at within the transaction that puts them back.
    pub(super) fn still_astray(&mut self, connection: &Connection) -> Result<Vec<TaskId>, Fault> {
        const LOOK_AGAIN: &str =
            concat!("SELECT 1 FROM gae_tasks_task t WHERE t.id = ?1 AND t.died IS NULL AND NOT ", waits!());
        if self.found.is_empty() {
            return Ok(Vec::new());
        }
        let leased: HashSet<_> = held::leases(connection)?.into_iter().map(|(held, _)| held.lease.id).collect();
        let mut statement = connection.prepare_cached(LOOK_AGAIN)?;
        let mut astray = Vec::new();
        for id in std::mem::take(&mut self.found) {
            if !leased.contains(&id) && statement.exists(params![id.as_bytes()])? {
                astray.push(id);
            }
        }
        Ok(astray)
    }
}
