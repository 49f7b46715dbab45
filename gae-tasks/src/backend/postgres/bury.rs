//! Dead letters of tasks that ended elsewhere.

use std::sync::Arc;

use sqlx::{PgConnection, Row};

use super::database::{at, moment};
use super::error::Fault;
use super::shared::Shared;
use super::task::{nanos, unless_zero, uuid, write_errors};
use crate::backend::lifecycle::{self, Facts};
use crate::backend::{Bury, NewTask, TaskError};
use crate::task::TaskSpec;
use crate::time::Timestamp;
use crate::version;

pub(super) async fn bury(shared: Arc<Shared>, request: Bury) -> Result<(), Fault> {
    const LOOK: &str = concat!(
        "SELECT ",
        moment!(),
        ", EXISTS (SELECT FROM gae_tasks.task WHERE id = $2) FROM (SELECT $1::bigint) AS n"
    );
    let Shared { database, catalogue, .. } = &*shared;
    let id = uuid(request.task.spec.id);
    let mut connection = database.connection().await?;
    let query = database.query(LOOK).bind(at(request.now)).bind(id);
    let row = query.fetch_one(&mut *connection).await?;
    drop(connection);
    if row.try_get(1)? {
        return Ok(());
    }
    let now = Timestamp::from_micros(row.try_get(0)?);
    catalogue.lanes_of(database, &[&request.task]).await?;
    let mut work = database.begin().await?;
    // On the server that the transaction is on.
    let lanes = catalogue.known_lanes_of([&request.task]);
    let lanes = lanes.filter(|lanes| work.is_in(lanes.epoch));
    let lane = lanes.and_then(|lanes| lanes.ids.first().copied()).ok_or(Fault::Moved)?;
    if insert(&shared, &mut work, &request, lane, now).await? {
        take_name(&shared, &mut work, &request.task.spec, now).await?;
    }
    work.commit().await
}

/// Stores the dead letter, without a name, unless a task of its id is stored.
async fn insert(
    shared: &Shared,
    connection: &mut PgConnection,
    request: &Bury,
    lane: i64,
    now: Timestamp,
) -> Result<bool, Fault> {
    const INSERT: &str = "INSERT INTO gae_tasks.task (id, lane, created, schedule_time, timed, \
                          attempts, died, first_attempt, max_attempts, deadline, retry, \
                          attributes, errors, payload) VALUES ($1, $2, $3, $4, nullif($5, false), \
                          $6, $3, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (id) DO NOTHING";
    let NewTask { spec, payload, schedule, .. } = &request.task;
    let new = Facts::new(*schedule, spec.max_attempts, now);
    let facts = lifecycle::bury(new, request.attempts, request.first_attempt, now);
    let errors = [TaskError::new(request.attempts, now, request.error.as_str())];
    let encode = |retry| {
        let bytes = version::encode(retry);
        bytes.ok_or_else(|| Fault::Unreadable("a task's own retry settings".to_owned()))
    };
    let query = shared
        .database
        .query(INSERT)
        .bind(uuid(spec.id))
        .bind(lane)
        .bind(now.as_micros())
        .bind(facts.wait.due().as_micros())
        .bind(facts.wait.is_timed())
        .bind(unless_zero(facts.attempts))
        .bind(facts.first_attempt.map(Timestamp::as_micros))
        .bind(spec.max_attempts.map(i64::from))
        .bind(spec.deadline.map(nanos))
        .bind(spec.retry.as_ref().map(encode).transpose()?)
        .bind(spec.attributes.as_deref())
        .bind(write_errors(&errors)?)
        .bind(payload.as_slice());
    Ok(query.execute(connection).await?.rows_affected() > 0)
}

/// Gives the dead letter its name, unless another task has the name or it is blocked, as
/// [`lifecycle::refuse_name`] decides.
async fn take_name(
    shared: &Shared,
    connection: &mut PgConnection,
    spec: &TaskSpec,
    now: Timestamp,
) -> Result<(), Fault> {
    const TAKE: &str = "WITH n AS (INSERT INTO gae_tasks.name AS n (queue, name, task, until) \
                        VALUES ($1, $2, $3, NULL) ON CONFLICT (queue, name) DO UPDATE SET task = \
                        excluded.task, until = NULL WHERE n.until <= $4 RETURNING n.task) UPDATE \
                        gae_tasks.task t SET name = $2 FROM n WHERE t.id = n.task";
    let Some(name) = &spec.name else { return Ok(()) };
    let query = shared
        .database
        .query(TAKE)
        .bind(spec.queue.as_str())
        .bind(name.as_str())
        .bind(uuid(spec.id))
        .bind(now.as_micros());
    query.execute(connection).await?;
    Ok(())
}
