//! Lanes and queues: small tables that the writer keeps in memory, and rereads when other processes
//! change them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::error::Fault;
use super::lane::{Lane, Runnable, RunnableLane, Served};
use super::schemas::Schemas;
use super::sensitive::Sensitive;
use super::unreadable::{self, Columns};
use crate::backend::readers::KnownReaders;
use crate::backend::refusers::Refusers;
use crate::backend::{NewTask, QueueRecord, Routes};
use crate::payload::SensitivePaths;
use crate::queue::{QueueConfig, QueueName, RetryConfig};
use crate::task::{Kind, Route, Shape, TaskSpec};
use crate::version::{self, Unread};

/// The lanes and queues in memory.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    lanes: HashMap<i64, Arc<Lane>>,
    by_name: HashMap<QueueName, HashMap<Kind, Vec<Arc<Lane>>>>,
    /// The lane that was requested last: the next task very often goes there too.
    recent: Option<Recent>,
    newest: i64,
    schemas: Schemas,
    sensitive: Sensitive,
    queues: HashMap<QueueName, Queue>,
    /// SQLite's number of the last change by another connection that has been read.
    seen: Option<i64>,
    /// The count of queue changes at the time when the queues were read.
    queue_changes: Option<i64>,
    /// The lanes that the workers of this process can run, each worker with its own queues and
    /// routes.
    runnable: Vec<Arc<Runnable>>,
    served: Served,
    readers: KnownReaders,
}

/// A lane, and what is known to be stored of its tasks.
#[derive(Debug)]
struct Recent {
    lane: Arc<Lane>,
    has_schema: bool,
    sensitive: SensitivePaths,
}

impl Recent {
    /// Whether nothing has to be stored with the next task, which is of the same lane otherwise.
    fn has_all_of(&self, task: &NewTask) -> bool {
        let has_paths = || self.sensitive.is_shared_with(&task.sensitive);
        (self.has_schema || task.schema.is_empty()) && (task.sensitive.is_empty() || has_paths())
    }
}

#[derive(Debug)]
struct Queue {
    config: Result<QueueConfig, Unread>,
    paused: bool,
}

/// The most workers of one process whose lanes are kept; with more workers, some look up their
/// lanes again and again.
const MOST_RUNNABLE: usize = 8;

impl Catalogue {
    /// Discards everything, as after a transaction that was rolled back.
    pub(super) fn forget(&mut self) {
        *self = Self { served: std::mem::take(&mut self.served), ..Self::default() };
    }

    /// Reads the changes of other connections; costs almost nothing if there are none.
    pub(super) fn refresh(&mut self, connection: &Connection) -> Result<(), Fault> {
        let version = data_version(connection)?;
        if self.seen == Some(version) {
            return Ok(());
        }
        let changes = Some(queue_changes(connection)?);
        if self.queue_changes != changes {
            self.read_queues(connection)?;
            self.queue_changes = changes;
        }
        self.read_lanes(connection)?;
        if self.schemas.refresh(connection)? {
            self.runnable.clear();
        }
        self.seen = Some(version);
        Ok(())
    }

    fn read_queues(&mut self, connection: &Connection) -> Result<(), Fault> {
        self.queues.clear();
        self.runnable.clear();
        // The queue of the recent lane may have been deleted; the next task creates it again.
        self.recent = None;
        let mut statement =
            connection.prepare_cached("SELECT name, config, paused FROM gae_tasks_queue")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if let Some((name, config, paused)) = queue(connection, row) {
                self.queues.insert(name, Queue { config, paused });
            }
        }
        Ok(())
    }

    /// Reads the lanes after the newest known one: lanes are only ever added.
    fn read_lanes(&mut self, connection: &Connection) -> Result<(), Fault> {
        const NEW: &str = "SELECT id, queue, kind, shape, version, turn, refusers FROM gae_tasks_lane \
                           WHERE id > ?1 ORDER BY id";
        let mut statement = connection.prepare_cached(NEW)?;
        let mut rows = statement.query(params![self.newest])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            self.newest = self.newest.max(id);
            let refusers = row.get_ref(6)?.as_blob().ok().and_then(Refusers::from_bytes);
            match names_of_lane(row, 1).zip(row.get(5).ok()).zip(refusers) {
                Some((((queue, route, version), turn), refusers)) => {
                    self.know(Lane { id, queue, route, version, turn, refusers })
                }
                None => unreadable::row(connection, "gae_tasks_lane", id),
            }
        }
        Ok(())
    }

    fn know(&mut self, lane: Lane) {
        self.newest = self.newest.max(lane.id);
        let lane = Arc::new(lane);
        let kinds = self.by_name.entry(lane.queue.clone()).or_default();
        kinds.entry(lane.route.kind().clone()).or_default().push(Arc::clone(&lane));
        self.lanes.insert(lane.id, lane);
        self.runnable.clear();
    }

    /// Returns the lane with this number; `None` if its row cannot be read.
    pub(super) fn lane(&self, id: i64) -> Option<&Arc<Lane>> {
        self.lanes.get(&id)
    }

    /// Returns the lane of `task`, creating the lane and its queue if missing. Stores the schema of the
    /// task and its sensitive paths if they are missing.
    pub(super) fn lane_of(
        &mut self,
        connection: &Connection,
        task: &NewTask,
    ) -> Result<i64, Fault> {
        let version = task.spec.version();
        if let Some(recent @ Recent { lane, .. }) = &self.recent
            && recent.has_all_of(task)
            && lane.route.shape() == task.spec.shape
            && lane.version == version
            && lane.queue == task.spec.queue
            && *lane.route.kind() == task.spec.kind
        {
            return Ok(lane.id);
        }
        let shape = task.spec.shape;
        if !task.schema.is_empty() && self.schemas.keep(connection, shape, &task.schema)? {
            self.runnable.clear();
        }
        self.sensitive.keep(connection, task)?;
        let id = self.find_or_make(connection, task, version)?;
        let has_schema = self.schemas.knows(shape);
        let recent = |lane: &Arc<Lane>| {
            let (lane, sensitive) = (Arc::clone(lane), task.sensitive.clone());
            Recent { lane, has_schema, sensitive }
        };
        self.recent = self.lanes.get(&id).map(recent);
        Ok(id)
    }

    fn find_or_make(
        &mut self,
        connection: &Connection,
        task: &NewTask,
        version: u8,
    ) -> Result<i64, Fault> {
        let TaskSpec { queue, kind, shape, .. } = &task.spec;
        let known = self.find(queue, kind, *shape, version, Refusers::NONE);
        self.ensure_queue(connection, queue)?;
        match known {
            Some(id) => Ok(id),
            None => {
                let route = Route::new(kind.clone(), *shape);
                self.make(connection, queue.clone(), route, version, Refusers::NONE)
            }
        }
    }

    fn find(
        &self,
        queue: &QueueName,
        kind: &Kind,
        shape: Shape,
        version: u8,
        refusers: Refusers,
    ) -> Option<i64> {
        let is_meant = |lane: &&Arc<Lane>| {
            lane.route.shape() == shape && lane.version == version && lane.refusers == refusers
        };
        Some(self.by_name.get(queue)?.get(kind)?.iter().find(is_meant)?.id)
    }

    /// Creates a lane that is missing.
    fn make(
        &mut self,
        connection: &Connection,
        queue: QueueName,
        route: Route,
        version: u8,
        refusers: Refusers,
    ) -> Result<i64, Fault> {
        const MAKE: &str = "INSERT INTO gae_tasks_lane (queue, kind, shape, version, refusers, turn) \
                            VALUES (?1, ?2, ?3, ?4, ?5, \
                            coalesce((SELECT min(turn) FROM gae_tasks_lane WHERE queue = ?1), \
                            (SELECT coalesce(max(id), 0) + 1 FROM gae_tasks_lane))) RETURNING id, turn";
        let shape = route.shape().to_bits().cast_signed();
        let values =
            params![queue.as_str(), route.kind().as_str(), shape, version, refusers.to_bytes()];
        let (id, turn) = connection
            .prepare_cached(MAKE)?
            .query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
        self.know(Lane { id, queue, route, version, turn, refusers });
        Ok(id)
    }

    /// Returns the readers that refused the tasks of a lane; none if its row cannot be read.
    pub(super) fn refusers(&self, lane: i64) -> Refusers {
        self.lane(lane).map_or(Refusers::NONE, |lane| lane.refusers)
    }

    /// Returns the lane for tasks of `lane` that these readers refused, creating the lane if
    /// missing. A lane whose row cannot be read keeps its tasks.
    pub(super) fn refused_by(
        &mut self,
        connection: &Connection,
        lane: i64,
        refusers: Refusers,
    ) -> Result<i64, Fault> {
        let Some(of) = self.lane(lane).filter(|of| of.refusers != refusers).cloned() else {
            return Ok(lane);
        };
        match self.find(&of.queue, of.route.kind(), of.route.shape(), of.version, refusers) {
            Some(id) => Ok(id),
            None => self.make(connection, of.queue.clone(), of.route.clone(), of.version, refusers),
        }
    }

    /// Creates a queue if it is missing.
    pub(super) fn ensure_queue(
        &mut self,
        connection: &Connection,
        name: &QueueName,
    ) -> Result<(), Fault> {
        if self.queues.contains_key(name) {
            return Ok(());
        }
        self.write_queue(connection, name, QueueConfig::new(), false)
    }

    /// Changes the configuration of a queue, creating the queue if it is missing.
    ///
    /// # Errors
    /// Besides faults, the inner error: why the stored configuration cannot be read. A damaged one
    /// is replaced if `mends`.
    pub(super) fn configure(
        &mut self,
        connection: &Connection,
        name: &QueueName,
        mends: bool,
        change: impl FnOnce(QueueConfig) -> QueueConfig,
    ) -> Result<Result<(), Unread>, Fault> {
        let queue = self.queues.get(name);
        let stored = match queue.map(|queue| &queue.config) {
            None => QueueConfig::new(),
            Some(Ok(config)) => config.clone(),
            Some(Err(Unread::Damaged)) if mends => QueueConfig::new(),
            Some(Err(unread)) => return Ok(Err(*unread)),
        };
        let paused = queue.is_some_and(|queue| queue.paused);
        self.write_queue(connection, name, change(stored), paused).map(Ok)
    }

    /// Pauses or resumes a queue; returns whether the queue exists.
    pub(super) fn pause(
        &mut self,
        connection: &Connection,
        name: &QueueName,
        paused: bool,
    ) -> Result<bool, Fault> {
        let Some(queue) = self.queues.get_mut(name) else { return Ok(false) };
        // Only the pause is changed: a configuration that cannot be read, e.g. of a newer version,
        // is kept.
        connection
            .prepare_cached("UPDATE gae_tasks_queue SET paused = ?2 WHERE name = ?1")?
            .execute(params![name.as_str(), paused])?;
        queue.paused = paused;
        self.changed(connection)?;
        Ok(true)
    }

    /// Returns why the configuration of a queue cannot be read, if it cannot.
    pub(super) fn unread(&self, name: &QueueName) -> Option<Unread> {
        self.queues.get(name)?.config.as_ref().err().copied()
    }

    /// Removes a queue. Its lanes stay, because other processes know them by their numbers.
    pub(super) fn remove_queue(
        &mut self,
        connection: &Connection,
        name: &QueueName,
    ) -> Result<(), Fault> {
        connection
            .prepare_cached("DELETE FROM gae_tasks_queue WHERE name = ?1")?
            .execute(params![name.as_str()])?;
        self.queues.remove(name);
        self.recent = None;
        self.changed(connection)
    }

    fn write_queue(
        &mut self,
        connection: &Connection,
        name: &QueueName,
        config: QueueConfig,
        paused: bool,
    ) -> Result<(), Fault> {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO gae_tasks_queue (name, config, paused) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![name.as_str(), encoded(&config)?, paused])?;
        self.queues.insert(name.clone(), Queue { config: Ok(config), paused });
        self.changed(connection)
    }

    /// Records that this program has changed a queue.
    fn changed(&mut self, connection: &Connection) -> Result<(), Fault> {
        self.queue_changes = Some(queue_changes(connection)?);
        self.runnable.clear();
        Ok(())
    }

    /// Returns a queue's place in the order of turns; `None` before its first task.
    pub(super) fn turn_of(&self, queue: &QueueName) -> Option<i64> {
        Some(self.by_name.get(queue)?.values().flatten().next()?.turn)
    }

    /// Returns the configuration of a lane's queue; `None` if this program cannot read it.
    pub(super) fn config(&self, lane: i64) -> Option<QueueConfig> {
        match self.queues.get(&self.lane(lane)?.queue) {
            Some(queue) => queue.config.clone().ok(),
            None => Some(QueueConfig::new()),
        }
    }

    /// Returns how a queue retries failed tasks, if its configuration says and this program can
    /// read it.
    pub(super) fn retry_of(&self, queue: &QueueName) -> Option<RetryConfig> {
        self.queues.get(queue)?.config.as_ref().ok()?.own_retry().cloned()
    }

    /// Whether this program can read everything that decides what becomes of a lane's tasks.
    pub(super) fn is_readable(&self, lane: i64) -> bool {
        self.lane(lane).is_some_and(|lane| !lane.is_newer()) && self.config(lane).is_some()
    }

    /// Returns the lanes from which a worker may lease now: those of its queues and routes, except
    /// paused queues.
    pub(super) fn runnable(
        &mut self,
        connection: &Connection,
        queues: &Arc<BTreeSet<QueueName>>,
        routes: &Routes,
    ) -> Result<Arc<Runnable>, Fault> {
        if let Some(known) = self.runnable.iter().find(|known| known.is_for(queues, routes)) {
            return Ok(Arc::clone(known));
        }
        let lanes = self.readable(connection, queues, routes)?;
        let runnable = Arc::new(Runnable::new(queues, routes, lanes));
        self.runnable.truncate(MOST_RUNNABLE - 1);
        self.runnable.insert(0, Arc::clone(&runnable));
        self.served.note(queues, routes);
        Ok(runnable)
    }

    /// Asks the worker about the lanes of its queues.
    fn readable(
        &mut self,
        connection: &Connection,
        queues: &BTreeSet<QueueName>,
        routes: &Routes,
    ) -> Result<Vec<RunnableLane>, Fault> {
        let Self { lanes, queues: stored, readers, schemas, .. } = self;
        let is_open = |queue: &Queue| !queue.paused && queue.config.is_ok();
        let mut readable = Vec::new();
        for lane in lanes.values() {
            if queues.contains(&lane.queue)
                && !lane.is_newer()
                && stored.get(&lane.queue).is_none_or(is_open)
            {
                let schema = || schemas.find(connection, lane.route.shape());
                let reader = readers.reader(routes, &lane.route, schema)?;
                readable.extend(reader.map(|reader| RunnableLane::new(lane, reader)));
            }
        }
        Ok(readable)
    }

    /// Returns the queues and routes of the workers that have leased.
    pub(super) fn served(&self) -> Vec<(Arc<BTreeSet<QueueName>>, Routes)> {
        self.served.all()
    }
}

/// Returns SQLite's number of the last change by another connection.
pub(super) fn data_version(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}

/// Returns how often queues were changed, by any process.
fn queue_changes(connection: &Connection) -> Result<i64, Fault> {
    let mut statement = connection.prepare_cached("SELECT queue_changes FROM gae_tasks_schema")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Returns the queue whose name, configuration and pause are in `row`.
pub(super) fn queue_record(connection: &Connection, row: &Row<'_>) -> Option<QueueRecord> {
    let (name, config, paused) = queue(connection, row)?;
    Some(QueueRecord { paused, ..QueueRecord::new(name, config.ok()) })
}

/// Reads a queue from `row`; a row without a readable name is skipped.
pub(super) fn queue(
    connection: &Connection,
    row: &Row<'_>,
) -> Option<(QueueName, Result<QueueConfig, Unread>, bool)> {
    let Some(name) = row.get(0).ok().and_then(|name: String| QueueName::new(name).ok()) else {
        unreadable::row(connection, "gae_tasks_queue", "without a name");
        return None;
    };
    let columns = Columns::of(row);
    let (bytes, paused): (Option<Vec<u8>>, Option<bool>) = (columns.get(1), columns.get(2));
    let config = bytes.map_or(Err(Unread::Damaged), |bytes| version::decode(&bytes));
    if let Err(unread) = config {
        unreadable::queue(connection, name.as_str(), unread);
    }
    // If the pause of a queue cannot be read, its tasks wait.
    Some((name, config, paused.unwrap_or(true)))
}

/// Reads the queue, kind, shape and version of a lane from `row`, beginning at column `first`.
pub(super) fn names_of_lane(row: &Row<'_>, first: usize) -> Option<(QueueName, Route, u8)> {
    let queue = queue_name(row.get(first).ok()?).ok()?;
    let kind = kind(row.get(first + 1).ok()?).ok()?;
    Some((queue, Route::new(kind, shape(row.get(first + 2).ok()?)), row.get(first + 3).ok()?))
}

pub(super) fn queue_name(text: String) -> Result<QueueName, Fault> {
    QueueName::new(text).map_err(|_| Fault::unreadable("the name of a queue"))
}

pub(super) fn kind(text: String) -> Result<Kind, Fault> {
    Kind::new(text).map_err(|_| Fault::unreadable("the kind of a task"))
}

pub(super) const fn shape(bits: i64) -> Shape {
    Shape::from_bits(bits.cast_unsigned())
}

/// Returns a configuration in its stored form.
pub(super) fn encoded<T: serde::Serialize>(config: &T) -> Result<Vec<u8>, Fault> {
    version::encode(config).ok_or_else(|| Fault::unreadable("a configuration"))
}
