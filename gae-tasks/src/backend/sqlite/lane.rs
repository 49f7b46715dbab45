//! Lanes and queues: small tables that the writer knows by heart, kept fresh when other processes change them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::error::Fault;
use super::unreadable::{self, Columns};
use crate::backend::{NewTask, QueueRecord, Routes};
use crate::queue::{QueueConfig, QueueName, RetryConfig};
use crate::task::{Kind, Route, Shape};

/// A queue together with a route, interned as one number, so that what a worker cannot run costs its leases nothing.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) id: i64,
    pub(super) queue: QueueName,
    pub(super) route: Route,
}

/// What the writer knows of lanes and queues.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    lanes: HashMap<i64, Arc<Lane>>,
    by_name: HashMap<QueueName, HashMap<Kind, Vec<(Shape, i64)>>>,
    /// The lane asked for last: very often the next task goes there too.
    recent: Option<Arc<Lane>>,
    newest: i64,
    queues: HashMap<QueueName, Queue>,
    /// SQLite's number of the last change by another connection that has been read.
    seen: Option<i64>,
    runnable: Option<Runnable>,
}

#[derive(Debug)]
struct Queue {
    config: QueueConfig,
    paused: bool,
}

/// The lanes of the worker that leased last: a process has one, with the same queues and routes each time.
#[derive(Debug)]
struct Runnable {
    queues: Arc<BTreeSet<QueueName>>,
    routes: Routes,
    lanes: Arc<[Arc<Lane>]>,
}

impl Catalogue {
    /// Forgets all, as after a transaction that was rolled back.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Reads what other connections have changed; costs next to nothing when they have not.
    pub(super) fn refresh(&mut self, connection: &Connection) -> Result<(), Fault> {
        let version = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if self.seen == Some(version) {
            return Ok(());
        }
        self.read_queues(connection)?;
        self.read_lanes(connection)?;
        (self.seen, self.runnable) = (Some(version), None);
        Ok(())
    }

    fn read_queues(&mut self, connection: &Connection) -> Result<(), Fault> {
        self.queues.clear();
        let mut statement = connection.prepare_cached("SELECT name, config, paused FROM gae_tasks_queue")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(QueueRecord { name, config, paused, .. }) = queue_record(connection, row) {
                self.queues.insert(name, Queue { config, paused });
            }
        }
        Ok(())
    }

    /// Lanes are only ever added, so the ones after the newest known are all there is to read.
    fn read_lanes(&mut self, connection: &Connection) -> Result<(), Fault> {
        const NEW: &str = "SELECT id, queue, kind, shape FROM gae_tasks_lane WHERE id > ?1 ORDER BY id";
        let mut statement = connection.prepare_cached(NEW)?;
        let mut rows = statement.query(params![self.newest])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            self.newest = self.newest.max(id);
            match names_of_lane(row, 1) {
                Some((queue, route)) => self.know(Lane { id, queue, route }),
                None => unreadable::row(connection, "gae_tasks_lane", id),
            }
        }
        Ok(())
    }

    fn know(&mut self, lane: Lane) {
        self.newest = self.newest.max(lane.id);
        let kinds = self.by_name.entry(lane.queue.clone()).or_default();
        kinds.entry(lane.route.kind().clone()).or_default().push((lane.route.shape(), lane.id));
        self.lanes.insert(lane.id, Arc::new(lane));
        self.runnable = None;
    }

    /// The lane of this number; `None` if its row cannot be read.
    pub(super) fn lane(&self, id: i64) -> Option<&Arc<Lane>> {
        self.lanes.get(&id)
    }

    pub(super) fn lanes(&self) -> impl Iterator<Item = &Arc<Lane>> {
        self.lanes.values()
    }

    /// The lane `task` goes to; made, with its queue, if it is the first one.
    pub(super) fn lane_of(&mut self, connection: &Connection, task: &NewTask) -> Result<i64, Fault> {
        if let Some(lane) = &self.recent
            && lane.route.shape() == task.shape
            && lane.queue == task.queue
            && *lane.route.kind() == task.kind
        {
            return Ok(lane.id);
        }
        let id = self.find_or_make(connection, task)?;
        self.recent = self.lanes.get(&id).cloned();
        Ok(id)
    }

    fn find_or_make(&mut self, connection: &Connection, task: &NewTask) -> Result<i64, Fault> {
        let known = self.by_name.get(&task.queue).and_then(|kinds| kinds.get(&task.kind));
        let known = known.and_then(|shapes| shapes.iter().find(|(shape, _)| *shape == task.shape));
        if let Some((_, id)) = known {
            return Ok(*id);
        }
        self.ensure_queue(connection, &task.queue)?;
        let shape = task.shape.to_bits().cast_signed();
        connection
            .prepare_cached("INSERT INTO gae_tasks_lane (queue, kind, shape) VALUES (?1, ?2, ?3)")?
            .execute(params![task.queue.as_str(), task.kind.as_str(), shape])?;
        let id = connection.last_insert_rowid();
        self.know(Lane { id, queue: task.queue.clone(), route: Route::new(task.kind.clone(), task.shape) });
        Ok(id)
    }

    /// Makes a queue if it is missing.
    pub(super) fn ensure_queue(&mut self, connection: &Connection, name: &QueueName) -> Result<(), Fault> {
        if self.queues.contains_key(name) {
            return Ok(());
        }
        self.write_queue(connection, name, Queue { config: QueueConfig::new(), paused: false })
    }

    pub(super) fn configure(
        &mut self,
        connection: &Connection,
        name: &QueueName,
        config: QueueConfig,
    ) -> Result<(), Fault> {
        let paused = self.queues.get(name).is_some_and(|queue| queue.paused);
        self.write_queue(connection, name, Queue { config, paused })
    }

    pub(super) fn pause(&mut self, connection: &Connection, name: &QueueName, paused: bool) -> Result<(), Fault> {
        // Changed alone: a configuration that cannot be read, as that of a newer version, is kept.
        self.ensure_queue(connection, name)?;
        connection
            .prepare_cached("UPDATE gae_tasks_queue SET paused = ?2 WHERE name = ?1")?
            .execute(params![name.as_str(), paused])?;
        _ = self.queues.get_mut(name).map(|queue| queue.paused = paused);
        self.runnable = None;
        Ok(())
    }

    fn write_queue(&mut self, connection: &Connection, name: &QueueName, queue: Queue) -> Result<(), Fault> {
        connection
            .prepare_cached("INSERT OR REPLACE INTO gae_tasks_queue (name, config, paused) VALUES (?1, ?2, ?3)")?
            .execute(params![name.as_str(), encoded(&queue.config)?, queue.paused])?;
        self.queues.insert(name.clone(), queue);
        self.runnable = None;
        Ok(())
    }

    /// How tasks of `queue` are retried that have no settings of their own.
    pub(super) fn retry_of(&self, queue: &QueueName) -> RetryConfig {
        self.queues.get(queue).map(|queue| queue.config.retry().clone()).unwrap_or_default()
    }

    /// The lanes a worker may lease from now: its queues and routes, without those that are paused.
    pub(super) fn runnable(&mut self, queues: &Arc<BTreeSet<QueueName>>, routes: &Routes) -> Arc<[Arc<Lane>]> {
        if let Some(known) = &self.runnable
            && Arc::ptr_eq(&known.queues, queues)
            && is_same(&known.routes, routes)
        {
            return Arc::clone(&known.lanes);
        }
        let may_run = |lane: &&Arc<Lane>| {
            queues.contains(&lane.queue)
                && !self.queues.get(&lane.queue).is_some_and(|queue| queue.paused)
                && routes.contains(&lane.route)
        };
        let lanes: Arc<[_]> = self.lanes.values().filter(may_run).cloned().collect();
        self.runnable =
            Some(Runnable { queues: Arc::clone(queues), routes: routes.clone(), lanes: Arc::clone(&lanes) });
        lanes
    }
}

/// Whether both are the same value in memory: comparing hundreds of routes at each lease would cost more than it saves.
fn is_same(one: &Routes, other: &Routes) -> bool {
    match (one, other) {
        (Routes::Any, Routes::Any) => true,
        (Routes::Only(one), Routes::Only(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

/// A queue whose name, configuration and pause stand in `row`. What cannot be read is as by default; without its name it
/// is left aside.
pub(super) fn queue_record(connection: &Connection, row: &Row<'_>) -> Option<QueueRecord> {
    let Some(name) = row.get(0).ok().and_then(|name: String| QueueName::new(name).ok()) else {
        unreadable::row(connection, "gae_tasks_queue", "without a name");
        return None;
    };
    let columns = Columns::of(row);
    let (bytes, paused): (Option<Vec<u8>>, Option<bool>) = (columns.get(1), columns.get(2));
    let config = bytes.as_deref().and_then(decoded);
    if config.is_none() || !columns.is_whole() {
        unreadable::queue(connection, name.as_str());
    }
    Some(QueueRecord { name, config: config.unwrap_or_default(), paused: paused.unwrap_or_default(), gives_up: false })
}

/// The queue, kind and shape of a lane, which stand in `row` from column `first` on.
pub(super) fn names_of_lane(row: &Row<'_>, first: usize) -> Option<(QueueName, Route)> {
    let queue = queue_name(row.get(first).ok()?).ok()?;
    let kind = kind(row.get(first + 1).ok()?).ok()?;
    Some((queue, Route::new(kind, shape(row.get(first + 2).ok()?))))
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

/// The first byte of a stored configuration. Postcard does not describe itself: a changed type gets a new number here.
const CONFIG_FORMAT: u8 = 1;

/// A configuration as it is stored.
pub(super) fn encoded<T: serde::Serialize>(config: &T) -> Result<Vec<u8>, Fault> {
    postcard::to_extend(config, vec![CONFIG_FORMAT]).map_err(|_| Fault::unreadable("a configuration"))
}

/// A configuration as it was stored; `None` if it cannot be read.
pub(super) fn decoded<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (&CONFIG_FORMAT, rest) = bytes.split_first()? else { return None };
    postcard::from_bytes(rest).ok()
}
