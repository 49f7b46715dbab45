//! Moves of schedules: a schedule and the tasks of its ticks change together.

use rusqlite::{Connection, params};

use super::call::Request;
use super::catalogue::Catalogue;
use super::connection::Durability;
use super::database::{Database, moment};
use super::enqueue::enqueue;
use super::error::{Fault, NAME};
use super::grouping::one;
use crate::backend::{Tick, TickMove};
use crate::error::Error;
use crate::time::Timestamp;

/// Moves a schedule, unless it has changed since it was read.
pub(super) const MOVE: &str = "UPDATE gae_tasks_schedule SET since = ?4, last_tick = coalesce(?5, \
                               last_tick), next = ?6, mark = mark + 1 WHERE program = ?1 AND name \
                               = ?2 AND mark = ?3 AND paused = 0";

impl Request for Tick {
    type Output = Vec<Result<bool, Error>>;
    const DURABILITY: Durability = Durability::Full;

    fn weight(&self) -> usize {
        self.moves.iter().map(|made| 1 + made.tasks.len()).sum()
    }

    fn perform(&mut self, database: &mut Database) -> Result<Self::Output, Fault> {
        let now = moment(self.now);
        let Database { connection, catalogue, grouping, .. } = database;
        let mut answers = Vec::with_capacity(self.moves.len());
        for made in &self.moves {
            let done = one(*grouping, connection, catalogue, |catalogue| {
                make(connection, catalogue, made, now)
            })?;
            answers.push(done.map_err(|fault| refused(made, &fault)));
        }
        Ok(answers)
    }

    fn wakes(answers: &Self::Output) -> bool {
        answers.iter().any(|made| matches!(made, Ok(true)))
    }
}

fn make(
    connection: &Connection,
    catalogue: &mut Catalogue,
    made: &TickMove,
    now: Timestamp,
) -> Result<bool, Fault> {
    let moved = connection.prepare_cached(MOVE)?.execute(params![
        made.key.program,
        made.key.name,
        made.mark,
        made.since.as_micros(),
        made.last_tick.map(Timestamp::as_micros),
        made.next.map(Timestamp::as_micros),
    ])?;
    if moved == 0 {
        return Ok(false);
    }
    for task in &made.tasks {
        // A task whose name is in use is stored already.
        enqueue(connection, catalogue, task, now)?;
    }
    Ok(true)
}

fn refused(made: &TickMove, fault: &Fault) -> Error {
    let problem = format!(
        "refuses the tasks of the schedule {}: a rule of the database is against them",
        made.key
    );
    Error::Storage { backend: NAME, problem, source: fault.rule().into() }
}
