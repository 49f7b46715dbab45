//! What waits, by one statement: for each lane and standing the first task, timed and not timed.
//!
//! The statement jumps through the index from one of them to the next, so its cost grows with the
//! number of lanes in which tasks wait, not with the number of tasks. It does grow with the entries
//! of tasks that are gone, which stay in the index while an old snapshot may read them. So there
//! are two more statements: one that counts such entries, and one that begins behind them.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::database::{Database, at, moment};
use super::error::Fault;
use crate::backend::Standing;
use crate::time::{Now, Timestamp};

const SCAN: &str = concat!(
    "WITH RECURSIVE head AS ((SELECT w.lane, w.standing, w.timed, w.due, w.task FROM \
     gae_tasks.waiting w ORDER BY w.lane, w.standing, w.timed, w.due, w.task LIMIT 1) UNION ALL \
     SELECT n.lane, n.standing, n.timed, n.due, n.task FROM head h CROSS JOIN LATERAL (SELECT \
     w.lane, w.standing, w.timed, w.due, w.task FROM gae_tasks.waiting w WHERE (w.lane, \
     w.standing, w.timed) > (h.lane, h.standing, h.timed) ORDER BY w.lane, w.standing, w.timed, \
     w.due, w.task LIMIT 1) n) SELECT v.now, v.queue_changes, h.lane, h.standing, h.timed, h.due, \
     h.task FROM (SELECT ",
    moment!(),
    " AS now, queue_changes FROM gae_tasks.version) v LEFT JOIN head h ON true"
);

/// How many entries of the order this session has read so far, as the server counts them for its
/// statistics: also those of tasks that are gone. Zero if it counts nothing.
macro_rules! entries_read {
    () => {
        "coalesce(pg_stat_get_xact_tuples_returned(to_regclass('gae_tasks.waiting_pkey')), 0)"
    };
}

/// Like [`SCAN`], in one row; its last columns are how many entries were read, and the number of
/// the last lane. The first look at the index depends on the count before, and the count after on
/// the last look, so they are made in this order.
const SURVEY: &str = concat!(
    "WITH RECURSIVE v AS MATERIALIZED (SELECT ",
    moment!(),
    " AS now, queue_changes, ",
    entries_read!(),
    " AS before FROM gae_tasks.version), head AS (SELECT f.lane, f.standing, f.timed, f.due, \
     f.task FROM v CROSS JOIN LATERAL (SELECT w.lane, w.standing, w.timed, w.due, w.task FROM \
     gae_tasks.waiting w WHERE v.before >= 0 ORDER BY w.lane, w.standing, w.timed, w.due, w.task \
     LIMIT 1) f UNION ALL SELECT n.lane, n.standing, n.timed, n.due, n.task FROM head h CROSS \
     JOIN LATERAL (SELECT w.lane, w.standing, w.timed, w.due, w.task FROM gae_tasks.waiting w \
     WHERE (w.lane, w.standing, w.timed) > (h.lane, h.standing, h.timed) ORDER BY w.lane, \
     w.standing, w.timed, w.due, w.task LIMIT 1) n) SELECT v.now, v.queue_changes, a.lanes, \
     a.standings, a.timed, a.dues, a.tasks, ",
    entries_read!(),
    " - v.before, coalesce((SELECT l.id FROM gae_tasks.lane l ORDER BY l.id DESC LIMIT 1), 0) \
     FROM v CROSS JOIN (SELECT array_agg(h.lane) AS lanes, array_agg(h.standing) AS standings, \
     array_agg(h.timed) AS timed, array_agg(h.due) AS dues, array_agg(h.task) AS tasks FROM head \
     h) a"
);

/// Like [`SCAN`], from a start on: of each lane the clear tasks from the time `$2` on, and of the
/// lanes and standings `$3` to `$5` those from a place of their own on.
const SCAN_FROM: &str = concat!(
    "WITH v AS MATERIALIZED (SELECT ",
    moment!(),
    " AS now, queue_changes FROM gae_tasks.version) SELECT v.now, v.queue_changes, h.lane, \
     h.standing, h.timed, h.due, h.task FROM v LEFT JOIN (SELECT l.id AS lane, 0::smallint AS \
     standing, g.timed, w.due, w.task FROM gae_tasks.lane l CROSS JOIN unnest(ARRAY[false, true]) \
     AS g(timed) CROSS JOIN LATERAL (SELECT w.due, w.task FROM gae_tasks.waiting w WHERE w.lane = \
     l.id AND w.standing = 0::smallint AND w.timed = g.timed AND w.due >= $2::bigint ORDER BY \
     w.due, w.task LIMIT 1) w UNION ALL SELECT s.lane, s.standing, s.timed, w.due, w.task FROM \
     unnest($3::bigint[], $4::smallint[], $5::boolean[], $6::bigint[], $7::uuid[]) AS s(lane, \
     standing, timed, due, task) CROSS JOIN LATERAL (SELECT w.due, w.task FROM gae_tasks.waiting \
     w WHERE w.lane = s.lane AND w.standing = s.standing AND w.timed = s.timed AND (w.due, \
     w.task) >= (s.due, s.task) ORDER BY w.due, w.task LIMIT 1) w) h ON true"
);

/// What waits, as of a moment.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    pub(super) now: Timestamp,
    /// The count of changes of queues.
    pub(super) changes: i64,
    /// In the order of lanes and standings; of each, first what is not timed.
    pub(super) heads: Vec<Head>,
}

/// The first waiting task of a lane and a standing that is, or is not, timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) lane: i64,
    /// The standing in its stored form.
    pub(super) rank: i16,
    pub(super) is_timed: bool,
    pub(super) due: Timestamp,
    pub(super) task: Uuid,
}

impl Head {
    pub(super) fn standing(&self) -> Standing {
        Standing::of(self.rank.max(0).unsigned_abs().into())
    }

    /// Returns the lane and the standing, and whether the task is timed: there is one first task
    /// of each.
    pub(super) const fn group(&self) -> (i64, i16, bool) {
        (self.lane, self.rank, self.is_timed)
    }

    /// Returns the place among the tasks of the group.
    pub(super) const fn place(&self) -> (Timestamp, Uuid) {
        (self.due, self.task)
    }

    /// Reads a head from the columns that begin at `first`; `None` if they are null.
    fn read(row: &PgRow, first: usize) -> Result<Option<Self>, sqlx::Error> {
        let Some(lane) = row.try_get::<Option<i64>, _>(first)? else { return Ok(None) };
        Ok(Some(Self {
            lane,
            rank: row.try_get(first + 1)?,
            is_timed: row.try_get(first + 2)?,
            due: Timestamp::from_micros(row.try_get(first + 3)?),
            task: row.try_get(first + 4)?,
        }))
    }
}

/// What waits, and what it cost to find out.
#[derive(Debug, Clone)]
pub(super) struct Survey {
    pub(super) scan: Scan,
    /// How many entries were read that are of no task in the scan: nearly all of tasks that are
    /// gone.
    pub(super) passed: i64,
    /// The most lanes that there may be.
    pub(super) lanes: i64,
}

/// Where a scan begins in each lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    /// Where it begins among clear tasks.
    pub(super) since: Timestamp,
    /// Where it begins elsewhere too, in the order of groups; no task needs to be there.
    pub(super) heads: Vec<Head>,
}

/// Reads what waits.
pub(super) async fn scan(
    database: &Database,
    connection: &mut PgConnection,
    now: Now,
) -> Result<Scan, Fault> {
    read(&database.prepared(SCAN).bind(at(now)).fetch_all(connection).await?)
}

/// Reads what waits from a start on. Of the lanes and standings that the start does not name, only
/// clear tasks are found.
pub(super) async fn scan_from(
    database: &Database,
    connection: &mut PgConnection,
    now: Now,
    start: &Start,
) -> Result<Scan, Fault> {
    let heads = || start.heads.iter();
    let query = database
        .prepared(SCAN_FROM)
        .bind(at(now))
        .bind(start.since.as_micros())
        .bind(heads().map(|head| head.lane).collect::<Vec<_>>())
        .bind(heads().map(|head| head.rank).collect::<Vec<_>>())
        .bind(heads().map(|head| head.is_timed).collect::<Vec<_>>())
        .bind(heads().map(|head| head.due.as_micros()).collect::<Vec<_>>())
        .bind(heads().map(|head| head.task).collect::<Vec<_>>());
    let scan = read(&query.fetch_all(connection).await?)?;
    // A group that the start names is found from two places on.
    let mut firsts = BTreeMap::new();
    for head in scan.heads {
        let first = firsts.entry(head.group()).or_insert(head);
        if head.place() < first.place() {
            *first = head;
        }
    }
    Ok(Scan { heads: firsts.into_values().collect(), ..scan })
}

/// Reads what waits, and counts what is read.
pub(super) async fn survey(
    database: &Database,
    connection: &mut PgConnection,
    now: Now,
) -> Result<Survey, Fault> {
    let row = database.prepared(SURVEY).bind(at(now)).fetch_one(connection).await?;
    let lanes: Vec<i64> = column(&row, 2)?;
    let (ranks, timed): (Vec<i16>, Vec<bool>) = (column(&row, 3)?, column(&row, 4)?);
    let (dues, tasks): (Vec<i64>, Vec<Uuid>) = (column(&row, 5)?, column(&row, 6)?);
    let firsts = lanes.into_iter().zip(ranks).zip(timed).zip(dues).zip(tasks);
    let head = |((((lane, rank), is_timed), due), task)| Head {
        lane,
        rank,
        is_timed,
        due: Timestamp::from_micros(due),
        task,
    };
    let heads: Vec<_> = firsts.map(head).collect();
    let read: i64 = row.try_get(7)?;
    let passed = read.saturating_sub(i64::try_from(heads.len()).unwrap_or(i64::MAX));
    let now = Timestamp::from_micros(row.try_get(0)?);
    let scan = Scan { now, changes: row.try_get(1)?, heads };
    Ok(Survey { scan, passed, lanes: row.try_get(8)? })
}

/// Reads a column of the heads of a survey, which is null if there are none.
fn column<'r, T>(row: &'r PgRow, number: usize) -> Result<Vec<T>, sqlx::Error>
where
    Vec<T>: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    Ok(row.try_get::<Option<Vec<T>>, _>(number)?.unwrap_or_default())
}

fn read(rows: &[PgRow]) -> Result<Scan, Fault> {
    let mut scan = Scan { now: Timestamp::default(), changes: 0, heads: Vec::new() };
    for row in rows {
        scan.now = Timestamp::from_micros(row.try_get(0)?);
        scan.changes = row.try_get(1)?;
        scan.heads.extend(Head::read(row, 2)?);
    }
    Ok(scan)
}
