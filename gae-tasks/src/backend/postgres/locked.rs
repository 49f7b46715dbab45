//! One task whose row a transaction has locked, and its change.

use sqlx::{PgConnection, Row};

use super::commit::commit_change;
use super::database::{at, moment};
use super::error::Fault;
use super::remove::{Place, begin, busy, take};
use super::shared::Shared;
use super::task::{Task, task_columns, unless_zero, uuid};
use super::work::Work;
use crate::backend::lifecycle::Facts;
use crate::backend::record::error_text;
use crate::backend::refusers::Refusers;
use crate::error::Error;
use crate::task::TaskId;
use crate::time::{Now, Timestamp};

/// Replaces the facts of a task, which then waits for every reader; `change` decides from the
/// facts, whether the task is leased, and the time.
///
/// # Errors
/// Besides faults, the inner one: the task is not stored, or the change is refused.
pub(super) async fn change(
    shared: &Shared,
    id: TaskId,
    now: Now,
    change: impl Fn(Facts, bool, Timestamp) -> Result<Facts, &'static str>,
) -> Result<Result<(), Error>, Fault> {
    let refused = |problem| Ok(Err(Error::NoSuchTask { id, problem }));
    loop {
        let Some(lane) = lane_of(shared, id).await? else {
            return refused(error_text::NOT_STORED);
        };
        // The lane is committed before the task is locked: lanes are made on their own.
        let open = shared.catalogue.refused_by(&shared.database, lane, Refusers::NONE).await?;
        let (mut work, xid) = begin(shared).await?;
        let Some(task) = lock(shared, &mut work, id).await? else {
            return refused(error_text::NOT_STORED);
        };
        if task.lane != lane {
            continue;
        }
        let of_lane = shared.catalogue.lane(lane);
        let facts = of_lane.map_or(task.facts, |lane| task.facts_in(&lane));
        let (is_leased, now) = look(shared, &mut work, &task, now).await?;
        let facts = match change(facts, is_leased, now) {
            Ok(facts) => facts,
            Err(problem) => return refused(problem),
        };
        wait(shared, &mut work, id, open, facts).await?;
        commit_change(&shared.database, work, &xid, &format!("the task {id}")).await?;
        return Ok(Ok(()));
    }
}

/// Returns the lane of a task, and learns it.
async fn lane_of(shared: &Shared, id: TaskId) -> Result<Option<i64>, Fault> {
    const LANE: &str = "SELECT lane FROM gae_tasks.task WHERE id = $1";
    let mut connection = shared.database.connection().await?;
    let query = shared.database.query(LANE).bind(uuid(id));
    let row = query.fetch_optional(&mut *connection).await?;
    let lane = row.map(|row| row.try_get(0)).transpose()?;
    shared.catalogue.learn_lanes(&shared.database, &mut connection, lane).await?;
    Ok(lane)
}

/// Locks the row of a task, and reads it.
async fn lock(shared: &Shared, work: &mut Work, id: TaskId) -> Result<Option<Task>, Fault> {
    const LOCK: &str =
        concat!("SELECT ", task_columns!(), " FROM gae_tasks.task t WHERE t.id = $1 FOR UPDATE");
    let query = shared.database.query(LOCK).bind(uuid(id));
    let row = query.fetch_optional(&mut **work).await.map_err(|error| busy(error, id))?;
    Ok(row.map(|row| Task::read(&row, 0)).transpose()?)
}

/// Takes the task out of those that wait. Returns whether it is leased, and the time.
async fn look(
    shared: &Shared,
    work: &mut Work,
    task: &Task,
    now: Now,
) -> Result<(bool, Timestamp), Fault> {
    // After the waiting row is gone: a lease that has just taken it is seen.
    const LOOK: &str = concat!(
        "SELECT EXISTS (SELECT FROM gae_tasks.lease WHERE task = $2), ",
        moment!(),
        " FROM (SELECT $1::bigint) AS n"
    );
    let waited = match task.facts.died {
        None => take(shared, work, &[Place::of(task)]).await? > 0,
        Some(_) => false,
    };
    let query = shared.database.query(LOOK).bind(at(now)).bind(uuid(task.id));
    let row = query.fetch_one(&mut **work).await?;
    Ok((row.try_get::<bool, _>(0)? && !waited, Timestamp::from_micros(row.try_get(1)?)))
}

/// Stores the facts of a task that waits from now on, in this lane.
async fn wait(
    shared: &Shared,
    connection: &mut PgConnection,
    id: TaskId,
    lane: i64,
    facts: Facts,
) -> Result<(), Fault> {
    const WAIT: &str = "WITH t AS (UPDATE gae_tasks.task SET lane = $2, schedule_time = $3, since \
                        = $4, timed = nullif($5, false), attempts = $6, lost_leases = $7, \
                        lost_attempts = $8, refusals = $9, first_attempt = $10, died = NULL WHERE \
                        id = $1 RETURNING id, octet_length(payload) AS size, \
                        least(coalesce(lost_leases, 0), 3) AS standing) INSERT INTO \
                        gae_tasks.waiting (lane, due, task, size, standing, timed) SELECT $2, $3, \
                        id, size, standing, $5 FROM t";
    let query = shared
        .database
        .query(WAIT)
        .bind(uuid(id))
        .bind(lane)
        .bind(facts.wait.due().as_micros())
        .bind(facts.wait.since().map(Timestamp::as_micros))
        .bind(facts.wait.is_timed())
        .bind(unless_zero(facts.attempts))
        .bind(unless_zero(facts.lost_leases))
        .bind(unless_zero(facts.lost_attempts))
        .bind(unless_zero(facts.refusals))
        .bind(facts.first_attempt.map(Timestamp::as_micros));
    query.execute(connection).await?;
    Ok(())
}
