//! Waiting rows of tasks that are leased: this crate never leaves one, and a lease could never take
//! what comes after it.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use crate::backend::postgres::database::Database;
use crate::backend::postgres::error::Fault;
use crate::backend::postgres::scan::scan;
use crate::backend::postgres::shared::Shared;
use crate::backend::postgres::task::id;
use crate::backend::postgres::unreadable;
use crate::time::Now;

/// How many rows of each lane are looked at: more than a lease takes.
const AT_ONCE: i64 = 10_000;

/// Whether a lease failed because a task that waits is leased.
pub(super) fn is_needed(fault: &Fault) -> bool {
    fault.code().as_deref() == Some("23505")
}

/// Deletes waiting rows of tasks that are leased: those where the row of the task says, or, if none
/// is there, those among the rows that are due first.
pub(super) async fn repair(shared: &Shared) -> Result<(), Fault> {
    let mut connection = shared.database.connection().await?;
    let mut removed = of_leases(&shared.database, &mut connection).await?;
    if removed.is_empty() {
        removed = among_first(&shared.database, &mut connection).await?;
    }
    connection.commit().await?;
    for row in &removed {
        unreadable::row(&shared.database, "waiting", id(row.try_get(0)?));
    }
    Ok(())
}

/// Deletes rows by the leases, which are fewer than what waits.
async fn of_leases(
    database: &Database,
    connection: &mut PgConnection,
) -> Result<Vec<PgRow>, Fault> {
    const REPAIR: &str = "DELETE FROM gae_tasks.waiting w WHERE w.ctid = ANY(ARRAY(SELECT f.at \
                          FROM gae_tasks.lease l JOIN gae_tasks.task t ON t.id = l.task CROSS JOIN \
                          LATERAL (SELECT w.ctid AS at FROM gae_tasks.waiting w WHERE w.lane = \
                          t.lane AND w.standing = least(greatest(coalesce(t.lost_leases, 0), 0), \
                          3)::smallint AND w.timed = coalesce(t.timed, false) AND w.due = \
                          t.schedule_time AND w.task = t.id LIMIT 1) f)) RETURNING w.task";
    Ok(database.query(REPAIR).fetch_all(connection).await?)
}

/// Deletes rows among those that are due first.
async fn among_first(
    database: &Database,
    connection: &mut PgConnection,
) -> Result<Vec<PgRow>, Fault> {
    const REPAIR: &str = "DELETE FROM gae_tasks.waiting w WHERE w.ctid = ANY(ARRAY(SELECT f.at \
                          FROM unnest($1::bigint[], $2::smallint[], $3::boolean[]) AS n(lane, \
                          standing, timed) CROSS JOIN LATERAL (SELECT w.ctid AS at, w.task FROM \
                          gae_tasks.waiting w WHERE w.lane = n.lane AND w.standing = n.standing \
                          AND w.timed = n.timed ORDER BY w.due, w.task LIMIT $4) f WHERE EXISTS \
                          (SELECT FROM gae_tasks.lease l WHERE l.task = f.task))) RETURNING w.task";
    let heads = scan(database, &mut *connection, Now::Storage).await?.heads;
    let query = database
        .query(REPAIR)
        .bind(heads.iter().map(|head| head.lane).collect::<Vec<_>>())
        .bind(heads.iter().map(|head| head.rank).collect::<Vec<_>>())
        .bind(heads.iter().map(|head| head.is_timed).collect::<Vec<_>>())
        .bind(AT_ONCE);
    Ok(query.fetch_all(connection).await?)
}
