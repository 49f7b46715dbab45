//! Deleting a queue: its tasks slice by slice, if the request includes them, and then its row, if
//! nothing is left.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::Sqlite;
use super::admin::{IS_OF_QUEUE, PurgeSlice, SLICE};
use super::call::Request;
use super::connection::Durability;
use super::database::Database;
use super::error::Fault;
use super::held;
use super::limits;
use super::ready;
use super::row::task_id;
use super::unreadable;
use crate::backend::{DeleteQueue, Purged, Standing};
use crate::error::Error;
use crate::queue::QueueName;
use crate::task::TaskId;
use crate::time::Now;
use crate::version::Unread;

impl Sqlite {
    pub(super) async fn remove_queue(&self, request: DeleteQueue) -> Result<Purged, Error> {
        let DeleteQueue { now, queue, with_tasks } = request;
        self.writer.call(MayGo(queue.clone())).await??;
        let name = queue.clone();
        let held = self.reader.scan(move |file| all_of(file, &name)).await?;
        let mut purged = Purged::new(0, held.nameless);
        if with_tasks {
            let found = self.delete_all(held.ids.into(), now, true).await?;
            purged = Purged::new(found.deleted, found.left + held.nameless);
        } else if held.tasks + held.dead_letters > 0 {
            return Err(held.in_use(&queue));
        }
        if purged.left > 0 {
            return Ok(purged);
        }
        match self.writer.call(RemoveRow(queue.clone())).await?? {
            None => Ok(purged),
            // Tasks were stored meanwhile.
            Some(held) if with_tasks => {
                Ok(Purged::new(purged.deleted, held.tasks + held.dead_letters))
            }
            Some(held) => Err(held.in_use(&queue)),
        }
    }

    /// Deletes tasks in several transactions, so that others have their turn in between.
    pub(super) async fn delete_all(
        &self,
        ids: Arc<[TaskId]>,
        now: Now,
        with_dead: bool,
    ) -> Result<Purged, Error> {
        let (mut done, mut purged) = (0, Purged::new(0, 0));
        while done < ids.len() {
            let slice = PurgeSlice { now, ids: Arc::clone(&ids), with_dead, done, most: SLICE };
            let slice = self.writer.call(slice).await?;
            done = slice.done;
            purged =
                Purged::new(purged.deleted + slice.purged.deleted, purged.left + slice.purged.left);
        }
        Ok(purged)
    }
}

/// The tasks and dead letters of a queue.
#[derive(Debug, Default)]
pub(super) struct HeldTasks {
    ids: Vec<TaskId>,
    pub(super) tasks: u64,
    dead_letters: u64,
    /// The number of tasks and dead letters whose id cannot be read; they cannot be deleted.
    nameless: u64,
}

impl HeldTasks {
    fn in_use(&self, queue: &QueueName) -> Error {
        Error::QueueInUse {
            queue: queue.to_string(),
            tasks: self.tasks,
            dead_letters: self.dead_letters,
        }
    }
}

/// Selects all tasks of a queue. A task belongs to the queue by its own row, the only row of a
/// stray task, or by the row in which it waits. All tasks are read.
pub(super) const HELD: &str = "SELECT t.id, t.died IS NOT NULL FROM gae_tasks_task t \
                    WHERE t.lane IN (SELECT id FROM gae_tasks_lane WHERE queue = ?1) \
                    OR t.id IN (SELECT w.task FROM gae_tasks_lane l CROSS JOIN gae_tasks_waiting w \
                    ON w.lane = l.id WHERE l.queue = ?1)";

fn all_of(connection: &Connection, queue: &QueueName) -> Result<HeldTasks, Fault> {
    let mut statement = connection.prepare_cached(HELD)?;
    let mut rows = statement.query(params![queue.as_str()])?;
    let mut held = HeldTasks::default();
    while let Some(row) = rows.next()? {
        if row.get(1)? {
            held.dead_letters += 1
        } else {
            held.tasks += 1
        }
        if let Ok(id) = task_id(row, 0) {
            held.ids.push(id);
        } else {
            unreadable::row(connection, "gae_tasks_task", "without an id");
            held.nameless += 1;
        }
    }
    Ok(held)
}

pub(super) const HOLDS: &str = "SELECT 1 FROM gae_tasks_lane l WHERE l.queue = ?1 AND (EXISTS \
                     (SELECT 1 FROM gae_tasks_waiting w CROSS JOIN gae_tasks_task t ON t.id = \
                     w.task WHERE w.lane = l.id) OR EXISTS (SELECT 1 FROM gae_tasks_task t WHERE \
                     t.lane = l.id AND t.died IS NOT NULL))";

/// Whether a task of a queue waits, is leased or is dead, according to the small tables.
fn holds_any(connection: &Connection, queue: &QueueName) -> Result<bool, Fault> {
    if connection.prepare_cached(HOLDS)?.exists(params![queue.as_str()])? {
        return Ok(true);
    }
    let mut is_of_queue = connection.prepare_cached(IS_OF_QUEUE)?;
    for (held, _) in held::leases(connection)? {
        if is_of_queue.exists(params![held.lease.id.as_bytes(), queue.as_str()])? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes waiting rows of a queue that belong to no task: a queue that is created anew must not
/// find them.
fn delete_orphans(connection: &Connection, queue: &QueueName) -> Result<(), Fault> {
    const ORPHANS: &str = "DELETE FROM gae_tasks_waiting WHERE lane IN (SELECT id FROM \
                           gae_tasks_lane WHERE queue = ?1) RETURNING lane";
    let mut statement = connection.prepare_cached(ORPHANS)?;
    let lanes = statement.query_map(params![queue.as_str()], |row| row.get(0))?;
    for lane in lanes.collect::<Result<BTreeSet<i64>, _>>()? {
        for standing in Standing::ALL {
            ready::refresh(connection, lane, standing)?;
        }
    }
    Ok(())
}

/// Refuses to delete a queue that a newer version of this crate configured, before anything is
/// deleted.
struct MayGo(QueueName);

impl Request for MayGo {
    type Output = Result<(), Error>;
    const DURABILITY: Durability = Durability::Normal;

    fn perform(&mut self, database: &mut Database) -> Result<Self::Output, Fault> {
        Ok(may_go(database, &self.0))
    }
}

fn may_go(database: &Database, queue: &QueueName) -> Result<(), Error> {
    match database.catalogue.unread(queue) {
        Some(Unread::Newer) => Err(Error::NewerQueue { queue: queue.to_string() }),
        Some(Unread::Damaged) | None => Ok(()),
    }
}

/// Removes the row of a queue that holds nothing; otherwise returns what the queue holds.
pub(super) struct RemoveRow(pub(super) QueueName);

impl Request for RemoveRow {
    type Output = Result<Option<HeldTasks>, Error>;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, database: &mut Database) -> Result<Self::Output, Fault> {
        if let Err(error) = may_go(database, &self.0) {
            return Ok(Err(error));
        }
        // All tasks are read only if some were stored since the reader looked.
        if holds_any(&database.connection, &self.0)? {
            return Ok(Ok(Some(all_of(&database.connection, &self.0)?)));
        }
        delete_orphans(&database.connection, &self.0)?;
        limits::forget(&database.connection, &database.catalogue, &self.0)?;
        database.catalogue.remove_queue(&database.connection, &self.0)?;
        Ok(Ok(None))
    }
}
