//! Storing tasks.

use std::mem;

use rusqlite::{Connection, params};

use super::call::Request;
use super::catalogue::Catalogue;
use super::connection::Durability;
use super::database::{Database, moment};
use super::error::{Fault, NAME};
use super::fresh::Fresh;
use super::grouping::{Grouping, one};
use super::queue_row::encoded;
use super::{name, row, unique, waiting};
use crate::backend::unique::Claim;
use crate::backend::{Enqueue, NewTask, Standing};
use crate::error::Error;
use crate::task::Deferred;
use crate::time::Timestamp;

/// The result for each task, in order; the text says why a task cannot be stored.
pub(super) type Answers = Vec<Result<Deferred, Error>>;

/// A call to store tasks. The caller allocates and frees the room for the answers.
pub(super) struct Storing {
    request: Enqueue,
    answers: Answers,
}

impl Storing {
    pub(super) fn new(request: Enqueue) -> Self {
        Self { answers: Vec::with_capacity(request.tasks.len()), request }
    }
}

impl Request for Storing {
    type Output = Answers;
    const DURABILITY: Durability = Durability::Full;

    fn weight(&self) -> usize {
        self.request.tasks.len()
    }

    const ONLY_ADDS: bool = true;

    fn perform(&mut self, database: &mut Database) -> Result<Answers, Fault> {
        let now = moment(self.request.now);
        let Database { connection, catalogue, fresh, grouping, .. } = database;
        let mut enqueue = |task: &NewTask| match grouping {
            Grouping::Gathered if Fresh::fits(task) => {
                gather(connection, catalogue, fresh, task, now).map(Ok)
            }
            _ => {
                let stored = one(*grouping, connection, catalogue, |catalogue| {
                    enqueue(connection, catalogue, task, now)
                })?;
                Ok(stored.map_err(|fault| refused(task, &fault)))
            }
        };
        let mut answers = mem::take(&mut self.answers);
        answers.clear();
        for task in &self.request.tasks {
            answers.push(enqueue(task)?);
        }
        Ok(answers)
    }

    fn wakes(answers: &Answers) -> bool {
        answers.iter().flatten().any(Deferred::wakes)
    }
}

/// Like [`enqueue`], but the rows are written later, together with others.
fn gather(
    connection: &Connection,
    catalogue: &mut Catalogue,
    fresh: &mut Fresh,
    task: &NewTask,
    now: Timestamp,
) -> Result<Deferred, Fault> {
    let lane = catalogue.lane_of(connection, task)?;
    fresh.add(task, lane, now, task.schedule.resolve(now));
    if fresh.is_full() {
        fresh.write(connection)?;
    }
    Ok(Deferred::new(task.spec.id, true))
}

/// Stores a task, unless its name is in use, or its key is and the task says so.
pub(super) fn enqueue(
    connection: &Connection,
    catalogue: &mut Catalogue,
    task: &NewTask,
    now: Timestamp,
) -> Result<Deferred, Fault> {
    if let Some(name) = &task.spec.name {
        // Checked before the name: the same task again has the same answer as the first time,
        // whoever has its name.
        if super::task::is_stored(connection, task.spec.id)? {
            return Ok(Deferred::new(task.spec.id, true));
        }
        if let Some(answer) = name::take(connection, &task.spec.queue, name, task.spec.id, now)? {
            return Ok(answer);
        }
    }
    let (answer, place) = match task.spec.unique {
        Some(key) => unique::take(connection, catalogue, task, key, now)?,
        None => {
            let claim = Claim::UNASKED;
            (claim.answer(task.spec.id), claim.place(task.schedule, now))
        }
    };
    if let Some((wait, created)) = place {
        let lane = catalogue.lane_of(connection, task)?;
        if insert(connection, task, lane, created, wait.due())? {
            waiting::put(connection, task.spec.id, lane, Standing::Clear, wait)?;
        }
    }
    Ok(answer)
}

fn refused(task: &NewTask, fault: &Fault) -> Error {
    let source = fault.rule();
    let problem = format!(
        "refuses the task {} of `{}`: a rule of the database is against it",
        task.spec.id, task.spec.kind
    );
    Error::Storage { backend: NAME, problem, source: source.into() }
}

/// Inserts the row of a task, unless it is there.
pub(super) const INSERT: &str = "INSERT INTO gae_tasks_task (id, lane, created, schedule_time, \
                                 max_attempts, deadline, name, retry, attributes, payload) VALUES \
                                 (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO \
                                 NOTHING";

/// Inserts the row of a task; returns whether the task is new.
pub(super) fn insert(
    connection: &Connection,
    task: &NewTask,
    lane: i64,
    created: Timestamp,
    due: Timestamp,
) -> Result<bool, Fault> {
    let inserted = connection.prepare_cached(INSERT)?.execute(params![
        task.spec.id.as_bytes(),
        lane,
        created.as_micros(),
        due.as_micros(),
        task.spec.max_attempts,
        task.spec.deadline.map(row::nanos),
        task.spec.known_as(),
        task.spec.retry.as_ref().map(encoded).transpose()?,
        task.spec.attributes,
        task.payload,
    ])?;
    Ok(inserted > 0)
}
