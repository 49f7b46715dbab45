//! The rows that tasks share: lanes, queues, schemas and sensitive paths. They are committed before
//! the tasks that need them, in transactions of their own, and remembered; that they are stored is
//! remembered for an epoch.

mod make;
mod queues;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::Row;

use self::queues::Queues;
use super::database::Database;
use super::epoch::{Epoch, Epochs};
use super::error::Fault;
use super::lane::{Lane, LaneKey, lane_columns};
use super::work::Work;
use crate::backend::NewTask;
use crate::backend::readers::{Answer, KnownReaders, Question};
use crate::backend::refusers::Refusers;
use crate::backend::{ReaderId, Routes};
use crate::queue::{QueueConfig, QueueName, RateLimits};
use crate::task::{Kind, Route, Shape};
use crate::version::Unread;

/// What this process knows of the rows that tasks share.
#[derive(Debug)]
pub(super) struct Catalogue {
    known: Mutex<Known>,
    /// Held while missing rows are made, so that a process makes each of them once.
    making: tokio::sync::Mutex<()>,
    epochs: Epochs,
}

#[derive(Debug, Default)]
struct Known {
    /// The epoch in which what is called stored here is stored.
    epoch: Epoch,
    /// As they were read last.
    lanes: HashMap<i64, Arc<Lane>>,
    stored_lanes: HashSet<i64>,
    by_key: HashMap<LaneKey, i64>,
    /// The place of each queue in the order of turns.
    turns: HashMap<QueueName, i64>,
    queues: Queues,
    schemas: HashMap<Shape, Arc<[u8]>>,
    stored_schemas: HashSet<Shape>,
    sensitive: HashMap<Kind, HashSet<Box<str>>>,
    readers: KnownReaders,
}

/// The lanes of new tasks, and the epoch in which they are stored.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) ids: Vec<i64>,
    pub(super) epoch: Epoch,
}

impl Catalogue {
    pub(super) fn new(epochs: Epochs) -> Self {
        Self { known: Mutex::default(), making: tokio::sync::Mutex::default(), epochs }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Every change is a whole one, so a panic leaves nothing half known.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = self.epochs.current();
        if known.epoch != epoch {
            known.epoch = epoch;
            known.doubt();
        }
        known
    }

    /// Returns the epoch in which rows that are known to be stored are stored.
    pub(super) fn epoch(&self) -> Epoch {
        self.known().epoch
    }

    /// Returns the epoch of `work`.
    ///
    /// # Errors
    /// [`Fault::Moved`] if it is on another server than the one that connections lead to now: what
    /// it reads or commits would be taken for stored here.
    pub(super) fn epoch_of(&self, work: &Work) -> Result<Epoch, Fault> {
        Some(self.epoch()).filter(|epoch| work.is_in(*epoch)).ok_or(Fault::Moved)
    }

    /// Returns the lane of each new task, after the rows that the tasks need were committed.
    pub(super) async fn lanes_of(
        &self,
        database: &Database,
        tasks: &[&NewTask],
    ) -> Result<Lanes, Fault> {
        let known = || self.known_lanes_of(tasks.iter().copied());
        if let Some(lanes) = known() {
            return Ok(lanes);
        }
        let _alone = self.making.lock().await;
        if let Some(lanes) = known() {
            return Ok(lanes);
        }
        let epoch = self.make(database, tasks).await?;
        match known() {
            Some(lanes) => Ok(lanes),
            None if self.epoch() != epoch => Err(Fault::Moved),
            None => Err(Fault::Unreadable("a lane just made".to_owned())),
        }
    }

    /// Returns the lane of each new task, if all rows that the tasks need are known to be stored.
    pub(super) fn known_lanes_of<'t>(
        &self,
        tasks: impl IntoIterator<Item = &'t NewTask>,
    ) -> Option<Lanes> {
        let known = self.known();
        Some(Lanes { ids: known.lanes_of(tasks)?, epoch: known.epoch })
    }

    /// Whether the queues are known as they are after this many changes.
    pub(super) fn is_of(&self, changes: i64) -> bool {
        self.known().queues.is_of(changes)
    }

    /// Makes the queues of tasks again that have just been stored, if their rows were deleted
    /// meanwhile. The count of changes is that of the tasks' transaction.
    pub(super) async fn keep_queues(
        &self,
        database: &Database,
        tasks: &[&NewTask],
        changes: i64,
    ) -> Result<(), Fault> {
        if self.is_of(changes) {
            return Ok(());
        }
        let mut connection = database.connection().await?;
        self.refresh_queues(database, &mut connection, changes).await?;
        drop(connection);
        let lost: Vec<_> = {
            let known = self.known();
            let is_lost = |task: &&NewTask| !known.queues.has(&task.spec.queue);
            tasks.iter().copied().filter(is_lost).collect()
        };
        if lost.is_empty() {
            return Ok(());
        }
        let _alone = self.making.lock().await;
        self.make(database, &lost).await.map(drop)
    }

    /// Returns the lane for tasks of `lane` that these readers refused, and that were `forced` to
    /// be due, after it was committed. A lane that cannot be read keeps its tasks.
    pub(super) async fn lane_like(
        &self,
        database: &Database,
        lane: i64,
        refusers: Refusers,
        forced: bool,
    ) -> Result<i64, Fault> {
        let is_another = |of: &Arc<Lane>| !of.key.is_for(refusers, forced);
        let Some(of) = self.lane(lane).filter(is_another) else { return Ok(lane) };
        let key = LaneKey { refusers, forced, ..of.key.clone() };
        let _alone = self.making.lock().await;
        if let Some(known) = self.known().by_key.get(&key) {
            return Ok(*known);
        }
        let epoch = self.make_lanes(database, vec![key.clone()]).await?;
        let made = self.known().by_key.get(&key).copied();
        match made {
            None if self.epoch() != epoch => Err(Fault::Moved),
            made => Ok(made.unwrap_or(lane)),
        }
    }

    /// Returns the lane [like](Self::lane_like) this one, if it is known to be committed.
    pub(super) fn known_lane_like(
        &self,
        lane: i64,
        refusers: Refusers,
        forced: bool,
    ) -> Option<i64> {
        let known = self.known();
        match known.lanes.get(&lane).filter(|of| !of.key.is_for(refusers, forced)) {
            None => Some(lane),
            Some(of) => known.by_key.get(&LaneKey { refusers, forced, ..of.key.clone() }).copied(),
        }
    }

    /// Returns a lane that was [learned](Self::learn_lanes); `None` if its row cannot be read.
    pub(super) fn lane(&self, id: i64) -> Option<Arc<Lane>> {
        self.known().lanes.get(&id).cloned()
    }

    /// Whether a lane is known to be stored.
    pub(super) fn is_stored(&self, lane: i64) -> bool {
        self.known().stored_lanes.contains(&lane)
    }

    /// Returns a queue's place in the order of turns; `None` if none of its lanes is known.
    pub(super) fn turn_of(&self, queue: &QueueName) -> Option<i64> {
        self.known().turns.get(queue).copied()
    }

    /// Reads a queue's place in the order of turns, if it is not known yet and the queue has one.
    pub(super) async fn learn_turn(
        &self,
        database: &Database,
        work: &mut Work,
        queue: &QueueName,
    ) -> Result<(), Fault> {
        const READ: &str = "SELECT id FROM gae_tasks.lane WHERE queue = $1 LIMIT 1";
        if self.turn_of(queue).is_some() {
            return Ok(());
        }
        let query = database.query(READ).bind(queue.as_str());
        let lane: Option<i64> = match query.fetch_optional(&mut **work).await? {
            Some(row) => row.try_get(0)?,
            None => None,
        };
        self.learn_lanes(database, work, lane).await
    }

    /// Reads those of these lanes that are not known to be stored.
    pub(super) async fn learn_lanes(
        &self,
        database: &Database,
        work: &mut Work,
        lanes: impl IntoIterator<Item = i64>,
    ) -> Result<(), Fault> {
        const READ: &str =
            concat!("SELECT ", lane_columns!(), " FROM gae_tasks.lane l WHERE l.id = ANY($1)");
        let unknown: Vec<_> = {
            let known = self.known();
            let is_unknown = |lane: &i64| !known.stored_lanes.contains(lane);
            lanes.into_iter().filter(is_unknown).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let epoch = self.epoch_of(work)?;
        let rows = database.query(READ).bind(&unknown).fetch_all(&mut **work).await?;
        let mut known = self.known();
        unknown.iter().for_each(|lane| _ = known.lanes.remove(lane));
        rows.iter().filter_map(|row| Lane::read(row, 0)).for_each(|lane| known.know(lane));
        known.doubt_unless(epoch);
        Ok(())
    }

    /// Returns the function that reads the tasks of a route, or what the worker must be asked. The
    /// schema of the route must be [learned](Self::learn_schemas) before.
    pub(super) fn reader(
        &self,
        routes: &Routes,
        route: &Route,
    ) -> Result<Option<ReaderId>, Question> {
        let known = self.known();
        let schema =
            || Ok::<_, std::convert::Infallible>(known.schemas.get(&route.shape()).cloned());
        let Ok(reader) = known.readers.reader(routes, route, schema);
        reader
    }

    /// Keeps what the worker with `routes` has said.
    pub(super) fn learn_readers(&self, routes: &Routes, answers: &[Answer]) {
        self.known().readers.learn(routes, answers);
    }

    /// Reads the schemas of these shapes that are not known yet.
    pub(super) async fn learn_schemas(
        &self,
        database: &Database,
        work: &mut Work,
        shapes: impl IntoIterator<Item = Shape>,
    ) -> Result<(), Fault> {
        // A schema is that of its shape on every server.
        let unknown: Vec<_> = {
            let known = self.known();
            let is_unknown = |shape: &Shape| !known.schemas.contains_key(shape);
            shapes.into_iter().filter(is_unknown).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let epoch = self.epoch_of(work)?;
        let schemas = super::schemas::read(database, work, &unknown).await?;
        let mut known = self.known();
        for (shape, schema) in unknown.into_iter().zip(schemas) {
            _ = schema.map(|schema| known.know_schema(shape, schema));
        }
        known.doubt_unless(epoch);
        Ok(())
    }

    /// Returns the configuration of a queue; a queue without a row has the default one.
    ///
    /// # Errors
    /// Why this program cannot read the configuration.
    pub(super) fn config(&self, queue: &QueueName) -> Result<QueueConfig, Unread> {
        self.known().queues.config(queue)
    }

    /// Returns the limits of a queue; `None` if none applies to its tasks.
    pub(super) fn limits(&self, queue: &QueueName) -> Option<RateLimits> {
        self.known().queues.limits(queue)
    }

    /// Whether a queue has a row.
    pub(super) fn has_queue(&self, queue: &QueueName) -> bool {
        self.known().queues.has(queue)
    }

    /// Whether the tasks of a lane wait: this program cannot read the configuration of their queue,
    /// or the queue is paused and they were not made due by hand.
    pub(super) fn waits(&self, lane: &LaneKey) -> bool {
        self.known().queues.waits(&lane.queue, lane.forced)
    }

    /// Reads the queues again if they have changed since, as the count of changes says.
    pub(super) async fn refresh_queues(
        &self,
        database: &Database,
        work: &mut Work,
        changes: i64,
    ) -> Result<(), Fault> {
        if self.is_of(changes) {
            return Ok(());
        }
        let epoch = self.epoch_of(work)?;
        let queues = Queues::read(database, work).await?;
        let mut known = self.known();
        known.queues = queues;
        known.doubt_unless(epoch);
        Ok(())
    }
}

impl Known {
    /// Forgets what is stored. What the rows said stays, for those who are at work with it.
    fn doubt(&mut self) {
        self.stored_lanes.clear();
        self.by_key.clear();
        self.queues.doubt();
        self.stored_schemas.clear();
        self.sensitive.clear();
    }

    /// Forgets what is stored if that was found out in another epoch.
    fn doubt_unless(&mut self, epoch: Epoch) {
        if self.epoch != epoch {
            self.doubt();
        }
    }

    fn know(&mut self, lane: Lane) {
        self.by_key.insert(lane.key.clone(), lane.id);
        self.turns.insert(lane.key.queue.clone(), lane.turn);
        self.stored_lanes.insert(lane.id);
        self.lanes.insert(lane.id, Arc::new(lane));
    }

    fn know_schema(&mut self, shape: Shape, schema: Arc<[u8]>) {
        self.schemas.entry(shape).or_insert(schema);
        self.stored_schemas.insert(shape);
    }

    /// Returns the lane of each task; `None` if a row that they need is not known to be stored.
    fn lanes_of<'t>(&self, tasks: impl IntoIterator<Item = &'t NewTask>) -> Option<Vec<i64>> {
        // Neighbours very often have one lane.
        let mut recent: Option<(&NewTask, i64)> = None;
        let lane_of = |task: &'t NewTask| {
            let lane = match recent {
                Some((of, lane)) if is_alike(of, task) => lane,
                _ => self.lane_of(task)?,
            };
            recent = Some((task, lane));
            Some(lane)
        };
        tasks.into_iter().map(lane_of).collect()
    }

    fn lane_of(&self, task: &NewTask) -> Option<i64> {
        let is_whole =
            self.queues.has(&task.spec.queue) && self.has_schema(task) && self.has_paths(task);
        self.by_key.get(&LaneKey::of(&task.spec)).copied().filter(|_| is_whole)
    }

    /// Whether the schema of a task is stored, or cannot be stored.
    fn has_schema(&self, task: &NewTask) -> bool {
        task.schema.is_empty()
            || self.stored_schemas.contains(&task.spec.shape)
            || !task.spec.shape.may_be_of(&task.schema)
    }

    fn has_paths(&self, task: &NewTask) -> bool {
        let known = self.sensitive.get(&task.spec.kind);
        task.sensitive.iter().all(|path| known.is_some_and(|known| known.contains(path)))
    }
}

/// Whether two tasks need the same rows.
fn is_alike(one: &NewTask, other: &NewTask) -> bool {
    let (of, spec) = (&one.spec, &other.spec);
    of.shape == spec.shape
        && of.queue == spec.queue
        && of.kind == spec.kind
        && of.version() == spec.version()
        && of.priority == spec.priority
        && (other.schema.is_empty() || Arc::ptr_eq(&one.schema, &other.schema))
        && (other.sensitive.is_empty() || one.sensitive.is_shared_with(&other.sensitive))
}
