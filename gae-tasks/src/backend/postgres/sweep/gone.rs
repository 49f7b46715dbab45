//! Leases of processes that are gone, which need not expire.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::Row;

use super::held;
use crate::backend::HeldLease;
use crate::backend::postgres::absence::Look;
use crate::backend::postgres::error::Fault;
use crate::backend::postgres::limit::within;
use crate::backend::postgres::presence::Due;
use crate::backend::postgres::shared::Shared;
use crate::log;
use crate::time::Timestamp;

/// How long a look may take: a connection that has fallen silent is not waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// The leases that name a process, and whether its lock is held. The locks are read once, and only
/// if there are such leases; if there are none, a row without a lease brings the times. Where a
/// standby was promoted, the last transaction of the server before it counts as its start.
const LOOK: &str = "WITH m AS MATERIALIZED (SELECT (extract(epoch FROM clock_timestamp()) * \
                    1000000)::bigint AS now, (extract(epoch FROM \
                    greatest(pg_postmaster_start_time(), pg_last_xact_replay_timestamp())) * \
                    1000000)::bigint AS since) SELECT l.task, l.token, l.expires, l.duration, \
                    l.holder, CASE WHEN l.holder IS NULL THEN true ELSE l.holder IN (SELECT \
                    (k.classid::bigint << 32) | k.objid::bigint FROM pg_locks k WHERE k.locktype = \
                    'advisory' AND k.objsubid = 1 AND k.granted AND k.database = (SELECT d.oid \
                    FROM pg_database d WHERE d.datname = current_database())) END, m.now, m.since \
                    FROM m LEFT JOIN gae_tasks.lease l ON l.holder IS NOT NULL ORDER BY l.task";

/// Looks at other processes if that is due, and returns at most `limit` leases of those that are
/// gone. Sweeps do not depend on it: leases expire too.
pub(super) async fn gone(shared: &Shared, limit: usize) -> Vec<HeldLease> {
    let Some(due) = shared.presence.due() else { return Vec::new() };
    match look(shared, due).await {
        Ok(look) => shared.presence.look(look, limit),
        Err(fault) => {
            shared.presence.disturb();
            // The session of the listener may be lost as silently.
            if fault.is_of_connection() {
                shared.presence.miss();
            }
            shared.database.heed(&fault);
            if !fault.is_transient() && shared.presence.is_news() {
                let (place, cause) = (shared.database.place(), fault.cause());
                log::say(|| {
                    tracing::warn!(
                        place,
                        cause,
                        "the locks by which other workers show that they live cannot be read: the \
                         tasks of a worker that is gone run again once its leases have expired"
                    );
                });
            }
            Vec::new()
        }
    }
}

async fn look(shared: &Shared, Due { own, asked }: Due) -> Result<Look, Fault> {
    let mut connection = shared.database.connection().await?;
    let query = shared.database.query(LOOK);
    let rows = within(PATIENCE, query.fetch_all(&mut *connection)).await?;
    connection.commit().await?;
    let answered = shared.presence.clock();
    let first = rows.first().ok_or_else(|| Fault::Unreadable("the time".to_owned()))?;
    let now = Timestamp::from_micros(first.try_get(6)?);
    let since = Timestamp::from_micros(first.try_get(7)?);
    let (mut free, mut is_missed) = (BTreeMap::<i64, Vec<HeldLease>>::new(), false);
    for row in &rows {
        let (holder, is_held): (Option<i64>, bool) = (row.try_get(4)?, row.try_get(5)?);
        match holder.filter(|_| !is_held) {
            Some(holder) if holder == own => is_missed = true,
            Some(holder) => free.entry(holder).or_default().push(held::lease(row)?),
            None => {}
        }
    }
    if is_missed {
        shared.presence.miss();
    }
    Ok(Look { asked, answered, now, since, free })
}
