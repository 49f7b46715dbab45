//! One task whose row a transaction has locked, and its change.

use sqlx::Row;

use super::change;
use super::commit::commit_change;
use super::database::{at, moment};
use super::error::Fault;
use super::floors;
use super::remove::{Place, begin, busy, take};
use super::shared::Shared;
use super::task::{Task, task_columns, uuid};
use super::work::Work;
use crate::backend::lifecycle::Facts;
use crate::backend::record::error_text;
use crate::backend::refusers::Refusers;
use crate::error::Error;
use crate::task::TaskId;
use crate::time::{Now, Timestamp};

/// Replaces the facts of a task, which then waits for every reader, perhaps because it is `forced`
/// to be due, and wakes workers; `decide` decides from the facts, whether the task is leased, and
/// the time.
///
/// # Errors
/// Besides faults, the inner one: the task is not stored, or the change is refused.
pub(super) async fn replace_facts(
    shared: &Shared,
    id: TaskId,
    now: Now,
    forced: bool,
    decide: impl Fn(Facts, bool, Timestamp) -> Result<Facts, &'static str>,
) -> Result<Result<(), Error>, Fault> {
    let refused = |problem| Ok(Err(Error::NoSuchTask { id, problem }));
    loop {
        let Some(lane) = lane_of(shared, id).await? else {
            return refused(error_text::NOT_STORED);
        };
        // The lane is committed before the task is locked: lanes are made on their own.
        let epoch = shared.catalogue.epoch();
        let (database, catalogue) = (&shared.database, &shared.catalogue);
        let open = catalogue.lane_like(database, lane, Refusers::NONE, forced).await?;
        let (mut work, xid) = begin(shared).await?;
        if shared.catalogue.epoch() != epoch {
            return Err(Fault::Moved);
        }
        let Some(task) = lock(shared, &mut work, id).await? else {
            return refused(error_text::NOT_STORED);
        };
        if task.lane != lane {
            continue;
        }
        let of_lane = shared.catalogue.lane(lane);
        let facts = of_lane.map_or(task.facts, |lane| task.facts_in(&lane));
        let (is_leased, now) = look(shared, &mut work, &task, now).await?;
        let facts = match decide(facts, is_leased, now) {
            Ok(facts) => facts,
            Err(problem) => return refused(problem),
        };
        let waiting = Task { lane: open, facts, ..task };
        change::write(&shared.database, &mut work, &[&waiting]).await?;
        commit_change(&shared.database, work, &xid, &format!("the task {id}")).await?;
        shared.wake_late(floors::age(&facts, now));
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
