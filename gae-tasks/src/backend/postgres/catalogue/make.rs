//! Makes missing rows, committed in a transaction of their own and in sorted order, so that two
//! processes never wait for each other in a circle.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use sqlx::{PgConnection, Row};

use super::Catalogue;
use super::queues::Queues;
use crate::backend::NewTask;
use crate::backend::postgres::database::Database;
use crate::backend::postgres::epoch::Epoch;
use crate::backend::postgres::error::Fault;
use crate::backend::postgres::lane::{Lane, LaneKey, lane_columns};
use crate::backend::postgres::{schemas, sensitive};
use crate::queue::QueueConfig;
use crate::version;

/// Held, until the transaction ends, by whoever adds lanes or sensitive paths: they have no unique
/// index. The number is that of the schema's name.
pub(in crate::backend::postgres) const LOCK: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended('gae_tasks.lane', 1))";

impl Catalogue {
    /// Makes the rows that these tasks need and that are missing, and remembers them. Returns the
    /// epoch in which they are stored.
    pub(super) async fn make(
        &self,
        database: &Database,
        tasks: &[&NewTask],
    ) -> Result<Epoch, Fault> {
        let mut work = database.begin().await?;
        let epoch = self.epoch_of(&work)?;
        make_queues(database, &mut work, tasks).await?;
        make_schemas(database, &mut work, tasks).await?;
        // In the order of the tasks, which is that of the queues' turns.
        let mut distinct = HashSet::new();
        let keys = tasks.iter().map(|task| LaneKey::of(&task.spec));
        let keys = keys.filter(|key| distinct.insert(key.clone())).collect();
        let lanes = make_lanes(database, &mut work, keys).await?;
        make_sensitive(database, &mut work, tasks).await?;
        let queues = Queues::read(database, &mut work).await?;
        work.commit().await?;
        // Nothing is remembered as stored before its commit was seen.
        let mut known = self.known();
        lanes.into_iter().for_each(|lane| known.know(lane));
        known.queues = queues;
        for task in tasks {
            if !task.schema.is_empty() && task.spec.shape.may_be_of(&task.schema) {
                known.know_schema(task.spec.shape, Arc::clone(&task.schema));
            }
            if !task.sensitive.is_empty() {
                let paths = known.sensitive.entry(task.spec.kind.clone()).or_default();
                paths.extend(task.sensitive.iter().cloned());
            }
        }
        known.doubt_unless(epoch);
        Ok(epoch)
    }

    /// Makes missing lanes, and remembers them. Returns the epoch in which they are stored.
    pub(super) async fn make_lanes(
        &self,
        database: &Database,
        keys: Vec<LaneKey>,
    ) -> Result<Epoch, Fault> {
        let mut work = database.begin().await?;
        let epoch = self.epoch_of(&work)?;
        let lanes = make_lanes(database, &mut work, keys).await?;
        work.commit().await?;
        let mut known = self.known();
        lanes.into_iter().for_each(|lane| known.know(lane));
        known.doubt_unless(epoch);
        Ok(epoch)
    }
}

async fn make_queues(
    database: &Database,
    connection: &mut PgConnection,
    tasks: &[&NewTask],
) -> Result<(), Fault> {
    // The trigger counts statements, so nothing is written where nothing is missing.
    const MISSING: &str = "SELECT name FROM unnest($1::text[]) n(name) WHERE NOT EXISTS (SELECT \
                           FROM gae_tasks.queue q WHERE q.name = n.name)";
    const MAKE: &str = "INSERT INTO gae_tasks.queue (name, config, paused) SELECT name, $2, false \
                        FROM unnest($1::text[]) n(name) ORDER BY name ON CONFLICT (name) DO \
                        NOTHING";
    let names: BTreeSet<_> = tasks.iter().map(|task| task.spec.queue.as_str()).collect();
    let names: Vec<_> = names.into_iter().collect();
    let missing = database.query(MISSING).bind(&names).fetch_all(&mut *connection).await?;
    let missing: Vec<String> =
        missing.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    if missing.is_empty() {
        return Ok(());
    }
    let config = version::encode(&QueueConfig::new())
        .ok_or_else(|| Fault::Unreadable("a configuration".to_owned()))?;
    database.query(MAKE).bind(&missing).bind(config).execute(connection).await?;
    Ok(())
}

async fn make_schemas(
    database: &Database,
    connection: &mut PgConnection,
    tasks: &[&NewTask],
) -> Result<(), Fault> {
    let mut schemas = BTreeMap::new();
    for task in tasks {
        if !task.schema.is_empty() && task.spec.shape.may_be_of(&task.schema) {
            schemas.entry(task.spec.shape).or_insert(&task.schema);
        }
    }
    if schemas.is_empty() {
        return Ok(());
    }
    schemas::keep(database, connection, schemas).await
}

async fn make_lanes(
    database: &Database,
    connection: &mut PgConnection,
    keys: Vec<LaneKey>,
) -> Result<Vec<Lane>, Fault> {
    const MAKE: &str = "INSERT INTO gae_tasks.lane (queue, kind, shape, version, refusers, \
                        priority, forced, turn) SELECT n.queue, n.kind, n.shape, n.version, \
                        n.refusers, n.priority, n.forced, coalesce((SELECT min(turn) FROM \
                        gae_tasks.lane o WHERE o.queue = n.queue), (SELECT coalesce(max(turn), 0) \
                        FROM gae_tasks.lane) + dense_rank() OVER (ORDER BY n.place)) FROM (SELECT \
                        k.*, min(k.no) OVER (PARTITION BY k.queue) AS place FROM \
                        unnest($1::text[], $2::text[], $3::bigint[], $4::smallint[], $5::bytea[], \
                        $6::smallint[], $7::boolean[]) WITH ORDINALITY AS k(queue, kind, shape, \
                        version, refusers, priority, forced, no)) n WHERE NOT EXISTS (SELECT FROM \
                        gae_tasks.lane l WHERE l.queue = n.queue AND l.kind = n.kind AND l.shape = \
                        n.shape AND l.version = n.version AND l.refusers = n.refusers AND \
                        l.priority = n.priority AND l.forced = n.forced) ORDER BY n.no";
    const READ: &str = concat!(
        "SELECT ",
        lane_columns!(),
        " FROM gae_tasks.lane l JOIN unnest($1::text[], $2::text[], $3::bigint[], \
          $4::smallint[], $5::bytea[], $6::smallint[], $7::boolean[]) AS k(queue, kind, shape, \
          version, refusers, priority, forced) ON l.queue = k.queue AND l.kind = k.kind AND \
          l.shape = k.shape AND l.version = k.version AND l.refusers = k.refusers AND l.priority = \
          k.priority AND l.forced = k.forced"
    );
    let queues: Vec<_> = keys.iter().map(|key| key.queue.as_str()).collect();
    let kinds: Vec<_> = keys.iter().map(|key| key.route.kind().as_str()).collect();
    let shapes: Vec<_> = keys.iter().map(|key| key.route.shape().to_bits().cast_signed()).collect();
    let versions: Vec<_> = keys.iter().map(|key| i16::from(key.version)).collect();
    let refusers: Vec<_> = keys.iter().map(|key| key.refusers.to_bytes()).collect();
    let priorities: Vec<_> = keys.iter().map(|key| i16::from(key.priority)).collect();
    let forced: Vec<_> = keys.iter().map(|key| key.forced).collect();
    database.query(LOCK).execute(&mut *connection).await?;
    for text in [MAKE, READ] {
        let query = database
            .query(text)
            .bind(&queues)
            .bind(&kinds)
            .bind(&shapes)
            .bind(&versions)
            .bind(&refusers)
            .bind(&priorities)
            .bind(&forced);
        let rows = query.fetch_all(&mut *connection).await?;
        if text == READ {
            return Ok(rows.iter().filter_map(|row| Lane::read(row, 0)).collect());
        }
    }
    Ok(Vec::new())
}

async fn make_sensitive(
    database: &Database,
    connection: &mut PgConnection,
    tasks: &[&NewTask],
) -> Result<(), Fault> {
    let paths: BTreeSet<(&str, &str)> = tasks
        .iter()
        .copied()
        .flat_map(|task| task.sensitive.iter().map(|path| (task.spec.kind.as_str(), &**path)))
        .collect();
    if paths.is_empty() {
        return Ok(());
    }
    sensitive::keep(database, connection, paths).await
}
