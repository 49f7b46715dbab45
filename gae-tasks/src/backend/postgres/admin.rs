//! Changes of one task by hand.

use std::sync::Arc;

use sqlx::Row;

use super::commit::commit_change;
use super::database::{at, moment};
use super::error::Fault;
use super::shared::Shared;
use super::work::Work;
use super::{locked, remove};
use crate::backend::TaskRequest;
use crate::backend::lifecycle;
use crate::error::Error;
use crate::time::{Now, Timestamp};

pub(super) async fn delete(shared: Arc<Shared>, request: TaskRequest) -> Result<bool, Fault> {
    let (mut work, xid) = remove::begin(&shared).await?;
    let Some(place) = remove::lock(&shared, &mut work, request.id).await? else {
        return Ok(false);
    };
    let until = tombstone(&shared, &mut work, place.lane, request.now).await?;
    let counted = remove::remove(&shared, &mut work, &[place], until).await?;
    let what = format!("the task {}", request.id);
    commit_change(&shared.database, work, &xid, &what).await?;
    // A task may wait for the place.
    if counted {
        shared.wake();
    }
    Ok(true)
}

pub(super) async fn run_now(
    shared: Arc<Shared>,
    request: TaskRequest,
) -> Result<Result<(), Error>, Fault> {
    locked::replace_facts(&shared, request.id, request.now, true, lifecycle::run_now).await
}

pub(super) async fn replay(
    shared: Arc<Shared>,
    request: TaskRequest,
) -> Result<Result<(), Error>, Fault> {
    let replay = |facts, _, now| lifecycle::replay(facts, now);
    locked::replace_facts(&shared, request.id, request.now, false, replay).await
}

/// Returns until when the name of a task of this lane is blocked, if the task ends now.
pub(super) async fn tombstone(
    shared: &Shared,
    work: &mut Work,
    lane: i64,
    now: Now,
) -> Result<Timestamp, Fault> {
    const NOW: &str = concat!("SELECT ", moment!(), ", queue_changes FROM gae_tasks.version");
    let Shared { database, catalogue, .. } = shared;
    let row = database.query(NOW).bind(at(now)).fetch_one(&mut **work).await?;
    catalogue.learn_lanes(database, work, [lane]).await?;
    catalogue.refresh_queues(database, work, row.try_get(1)?).await?;
    let config = catalogue.lane(lane).and_then(|lane| catalogue.config(&lane.key.queue).ok());
    Ok(lifecycle::tombstone(config.as_ref(), Timestamp::from_micros(row.try_get(0)?)))
}
