//! Lanes and queues: small tables that the writer keeps in memory, and rereads when other processes
//! change them.

mod queues;
mod runnable;

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::error::Fault;
use super::lane::{Lane, Runnable, Served, Sort};
use super::lane_row::names_of_lane;
use super::queue_row::queue;
use super::schemas::Schemas;
use super::sensitive::Sensitive;
use super::unreadable;
use crate::backend::NewTask;
use crate::backend::lifecycle::Facts;
use crate::backend::readers::KnownReaders;
use crate::backend::refusers::Refusers;
use crate::payload::SensitivePaths;
use crate::queue::{QueueConfig, QueueName, RateLimits};
use crate::task::{Kind, Route, TaskSpec};
use crate::version::Unread;

/// Stores a queue.
pub(super) const PUT_QUEUE: &str =
    "INSERT OR REPLACE INTO gae_tasks_queue (name, config, paused) VALUES (?1, ?2, ?3)";

/// Creates a lane, and returns its number and turn.
pub(super) const MAKE_LANE: &str = "INSERT INTO gae_tasks_lane (id, queue, kind, shape, version, \
                                    refusers, priority, forced, turn) SELECT next, ?1, ?2, ?3, ?4, \
                                    ?5, ?6, ?7, coalesce((SELECT min(turn) FROM gae_tasks_lane \
                                    WHERE queue = ?1), next) FROM (SELECT coalesce(max(id), 0) + 1 \
                                    AS next FROM gae_tasks_lane) WHERE true RETURNING id, turn";

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

impl Queue {
    /// The limits that leases have to respect, if there are any.
    fn limits(&self) -> Option<RateLimits> {
        let limits = self.config.as_ref().ok()?.limits();
        limits.limits().then_some(limits)
    }
}

impl Catalogue {
    /// Discards everything that was read, as after a transaction that was rolled back.
    pub(super) fn forget(&mut self) {
        let (served, readers) = (mem::take(&mut self.served), mem::take(&mut self.readers));
        *self = Self { served, readers, ..Self::default() };
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
        const NEW: &str = "SELECT id, queue, kind, shape, version, turn, refusers, priority, \
                           forced FROM gae_tasks_lane WHERE id > ?1 ORDER BY id";
        let mut statement = connection.prepare_cached(NEW)?;
        let mut rows = statement.query(params![self.newest])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            self.newest = self.newest.max(id);
            match lane(id, row) {
                Some(lane) => self.know(lane),
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

    /// Returns the lane of `task`, creating the lane and its queue if missing. Stores the schema of
    /// the task and its sensitive paths if they are missing.
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
            && lane.priority == task.spec.priority
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
        let TaskSpec { queue, kind, shape, priority, .. } = &task.spec;
        let (shape, priority, refusers) = (*shape, *priority, Refusers::NONE);
        let sort = Sort { shape, version, priority, refusers, forced: false };
        let known = self.find(queue, kind, &sort);
        self.ensure_queue(connection, queue)?;
        match known {
            Some(id) => Ok(id),
            None => self.make(connection, queue, kind, sort),
        }
    }

    fn find(&self, queue: &QueueName, kind: &Kind, sort: &Sort) -> Option<i64> {
        Some(self.by_name.get(queue)?.get(kind)?.iter().find(|lane| lane.is_of_sort(sort))?.id)
    }

    /// Creates a lane that is missing.
    fn make(
        &mut self,
        connection: &Connection,
        queue: &QueueName,
        kind: &Kind,
        sort: Sort,
    ) -> Result<i64, Fault> {
        let Sort { shape, version, priority, refusers, forced } = sort;
        let (name, bits) = (kind.as_str(), shape.to_bits().cast_signed());
        let refused = refusers.to_bytes();
        let values = params![queue.as_str(), name, bits, version, refused, priority, forced];
        let (id, turn) = connection
            .prepare_cached(MAKE_LANE)?
            .query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (queue, route) = (queue.clone(), Route::new(kind.clone(), shape));
        self.know(Lane { id, queue, route, version, priority, turn, refusers, forced });
        Ok(id)
    }

    /// Returns the readers that refused the tasks of a lane, and whether the tasks were made due by
    /// hand; neither if its row cannot be read.
    pub(super) fn exceptions(&self, lane: i64) -> (Refusers, bool) {
        self.lane(lane).map_or((Refusers::NONE, false), |lane| (lane.refusers, lane.forced))
    }

    /// Returns the lane for a task of `lane` with these facts, creating the lane if missing. A lane
    /// whose row cannot be read keeps its tasks.
    pub(super) fn lane_for(
        &mut self,
        connection: &Connection,
        lane: i64,
        facts: &Facts,
    ) -> Result<i64, Fault> {
        let Facts { refusers, forced, .. } = *facts;
        let is_another = |of: &&Arc<Lane>| (of.refusers, of.forced) != (refusers, forced);
        let Some(of) = self.lane(lane).filter(is_another).cloned() else { return Ok(lane) };
        let sort = Sort { refusers, forced, ..of.sort() };
        match self.find(&of.queue, of.route.kind(), &sort) {
            Some(id) => Ok(id),
            None => self.make(connection, &of.queue, of.route.kind(), sort),
        }
    }

    /// Returns a queue's place in the order of turns; `None` before its first task.
    pub(super) fn turn_of(&self, queue: &QueueName) -> Option<i64> {
        Some(self.by_name.get(queue)?.values().flatten().next()?.turn)
    }
}

/// Reads the lane `id` from its row; `None` if it cannot be read.
fn lane(id: i64, row: &Row<'_>) -> Option<Lane> {
    let (queue, route, version) = names_of_lane(row, 1)?;
    let refusers = Refusers::from_bytes(row.get_ref(6).ok()?.as_blob().ok()?)?;
    let (turn, priority, forced) = (row.get(5).ok()?, row.get(7).ok()?, row.get(8).ok()?);
    Some(Lane { id, queue, route, version, priority, turn, refusers, forced })
}

/// Returns SQLite's number of the last change by another connection.
pub(super) fn data_version(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}

/// Returns how often queues were changed, by any process.
fn queue_changes(connection: &Connection) -> Result<i64, Fault> {
    let mut statement = connection.prepare_cached("SELECT queue_changes FROM gae_tasks_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}
