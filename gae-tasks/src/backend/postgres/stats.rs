//! Counts tasks by state over the narrow tables and indexes: no task that waits is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::database::{at, moment};
use super::error::Fault;
use super::lane::{Lane, lane_columns};
use super::shared::Shared;
use super::unreadable;
use crate::backend::{RouteStats, Stats};
use crate::queue::QueueName;
use crate::task::Route;
use crate::time::{Now, Timestamp};

pub(super) async fn stats(shared: Arc<Shared>, now: Now) -> Result<Vec<RouteStats>, Fault> {
    // A task is counted in one state, because one statement counts them all.
    const COUNT: &str = concat!(
        "SELECT ",
        lane_columns!(),
        ", s.scheduled, s.due, s.leased, s.dead, s.oldest, (SELECT queue_changes FROM \
          gae_tasks.version), s.lane FROM (SELECT lane, count(*) AS scheduled, count(*) FILTER \
          (WHERE NOT timed OR due <= (SELECT ",
        moment!(),
        ")) AS due, 0::bigint AS leased, 0::bigint AS dead, min(due) AS oldest FROM \
          gae_tasks.waiting GROUP BY lane UNION ALL SELECT t.lane, 0, 0, count(*), 0, NULL FROM \
          gae_tasks.lease e CROSS JOIN LATERAL (SELECT lane FROM gae_tasks.task WHERE id = e.task \
          AND died IS NULL OFFSET 0) t GROUP BY t.lane UNION ALL SELECT lane, 0, 0, 0, count(*), \
          NULL FROM gae_tasks.task WHERE died IS NOT NULL GROUP BY lane) s LEFT JOIN \
          gae_tasks.lane l ON l.id = s.lane"
    );
    let Shared { database, catalogue, .. } = &*shared;
    let mut connection = database.connection().await?;
    let rows = database.query(COUNT).bind(at(now)).fetch_all(&mut *connection).await?;
    if let Some(row) = rows.first() {
        catalogue.refresh_queues(database, &mut connection, row.try_get(13)?).await?;
    }
    let mut lines: BTreeMap<(QueueName, Route, bool), RouteStats> = BTreeMap::new();
    for row in &rows {
        let Some(lane) = Lane::read(row, 0) else {
            unreadable::row(database, "lane", row.try_get::<i64, _>(14)?);
            continue;
        };
        let is_newer = lane.key.is_newer() || catalogue.config(&lane.key.queue).is_err();
        let (queue, route) = (lane.key.queue, lane.key.route);
        let line = lines.entry((queue.clone(), route.clone(), is_newer)).or_insert_with(|| {
            RouteStats { is_newer, ..RouteStats::new(queue, route, Stats::default()) }
        });
        line.add(lane.key.refusers, read(row)?);
    }
    Ok(lines.into_values().collect())
}

fn read(row: &PgRow) -> Result<Stats, sqlx::Error> {
    let count = |column| row.try_get::<i64, _>(column).map(|count| count.max(0).unsigned_abs());
    Ok(Stats {
        scheduled: count(8)?,
        due: count(9)?,
        leased: count(10)?,
        dead: count(11)?,
        oldest_due: row.try_get::<Option<i64>, _>(12)?.map(Timestamp::from_micros),
    })
}
