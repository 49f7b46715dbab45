//! Recovering tasks of dead workers, and deleting dead letters and names whose retention has
//! passed.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::call::Request;
use super::catalogue::Catalogue;
use super::connection::Durability;
use super::database::{Database, moment};
use super::error::Fault;
use super::grouping::one;
use super::held::{self, Held};
use super::lost;
use super::ready;
use super::row::task_id;
use super::session::{self, Session, Sign};
use super::task::Task;
use super::unreadable;
use crate::backend::lifecycle::{Wait, forgotten_before};
use crate::backend::{ForgottenTask, HeldLease, Sweep, Swept};
use crate::task::TaskId;
use crate::time::Timestamp;

pub(super) const OLD_DEAD: &str = "SELECT id, length(payload) FROM gae_tasks_task WHERE lane = ?1 \
                                   AND died IS NOT NULL AND died <= ?2 AND typeof(id) = 'blob' AND \
                                   length(id) = 16 ORDER BY died LIMIT ?3";

pub(super) const LANE_WITH_DEAD: &str = "SELECT lane FROM gae_tasks_task WHERE lane > ?1 AND died \
                                         IS NOT NULL \
                                         AND typeof(lane) = 'integer' ORDER BY lane, died LIMIT 1";

pub(super) const OLD_NAMES: &str =
    "SELECT 1 FROM gae_tasks_name WHERE until IS NOT NULL AND until <= ?1";

pub(super) const LONG_PAUSES: &str = "SELECT task, lane, standing, due, since FROM \
                                      gae_tasks_waiting WHERE since IS NOT NULL AND since > ?1 AND \
                                      typeof(since) = 'integer' AND typeof(lane) = 'integer' AND \
                                      typeof(standing) = 'integer' AND typeof(due) = 'integer' AND \
                                      typeof(task) = 'blob' AND length(task) = 16 LIMIT ?2";

/// How many bytes of payloads one sweep deletes: the dead letter that reaches the limit is the
/// last. The commit writes all these bytes, and others wait for it.
const MAX_FORGOTTEN_BYTES: u64 = 4 * 1024 * 1024;

impl Request for Sweep {
    type Output = Swept;
    const DURABILITY: Durability = Durability::Normal;
    const MAY_REST: bool = true;

    fn look(&self, database: &mut Database) -> Result<Option<Swept>, Fault> {
        let now = moment(self.now);
        let Database { connection, catalogue, session, strays, .. } = database;
        let strays_found = strays.look(connection)?;
        let leases = held::leases(connection)?;
        // Held leases must be read in a transaction that writes, which shows that their holders
        // could have extended them.
        let idle = strays_found.is_empty()
            && leases.is_empty()
            && !held::has_unreadable(connection)?
            && old_dead(connection, catalogue, now, 1)?.is_empty()
            && long_pauses(connection, now, 1)?.is_empty()
            && !has_old_names(connection, now)?
            && !has_ended_sessions(connection, session, &leases)?
            && !session.has_dead_files(connection)?
            && !session.is_to_mend(connection)?;
        if idle {
            strays.go_on();
        }
        Ok(idle.then(Swept::default))
    }

    fn perform(&mut self, database: &mut Database) -> Result<Swept, Fault> {
        let now = moment(self.now);
        let mut swept = Swept::default();
        database.session.remove_dead_files(&database.connection)?;
        swept.more |= database.session.mend(&database.connection)?;
        held::remove_unreadable(&database.connection)?;
        self.bury_sessions(database, now, &mut swept)?;
        self.recover_lost(database, now, &mut swept)?;
        self.put_back_strays(database, now, &mut swept)?;
        swept.more |= self.room(&swept) == 0;
        self.forget(database, now, &mut swept)?;
        let connection = &database.connection;
        for pause in long_pauses(connection, now, self.limit)? {
            pause.shorten(connection, now)?;
            swept.shortened += 1;
        }
        swept.more |= self.is_limit(swept.shortened);
        swept.held = held::leases(connection)?.into_iter().map(|(held, _)| held).collect();
        if !swept.held.is_empty() {
            Session::prove_writable(connection)?;
        }
        Ok(swept)
    }

    fn wakes(swept: &Swept) -> bool {
        swept.recovered > 0 || swept.shortened > 0
    }
}

/// The steps of a sweep.
impl Sweep {
    /// Returns how many more leases the sweep may recover.
    fn room(&self, swept: &Swept) -> usize {
        self.limit.saturating_sub(usize::try_from(swept.recovered).unwrap_or(usize::MAX))
    }

    /// Whether `changes` reaches the limit for one sort of change.
    fn is_limit(&self, changes: u64) -> bool {
        changes >= self.limit as u64
    }

    fn recover_lost(
        &self,
        database: &mut Database,
        now: Timestamp,
        swept: &mut Swept,
    ) -> Result<(), Fault> {
        let Database { connection, catalogue, grouping, has_opened, .. } = database;
        let mut held = Held::new(connection);
        for lost in &self.lost {
            if self.room(swept) > 0 && lost::is_unchanged(&mut held, lost)? {
                count(
                    swept,
                    lost::recover(*grouping, &mut held, connection, catalogue, lost.lease, now)?,
                );
            }
        }
        // Nothing may be recovered and a place be free: the task of the lease was over.
        *has_opened |= held.write()?;
        Ok(())
    }

    /// Puts tasks back whose lease is lost without a trace.
    fn put_back_strays(
        &self,
        database: &mut Database,
        now: Timestamp,
        swept: &mut Swept,
    ) -> Result<(), Fault> {
        let Database { connection, catalogue, grouping, strays, .. } = database;
        for id in strays.look(connection)?.into_iter().take(self.room(swept)) {
            let put_back =
                |catalogue: &mut Catalogue| lost::put_back(connection, catalogue, id, now);
            match one(*grouping, connection, catalogue, put_back)? {
                Ok(put_back) => count(swept, put_back),
                Err(refusal) => unreadable::refused(connection, id, &refusal),
            }
        }
        Ok(())
    }

    /// Deletes dead letters and names whose retention has passed.
    fn forget(
        &self,
        database: &mut Database,
        now: Timestamp,
        swept: &mut Swept,
    ) -> Result<(), Fault> {
        let Database { connection, catalogue, grouping, .. } = database;
        let old = old_dead(connection, catalogue, now, self.limit)?;
        swept.more |= old.len() >= self.limit;
        let mut bytes = 0;
        for (id, payload) in old {
            if bytes >= MAX_FORGOTTEN_BYTES {
                swept.more = true;
                break;
            }
            bytes += payload;
            let Some(task) = Task::load(connection, catalogue, id)? else { continue };
            let attributes = task.attributes(connection)?;
            let remove = |catalogue: &mut Catalogue| task.remove(connection, catalogue, now);
            if one(*grouping, connection, catalogue, remove)?.is_ok() {
                swept.forgotten_tasks.push(ForgottenTask::new(id, attributes));
                swept.forgotten += 1;
            }
        }
        let names = forget_names(connection, now, self.limit)?;
        swept.more |= self.is_limit(names);
        swept.forgotten += names;
        Ok(())
    }

    /// Recovers the leases of processes that are gone, and removes their sessions.
    fn bury_sessions(
        &self,
        database: &mut Database,
        now: Timestamp,
        swept: &mut Swept,
    ) -> Result<(), Fault> {
        let Database { connection, catalogue, session, grouping, has_opened, .. } = database;
        let others = session.others(connection)?;
        let leases = if others.is_empty() { Vec::new() } else { held::leases(connection)? };
        for id in others {
            let sign = session.sign_of(id);
            let own = lost::of_session(&leases, id);
            let mut left = own.len();
            match &sign {
                Sign::Alive => continue,
                Sign::Unknown => {}
                Sign::Dead(_) => {
                    let mut held = Held::new(connection);
                    for lease in own.into_iter().take(self.room(swept)) {
                        count(
                            swept,
                            lost::recover(*grouping, &mut held, connection, catalogue, lease, now)?,
                        );
                        left -= usize::from(held.find(lease)?.is_none());
                    }
                    *has_opened |= held.write()?;
                }
            }
            if left == 0 {
                session::forget(connection, id)?;
                if let Sign::Dead(dead) = sign {
                    session.will_bury(dead);
                }
            }
        }
        Ok(())
    }
}

/// Counts a recovered task, and whether it is dead now.
fn count(swept: &mut Swept, recovered: Option<bool>) {
    swept.recovered += u64::from(recovered.is_some());
    swept.died += u64::from(recovered == Some(true));
}

/// Returns dead letters whose retention has passed, at most `limit`, with the bytes of their
/// payloads. Dead letters that a newer version of this crate stored, or whose queue it configured,
/// are left out.
fn old_dead(
    connection: &Connection,
    catalogue: &Catalogue,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(TaskId, u64)>, Fault> {
    let (mut old, mut last) = (Vec::new(), i64::MIN);
    let mut lanes = connection.prepare_cached(LANE_WITH_DEAD)?;
    let mut dead = connection.prepare_cached(OLD_DEAD)?;
    while old.len() < limit
        && let Some(lane) = lanes.query_row(params![last], |row| row.get::<_, i64>(0)).optional()?
    {
        last = lane;
        let Some(config) = catalogue.config(lane).filter(|_| catalogue.is_readable(lane)) else {
            continue;
        };
        let before = forgotten_before(&config, now).as_micros();
        let room = i64::try_from(limit - old.len()).unwrap_or(i64::MAX);
        let bytes = |row: &Row<'_>| row.get::<_, i64>(1).map_or(0, i64::unsigned_abs);
        let found =
            dead.query_map(params![lane, before, room], |row| Ok((task_id(row, 0)?, bytes(row))))?;
        old.extend(found.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(old)
}

/// A pause that began in the future, because the clock was set back.
struct LongPause {
    task: TaskId,
    lane: i64,
    standing: i64,
    wait: Wait,
}

fn long_pauses(
    connection: &Connection,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<LongPause>, Fault> {
    let mut statement = connection.prepare_cached(LONG_PAUSES)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let pauses = statement.query_map(params![now.as_micros(), limit], |row| {
        let time = |column| row.get(column).map(Timestamp::from_micros);
        let (lane, standing) = (row.get(1)?, row.get(2)?);
        let wait = Wait::Pause { until: time(3)?, since: time(4)? };
        Ok(LongPause { task: task_id(row, 0)?, lane, standing, wait })
    })?;
    Ok(pauses.collect::<Result<_, _>>()?)
}

impl LongPause {
    /// Restarts the pause now, with its original length.
    fn shorten(&self, connection: &Connection, now: Timestamp) -> Result<(), Fault> {
        const MOVE: &str = "UPDATE gae_tasks_waiting SET due = ?5, since = ?6 WHERE lane = ?1 AND \
                            standing = ?2 AND timed = 1 AND due = ?3 AND task = ?4";
        const TELL: &str = "UPDATE gae_tasks_task SET schedule_time = ?2 WHERE id = ?1";
        let Some(wait) = self.wait.shortened(now) else { return Ok(()) };
        let (task, due, since) =
            (self.task.as_bytes(), wait.due().as_micros(), wait.since().map(Timestamp::as_micros));
        let moved =
            params![self.lane, self.standing, self.wait.due().as_micros(), task, due, since];
        connection.prepare_cached(MOVE)?.execute(moved)?;
        connection.prepare_cached(TELL)?.execute(params![task, due])?;
        ready::add(connection, self.lane, self.standing, ready::due(wait))
    }
}

/// Whether a session has ended, or seems to, and can be removed.
fn has_ended_sessions(
    connection: &Connection,
    session: &Session,
    leases: &[(HeldLease, i64)],
) -> Result<bool, Fault> {
    for id in session.others(connection)? {
        match session.sign_of(id) {
            Sign::Alive => {}
            Sign::Dead(_) => return Ok(true),
            Sign::Unknown if lost::of_session(leases, id).is_empty() => return Ok(true),
            Sign::Unknown => {}
        }
    }
    Ok(false)
}

fn has_old_names(connection: &Connection, now: Timestamp) -> Result<bool, Fault> {
    Ok(connection.prepare_cached(OLD_NAMES)?.exists(params![now.as_micros()])?)
}

fn forget_names(connection: &Connection, now: Timestamp, limit: usize) -> Result<u64, Fault> {
    const FORGET: &str = "DELETE FROM gae_tasks_name WHERE (queue, name) IN (SELECT queue, name \
                          FROM gae_tasks_name \
                          WHERE until IS NOT NULL AND until <= ?1 ORDER BY until LIMIT ?2)";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(connection.prepare_cached(FORGET)?.execute(params![now.as_micros(), limit])? as u64)
}
