//! Deleting tasks in any state: their rows are locked first, their names leave tombstones.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::change;
use super::error::Fault;
use super::shared::Shared;
use super::task::{Task, uuid};
use super::work::Work;
use crate::task::TaskId;
use crate::time::Timestamp;

/// Where a task waits, unless it is leased or dead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) id: Uuid,
    pub(super) lane: i64,
    standing: i16,
    is_timed: bool,
    due: i64,
    pub(super) is_dead: bool,
}

impl Place {
    pub(super) fn of(task: &Task) -> Self {
        let lost = task.facts.lost_leases.min(3);
        Self {
            id: uuid(task.id),
            lane: task.lane,
            standing: i16::try_from(lost).unwrap_or(3),
            is_timed: task.facts.wait.is_timed(),
            due: task.facts.wait.due().as_micros(),
            is_dead: task.facts.died.is_some(),
        }
    }
}

/// Begins a transaction that waits for a lock only for a few seconds: a transaction of an
/// application may hold a task for as long as it likes. Returns its id too, by which the database
/// knows what became of it.
pub(super) async fn begin(shared: &Shared) -> Result<(Work, String), Fault> {
    const BEGIN: &str = "SELECT pg_current_xact_id()::text, set_config('lock_timeout', '3s', true)";
    let mut work = shared.database.begin().await?;
    let row = shared.database.query(BEGIN).fetch_one(&mut *work).await?;
    Ok((work, row.try_get(0)?))
}

/// Returns the fault of a transaction that could not lock the task `id`.
pub(super) fn busy(error: sqlx::Error, id: TaskId) -> Fault {
    let fault = Fault::from(error);
    if fault.is_of_lock() { Fault::Busy(id.to_string()) } else { fault }
}

macro_rules! lock {
    ($how:literal) => {
        concat!(
            "SELECT id, lane, least(greatest(lost_leases, 0), 3)::smallint, coalesce(timed, \
             false), schedule_time, died IS NOT NULL FROM gae_tasks.task WHERE id = ANY($1) ORDER \
             BY id FOR UPDATE",
            $how
        )
    };
}

/// Locks a task, however long others have held it.
pub(super) async fn lock(
    shared: &Shared,
    work: &mut Work,
    id: TaskId,
) -> Result<Option<Place>, Fault> {
    let places = locked(shared, work, lock!(""), &[uuid(id)]).await;
    let places = places.map_err(|error| busy(error, id))?;
    Ok(places.first().copied())
}

/// Locks those of these tasks that nobody else holds, in the order of their ids.
pub(super) async fn lock_free(
    shared: &Shared,
    work: &mut Work,
    ids: &[Uuid],
) -> Result<Vec<Place>, Fault> {
    Ok(locked(shared, work, lock!(" SKIP LOCKED"), ids).await?)
}

async fn locked(
    shared: &Shared,
    connection: &mut PgConnection,
    text: &'static str,
    ids: &[Uuid],
) -> Result<Vec<Place>, sqlx::Error> {
    let rows = shared.database.query(text).bind(ids).fetch_all(connection).await?;
    let place = |row: &sqlx::postgres::PgRow| {
        Ok(Place {
            id: row.try_get(0)?,
            lane: row.try_get(1)?,
            standing: row.try_get(2)?,
            is_timed: row.try_get(3)?,
            due: row.try_get(4)?,
            is_dead: row.try_get(5)?,
        })
    };
    rows.iter().map(place).collect()
}

/// Takes tasks, whose rows are locked, out of those that wait. Returns how many waited.
pub(super) async fn take(
    shared: &Shared,
    connection: &mut PgConnection,
    places: &[Place],
) -> Result<u64, Fault> {
    const TAKE: &str = "DELETE FROM gae_tasks.waiting w USING unnest($1::bigint[], $2::smallint[], \
                        $3::boolean[], $4::bigint[], $5::uuid[]) AS n(lane, standing, timed, due, \
                        task) WHERE w.lane = n.lane AND w.standing = n.standing AND w.timed = \
                        n.timed AND w.due = n.due AND w.task = n.task";
    let query = shared
        .database
        .query(TAKE)
        .bind(places.iter().map(|place| place.lane).collect::<Vec<_>>())
        .bind(places.iter().map(|place| place.standing).collect::<Vec<_>>())
        .bind(places.iter().map(|place| place.is_timed).collect::<Vec<_>>())
        .bind(places.iter().map(|place| place.due).collect::<Vec<_>>())
        .bind(places.iter().map(|place| place.id).collect::<Vec<_>>());
    Ok(query.execute(connection).await?.rows_affected())
}

/// Deletes tasks whose rows are locked. Their leases are lost, and their names are blocked until
/// `until`. Returns whether one of the leases counted, because its queue has limits.
pub(super) async fn remove(
    shared: &Shared,
    work: &mut Work,
    places: &[Place],
    until: Timestamp,
) -> Result<bool, Fault> {
    const END: &str =
        "DELETE FROM gae_tasks.lease WHERE task = ANY($1) RETURNING queue IS NOT NULL";
    let ids: Vec<_> = places.iter().map(|place| place.id).collect();
    let open: Vec<_> = places.iter().filter(|place| !place.is_dead).copied().collect();
    let waited = if open.is_empty() { 0 } else { take(shared, work, &open).await? };
    // A statement of its own: it sees the leases of tasks that were leased meanwhile.
    let mut counted = false;
    if waited < open.len() as u64 {
        for row in &shared.database.query(END).bind(&ids).fetch_all(&mut **work).await? {
            counted |= row.try_get::<bool, _>(0)?;
        }
    }
    let until = vec![until.as_micros(); ids.len()];
    change::delete(&shared.database, work, ids, until).await?;
    Ok(counted)
}
