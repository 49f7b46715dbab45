//! Schedules: put, listed, changed by hand and looked at. [`tick`](super::tick) moves them.

use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::commit::commit_change;
use super::database::{Database, at, moment};
use super::error::Fault;
use super::shared::Shared;
use super::work::Work;
use crate::backend::ownership::{self, Change, Plan};
use crate::backend::{
    ChangeSchedule, Due, DueSchedules, PutSchedules, ScheduleChanged, ScheduleKey, SchedulesPut,
    StoredSchedule,
};
use crate::time::{Now, Timestamp};
use crate::version;

/// How many schedules one statement writes.
const MOST: usize = 200;

/// The columns of [`read`], of the table `s`.
macro_rules! schedule_columns {
    () => {
        "s.program, s.name, s.revision, s.cron, s.definition, s.paused, s.declared, s.seen, \
         s.since, s.last_tick, s.next, s.mark"
    };
}

/// The schedules that a worker of this version looks at.
macro_rules! ready_schedules {
    () => {
        " FROM gae_tasks.schedule s WHERE s.next IS NOT NULL AND NOT s.paused AND s.version <= \
         $5::smallint AND "
    };
}

const NOW: &str = concat!("SELECT ", moment!());

/// The schedules of a program with these names; then those that its older revisions declare.
/// Whoever writes a row locks it first.
macro_rules! of_program {
    ($which:literal, $how:literal) => {
        concat!(
            "SELECT ",
            schedule_columns!(),
            " FROM gae_tasks.schedule s WHERE s.program = $1 AND ",
            $which,
            " ORDER BY s.program, s.name",
            $how
        )
    };
}

const NAMED: &str = of_program!("s.name = ANY($2::text[])", "");
const NAMED_LOCKED: &str = of_program!("s.name = ANY($2::text[])", " FOR UPDATE");
const OLDER: &str = of_program!("s.revision < $2::bigint", "");
const OLDER_LOCKED: &str = of_program!("s.revision < $2::bigint", " FOR UPDATE");

/// The statements that read the schedules about which a request decides.
const LOOK: [&str; 2] = [NAMED, OLDER];
const LOCK: [&str; 2] = [NAMED_LOCKED, OLDER_LOCKED];

pub(super) async fn put(shared: Arc<Shared>, request: PutSchedules) -> Result<SchedulesPut, Fault> {
    // One after the other, so that no two insert the same row.
    const ALONE: &str = "SELECT pg_current_xact_id()::text, \
                         pg_advisory_xact_lock(hashtextextended('gae_tasks.schedule ' || \
                         $1::text, 3))";
    let database = &*shared.database;
    // Every worker declares its schedules again and again, and nearly always nothing changes.
    let mut connection = database.connection().await?;
    let plan = decide(database, &mut connection, &request, LOOK).await?;
    drop(connection);
    if plan.is_nothing() {
        return Ok(plan.answer);
    }
    let mut work = database.begin().await?;
    let alone = database.query(ALONE).bind(request.program.as_str());
    let xid: String = alone.fetch_one(&mut *work).await?.try_get(0)?;
    let plan = decide(database, &mut work, &request, LOCK).await?;
    delete(database, &mut work, &request.program, &plan.answer.stopped).await?;
    for written in plan.written.chunks(MOST) {
        write(database, &mut work, written).await?;
    }
    let what = format!("the schedules of `{}`", request.program);
    commit_change(database, work, &xid, &what).await?;
    Ok(plan.answer)
}

async fn decide(
    database: &Database,
    connection: &mut PgConnection,
    request: &PutSchedules,
    [named, older]: [&'static str; 2],
) -> Result<Plan, Fault> {
    let names: Vec<_> = request.schedules.iter().map(|new| new.name.as_str()).collect();
    let query = database.query(named).bind(request.program.as_str()).bind(names);
    let mut rows = query.fetch_all(&mut *connection).await?;
    if let Some(revision) = request.revision {
        let query = database.query(older).bind(request.program.as_str()).bind(revision);
        rows.extend(query.fetch_all(&mut *connection).await?);
    }
    let stored = rows.iter().map(|row| read(row, 0)).collect::<Result<Vec<_>, _>>()?;
    let now = time(database, connection, request.now).await?;
    Ok(Plan::of(request, stored, now))
}

pub(super) async fn change(
    shared: Arc<Shared>,
    request: ChangeSchedule,
) -> Result<ScheduleChanged, Fault> {
    const ONE: &str = concat!(
        "SELECT ",
        schedule_columns!(),
        ", pg_current_xact_id()::text FROM gae_tasks.schedule s WHERE s.program = $1 AND s.name = \
         $2 FOR UPDATE"
    );
    let (database, key) = (&*shared.database, &request.key);
    let mut work = database.begin().await?;
    let query = database.query(ONE).bind(key.program.as_str()).bind(key.name.as_str());
    let Some(row) = query.fetch_optional(&mut *work).await? else {
        return Ok(ScheduleChanged::Missing);
    };
    let (stored, xid): (_, String) = (read(&row, 0)?, row.try_get(12)?);
    let now = time(database, &mut work, request.now).await?;
    match ownership::change(Some(stored), &request, now) {
        Change::None(answer) => return Ok(answer),
        Change::Written(written) => write(database, &mut work, &[written]).await?,
        Change::Deleted => {
            let names = std::slice::from_ref(&key.name);
            delete(database, &mut work, &key.program, names).await?;
        }
    }
    commit_change(database, work, &xid, &format!("the schedule {key}")).await?;
    Ok(ScheduleChanged::Done)
}

/// Returns the schedules of a program, or all.
pub(super) async fn list(
    shared: Arc<Shared>,
    program: Option<String>,
) -> Result<Vec<StoredSchedule>, Fault> {
    const ALL: &str = concat!(
        "SELECT ",
        schedule_columns!(),
        " FROM gae_tasks.schedule s WHERE $1::text IS NULL OR s.program = $1::text ORDER BY \
         s.program, s.name"
    );
    let mut connection = shared.database.connection().await?;
    let rows = shared.database.query(ALL).bind(program).fetch_all(&mut *connection).await?;
    Ok(rows.iter().map(|row| read(row, 0)).collect::<Result<_, _>>()?)
}

/// Returns the schedules that are due.
pub(super) async fn due(shared: Arc<Shared>, request: DueSchedules) -> Result<Due, Fault> {
    const DUE: &str = concat!(
        "WITH m AS MATERIALIZED (SELECT ",
        moment!(),
        " AS now) SELECT m.now, f.next AS first, s.* FROM m LEFT JOIN LATERAL (SELECT s.next",
        ready_schedules!(),
        "s.next > m.now ORDER BY s.next LIMIT 1) f ON true LEFT JOIN LATERAL (SELECT ",
        schedule_columns!(),
        ready_schedules!(),
        "s.next <= m.now AND (s.next, s.program, s.name) > ($2::bigint, $3::text, $4::text) ORDER \
         BY s.next, s.program, s.name LIMIT $6::bigint) s ON true"
    );
    let (after, program, name) = match &request.after {
        Some((after, key)) => (after.as_micros(), &*key.program, &*key.name),
        None => (i64::MIN, "", ""),
    };
    let mut connection = shared.database.connection().await?;
    let query = shared
        .database
        .query(DUE)
        .bind(at(request.now))
        .bind(after)
        .bind(program)
        .bind(name)
        .bind(i16::from(version::KNOWN))
        .bind(i64::try_from(request.limit).unwrap_or(i64::MAX));
    let rows = query.fetch_all(&mut *connection).await?;
    let Some(first) = rows.first() else {
        return Err(Fault::Unreadable("the time of the database".to_owned()));
    };
    let next = first.try_get::<Option<i64>, _>(1)?.map(Timestamp::from_micros);
    let mut schedules = Vec::with_capacity(rows.len());
    for row in &rows {
        // One row without a schedule tells the time if none is due.
        if row.try_get::<Option<&str>, _>(2)?.is_some() {
            schedules.push(read(row, 2)?);
        }
    }
    Ok(Due::new(Timestamp::from_micros(first.try_get(0)?), schedules, next))
}

async fn time(
    database: &Database,
    connection: &mut PgConnection,
    now: Now,
) -> Result<Timestamp, Fault> {
    let row = database.query(NOW).bind(at(now)).fetch_one(connection).await?;
    Ok(Timestamp::from_micros(row.try_get(0)?))
}

async fn delete(
    database: &Database,
    work: &mut Work,
    program: &str,
    names: &[String],
) -> Result<(), Fault> {
    const DELETE: &str = "DELETE FROM gae_tasks.schedule WHERE program = $1 AND name = ANY($2)";
    if !names.is_empty() {
        database.query(DELETE).bind(program).bind(names).execute(&mut **work).await?;
    }
    Ok(())
}

async fn write(
    database: &Database,
    work: &mut Work,
    schedules: &[StoredSchedule],
) -> Result<(), Fault> {
    const WRITE: &str = "INSERT INTO gae_tasks.schedule (program, name, revision, version, cron, \
                         definition, paused, declared, seen, since, last_tick, next, mark) SELECT \
                         n.* FROM unnest($1::text[], $2::text[], $3::bigint[], $4::smallint[], \
                         $5::text[], $6::bytea[], $7::boolean[], $8::bigint[], $9::bigint[], \
                         $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[]) AS n ORDER BY \
                         1, 2 ON CONFLICT (program, name) DO UPDATE SET revision = \
                         excluded.revision, version = excluded.version, cron = excluded.cron, \
                         definition = excluded.definition, paused = excluded.paused, declared = \
                         excluded.declared, seen = excluded.seen, since = excluded.since, \
                         last_tick = excluded.last_tick, next = excluded.next, mark = \
                         excluded.mark";
    let texts = |of: fn(&StoredSchedule) -> &str| schedules.iter().map(of).collect::<Vec<_>>();
    let times = |of: fn(&StoredSchedule) -> Option<Timestamp>| {
        let micros = schedules.iter().map(|schedule| of(schedule).map(Timestamp::as_micros));
        micros.collect::<Vec<_>>()
    };
    let query = database
        .query(WRITE)
        .bind(texts(|schedule| &schedule.key.program))
        .bind(texts(|schedule| &schedule.key.name))
        .bind(schedules.iter().map(|schedule| schedule.revision).collect::<Vec<_>>())
        .bind(schedules.iter().map(|of| i16::from(of.version())).collect::<Vec<_>>())
        .bind(texts(|schedule| &schedule.cron))
        .bind(schedules.iter().map(|of| of.definition.as_slice()).collect::<Vec<_>>())
        .bind(schedules.iter().map(|schedule| schedule.paused).collect::<Vec<_>>())
        .bind(times(|schedule| Some(schedule.declared)))
        .bind(times(|schedule| Some(schedule.seen)))
        .bind(times(|schedule| Some(schedule.since)))
        .bind(times(|schedule| schedule.last_tick))
        .bind(times(|schedule| schedule.next))
        .bind(schedules.iter().map(|schedule| schedule.mark).collect::<Vec<_>>());
    query.execute(&mut **work).await?;
    Ok(())
}

/// Reads a schedule from the [`schedule_columns`], which begin at `first`.
fn read(row: &PgRow, first: usize) -> Result<StoredSchedule, sqlx::Error> {
    let time = |column: usize| {
        let micros = row.try_get::<Option<i64>, _>(first + column)?;
        Ok::<_, sqlx::Error>(micros.map(Timestamp::from_micros))
    };
    let text = |column: usize| row.try_get::<String, _>(first + column);
    let key = ScheduleKey::new(text(0)?, text(1)?);
    let made = StoredSchedule::new(key, text(3)?, row.try_get(first + 4)?, Timestamp::default());
    Ok(StoredSchedule {
        revision: row.try_get(first + 2)?,
        paused: row.try_get(first + 5)?,
        declared: time(6)?.unwrap_or_default(),
        seen: time(7)?.unwrap_or_default(),
        since: time(8)?.unwrap_or_default(),
        last_tick: time(9)?,
        next: time(10)?,
        mark: row.try_get(first + 11)?,
        ..made
    })
}
