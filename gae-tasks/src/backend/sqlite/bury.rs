//! Storing dead letters of tasks that ended elsewhere.

use super::call::Request;
use super::connection::Durability;
use super::database::{Database, moment};
use super::enqueue::insert;
use super::error::Fault;
use super::name;
use super::task::{self, Task};
use crate::backend::Bury;
use crate::backend::lifecycle::{self, Change};

impl Request for Bury {
    type Output = ();
    const DURABILITY: Durability = Durability::Full;

    fn perform(&mut self, database: &mut Database) -> Result<(), Fault> {
        let now = moment(self.now);
        let Database { connection, catalogue, .. } = database;
        if task::is_stored(connection, self.task.spec.id)? {
            return Ok(());
        }
        let mut buried = self.task.clone();
        if let Some(name) = &buried.spec.name
            && name::take(connection, &buried.spec.queue, name, buried.spec.id, now)?.is_some()
        {
            buried.spec.name = None;
        }
        let lane = catalogue.lane_of(connection, &buried)?;
        insert(connection, &buried, lane, now, buried.schedule.resolve(now))?;
        let Some(task) = Task::load(connection, catalogue, buried.spec.id)? else { return Ok(()) };
        let facts = lifecycle::bury(task.facts, self.attempts, self.first_attempt, now);
        let change = Change::To { facts, error: Some((&self.error).into()) };
        task.apply(connection, catalogue, change, now).map(|_| ())
    }
}
