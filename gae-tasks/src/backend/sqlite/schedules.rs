//! Schedules: put, listed, changed by hand and looked at. [`tick`](super::tick) moves them.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::call::Request;
use super::connection::Durability;
use super::database::{Database, moment};
use super::error::Fault;
use super::unreadable;
use crate::backend::ownership::{self, Change, Plan};
use crate::backend::{
    ChangeSchedule, Due, DueSchedules, PutSchedules, ScheduleChanged, ScheduleKey, SchedulesPut,
    StoredSchedule,
};
use crate::time::Timestamp;
use crate::version;

/// The columns of [`read`].
macro_rules! columns {
    () => {
        "program, name, revision, cron, definition, paused, declared, seen, since, last_tick, \
         next, mark"
    };
}

/// The schedules that a worker of this version looks at.
macro_rules! ready {
    () => {
        " FROM gae_tasks_schedule WHERE next IS NOT NULL AND paused = 0 AND "
    };
}

const ALL: &str = concat!("SELECT ", columns!(), " FROM gae_tasks_schedule ORDER BY program, name");

pub(super) const OF_PROGRAM: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM gae_tasks_schedule WHERE program = ?1 ORDER BY program, name"
);

pub(super) const ONE: &str =
    concat!("SELECT ", columns!(), " FROM gae_tasks_schedule WHERE program = ?1 AND name = ?2");

/// The schedules that older revisions of a program declare.
pub(super) const OLDER: &str =
    concat!("SELECT ", columns!(), " FROM gae_tasks_schedule WHERE program = ?1 AND revision < ?2");

pub(super) const DUE: &str = concat!(
    "SELECT ",
    columns!(),
    ready!(),
    "next <= ?1 AND (next, program, name) > (?2, ?3, ?4) AND version <= ?5 ORDER BY next, program, \
     name"
);

pub(super) const NEXT: &str =
    concat!("SELECT ", "next", ready!(), "next > ?1 AND version <= ?2 ORDER BY next LIMIT 1");

const WRITE: &str = "INSERT OR REPLACE INTO gae_tasks_schedule (program, name, revision, version, \
                     cron, definition, paused, declared, seen, since, last_tick, next, mark) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

const DELETE: &str = "DELETE FROM gae_tasks_schedule WHERE program = ?1 AND name = ?2";

impl Request for PutSchedules {
    type Output = SchedulesPut;
    const DURABILITY: Durability = Durability::Full;
    // Every worker declares its schedules again and again.
    const MAY_REST: bool = true;

    fn weight(&self) -> usize {
        self.schedules.len().max(1)
    }

    fn look(&self, database: &mut Database) -> Result<Option<SchedulesPut>, Fault> {
        let plan = plan(&database.connection, self)?;
        Ok(plan.is_nothing().then_some(plan.answer))
    }

    fn perform(&mut self, database: &mut Database) -> Result<SchedulesPut, Fault> {
        let connection = &database.connection;
        let plan = plan(connection, self)?;
        for name in &plan.answer.stopped {
            connection.prepare_cached(DELETE)?.execute(params![self.program, name])?;
        }
        plan.written.iter().try_for_each(|written| write(connection, written))?;
        Ok(plan.answer)
    }
}

fn plan(connection: &Connection, request: &PutSchedules) -> Result<Plan, Fault> {
    let mut stored = Vec::new();
    for new in &*request.schedules {
        stored.extend(one(connection, &request.program, &new.name)?);
    }
    if let Some(revision) = request.revision {
        let mut older = connection.prepare_cached(OLDER)?;
        let rows = older.query_map(params![request.program, revision], |row| Ok(read(row).ok()))?;
        stored.extend(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten());
    }
    Ok(Plan::of(request, stored, moment(request.now)))
}

impl Request for ChangeSchedule {
    type Output = ScheduleChanged;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, database: &mut Database) -> Result<ScheduleChanged, Fault> {
        let (connection, key) = (&database.connection, &self.key);
        let stored = one(connection, &key.program, &key.name)?;
        match ownership::change(stored, self, moment(self.now)) {
            Change::None(answer) => return Ok(answer),
            Change::Written(written) => write(connection, &written)?,
            Change::Deleted => {
                connection.prepare_cached(DELETE)?.execute(params![key.program, key.name])?;
            }
        }
        Ok(ScheduleChanged::Done)
    }
}

/// Returns the schedules of a program, or all.
pub(super) fn list(
    connection: &Connection,
    program: Option<&str>,
) -> Result<Vec<StoredSchedule>, Fault> {
    let mut statement =
        connection.prepare_cached(if program.is_some() { OF_PROGRAM } else { ALL })?;
    let mut rows = match program {
        Some(program) => statement.query(params![program])?,
        None => statement.query([])?,
    };
    let mut schedules = Vec::new();
    while let Some(row) = rows.next()? {
        match read(row) {
            Ok(schedule) => schedules.push(schedule),
            Err(_) => tell(connection, row),
        }
    }
    Ok(schedules)
}

/// Returns the schedules that are due.
pub(super) fn due(connection: &Connection, request: &DueSchedules) -> Result<Due, Fault> {
    let now = moment(request.now);
    let (at, program, name) = match &request.after {
        Some((at, key)) => (at.as_micros(), &*key.program, &*key.name),
        None => (i64::MIN, "", ""),
    };
    let mut statement = connection.prepare_cached(DUE)?;
    let mut rows = statement.query(params![now.as_micros(), at, program, name, version::KNOWN])?;
    let mut schedules = Vec::new();
    // Rows that cannot be read do not count, lest they hide those behind them.
    while schedules.len() < request.limit
        && let Some(row) = rows.next()?
    {
        match read(row) {
            Ok(schedule) => schedules.push(schedule),
            Err(_) => tell(connection, row),
        }
    }
    let mut statement = connection.prepare_cached(NEXT)?;
    let next = statement
        .query_row(params![now.as_micros(), version::KNOWN], |row| row.get(0))
        .optional()?;
    Ok(Due::new(now, schedules, next.map(Timestamp::from_micros)))
}

fn one(
    connection: &Connection,
    program: &str,
    name: &str,
) -> Result<Option<StoredSchedule>, Fault> {
    let mut statement = connection.prepare_cached(ONE)?;
    // A row that cannot be read is replaced.
    let found = statement.query_row(params![program, name], |row| Ok(read(row).ok())).optional()?;
    Ok(found.flatten())
}

fn write(connection: &Connection, schedule: &StoredSchedule) -> Result<(), Fault> {
    connection.prepare_cached(WRITE)?.execute(params![
        schedule.key.program,
        schedule.key.name,
        schedule.revision,
        schedule.version(),
        schedule.cron,
        schedule.definition,
        schedule.paused,
        schedule.declared.as_micros(),
        schedule.seen.as_micros(),
        schedule.since.as_micros(),
        schedule.last_tick.map(Timestamp::as_micros),
        schedule.next.map(Timestamp::as_micros),
        schedule.mark,
    ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredSchedule> {
    let time = |column: usize| Ok::<_, rusqlite::Error>(Timestamp::from_micros(row.get(column)?));
    let time_if_any = |column: usize| {
        let micros: Option<i64> = row.get(column)?;
        Ok::<_, rusqlite::Error>(micros.map(Timestamp::from_micros))
    };
    let key = ScheduleKey::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?);
    Ok(StoredSchedule {
        revision: row.get(2)?,
        paused: row.get(5)?,
        declared: time(6)?,
        seen: time(7)?,
        since: time(8)?,
        last_tick: time_if_any(9)?,
        next: time_if_any(10)?,
        mark: row.get(11)?,
        ..StoredSchedule::new(key, row.get(3)?, row.get(4)?, Timestamp::default())
    })
}

/// Reports a row that cannot be read.
fn tell(connection: &Connection, row: &Row<'_>) {
    let part = |column: usize| row.get::<_, String>(column).unwrap_or_default();
    unreadable::row(connection, "gae_tasks_schedule", format!("{}/{}", part(0), part(1)));
}
