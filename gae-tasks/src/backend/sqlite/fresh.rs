//! New tasks on their way into the file: gathered, so that one statement writes many rows.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use rusqlite::Connection;

use super::error::Fault;
use super::ready;
use crate::backend::lifecycle::Wait;
use crate::backend::{NewTask, Standing};
use crate::task::TaskId;
use crate::time::Timestamp;

/// The numbers of rows that statements write; the rows left over by a larger statement use smaller
/// ones.
const SIZES: [usize; 3] = [16, 4, 1];

/// The tasks that the current transaction stores and has not written yet.
#[derive(Debug)]
pub(super) struct Fresh {
    rows: Vec<Row>,
    /// Payloads and attributes, one after the other.
    bytes: Vec<u8>,
    statements: [Statements; SIZES.len()],
}

#[derive(Debug)]
struct Row {
    id: TaskId,
    lane: i64,
    created: i64,
    timed: bool,
    due: i64,
    max_attempts: Option<u32>,
    deadline: Option<i64>,
    payload: Range<usize>,
    attributes: Option<Range<usize>>,
}

impl Default for Fresh {
    fn default() -> Self {
        Self { rows: Vec::new(), bytes: Vec::new(), statements: SIZES.map(Statements::new) }
    }
}

impl Fresh {
    /// Whether the columns of gathered rows can hold everything in the task.
    pub(super) const fn fits(task: &NewTask) -> bool {
        !task.spec.is_known_by_more() && task.spec.retry.is_none()
    }

    pub(super) fn add(&mut self, task: &NewTask, lane: i64, now: Timestamp, due: Timestamp) {
        let payload = self.keep(&task.payload);
        let attributes = task.spec.attributes.as_ref().map(|attributes| self.keep(attributes));
        let (created, due, timed) = (now.as_micros(), due.as_micros(), task.schedule.is_timed());
        let (max_attempts, deadline) =
            (task.spec.max_attempts, task.spec.deadline.map(super::row::nanos));
        self.rows.push(Row {
            id: task.spec.id,
            lane,
            created,
            timed,
            due,
            max_attempts,
            deadline,
            payload,
            attributes,
        });
    }

    /// Whether the rows fill the largest statement.
    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= SIZES[0]
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// Discards the rows that are not written.
    pub(super) fn forget(&mut self) {
        self.rows.clear();
        self.bytes.clear();
        self.bytes.shrink_to(MAX_KEPT);
    }

    /// Writes all rows.
    ///
    /// # Errors
    /// [`Fault::Repeated`] if one of the tasks is stored already. Which one is not known, so the
    /// transaction must be done again.
    pub(super) fn write(&mut self, connection: &Connection) -> Result<(), Fault> {
        let mut rest = &*self.rows;
        for (size, statements) in SIZES.into_iter().zip(&self.statements) {
            while let Some((rows, more)) = rest.split_at_checked(size) {
                statements.store(connection, rows, &self.bytes)?;
                rest = more;
            }
        }
        if !self.rows.is_empty() {
            for (lane, due) in self.first_of_lanes() {
                ready::add(connection, lane, Standing::Clear as i64, due)?;
            }
            self.forget();
        }
        Ok(())
    }

    /// Returns the lanes of the rows, each with the time at which its first row is due.
    fn first_of_lanes(&self) -> BTreeMap<i64, i64> {
        let mut lanes = BTreeMap::new();
        for row in &self.rows {
            let wait = Wait::of(row.timed, None, Timestamp::from_micros(row.due));
            let due = ready::due(wait);
            lanes
                .entry(row.lane)
                .and_modify(|first: &mut i64| *first = due.min(*first))
                .or_insert(due);
        }
        lanes
    }
}

/// How many bytes of capacity are kept from one transaction to the next.
const MAX_KEPT: usize = 1024 * 1024;

/// The statements for a fixed number of rows.
#[derive(Debug)]
struct Statements {
    task: String,
    waiting: String,
}

impl Statements {
    fn new(rows: usize) -> Self {
        let task = "INSERT INTO gae_tasks_task (id, lane, created, schedule_time, max_attempts, \
                    deadline, attributes, payload) VALUES ";
        let waiting =
            "INSERT OR REPLACE INTO gae_tasks_waiting (lane, standing, timed, due, task) VALUES ";
        Self {
            task: many(task, "(?, ?, ?, ?, ?, ?, ?, ?)", rows) + " ON CONFLICT (id) DO NOTHING",
            waiting: many(waiting, &format!("(?, {}, ?, ?, ?)", Standing::Clear as i64), rows),
        }
    }

    fn store(&self, connection: &Connection, rows: &[Row], bytes: &[u8]) -> Result<(), Fault> {
        let mut task = connection.prepare_cached(&self.task)?;
        let mut waiting = connection.prepare_cached(&self.waiting)?;
        for (number, row) in rows.iter().enumerate() {
            let column = number * 8;
            task.raw_bind_parameter(column + 1, row.id.as_bytes())?;
            task.raw_bind_parameter(column + 2, row.lane)?;
            task.raw_bind_parameter(column + 3, row.created)?;
            task.raw_bind_parameter(column + 4, row.due)?;
            task.raw_bind_parameter(column + 5, row.max_attempts)?;
            task.raw_bind_parameter(column + 6, row.deadline)?;
            task.raw_bind_parameter(
                column + 7,
                row.attributes.clone().and_then(|range| bytes.get(range)),
            )?;
            task.raw_bind_parameter(column + 8, bytes.get(row.payload.clone()))?;
            let column = number * 4;
            waiting.raw_bind_parameter(column + 1, row.lane)?;
            waiting.raw_bind_parameter(column + 2, row.timed)?;
            waiting.raw_bind_parameter(column + 3, row.due)?;
            waiting.raw_bind_parameter(column + 4, row.id.as_bytes())?;
        }
        if task.raw_execute()? < rows.len() {
            return Err(Fault::Repeated);
        }
        waiting.raw_execute()?;
        Ok(())
    }
}

/// Returns `statement` with the values of `rows` rows.
fn many(statement: &str, row: &str, rows: usize) -> String {
    let mut text = statement.to_owned();
    for number in 0..rows {
        let separator = if number > 0 { ", " } else { "" };
        _ = write!(text, "{separator}{row}");
    }
    text
}
