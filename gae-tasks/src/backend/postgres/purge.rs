//! Deleting the tasks of a queue, slice by slice, so that no transaction keeps others waiting.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::commit::commit_change;
use super::database::{at, moment};
use super::error::Fault;
use super::lane::{Lane, lane_columns};
use super::patience::again;
use super::shared::Shared;
use super::{remove, task};
use crate::backend::{Purged, lifecycle};
use crate::queue::QueueName;
use crate::time::{Now, Timestamp};

/// How many tasks a slice deletes at most, and however long it takes: each slice waits for a disk.
const SLICE: RangeInclusive<usize> = 100..=1_000;

/// About how long a slice takes before its commit, so that others have their turn.
const TIME: Duration = Duration::from_millis(20);

pub(super) async fn purge(
    shared: Arc<Shared>,
    queue: QueueName,
    now: Now,
) -> Result<Purged, Fault> {
    let find = || Doomed::find(&shared, &queue, now, false);
    let doomed = again(&shared.database, find).await?;
    let deleted = doomed.delete(&shared).await?;
    Ok(Purged::new(deleted, doomed.left))
}

/// The tasks of a queue that are to be deleted, as they are found in the beginning.
#[derive(Debug)]
pub(super) struct Doomed {
    /// In ascending order.
    ids: Vec<Uuid>,
    /// How many tasks are left: those that this program cannot read, or whose queue it cannot.
    pub(super) left: u64,
    /// How many tasks and dead letters were found.
    pub(super) found: [u64; 2],
    with_dead: bool,
    /// Until when their names are blocked.
    until: Timestamp,
}

impl Doomed {
    /// Finds the tasks of a queue, and its dead letters if `with_dead`.
    pub(super) async fn find(
        shared: &Shared,
        queue: &QueueName,
        now: Now,
        with_dead: bool,
    ) -> Result<Self, Fault> {
        // One statement: a task that is leased meanwhile is found once. By the lanes, whatever the
        // server believes about the tables.
        const FIND: &str = "SELECT w.task, w.lane, false FROM unnest($1::bigint[]) AS n(lane) \
                            CROSS JOIN LATERAL (SELECT task, lane FROM gae_tasks.waiting WHERE \
                            lane = n.lane OFFSET 0) w UNION ALL SELECT t.id, t.lane, false FROM \
                            gae_tasks.lease e CROSS JOIN LATERAL (SELECT id, lane FROM \
                            gae_tasks.task WHERE id = e.task AND died IS NULL OFFSET 0) t WHERE \
                            t.lane = ANY($1) UNION ALL SELECT d.id, d.lane, true FROM \
                            unnest($1::bigint[]) AS n(lane) CROSS JOIN LATERAL (SELECT id, lane \
                            FROM gae_tasks.task WHERE lane = n.lane AND died IS NOT NULL OFFSET 0) \
                            d WHERE $2";
        const NOW: &str = concat!("SELECT ", moment!(), ", queue_changes FROM gae_tasks.version");
        let Shared { database, catalogue, .. } = shared;
        let mut connection = database.connection().await?;
        let row = database.query(NOW).bind(at(now)).fetch_one(&mut *connection).await?;
        catalogue.refresh_queues(database, &mut connection, row.try_get(1)?).await?;
        let config = catalogue.config(queue);
        let lanes = lanes(shared, &mut connection, queue).await?;
        let readable = |lane: &&Option<Lane>| {
            config.is_ok() && lane.as_ref().is_some_and(|lane| !lane.key.is_newer())
        };
        let doomed: HashSet<_> =
            lanes.iter().filter(|(_, lane)| readable(&lane)).map(|(id, _)| *id).collect();
        let lanes: Vec<_> = lanes.iter().map(|(id, _)| *id).collect();
        let until =
            lifecycle::tombstone(config.as_ref().ok(), Timestamp::from_micros(row.try_get(0)?));
        let mut found = Self { ids: Vec::new(), left: 0, found: [0; 2], with_dead, until };
        let query = database.query(FIND).bind(&lanes).bind(with_dead);
        // Of millions of tasks, only the ids stay in memory.
        let mut rows = query.fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            found.add(&row, &doomed)?;
        }
        found.ids.sort_unstable();
        Ok(found)
    }

    fn add(&mut self, row: &PgRow, doomed: &HashSet<i64>) -> Result<(), Fault> {
        let is_dead: bool = row.try_get(2)?;
        self.found[usize::from(is_dead)] += 1;
        if doomed.contains(&row.try_get(1)?) {
            self.ids.push(row.try_get(0)?);
        } else {
            self.left += 1;
        }
        Ok(())
    }

    /// Deletes the tasks, and returns how many there still were. A task that somebody else holds is
    /// the last.
    pub(super) async fn delete(&self, shared: &Shared) -> Result<u64, Fault> {
        let (mut deleted, mut held, mut most) = (0, Vec::new(), *SLICE.end());
        let mut rest = &self.ids[..];
        while !rest.is_empty() {
            let (slice, later) = rest.split_at(most.min(rest.len()));
            let sliced = again(&shared.database, || self.delete_slice(shared, slice)).await?;
            deleted += sliced.deleted;
            held.extend(sliced.held);
            most = if sliced.time > TIME { most / 2 } else { most * 2 };
            most = most.clamp(*SLICE.start(), *SLICE.end());
            rest = later;
        }
        for id in held {
            deleted += again(&shared.database, || self.delete_held(shared, id)).await?;
        }
        Ok(deleted)
    }

    /// Deletes those tasks of a slice that nobody else holds.
    async fn delete_slice(&self, shared: &Shared, slice: &[Uuid]) -> Result<Sliced, Fault> {
        const STORED: &str = "SELECT id FROM gae_tasks.task WHERE id = ANY($1)";
        let (mut work, xid) = remove::begin(shared).await?;
        let begun = Instant::now();
        let mut places = remove::lock_free(shared, &mut work, slice).await?;
        let mut held = Vec::new();
        if places.len() < slice.len() {
            let mine: HashSet<_> = places.iter().map(|place| place.id).collect();
            let missing: Vec<_> = slice.iter().filter(|id| !mine.contains(id)).copied().collect();
            let query = shared.database.query(STORED).bind(missing);
            for row in &query.fetch_all(&mut *work).await? {
                held.push(row.try_get(0)?);
            }
        }
        places.retain(|place| self.with_dead || !place.is_dead);
        let mut counted = false;
        if !places.is_empty() {
            counted = remove::remove(shared, &mut work, &places, self.until).await?;
        }
        let time = begun.elapsed();
        commit_change(&shared.database, work, &xid, "the tasks of a queue").await?;
        if counted {
            shared.wake();
        }
        Ok(Sliced { deleted: places.len() as u64, held, time })
    }

    /// Deletes a task that somebody else has held, if it is still stored.
    async fn delete_held(&self, shared: &Shared, id: Uuid) -> Result<u64, Fault> {
        let (mut work, xid) = remove::begin(shared).await?;
        let place = remove::lock(shared, &mut work, task::id(id)).await?;
        let Some(place) = place.filter(|place| self.with_dead || !place.is_dead) else {
            return Ok(0);
        };
        let counted = remove::remove(shared, &mut work, &[place], self.until).await?;
        commit_change(&shared.database, work, &xid, "the tasks of a queue").await?;
        if counted {
            shared.wake();
        }
        Ok(1)
    }
}

/// What became of a slice.
struct Sliced {
    deleted: u64,
    /// The tasks that somebody else holds.
    held: Vec<Uuid>,
    /// How long it took before its commit.
    time: Duration,
}

/// Returns the lanes of a queue by their numbers; `None` where a lane cannot be read.
pub(super) async fn lanes(
    shared: &Shared,
    connection: &mut sqlx::PgConnection,
    queue: &QueueName,
) -> Result<Vec<(i64, Option<Lane>)>, Fault> {
    const LANES: &str = concat!(
        "SELECT ",
        lane_columns!(),
        " FROM gae_tasks.lane l WHERE l.queue = $1 ORDER BY l.id"
    );
    let query = shared.database.query(LANES).bind(queue.as_str());
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, Lane::read(row, 0)))).collect()
}
