//! What waits, by one statement: for each lane and standing the first task, timed and not timed.
//!
//! The statement jumps through the index from one of them to the next, so its cost grows with the
//! number of lanes in which tasks wait, not with the number of tasks.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::database::{Database, at, moment};
use super::error::Fault;
use crate::backend::Standing;
use crate::time::{Now, Timestamp};

const SCAN: &str = concat!(
    "WITH RECURSIVE head AS ((SELECT w.lane, w.standing, w.timed, w.due, w.task FROM \
     gae_tasks.waiting w ORDER BY w.lane, w.standing, w.timed, w.due, w.task LIMIT 1) UNION ALL \
     SELECT n.lane, n.standing, n.timed, n.due, n.task FROM head h CROSS JOIN LATERAL (SELECT \
     w.lane, w.standing, w.timed, w.due, w.task FROM gae_tasks.waiting w WHERE (w.lane, \
     w.standing, w.timed) > (h.lane, h.standing, h.timed) ORDER BY w.lane, w.standing, w.timed, \
     w.due, w.task LIMIT 1) n) SELECT v.now, v.queue_changes, h.lane, h.standing, h.timed, h.due, \
     h.task FROM (SELECT ",
    moment!(),
    " AS now, queue_changes FROM gae_tasks.version) v LEFT JOIN head h ON true"
);

/// What waits, as of a moment.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    pub(super) now: Timestamp,
    /// The count of changes of queues.
    pub(super) changes: i64,
    /// In the order of lanes and standings; of each, first what is not timed.
    pub(super) heads: Vec<Head>,
}

/// The first waiting task of a lane and a standing that is, or is not, timed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) lane: i64,
    /// The standing in its stored form.
    pub(super) rank: i16,
    pub(super) is_timed: bool,
    pub(super) due: Timestamp,
    pub(super) task: Uuid,
}

impl Head {
    pub(super) fn standing(&self) -> Standing {
        Standing::of(self.rank.max(0).unsigned_abs().into())
    }
}

/// Reads what waits.
pub(super) async fn scan(
    database: &Database,
    connection: &mut PgConnection,
    now: Now,
) -> Result<Scan, Fault> {
    let rows = database.prepared(SCAN).bind(at(now)).fetch_all(connection).await?;
    let mut scan = Scan { now: Timestamp::default(), changes: 0, heads: Vec::new() };
    for row in &rows {
        scan.now = Timestamp::from_micros(row.try_get(0)?);
        scan.changes = row.try_get(1)?;
        if let Some(lane) = row.try_get(2)? {
            scan.heads.push(Head {
                lane,
                rank: row.try_get(3)?,
                is_timed: row.try_get(4)?,
                due: Timestamp::from_micros(row.try_get(5)?),
                task: row.try_get(6)?,
            });
        }
    }
    Ok(scan)
}
