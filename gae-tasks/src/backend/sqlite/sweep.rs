//! Recovering what dead workers held, and forgetting what was kept long enough.

use rusqlite::{Connection, OptionalExtension, params};

use super::call::Request;
use super::connection::Durability;
use super::error::Fault;
use super::lane::Catalogue;
use super::lost;
use super::row::task_id;
use super::session::{self, Session, Sign};
use super::task::Task;
use super::writer::{Store, moment};
use crate::backend::{Sweep, Swept};
use crate::task::TaskId;
use crate::time::Timestamp;

pub(super) const OLD_DEAD: &str = "SELECT id FROM gae_tasks_task WHERE lane = ?1 AND died IS NOT NULL AND died <= ?2 AND typeof(id) = 'blob' AND length(id) = 16 ORDER BY died LIMIT ?3";

pub(super) const LANE_WITH_DEAD: &str = "SELECT lane FROM gae_tasks_task WHERE lane > ?1 AND died IS NOT NULL AND typeof(lane) = 'integer' ORDER BY lane, died LIMIT 1";

pub(super) const OLD_NAMES: &str = "SELECT 1 FROM gae_tasks_name WHERE until IS NOT NULL AND until <= ?1";

pub(super) const LONG_PAUSES: &str = "SELECT task, lane, standing, due, since FROM gae_tasks_waiting WHERE since IS NOT NULL AND since > ?1 AND typeof(since) = 'integer' AND typeof(task) = 'blob' AND length(task) = 16 LIMIT ?2";

impl Request for Sweep {
    type Answer = Swept;
    const DURABILITY: Durability = Durability::Normal;
    const MAY_REST: bool = true;

    fn look(&self, store: &mut Store) -> Result<Option<Swept>, Fault> {
        let now = moment(self.now);
        let Store { connection, catalogue, session, .. } = store;
        // A lease that is held is seen within a transaction only: it shows that its holder could have extended it.
        let idle = !connection.prepare_cached(lost::HELD)?.exists([])?
            && old_dead(connection, catalogue, now, 1)?.is_empty()
            && long_pauses(connection, now, 1)?.is_empty()
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
        for lost in &self.lost {
            if self.room(&swept) > 0
                && let Some(session) = lost::unchanged(connection, lost)?
            {
                lost::acquit(connection, session)?;
                swept.recovered += 1;
                swept.died += u64::from(lost::recover(connection, catalogue, lost.lease.id, now)?);
            }
        }
        for id in old_dead(connection, catalogue, now, self.limit)? {
            if let Some(task) = Task::load(connection, id)? {
                swept.attributes.extend(task.attributes(connection)?);
                task.remove(connection, catalogue, now)?;
                swept.forgotten += 1;
            }
        }
        swept.forgotten += forget_names(connection, now, self.limit)?;
        for pause in long_pauses(connection, now, self.limit)? {
            pause.shorten(connection, now)?;
            swept.shortened += 1;
        }
        swept.held = lost::held(connection)?;
        if !swept.held.is_empty() {
            store.session.prove_writable(&store.connection)?;
        }
        Ok(swept)
    }

    fn wakes(swept: &Swept) -> bool {
        swept.recovered > 0 || swept.shortened > 0
    }
}

/// The parts of a sweep.
impl Sweep {
    /// How many leases more it may recover.
    fn room(&self, swept: &Swept) -> usize {
        self.limit.saturating_sub(usize::try_from(swept.recovered).unwrap_or(usize::MAX))
    }

    /// Recovers the leases of processes that are gone, and forgets these.
    fn bury_sessions(&self, store: &mut Store, now: Timestamp, swept: &mut Swept) -> Result<(), Fault> {
        let Store { connection, catalogue, session, .. } = store;
        for id in session.others(connection)? {
            let sign = session.sign_of(id);
            let held = match &sign {
                Sign::Alive => continue,
                Sign::Dead(_) => {
                    lost::acquit(connection, id)?;
                    lost::of_session(connection, id, self.room(swept))?
                }
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

/// Dead letters that were kept for as long as their queue says, at most `limit`; none that a newer version of this crate
/// stored, or whose queue it configured.
fn old_dead(
    connection: &Connection,
    catalogue: &Catalogue,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<TaskId>, Fault> {
    let (mut old, mut last) = (Vec::new(), i64::MIN);
    let mut lanes = connection.prepare_cached(LANE_WITH_DEAD)?;
    let mut dead = connection.prepare_cached(OLD_DEAD)?;
    while old.len() < limit
        && let Some(lane) = lanes.query_row(params![last], |row| row.get::<_, i64>(0)).optional()?
    {
        last = lane;
        let Some(config) = catalogue.config(lane).filter(|_| catalogue.is_readable(lane)) else { continue };
        let before = now.minus(config.dead_letter_retention()).as_micros();
        let room = i64::try_from(limit - old.len()).unwrap_or(i64::MAX);
        let ids = dead.query_map(params![lane, before, room], |row| task_id(row, 0))?;
        old.extend(ids.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(old)
}

/// A pause that began in the future: the clock was set back.
struct LongPause {
    task: TaskId,
    lane: i64,
    standing: i64,
    due: Timestamp,
    since: Timestamp,
}

fn long_pauses(connection: &Connection, now: Timestamp, limit: usize) -> Result<Vec<LongPause>, Fault> {
    let mut statement = connection.prepare_cached(LONG_PAUSES)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let pauses = statement.query_map(params![now.as_micros(), limit], |row| {
        let time = |column| row.get(column).map(Timestamp::from_micros);
        Ok(LongPause {
            task: task_id(row, 0)?,
            lane: row.get(1)?,
            standing: row.get(2)?,
            due: time(3)?,
            since: time(4)?,
        })
    })?;
    Ok(pauses.collect::<Result<_, _>>()?)
}

impl LongPause {
    /// Lets it last from now on as long as it was meant to.
    fn shorten(&self, connection: &Connection, now: Timestamp) -> Result<(), Fault> {
        const MOVE: &str = "UPDATE gae_tasks_waiting SET due = ?5, since = ?6 \
                            WHERE lane = ?1 AND standing = ?2 AND timed = 1 AND due = ?3 AND task = ?4";
        const TELL: &str = "UPDATE gae_tasks_task SET schedule_time = ?2 WHERE id = ?1";
        let (task, due) = (self.task.as_bytes(), now.plus(self.due.since(self.since)).as_micros());
        let moved = params![self.lane, self.standing, self.due.as_micros(), task, due, now.as_micros()];
        connection.prepare_cached(MOVE)?.execute(moved)?;
        connection.prepare_cached(TELL)?.execute(params![task, due])?;
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
