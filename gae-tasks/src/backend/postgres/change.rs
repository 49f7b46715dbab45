//! Leased tasks whose rows are locked: reads them, and stores what the lifecycle decides, each sort
//! of change by one statement.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::catalogue::Catalogue;
use super::counted::Counted;
use super::database::{Database, at, moment};
use super::error::Fault;
use super::floors;
use super::shared::Shared;
use super::task::{Task, id, task_columns, unless_zero, uuid, write_errors};
use super::work::Work;
use crate::backend::lifecycle::{self, Change, Facts, Rules};
use crate::backend::refusers::Refusers;
use crate::backend::{LeaseRef, LeaseToken, Settled};
use crate::task::TaskId;
use crate::time::{Now, Timestamp};

/// A transaction that changes tasks, as of a moment.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) now: Timestamp,
    /// The id of the transaction, by which the database knows what became of it.
    pub(super) xid: String,
}

/// Begins to change tasks: reads the time, and the queues if they have changed.
pub(super) async fn begin(shared: &Shared, work: &mut Work, now: Now) -> Result<Begun, Fault> {
    const BEGIN: &str = concat!(
        "SELECT ",
        moment!(),
        ", queue_changes, pg_current_xact_id()::text FROM gae_tasks.version"
    );
    let Shared { database, catalogue, .. } = shared;
    let row = database.prepared(BEGIN).bind(at(now)).fetch_one(&mut **work).await?;
    let (now, changes, xid) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    catalogue.refresh_queues(database, work, changes).await?;
    Ok(Begun { now: Timestamp::from_micros(now), xid })
}

/// Locks and reads those of these tasks that are stored and that nobody else has locked.
pub(super) async fn lock(
    shared: &Shared,
    work: &mut Work,
    ids: &[Uuid],
) -> Result<HashMap<TaskId, Task>, Fault> {
    const LOCK: &str = concat!(
        "SELECT ",
        task_columns!(),
        " FROM gae_tasks.task t WHERE t.id = ANY($1) ORDER BY t.id FOR UPDATE SKIP LOCKED"
    );
    let Shared { database, catalogue, .. } = shared;
    let rows = database.prepared(LOCK).bind(ids).fetch_all(&mut **work).await?;
    let task = |row| Task::read(row, 0).map(|task| (task.id, task));
    let tasks: HashMap<_, _> = rows.iter().map(task).collect::<Result<_, _>>()?;
    let lanes = tasks.values().map(|task| task.lane);
    catalogue.learn_lanes(database, work, lanes).await?;
    Ok(tasks)
}

/// Returns those of these tasks that are stored.
pub(super) async fn stored(
    database: &Database,
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<HashSet<TaskId>, Fault> {
    const STORED: &str = "SELECT id FROM gae_tasks.task WHERE id = ANY($1)";
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = database.prepared(STORED).bind(ids).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(id(row.try_get(0)?))).collect()
}

/// A lease that was held and has ended.
#[derive(Debug)]
pub(super) struct EndedLease {
    /// Whether the task was cancelled.
    pub(super) cancelled: bool,
    /// How the lease counted, if its queue has limits.
    pub(super) counted: Option<Counted>,
}

/// Ends those of these leases that are held, and returns them.
pub(super) async fn end_leases(
    database: &Database,
    connection: &mut PgConnection,
    leases: &[LeaseRef],
) -> Result<HashMap<LeaseRef, EndedLease>, Fault> {
    const END: &str = "DELETE FROM gae_tasks.lease l USING unnest($1::uuid[], $2::bigint[]) AS \
                       n(task, token) WHERE l.task = n.task AND l.token = n.token RETURNING \
                       l.task, l.token, coalesce(l.cancelled, false), l.queue, l.paid";
    let rows = among(database, connection, END, leases).await?;
    let ended = |row: &PgRow| {
        let (cancelled, counted) = (row.try_get(2)?, Counted::read(row, 3)?);
        Ok((lease(row)?, EndedLease { cancelled, counted }))
    };
    rows.iter().map(ended).collect()
}

/// Returns those of these leases that are held.
pub(super) async fn held(
    database: &Database,
    connection: &mut PgConnection,
    leases: &[LeaseRef],
) -> Result<HashSet<LeaseRef>, Fault> {
    const HELD: &str = "SELECT l.task, l.token FROM unnest($1::uuid[], $2::bigint[]) AS n(task, \
                        token) JOIN gae_tasks.lease l ON l.task = n.task AND l.token = n.token";
    if leases.is_empty() {
        return Ok(HashSet::new());
    }
    among(database, connection, HELD, leases).await?.iter().map(lease).collect()
}

/// Returns what the statement `text` returns of these leases.
async fn among(
    database: &Database,
    connection: &mut PgConnection,
    text: &'static str,
    leases: &[LeaseRef],
) -> Result<Vec<PgRow>, Fault> {
    let query = database
        .query(text)
        .bind(leases.iter().map(|lease| uuid(lease.id)).collect::<Vec<_>>())
        .bind(leases.iter().map(|lease| lease.token.to_bits()).collect::<Vec<_>>());
    Ok(query.fetch_all(connection).await?)
}

/// Reads a lease: task and token are the first columns.
fn lease(row: &PgRow) -> Result<LeaseRef, Fault> {
    Ok(LeaseRef::new(id(row.try_get(0)?), LeaseToken::from_bits(row.try_get(1)?)))
}

/// A task after a change.
#[derive(Debug)]
pub(super) struct Changed {
    task: Task,
    how: How,
}

#[derive(Debug, PartialEq, Eq)]
enum How {
    Over,
    Back,
    To,
}

/// What sets a task apart from others of `lane`, for which there is no known lane yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoLane {
    pub(super) lane: i64,
    pub(super) refusers: Refusers,
    pub(super) forced: bool,
}

impl Changed {
    /// Changes a task as `decide` says, from its facts and rules.
    ///
    /// # Errors
    /// The lane that the task needs is not known.
    pub(super) fn new<'a>(
        catalogue: &Catalogue,
        mut task: Task,
        now: Timestamp,
        decide: impl FnOnce(Facts, Option<&Rules>) -> Change<'a>,
    ) -> Result<Self, NoLane> {
        let lane = catalogue.lane(task.lane);
        let facts = lane.as_ref().map_or(task.facts, |lane| task.facts_in(lane));
        let how = match decide(facts, task.rules(catalogue).as_ref()) {
            Change::Over => How::Over,
            Change::Back => How::Back,
            Change::To { facts, error } => {
                let Facts { refusers, forced, .. } = facts;
                let no_lane = NoLane { lane: task.lane, refusers, forced };
                let like = catalogue.known_lane_like(task.lane, refusers, forced);
                task.lane = like.ok_or(no_lane)?;
                task.facts = facts;
                let _: Option<()> = error.map(|error| task.keep_error(&error, now));
                How::To
            }
        };
        Ok(Self { task, how })
    }

    /// Ends a task for good.
    pub(super) const fn over(task: Task) -> Self {
        Self { task, how: How::Over }
    }

    /// Returns for how long the task has had its place, if it waits again.
    pub(super) fn age(&self, now: Timestamp) -> Option<Duration> {
        let waits = self.how != How::Over && self.task.facts.died.is_none();
        waits.then(|| floors::age(&self.task.facts, now))
    }

    /// Returns what became of the task.
    pub(super) fn settled(&self) -> Settled {
        match (&self.how, self.task.facts.died) {
            (How::Over, _) => Settled::Done,
            (_, Some(_)) => Settled::Dead,
            (_, None) => Settled::Scheduled(self.task.facts.wait.due()),
        }
    }
}

/// Stores changes of tasks whose rows are locked and whose leases are over.
pub(super) async fn store(
    shared: &Shared,
    connection: &mut PgConnection,
    changed: &[Changed],
    now: Timestamp,
) -> Result<(), Fault> {
    let of = |how: How| -> Vec<&Task> {
        changed.iter().filter(|changed| changed.how == how).map(|changed| &changed.task).collect()
    };
    put_back(&shared.database, connection, &of(How::Back)).await?;
    write(&shared.database, connection, &of(How::To)).await?;
    remove(shared, connection, &of(How::Over), now).await
}

/// Lets tasks wait as before.
async fn put_back(
    database: &Database,
    connection: &mut PgConnection,
    tasks: &[&Task],
) -> Result<(), Fault> {
    const BACK: &str = "INSERT INTO gae_tasks.waiting (lane, due, task, size, standing, timed, \
                        named) SELECT t.lane, t.schedule_time, t.id, octet_length(t.payload), \
                        least(greatest(coalesce(t.lost_leases, 0), 0), 3)::smallint, \
                        coalesce(t.timed, false), t.name IS NOT NULL FROM gae_tasks.task t WHERE \
                        t.id = ANY($1) AND t.died IS NULL";
    if tasks.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = tasks.iter().map(|task| uuid(task.id)).collect();
    database.query(BACK).bind(ids).execute(connection).await?;
    Ok(())
}

/// Writes the facts and errors of tasks, which then wait or are dead.
pub(super) async fn write(
    database: &Database,
    connection: &mut PgConnection,
    tasks: &[&Task],
) -> Result<(), Fault> {
    const WRITE: &str = "WITH t AS (UPDATE gae_tasks.task t SET lane = n.lane, schedule_time = \
                         n.schedule_time, since = n.since, timed = nullif(n.timed, false), \
                         attempts = n.attempts, lost_leases = n.lost_leases, lost_attempts = \
                         n.lost_attempts, refusals = n.refusals, died = n.died, first_attempt = \
                         n.first_attempt, errors = n.errors FROM unnest($1::uuid[], $2::bigint[], \
                         $3::bigint[], $4::bigint[], $5::boolean[], $6::bigint[], $7::bigint[], \
                         $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bytea[]) \
                         AS n(id, lane, schedule_time, since, timed, attempts, lost_leases, \
                         lost_attempts, refusals, died, first_attempt, errors) WHERE t.id = n.id \
                         RETURNING t.id, t.lane, t.schedule_time, octet_length(t.payload) AS \
                         size, least(greatest(coalesce(t.lost_leases, 0), 0), 3)::smallint AS \
                         standing, coalesce(t.timed, false) AS timed, t.name IS NOT NULL AS named, \
                         t.died) INSERT INTO gae_tasks.waiting (lane, due, task, size, standing, \
                         timed, named) SELECT lane, schedule_time, id, size, standing, timed, \
                         named FROM t WHERE died IS NULL";
    if tasks.is_empty() {
        return Ok(());
    }
    let facts = || tasks.iter().map(|task| &task.facts);
    let counts =
        |of: fn(&Facts) -> u32| -> Vec<_> { facts().map(|facts| unless_zero(of(facts))).collect() };
    let errors = tasks.iter().map(|task| write_errors(&task.errors));
    let time = Timestamp::as_micros;
    let query = database
        .query(WRITE)
        .bind(tasks.iter().map(|task| uuid(task.id)).collect::<Vec<_>>())
        .bind(tasks.iter().map(|task| task.lane).collect::<Vec<_>>())
        .bind(facts().map(|facts| facts.wait.due().as_micros()).collect::<Vec<_>>())
        .bind(facts().map(|facts| facts.wait.since().map(time)).collect::<Vec<_>>())
        .bind(facts().map(|facts| facts.wait.is_timed()).collect::<Vec<_>>())
        .bind(counts(|facts| facts.attempts))
        .bind(counts(|facts| facts.lost_leases))
        .bind(counts(|facts| facts.lost_attempts))
        .bind(counts(|facts| facts.refusals))
        .bind(facts().map(|facts| facts.died.map(time)).collect::<Vec<_>>())
        .bind(facts().map(|facts| facts.first_attempt.map(time)).collect::<Vec<_>>())
        .bind(errors.collect::<Result<Vec<_>, _>>()?);
    query.execute(connection).await?;
    Ok(())
}

/// Deletes tasks that are over; their names leave tombstones.
async fn remove(
    shared: &Shared,
    connection: &mut PgConnection,
    tasks: &[&Task],
    now: Timestamp,
) -> Result<(), Fault> {
    if tasks.is_empty() {
        return Ok(());
    }
    let until = |task: &&Task| {
        let lane = shared.catalogue.lane(task.lane);
        let config = lane.and_then(|lane| shared.catalogue.config(&lane.key.queue).ok());
        lifecycle::tombstone(config.as_ref(), now).as_micros()
    };
    let ids = tasks.iter().map(|task| uuid(task.id)).collect();
    delete(&shared.database, connection, ids, tasks.iter().map(until).collect()).await
}

/// Deletes tasks whose rows are locked; the name of each is blocked until its time.
pub(super) async fn delete(
    database: &Database,
    connection: &mut PgConnection,
    ids: Vec<Uuid>,
    until: Vec<i64>,
) -> Result<(), Fault> {
    // By the name itself, whether this program can read it or not.
    // A key is freed, or blocked if it outlives the task, unless another task has it by now.
    const DELETE: &str = "WITH gone AS (DELETE FROM gae_tasks.task t USING unnest($1::uuid[], \
                          $2::bigint[]) AS n(id, until) WHERE t.id = n.id RETURNING t.id, t.lane, \
                          t.name, n.until), known AS (SELECT l.queue, g.name, g.id, g.until, \
                          left(g.name, 1) = '~' AS is_key FROM gone g JOIN gae_tasks.lane l ON \
                          l.id = g.lane WHERE g.name IS NOT NULL), keys AS (SELECT h.at, k.id, \
                          k.until, right(k.name, 1) = '+' AS outlives FROM known k CROSS JOIN \
                          LATERAL (SELECT h.ctid AS at FROM gae_tasks.name h WHERE h.queue = \
                          k.queue AND h.name = rtrim(k.name, '+') COLLATE \"C\" AND h.task = \
                          k.id OFFSET 0) h WHERE k.is_key), freed AS (DELETE FROM gae_tasks.name \
                          h USING keys k WHERE NOT k.outlives AND h.ctid = k.at AND h.task = \
                          k.id), kept AS (UPDATE gae_tasks.name h SET until = k.until FROM keys k \
                          WHERE k.outlives AND h.ctid = k.at AND h.task = k.id) INSERT INTO \
                          gae_tasks.name (queue, name, task, until) SELECT DISTINCT ON (k.queue, \
                          k.name) k.queue, k.name, k.id, k.until FROM known k WHERE NOT k.is_key \
                          ORDER BY k.queue, k.name ON CONFLICT (queue, name) DO UPDATE SET task = \
                          excluded.task, until = excluded.until";
    database.query(DELETE).bind(ids).bind(until).execute(connection).await?;
    Ok(())
}
