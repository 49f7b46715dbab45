//! Recovering what dead workers held, and forgetting what was kept long enough.

use rusqlite::{Connection, params};

use super::call::Request;
use super::connection::Durability;
use super::error::Fault;
use super::lost;
use super::session::{self, Session, Sign};
use super::task::Task;
use super::writer::{Store, moment};
use crate::backend::{Sweep, Swept};
use crate::task::TaskId;
use crate::time::Timestamp;

pub(super) const OLD_DEAD: &str = "SELECT id FROM gae_tasks_task WHERE died IS NOT NULL AND died <= ?1 AND typeof(id) = 'blob' AND length(id) = 16 ORDER BY died LIMIT ?2";

pub(super) const OLD_NAMES: &str = "SELECT 1 FROM gae_tasks_name WHERE until IS NOT NULL AND until <= ?1";

impl Request for Sweep {
    type Answer = Swept;
    const DURABILITY: Durability = Durability::Normal;
    const MAY_REST: bool = true;

    fn look(&self, store: &mut Store) -> Result<Option<Swept>, Fault> {
        let now = moment(self.now);
        let Store { connection, session, .. } = store;
        let idle = lost::expired(connection, now, 1)?.is_empty()
            && self.old_dead(connection, now, 1)?.is_empty()
            && !has_old_names(connection, now)?
            && !has_ended_sessions(connection, session)?
            && !session.has_strays(connection)?;
        Ok(idle.then(Swept::default))
    }

    fn perform(&mut self, store: &mut Store) -> Result<Swept, Fault> {
        let now = moment(self.now);
        let mut swept = Swept::default();
        store.session.remove_strays(&store.connection)?;
        self.bury_sessions(store, now, &mut swept)?;
        let Store { connection, catalogue, .. } = store;
        let room = self.limit.saturating_sub(usize::try_from(swept.recovered).unwrap_or(usize::MAX));
        for id in lost::expired(connection, now, room)? {
            swept.recovered += 1;
            swept.died += u64::from(lost::recover(connection, catalogue, id, now)?);
        }
        for id in self.old_dead(connection, now, self.limit)? {
            if let Some(task) = Task::load(connection, id)? {
                swept.attributes.extend(task.attributes(connection)?);
                task.remove(connection, catalogue, now.plus(self.tombstones))?;
                swept.forgotten += 1;
            }
        }
        swept.forgotten += forget_names(connection, now, self.limit)?;
        Ok(swept)
    }

    fn wakes(swept: &Swept) -> bool {
        swept.recovered > 0
    }
}

/// The parts of a sweep.
impl Sweep {
    /// Dead letters that were kept long enough.
    fn old_dead(&self, connection: &Connection, now: Timestamp, limit: usize) -> Result<Vec<TaskId>, Fault> {
        lost::ids(connection, OLD_DEAD, &now.minus(self.dead_letters).as_micros(), limit)
    }

    /// Recovers the leases of processes that are gone, and forgets these.
    fn bury_sessions(&self, store: &mut Store, now: Timestamp, swept: &mut Swept) -> Result<(), Fault> {
        let Store { connection, catalogue, session, .. } = store;
        for id in session.others(connection)? {
            let room = self.limit.saturating_sub(usize::try_from(swept.recovered).unwrap_or(usize::MAX));
            let sign = session.sign_of(id);
            let held = match &sign {
                Sign::Alive => continue,
                Sign::Dead(_) => lost::of_session(connection, id, room)?,
                Sign::Unknown => Vec::new(),
            };
            for id in held {
                swept.recovered += 1;
                swept.died += u64::from(lost::recover(connection, catalogue, id, now)?);
            }
            if lost::of_session(connection, id, 1)?.is_empty() {
                session::forget(connection, id)?;
                if let Sign::Dead(dead) = sign {
                    session.will_bury(dead);
                }
            }
        }
        Ok(())
    }
}

/// Whether a session is over, or so it seems, and can be forgotten.
fn has_ended_sessions(connection: &Connection, session: &Session) -> Result<bool, Fault> {
    for id in session.others(connection)? {
        match session.sign_of(id) {
            Sign::Alive => {}
            Sign::Dead(_) => return Ok(true),
            Sign::Unknown if lost::of_session(connection, id, 1)?.is_empty() => return Ok(true),
            Sign::Unknown => {}
        }
    }
    Ok(false)
}

fn has_old_names(connection: &Connection, now: Timestamp) -> Result<bool, Fault> {
    Ok(connection.prepare_cached(OLD_NAMES)?.exists(params![now.as_micros()])?)
}

fn forget_names(connection: &Connection, now: Timestamp, limit: usize) -> Result<u64, Fault> {
    const FORGET: &str = "DELETE FROM gae_tasks_name WHERE (queue, name) IN (SELECT queue, name FROM gae_tasks_name \
                          WHERE until IS NOT NULL AND until <= ?1 ORDER BY until LIMIT ?2)";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(connection.prepare_cached(FORGET)?.execute(params![now.as_micros(), limit])? as u64)
}
