//! Keys of unique tasks: who has one, and what a call does that meets it.
//!
//! Callers of one key take turns by an advisory lock, which is taken before everything else. So
//! what a key is given to changes under that lock alone; whoever ends a task only says until when
//! the key is blocked. A waiting task is changed with its row locked and its waiting row taken, in
//! the order of all others.

use std::collections::HashMap;
use std::time::Instant;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row};
use uuid::Uuid;

use super::database::{Database, at, moment};
use super::error::Fault;
use super::name;
use super::rows::{INSERT_KEYED, Receipt, Rows};
use super::task::{id, uuid};
use crate::attributes::checksum;
use crate::backend::NewTask;
use crate::backend::lifecycle::{Facts, Wait};
use crate::backend::unique::{Claim, Holder, claim};
use crate::task::{Deferred, TaskId, UniqueKey};
use crate::time::{Now, Schedule, Timestamp};
use crate::version;

/// Makes a query of a statement: for the backend's own connections, or for the application's.
pub(super) type Text<'a> =
    &'a (dyn Fn(&'static str) -> Query<'static, Postgres, PgArguments> + Sync);

/// How often the holder of a key may change while it is looked at.
const ROUNDS: usize = 20;

const LOCK: &str = "SELECT pg_advisory_xact_lock(n.key) FROM (SELECT n.key FROM \
                    unnest($1::bigint[]) AS n(key) ORDER BY n.key OFFSET 0) n";

/// Whether the task `$2` is stored, and who has the key `$4` in the queue `$3`.
const LOOK: &str = concat!(
    "SELECT ",
    moment!(),
    ", EXISTS (SELECT FROM gae_tasks.task o WHERE o.id = $2), h.task, h.until, t.lane, t.created, \
     t.schedule_time, t.since, coalesce(t.timed, false), coalesce(t.lost_leases, 0), t.died, \
     l.version, coalesce(l.forced, false), EXISTS (SELECT FROM gae_tasks.lease e WHERE e.task = \
     h.task) FROM (SELECT $3::text AS queue, $4::text AS name OFFSET 0) g LEFT JOIN LATERAL \
     (SELECT h.task, h.until FROM gae_tasks.name h WHERE h.queue = g.queue AND h.name = g.name \
     OFFSET 0) h ON true LEFT JOIN LATERAL (SELECT t.lane, t.created, t.schedule_time, t.since, \
     t.timed, t.lost_leases, t.died FROM gae_tasks.task t WHERE t.id = h.task AND h.until IS NULL \
     OFFSET 0) t ON true LEFT JOIN LATERAL (SELECT l.version, l.forced FROM gae_tasks.lane l WHERE \
     l.id = t.lane OFFSET 0) l ON true"
);

const LOCK_TASK: &str = "SELECT FROM gae_tasks.task WHERE id = $1 FOR UPDATE";

const TAKE: &str = "DELETE FROM gae_tasks.waiting WHERE lane = $1 AND standing = $2 AND timed = $3 \
                    AND due = $4 AND task = $5";

const REMOVE: &str = "DELETE FROM gae_tasks.task WHERE id = $1";

const RESCHEDULE: &str = "WITH t AS (UPDATE gae_tasks.task SET schedule_time = $2, since = $3, \
                          timed = nullif($4::boolean, false) WHERE id = $1 RETURNING id, lane, \
                          schedule_time, octet_length(payload) AS size, \
                          least(greatest(coalesce(lost_leases, 0), 0), 3)::smallint AS standing, \
                          coalesce(timed, false) AS timed), put AS (INSERT INTO gae_tasks.waiting \
                          (lane, due, task, size, standing, timed, named) SELECT lane, \
                          schedule_time, id, size, standing, timed, true FROM t) SELECT \
                          pg_current_xact_id()::text, (SELECT queue_changes FROM \
                          gae_tasks.version)";

/// Stores tasks, some of which have names or keys, and returns the answer for each.
pub(super) async fn insert(
    database: &Database,
    connection: &mut PgConnection,
    now: Now,
    tasks: &[(&NewTask, i64)],
) -> Result<(Vec<Deferred>, Option<Receipt>), Fault> {
    let (keyed, others): (Vec<_>, Vec<_>) =
        tasks.iter().copied().partition(|(task, _)| task.spec.unique.is_some());
    if keyed.is_empty() {
        return name::insert(database, connection, now, tasks).await;
    }
    let text = |text: &'static str| database.prepared(text);
    let locked = lock(&text, connection, keyed.iter().map(|(task, _)| *task)).await;
    locked.map_err(|error| held(error, keyed[0].0))?;
    let (answers, mut receipt) = name::insert(database, connection, now, &others).await?;
    let ids = others.iter().map(|(task, _)| task.spec.id);
    let mut answers: HashMap<TaskId, Deferred> = ids.zip(answers).collect();
    for (task, lane) in keyed {
        let stored = store(&text, connection, now, (task, lane)).await;
        let (answer, last) = stored.map_err(|error| held(error, task))?;
        answers.insert(task.spec.id, answer);
        let last = last.map(|last| last.after(receipt.as_ref()));
        receipt = last.or(receipt);
    }
    let answer = |(task, _): &(&NewTask, i64)| {
        let new = Deferred::new(task.spec.id, true);
        answers.get(&task.spec.id).copied().unwrap_or(new)
    };
    Ok((tasks.iter().map(answer).collect(), receipt))
}

/// Returns the answer for a task that has a key, if it is clear before anything is written: the
/// task is stored already, or another one has the key and stays as it is.
pub(super) async fn ask(
    database: &Database,
    connection: &mut PgConnection,
    now: Now,
    task: &NewTask,
) -> Result<Option<Deferred>, Fault> {
    let text = |text: &'static str| database.prepared(text);
    let look = Look::at(&text, connection, now, task).await?;
    if look.is_stored {
        return Ok(Some(Deferred::new(task.spec.id, true)));
    }
    let claim = claim(look.holder, task.on_conflict, task.schedule, look.now);
    let is_clear = matches!(claim, Claim::Leave(..));
    Ok(is_clear.then(|| claim.answer(task.spec.id)))
}

/// Waits until nobody else decides about the keys of these tasks; holds them until the transaction
/// ends.
pub(super) async fn lock<'t>(
    text: Text<'_>,
    connection: &mut PgConnection,
    tasks: impl Iterator<Item = &'t NewTask>,
) -> Result<(), sqlx::Error> {
    let number = |task: &NewTask| {
        let key = task.spec.unique?;
        let place = format!("{} {key}", task.spec.queue);
        Some(checksum(place.as_bytes()).cast_signed())
    };
    let numbers: Vec<i64> = tasks.filter_map(number).collect();
    if !numbers.is_empty() {
        text(LOCK).bind(numbers).fetch_all(connection).await?;
    }
    Ok(())
}

/// Stores a task whose key is locked, unless another task has the key and this one says so.
pub(super) async fn store(
    text: Text<'_>,
    connection: &mut PgConnection,
    now: Now,
    (task, lane): (&NewTask, i64),
) -> Result<(Deferred, Option<Receipt>), sqlx::Error> {
    let (own, mut locked) = (task.spec.id, None);
    for _ in 0..ROUNDS {
        let look = Look::at(text, connection, now, task).await?;
        if look.is_stored {
            return Ok((Deferred::new(own, true), None));
        }
        let claim = claim(look.holder, task.on_conflict, task.schedule, look.now);
        match claim {
            Claim::Leave(..) => return Ok((claim.answer(own), None)),
            Claim::Store { .. } => {}
            Claim::Replace { of, .. } | Claim::Reschedule(of, _) if locked != Some(of) => {
                text(LOCK_TASK).bind(uuid(of)).execute(&mut *connection).await?;
                locked = Some(of);
                continue;
            }
            Claim::Replace { .. } | Claim::Reschedule(..) => {
                if !look.take(text, connection).await? {
                    continue;
                }
            }
        }
        let receipt = change(text, connection, now, (task, lane), (claim, look.now)).await?;
        return Ok((claim.answer(own), Some(receipt)));
    }
    Err(sqlx::Error::Encode("others take and free the key of this task all the time".into()))
}

/// Makes a change that was decided at the time `seen`; the task that it concerns waits no more.
async fn change(
    text: Text<'_>,
    connection: &mut PgConnection,
    now: Now,
    (task, lane): (&NewTask, i64),
    (claim, seen): (Claim, Timestamp),
) -> Result<Receipt, sqlx::Error> {
    let begun = Instant::now();
    let unfit = |_| sqlx::Error::Encode("the retry settings cannot be stored".into());
    let (rows, now, begun) = match claim {
        Claim::Reschedule(of, facts) => {
            return reschedule(text, connection, of, facts.wait).await;
        }
        Claim::Replace { of, wait, created } => {
            text(REMOVE).bind(uuid(of)).execute(&mut *connection).await?;
            // The place of the other task may be older than what scans begin at.
            let age = seen.since(wait.due());
            let rows = Rows::of_place(task, lane, wait).map_err(unfit)?;
            (rows, Now::At(created), begun.checked_sub(age).unwrap_or(begun))
        }
        _ => (Rows::of([(task, lane)]).map_err(unfit)?, now, begun),
    };
    let key = task.spec.unique.map(UniqueKey::in_names);
    let query = rows.bind(text(INSERT_KEYED), now).bind(task.spec.queue.as_str()).bind(key);
    receipt(&query.fetch_one(connection).await?, begun)
}

/// Lets a task wait otherwise.
async fn reschedule(
    text: Text<'_>,
    connection: &mut PgConnection,
    of: TaskId,
    wait: Wait,
) -> Result<Receipt, sqlx::Error> {
    let begun = Instant::now();
    let query = text(RESCHEDULE)
        .bind(uuid(of))
        .bind(wait.due().as_micros())
        .bind(wait.since().map(Timestamp::as_micros))
        .bind(wait.is_timed());
    receipt(&query.fetch_one(connection).await?, begun)
}

fn receipt(row: &PgRow, begun: Instant) -> Result<Receipt, sqlx::Error> {
    Ok(Receipt { xid: row.try_get(0)?, queue_changes: row.try_get(1)?, begun })
}

/// What is stored of a key.
struct Look {
    now: Timestamp,
    /// Whether the task that wants the key is stored already.
    is_stored: bool,
    holder: Holder,
    /// The lane of the holder.
    lane: Option<i64>,
}

impl Look {
    async fn at(
        text: Text<'_>,
        connection: &mut PgConnection,
        now: Now,
        task: &NewTask,
    ) -> Result<Self, sqlx::Error> {
        let key = task.spec.unique.map(UniqueKey::in_names);
        let query = text(LOOK).bind(at(now)).bind(uuid(task.spec.id));
        let query = query.bind(task.spec.queue.as_str()).bind(key);
        let row = query.fetch_one(connection).await?;
        Ok(Self {
            now: Timestamp::from_micros(row.try_get(0)?),
            is_stored: row.try_get(1)?,
            holder: holder(&row)?,
            lane: row.try_get(4)?,
        })
    }

    /// Takes the holder, whose row is locked, out of those that wait; returns whether it waited.
    async fn take(
        &self,
        text: Text<'_>,
        connection: &mut PgConnection,
    ) -> Result<bool, sqlx::Error> {
        let Holder::Waiting { id, facts, .. } = self.holder else { return Ok(false) };
        let query = text(TAKE)
            .bind(self.lane)
            .bind(facts.standing() as i16)
            .bind(facts.wait.is_timed())
            .bind(facts.wait.due().as_micros())
            .bind(uuid(id));
        Ok(query.execute(connection).await?.rows_affected() > 0)
    }
}

/// Reads who has the key, as [`LOOK`] returns it.
fn holder(row: &PgRow) -> Result<Holder, sqlx::Error> {
    let Some(of) = row.try_get::<Option<Uuid>, _>(2)?.map(id) else { return Ok(Holder::Nobody) };
    let time = |column: usize| {
        let micros = row.try_get::<Option<i64>, _>(column)?;
        Ok::<_, sqlx::Error>(micros.map(Timestamp::from_micros))
    };
    if let Some(until) = time(3)? {
        return Ok(Holder::Finished { id: of, until });
    }
    let Some(created) = time(5)? else { return Ok(Holder::Nobody) };
    if time(10)?.is_some() {
        return Ok(Holder::Dead { id: of });
    }
    if row.try_get(13)? {
        return Ok(Holder::Running { id: of });
    }
    let due = time(6)?.unwrap_or_default();
    let lost: i64 = row.try_get(9)?;
    let facts = Facts {
        created,
        wait: Wait::of(row.try_get(8)?, time(7)?, due),
        lost_leases: u32::try_from(lost.max(0)).unwrap_or(u32::MAX),
        forced: row.try_get(12)?,
        ..Facts::new(Schedule::Now, None, created)
    };
    let version: Option<i16> = row.try_get(11)?;
    let is_readable = version.is_some_and(|version| version <= i16::from(version::KNOWN));
    Ok(Holder::Waiting { id: of, facts, is_readable })
}

/// Returns the fault of a transaction that could not have the key of a task.
fn held(error: sqlx::Error, task: &NewTask) -> Fault {
    let fault = Fault::from(error);
    let name = task.spec.unique.map(UniqueKey::in_names).filter(|_| fault.is_of_lock());
    match name {
        Some(name) => Fault::Held { queue: task.spec.queue.to_string(), name },
        None => fault,
    }
}
