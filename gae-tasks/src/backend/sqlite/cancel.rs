//! Cancelling a task: one that waits is deleted; of one that is leased, the row of the lease says
//! so until the lease ends.

use super::call::Request;
use super::connection::Durability;
use super::database::{Database, moment};
use super::error::Fault;
use super::held::Held;
use super::ready;
use super::task::Task;
use super::waiting;
use crate::backend::{Cancelled, TaskRequest};

pub(super) struct Cancel(pub(super) TaskRequest);

impl Request for Cancel {
    type Output = Cancelled;
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, database: &mut Database) -> Result<Cancelled, Fault> {
        let Database { connection, catalogue, .. } = database;
        let Some(task) = Task::load(connection, catalogue, self.0.id)? else {
            return Ok(Cancelled::Gone);
        };
        let (lane, facts) = (task.lane, task.facts);
        if facts.died.is_some() {
            return Ok(Cancelled::Gone);
        }
        let how = waiting::how(connection, task.id, lane, facts.standing(), facts.wait.due())?;
        if how.is_none() {
            let mut held = Held::new(connection);
            if held.cancel(task.id)? {
                held.write()?;
                return Ok(Cancelled::Requested);
            }
        }
        if let Some((lane, standing)) = task.remove(connection, catalogue, moment(self.0.now))? {
            ready::refresh(connection, lane, standing)?;
        }
        Ok(Cancelled::Removed)
    }
}
