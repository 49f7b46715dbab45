//! Cancelling a task: one that waits is deleted; of one that is leased, the row of the lease says
//! so until the lease ends.

use std::sync::Arc;

use sqlx::Row;

use super::admin::tombstone;
use super::change;
use super::commit::commit_change;
use super::error::Fault;
use super::remove::{begin, busy, lock, take};
use super::shared::Shared;
use super::task::{id, uuid};
use super::work::Work;
use crate::backend::{Cancelled, LeaseRef, LeaseToken, TaskRequest};
use crate::task::TaskId;

pub(super) async fn cancel(shared: Arc<Shared>, request: TaskRequest) -> Result<Cancelled, Fault> {
    let (mut work, xid) = begin(&shared).await?;
    let cancelled = match mark(&shared, &mut work, request.id).await? {
        Some(cancelled) => cancelled,
        None => remove(&shared, &mut work, request).await?,
    };
    if cancelled == Cancelled::Gone {
        return Ok(cancelled);
    }
    let what = format!("the task {}", request.id);
    commit_change(&shared.database, work, &xid, &what).await?;
    if cancelled == Cancelled::Requested {
        shared.cancels.send_modify(|count| *count += 1);
    }
    Ok(cancelled)
}

/// Records in the row of the lease that the task was cancelled; `None` if the task is not leased.
///
/// The row of the task is not locked: a transaction of the application that completes the task may
/// hold it for as long as it likes, and the task is done if it commits.
async fn mark(shared: &Shared, work: &mut Work, id: TaskId) -> Result<Option<Cancelled>, Fault> {
    const MARK: &str = "UPDATE gae_tasks.lease l SET cancelled = true WHERE l.task = $1 RETURNING \
                        EXISTS (SELECT FROM gae_tasks.task t WHERE t.id = l.task)";
    let query = shared.database.query(MARK).bind(uuid(id));
    let row = query.fetch_optional(&mut **work).await.map_err(|error| busy(error, id))?;
    let Some(row) = row else { return Ok(None) };
    // A task without a row was completed, and its lease is only to be settled.
    let is_stored = row.try_get(0)?;
    Ok(Some(if is_stored { Cancelled::Requested } else { Cancelled::Gone }))
}

/// Deletes a task that waits, unless it is leased meanwhile.
async fn remove(
    shared: &Shared,
    work: &mut Work,
    request: TaskRequest,
) -> Result<Cancelled, Fault> {
    let Some(place) = lock(shared, work, request.id).await?.filter(|place| !place.is_dead) else {
        return Ok(Cancelled::Gone);
    };
    // After the waiting row is gone: a lease that has just taken it is seen.
    if take(shared, work, &[place]).await? == 0
        && let Some(cancelled) = mark(shared, work, request.id).await?
    {
        return Ok(cancelled);
    }
    let until = tombstone(shared, work, place.lane, request.now).await?;
    change::delete(&shared.database, work, vec![place.id], vec![until.as_micros()]).await?;
    Ok(Cancelled::Removed)
}

/// Returns the leases of tasks that were cancelled.
pub(super) async fn cancelled(shared: Arc<Shared>) -> Result<Vec<LeaseRef>, Fault> {
    const CANCELLED: &str = "SELECT task, token FROM gae_tasks.lease WHERE cancelled";
    let mut connection = shared.database.connection().await?;
    let rows = shared.database.query(CANCELLED).fetch_all(&mut *connection).await?;
    // Workers ask twice a second: the connection is given back whole.
    connection.commit().await?;
    let lease = |row: &sqlx::postgres::PgRow| {
        Ok(LeaseRef::new(id(row.try_get(0)?), LeaseToken::from_bits(row.try_get(1)?)))
    };
    rows.iter().map(lease).collect()
}
