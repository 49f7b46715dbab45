//! Dead letters and tombstones whose retention has passed.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::backend::ForgottenTask;
use crate::backend::lifecycle::forgotten_before;
use crate::backend::postgres::change::{self, Changed};
use crate::backend::postgres::database::Database;
use crate::backend::postgres::error::Fault;
use crate::backend::postgres::shared::Shared;
use crate::backend::postgres::task::id;
use crate::backend::postgres::unreadable;
use crate::backend::postgres::work::Work;
use crate::time::Timestamp;

/// How many bytes of payloads one sweep deletes: the dead letter that reaches the limit is the
/// last.
const MAX_FORGOTTEN_BYTES: u64 = 4 * 1024 * 1024;

/// The dead letters that a sweep has deleted.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    pub(super) tasks: Vec<ForgottenTask>,
    /// Whether more are old.
    pub(super) is_cut: bool,
}

/// Deletes at most `limit` dead letters. Those that a newer version of this crate stored, or whose
/// queue it configured, stay.
pub(super) async fn forget_dead(
    shared: &Shared,
    now: Timestamp,
    limit: usize,
) -> Result<Forgotten, Fault> {
    let mut forgotten = Forgotten::default();
    let mut connection = shared.database.connection().await?;
    let lanes = old_lanes(shared, &mut connection, now).await?;
    if lanes.is_empty() || limit == 0 {
        return Ok(forgotten);
    }
    let (ids, is_cut) = old(&shared.database, &mut connection, &lanes, limit).await?;
    connection.commit().await?;
    forgotten.is_cut = is_cut;
    match remove(shared, &ids, now).await {
        Ok(removed) => forgotten.tasks = removed,
        // A rule of the database protects one of them.
        Err(fault) if fault.is_of_data() => {
            for one in &ids {
                match remove(shared, &[*one], now).await {
                    Ok(removed) => forgotten.tasks.extend(removed),
                    Err(fault) if fault.is_of_data() => {
                        unreadable::refused(&shared.database, id(*one), &fault);
                    }
                    Err(fault) => return Err(fault),
                }
            }
        }
        Err(fault) => return Err(fault),
    }
    Ok(forgotten)
}

/// Returns the lanes with dead letters that are old, and the time of death up to which they are.
async fn old_lanes(
    shared: &Shared,
    work: &mut Work,
    now: Timestamp,
) -> Result<Vec<(i64, i64)>, Fault> {
    const FIRST: &str = "WITH RECURSIVE first AS ((SELECT t.lane, t.died FROM gae_tasks.task t \
                         WHERE t.died IS NOT NULL ORDER BY t.lane, t.died LIMIT 1) UNION ALL \
                         SELECT n.lane, n.died FROM first f CROSS JOIN LATERAL (SELECT t.lane, \
                         t.died FROM gae_tasks.task t WHERE t.died IS NOT NULL AND t.lane > f.lane \
                         ORDER BY t.lane, t.died LIMIT 1) n) SELECT lane, died FROM first";
    let Shared { database, catalogue, .. } = shared;
    let rows = database.query(FIRST).fetch_all(&mut **work).await?;
    let first = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    let first: Vec<(i64, i64)> = first.collect::<Result<_, sqlx::Error>>()?;
    catalogue.learn_lanes(database, work, first.iter().map(|(lane, _)| *lane)).await?;
    let old = |(lane, died): &(i64, i64)| {
        let of = catalogue.lane(*lane).filter(|of| !of.key.is_newer())?;
        let config = catalogue.config(&of.key.queue).ok()?;
        let before = forgotten_before(&config, now).as_micros();
        (*died <= before).then_some((*lane, before))
    };
    Ok(first.iter().filter_map(old).collect())
}

/// Returns at most `limit` dead letters of these lanes, and whether more are old than their bytes
/// allow.
async fn old(
    database: &Database,
    connection: &mut PgConnection,
    lanes: &[(i64, i64)],
    limit: usize,
) -> Result<(Vec<Uuid>, bool), Fault> {
    const OLD: &str = "SELECT t.id, t.size FROM unnest($1::bigint[], $2::bigint[]) AS n(lane, \
                       before) CROSS JOIN LATERAL (SELECT t.id, octet_length(t.payload) AS size \
                       FROM gae_tasks.task t WHERE t.died IS NOT NULL AND t.lane = n.lane AND \
                       t.died <= n.before ORDER BY t.died LIMIT $3) t LIMIT $3";
    let (lanes, before): (Vec<_>, Vec<_>) = lanes.iter().copied().unzip();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let query = database.query(OLD).bind(lanes).bind(before).bind(limit);
    let (mut ids, mut bytes) = (Vec::new(), 0);
    for row in &query.fetch_all(connection).await? {
        if bytes >= MAX_FORGOTTEN_BYTES {
            return Ok((ids, true));
        }
        bytes += u64::from(row.try_get::<i32, _>(1)?.unsigned_abs());
        ids.push(row.try_get(0)?);
    }
    Ok((ids, false))
}

/// Deletes those of these tasks that are dead still.
async fn remove(
    shared: &Shared,
    ids: &[Uuid],
    now: Timestamp,
) -> Result<Vec<ForgottenTask>, Fault> {
    let mut work = shared.database.begin().await?;
    let tasks = change::lock(shared, &mut work, ids).await?;
    let dead: Vec<_> = tasks.into_values().filter(|task| task.facts.died.is_some()).collect();
    let forgotten = dead.iter().map(|task| ForgottenTask::new(task.id, task.attributes.clone()));
    let forgotten = forgotten.collect();
    let over: Vec<_> = dead.into_iter().map(Changed::over).collect();
    change::store(shared, &mut work, &over, now).await?;
    work.commit().await?;
    Ok(forgotten)
}

/// Deletes at most `limit` tombstones, and returns how many.
pub(super) async fn forget_names(
    database: &Database,
    now: Timestamp,
    limit: usize,
) -> Result<u64, Fault> {
    const FORGET: &str = "DELETE FROM gae_tasks.name n WHERE n.ctid = ANY(ARRAY(SELECT o.ctid FROM \
                          gae_tasks.name o WHERE o.until IS NOT NULL AND o.until <= $1 ORDER BY \
                          o.until LIMIT $2 FOR UPDATE SKIP LOCKED))";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut connection = database.connection().await?;
    let query = database.query(FORGET).bind(now.as_micros()).bind(limit);
    let forgotten = query.execute(&mut *connection).await?.rows_affected();
    connection.commit().await?;
    Ok(forgotten)
}
