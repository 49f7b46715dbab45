//! Lost leases: recovers tasks whose worker is gone.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::backend::lifecycle::{self, Loss};
use crate::backend::postgres::change::{self, Changed};
use crate::backend::postgres::database::Database;
use crate::backend::postgres::error::Fault;
use crate::backend::postgres::shared::Shared;
use crate::backend::postgres::task::{Task, id, uuid};
use crate::backend::postgres::{stray, unreadable};
use crate::backend::{HeldLease, Settled, Sweep, Swept};
use crate::task::TaskId;
use crate::time::{self, Timestamp};

/// Recovers the leases that are lost and unchanged, but for those whose tasks others have locked.
pub(super) async fn recover(
    shared: &Shared,
    lost: &[HeldLease],
    now: Timestamp,
    swept: &mut Swept,
) -> Result<(), Fault> {
    if lost.is_empty() {
        return Ok(());
    }
    match recover_all(shared, lost, now).await {
        Ok(recovered) => count(swept, &recovered),
        // A rule of the database protects one of the tasks.
        Err(fault) if fault.is_of_data() => {
            for one in lost {
                match recover_all(shared, std::slice::from_ref(one), now).await {
                    Ok(recovered) => count(swept, &recovered),
                    Err(fault) if fault.is_of_data() => {
                        unreadable::refused(&shared.database, one.lease.id, &fault);
                    }
                    Err(fault) => return Err(fault),
                }
            }
        }
        Err(fault) => return Err(fault),
    }
    Ok(())
}

async fn recover_all(
    shared: &Shared,
    lost: &[HeldLease],
    now: Timestamp,
) -> Result<Vec<Changed>, Fault> {
    let mut work = shared.database.begin().await?;
    let mut lost: Vec<_> = lost.iter().collect();
    lost.sort_unstable_by_key(|held| held.lease.id);
    let ids: Vec<_> = lost.iter().map(|held| uuid(held.lease.id)).collect();
    let mut tasks = change::lock(shared, &mut work, &ids).await?;
    let missing = ids.iter().filter(|one| !tasks.contains_key(&id(**one))).copied();
    let missing: Vec<_> = missing.collect();
    let locked = change::stored(&shared.database, &mut work, &missing).await?;
    lost.retain(|held| !locked.contains(&held.lease.id));
    let (mut recovered, mut counted) = (Vec::new(), false);
    for (id, (loss, counts)) in end(&shared.database, &mut work, &lost).await? {
        counted |= counts;
        // A task without a row is over: its handler has completed it.
        if let Some(task) = tasks.remove(&id) {
            recovered.extend(lose(shared, task, loss, now));
        }
    }
    change::store(shared, &mut work, &recovered, now).await?;
    work.commit().await?;
    // Workers are woken for what was recovered, but the task may have been over.
    if counted && recovered.is_empty() {
        shared.wake();
    }
    Ok(recovered)
}

/// Ends those of these leases that are unchanged. Returns their tasks, how each ran, and whether
/// the lease counted, because its queue has limits.
async fn end(
    database: &Database,
    connection: &mut PgConnection,
    lost: &[&HeldLease],
) -> Result<HashMap<TaskId, (Loss, bool)>, Fault> {
    const END: &str = "DELETE FROM gae_tasks.lease l USING unnest($1::uuid[], $2::bigint[], \
                       $3::bigint[], $4::bigint[]) AS n(task, token, expires, duration) WHERE \
                       l.task = n.task AND l.token = n.token AND l.expires = n.expires AND \
                       l.duration = n.duration RETURNING l.task, l.alone, coalesce(l.cancelled, \
                       false), l.queue IS NOT NULL";
    let each = |of: fn(&HeldLease) -> i64| lost.iter().map(|held| of(held)).collect::<Vec<_>>();
    let query = database
        .query(END)
        .bind(lost.iter().map(|held| uuid(held.lease.id)).collect::<Vec<_>>())
        .bind(each(|held| held.lease.token.to_bits()))
        .bind(each(|held| held.expires.as_micros()))
        .bind(each(|held| time::micros(held.duration)));
    let ended = query.fetch_all(connection).await?;
    let read = |row: &PgRow| {
        let loss = Loss { alone: row.try_get(1)?, cancelled: row.try_get(2)? };
        Ok((id(row.try_get(0)?), (loss, row.try_get(3)?)))
    };
    ended.iter().map(read).collect()
}

/// Puts tasks back that have lost their lease, or the row by which they waited, without a trace: as
/// if the lease was lost.
pub(super) async fn put_back_strays(
    shared: &Shared,
    request: &Sweep,
    now: Timestamp,
    swept: &mut Swept,
) -> Result<(), Fault> {
    if request.limit == 0 {
        return Ok(());
    }
    let mut connection = shared.database.connection().await?;
    let strays = shared.strays.look(&shared.database, &mut connection).await?;
    connection.commit().await?;
    for one in strays {
        match put_back(shared, one, now).await {
            Ok(recovered) => count(swept, recovered.as_slice()),
            Err(fault) if fault.is_of_data() => {
                unreadable::refused(&shared.database, id(one), &fault);
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

async fn put_back(shared: &Shared, stray: Uuid, now: Timestamp) -> Result<Option<Changed>, Fault> {
    let mut work = shared.database.begin().await?;
    let mut tasks = change::lock(shared, &mut work, &[stray]).await?;
    // It may have been in the middle of a change.
    if stray::still(&shared.database, &mut work, &[stray]).await?.is_empty() {
        return Ok(None);
    }
    let Some(task) = tasks.remove(&id(stray)) else { return Ok(None) };
    // With the lease, a request to cancel the task is lost.
    let recovered = lose(shared, task, Loss { alone: false, cancelled: false }, now);
    change::store(shared, &mut work, recovered.as_slice(), now).await?;
    work.commit().await?;
    Ok(recovered)
}

/// Changes a task that has lost its lease; its lane stays the same.
fn lose(shared: &Shared, task: Task, loss: Loss, now: Timestamp) -> Option<Changed> {
    let lose = |facts, rules: Option<&_>| lifecycle::lose(facts, loss, rules, now);
    Changed::new(&shared.catalogue, task, now, lose).ok()
}

/// Counts recovered tasks, and those that are dead now.
fn count(swept: &mut Swept, recovered: &[Changed]) {
    swept.recovered += recovered.len() as u64;
    let died = recovered.iter().filter(|changed| changed.settled() == Settled::Dead);
    swept.died += died.count() as u64;
}
