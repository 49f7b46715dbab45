//! Deleting a queue: its tasks slice by slice, if they are to go too, and then, if nothing is left, its row.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::Sqlite;
use super::admin::{PurgeSlice, SLICE, WAITING, leased_tasks, open_tasks};
use super::call::Request;
use super::connection::Durability;
use super::error::Fault;
use super::row::task_id;
use super::store::Store;
use crate::backend::{DeleteQueue, Purged};
use crate::error::Error;
use crate::queue::QueueName;
use crate::task::TaskId;
use crate::time::Now;
use crate::version::Unread;

impl Sqlite {
    pub(super) async fn remove_queue(&self, request: DeleteQueue) -> Result<Purged, Error> {
        let DeleteQueue { now, queue, with_tasks } = request;
        self.writer.call(MayGo(queue.clone())).await??;
        loop {
            let [tasks, dead] = self.held(&queue).await?;
            let (open, dead_letters) = (tasks.len() as u64, dead.len() as u64);
            if !with_tasks && open + dead_letters > 0 {
                return Err(Error::QueueInUse { queue: queue.to_string(), tasks: open, dead_letters });
            }
            let purged = self.delete_all([tasks, dead].concat().into(), now, true).await?;
            if purged.left > 0 || self.writer.call(RemoveRow(queue.clone())).await?? {
                return Ok(purged);
            }
            // Tasks were stored meanwhile, and may be over by now.
            let left = self.held(&queue).await?.concat().len() as u64;
            if with_tasks && left > 0 {
                return Ok(Purged::new(purged.deleted, left));
            }
        }
    }

    /// The tasks of a queue: those that are not dead, and those that are.
    async fn held(&self, queue: &QueueName) -> Result<[Vec<TaskId>; 2], Error> {
        let queue = queue.clone();
        Ok(self.reader.scan(move |file| Ok([open_tasks(file, &queue)?, dead_tasks(file, &queue)?])).await?)
    }

    /// Deletes tasks in several transactions, so that others have their turn in between.
    pub(super) async fn delete_all(&self, ids: Arc<[TaskId]>, now: Now, with_dead: bool) -> Result<Purged, Error> {
        let (mut done, mut purged) = (0, Purged::new(0, 0));
        while done < ids.len() {
            let slice = PurgeSlice { now, ids: Arc::clone(&ids), with_dead, done, most: SLICE };
            let slice = self.writer.call(slice).await?;
            done = slice.done;
            purged = Purged::new(purged.deleted + slice.purged.deleted, purged.left + slice.purged.left);
        }
        Ok(purged)
    }
}

const DEAD: &str = "SELECT t.id FROM gae_tasks_lane l CROSS JOIN gae_tasks_task t ON t.lane = l.id AND t.died IS NOT NULL \
                    WHERE l.queue = ?1";

fn dead_tasks(connection: &Connection, queue: &QueueName) -> Result<Vec<TaskId>, Fault> {
    let mut statement = connection.prepare_cached(DEAD)?;
    let ids = statement.query_map(params![queue.as_str()], |row| Ok(task_id(row, 0).ok()))?;
    let ids: Result<Vec<_>, _> = ids.collect();
    Ok(ids?.into_iter().flatten().collect())
}

/// Refuses a queue that a newer version of this crate configured, before anything is deleted.
struct MayGo(QueueName);

impl Request for MayGo {
    type Answer = Result<(), Error>;
    const DURABILITY: Durability = Durability::Normal;

    fn perform(&mut self, store: &mut Store) -> Result<Self::Answer, Fault> {
        Ok(may_go(store, &self.0))
    }
}

fn may_go(store: &Store, queue: &QueueName) -> Result<(), Error> {
    match store.catalogue.unread(queue) {
        Some(Unread::Newer) => Err(Error::NewerQueue { queue: queue.to_string() }),
        Some(Unread::Damaged) | None => Ok(()),
    }
}

/// Removes the row of a queue that holds nothing; answers whether it held nothing.
struct RemoveRow(QueueName);

impl Request for RemoveRow {
    type Answer = Result<bool, Error>;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, store: &mut Store) -> Result<Self::Answer, Fault> {
        if let Err(error) = may_go(store, &self.0) {
            return Ok(Err(error));
        }
        for query in [WAITING, DEAD] {
            let mut first = store.connection.prepare_cached(&format!("{query} LIMIT 1"))?;
            if first.exists(params![self.0.as_str()])? {
                return Ok(Ok(false));
            }
        }
        if !leased_tasks(&store.connection, &self.0)?.is_empty() {
            return Ok(Ok(false));
        }
        store.catalogue.remove_queue(&store.connection, &self.0)?;
        Ok(Ok(true))
    }
}
