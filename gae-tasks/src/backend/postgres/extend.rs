//! Extending leases.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::database::{at, moment};
use super::error::Fault;
use super::shared::Shared;
use super::task::uuid;
use crate::backend::{Extend, LeaseRef, LeaseToken};
use crate::log;
use crate::time;

/// The commit does not wait for the disk: a crash of the server that takes a renewal back ends no
/// lease, because all others begin to watch the leases anew.
macro_rules! extend {
    ($with:literal, $from:literal, $how:literal) => {
        concat!(
            "WITH ",
            $with,
            "moment AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true), ",
            moment!(),
            " AS now), held AS MATERIALIZED (SELECT l.task FROM unnest($2::uuid[], $3::bigint[]) \
             AS n(task, token) JOIN gae_tasks.lease l ON l.task = n.task AND l.token = n.token",
            $from,
            " ORDER BY l.task FOR UPDATE OF l",
            $how,
            "), extended AS (UPDATE gae_tasks.lease l SET expires = CASE WHEN m.now > \
             9223372036854775807 - $4::bigint THEN 9223372036854775807 ELSE m.now + $4::bigint \
             END, duration = $4::bigint, holder = $5::bigint FROM held h CROSS JOIN moment m WHERE \
             l.task = h.task RETURNING l.task, l.token) SELECT task, token, true FROM extended \
             UNION ALL SELECT l.task, l.token, false FROM unnest($2::uuid[], $3::bigint[]) AS \
             n(task, token) JOIN gae_tasks.lease l ON l.task = n.task AND l.token = n.token"
        )
    };
}

/// Extends the leases that nobody else has locked; returns those too that were there when the
/// statement began.
const EXTEND: &str = extend!("", "", " SKIP LOCKED");

/// Waits for whoever ends, or extends, the leases, but not for long: a lease is joined with the
/// setting, and so the setting made, before it is locked.
const WAIT: &str = extend!(
    "patience AS MATERIALIZED (SELECT set_config('lock_timeout', '2s', true)), ",
    " CROSS JOIN patience",
    ""
);

pub(super) async fn extend(shared: Arc<Shared>, request: Extend) -> Result<Vec<bool>, Fault> {
    let mut connection = shared.database.renewing().await?;
    let (mut held, there) =
        run(&shared, &mut connection, EXTEND, &request, &request.leases).await?;
    connection.commit().await?;
    let locked: Vec<_> = there.difference(&held).copied().collect();
    if !locked.is_empty() {
        held.extend(wait(&shared, &request, &locked).await);
    }
    Ok(request.leases.iter().map(|lease| held.contains(lease)).collect())
}

/// Extends leases that others have locked a moment ago, and returns those that are held. A lease
/// that stays locked is one that nobody has ended, and one that cannot be asked for now is asked
/// for again by the next renewal.
async fn wait(shared: &Shared, request: &Extend, locked: &[LeaseRef]) -> HashSet<LeaseRef> {
    match extend_locked(shared, request, locked).await {
        Ok(held) => held,
        Err(fault) => {
            if !fault.is_of_lock() {
                shared.database.heed(&fault);
                let (place, cause) = (shared.database.place(), fault.cause());
                log::say(|| {
                    tracing::warn!(
                        place,
                        cause,
                        "locked leases are not extended: the next renewal tries it again"
                    );
                });
            }
            locked.iter().copied().collect()
        }
    }
}

/// Waits for others, on the connection of the renewals: all others may be in use.
async fn extend_locked(
    shared: &Shared,
    request: &Extend,
    locked: &[LeaseRef],
) -> Result<HashSet<LeaseRef>, Fault> {
    let mut connection = shared.database.renewing().await?;
    let (held, _) = run(shared, &mut connection, WAIT, request, locked).await?;
    connection.commit().await?;
    Ok(held)
}

/// Returns the leases that were extended, and those that were there.
async fn run(
    shared: &Shared,
    connection: &mut PgConnection,
    text: &'static str,
    request: &Extend,
    leases: &[LeaseRef],
) -> Result<(HashSet<LeaseRef>, HashSet<LeaseRef>), Fault> {
    let query = shared
        .database
        .query(text)
        .bind(at(request.now))
        .bind(leases.iter().map(|lease| uuid(lease.id)).collect::<Vec<Uuid>>())
        .bind(leases.iter().map(|lease| lease.token.to_bits()).collect::<Vec<_>>())
        .bind(time::micros(request.duration))
        .bind(shared.presence.holder());
    let (mut held, mut there) = (HashSet::new(), HashSet::new());
    for row in &query.fetch_all(connection).await? {
        let token = LeaseToken::from_bits(row.try_get(1)?);
        let lease = LeaseRef::new(super::task::id(row.try_get(0)?), token);
        if row.try_get(2)? {
            held.insert(lease)
        } else {
            there.insert(lease)
        };
    }
    Ok((held, there))
}
