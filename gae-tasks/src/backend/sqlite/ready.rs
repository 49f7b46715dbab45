//! Lanes with waiting tasks: a lease reads these first, so that tasks that are not due cost
//! nothing.

use std::collections::VecDeque;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::Fault;
use super::lane::{Runnable, RunnableLane};
use crate::backend::Standing;
use crate::backend::lifecycle::Wait;
use crate::time::Timestamp;

/// The `due` of a task that is due whatever the clock says.
pub(super) const AT_ONCE: i64 = i64::MIN;

/// Up to this many lanes are looked up one by one; for more, all due rows are read.
const FEW: usize = 16;

/// Up to this many due lanes are sorted in memory. More are read in the order of turns, this many
/// at a time, which skips lanes that are not due.
const MANY: usize = 256;

pub(super) const FIRST: &str = "SELECT timed, due FROM gae_tasks_waiting WHERE lane = ?1 AND \
                                standing = ?2 AND typeof(timed) = 'integer' AND typeof(due) = \
                                'integer' AND typeof(task) = 'blob' \
                                AND length(task) = 16 ORDER BY timed, due LIMIT 1";

pub(super) const OF_LANE: &str =
    "SELECT due FROM gae_tasks_ready WHERE standing = ?1 AND turn = ?2 AND lane = ?3";

pub(super) const DUE: &str = "SELECT lane FROM gae_tasks_ready WHERE standing = ?1 AND due <= ?2";

// The unary `+` keeps SQLite from using the index on `due`, whose order is that of due times, not
// of turns.
pub(super) const TURNS: &str = "SELECT turn, lane, due FROM gae_tasks_ready WHERE standing = 0 AND \
                                (turn, lane) > (?1, ?2) AND turn <= ?3 AND (+due <= ?4 OR +refused \
                                = 1) ORDER BY turn, lane LIMIT ?5";

/// Selects lanes whose tasks some readers refused and that are not due for these readers: other
/// readers may have them at once.
pub(super) const REFUSED: &str =
    "SELECT lane FROM gae_tasks_ready WHERE standing = ?1 AND refused = 1 AND due > ?2";

pub(super) const IS_THERE: &str = "SELECT 1 FROM gae_tasks_ready WHERE standing = ?1 AND lane = ?2 \
                                   AND turn = (SELECT turn FROM gae_tasks_lane WHERE id = ?2)";

pub(super) const LATER: &str =
    "SELECT lane, due FROM gae_tasks_ready WHERE standing = ?1 AND due >= ?2 ORDER BY due";

const WATCHED: &str = "SELECT 1 FROM gae_tasks_ready WHERE standing > 0 LIMIT 1";

/// Returns the `due` of a waiting task in its stored form.
pub(super) const fn due(wait: Wait) -> i64 {
    if wait.is_timed() { wait.due().as_micros() } else { AT_ONCE }
}

/// Records that a task with this `due` waits in a lane.
pub(super) const ADD: &str = "INSERT INTO gae_tasks_ready (standing, turn, lane, due, refused) \
                              SELECT ?1, turn, id, ?3, refusers <> x'' FROM gae_tasks_lane WHERE \
                              id = ?2 ON CONFLICT (standing, turn, lane) DO UPDATE SET due = \
                              excluded.due WHERE excluded.due < due";

/// Records that a task waits in a lane.
pub(super) fn add(
    connection: &Connection,
    lane: i64,
    standing: i64,
    due: i64,
) -> Result<(), Fault> {
    connection.prepare_cached(ADD)?.execute(params![standing, lane, due])?;
    Ok(())
}

pub(super) const CHANGE: &str = "UPDATE gae_tasks_ready SET due = ?3 WHERE standing = ?1 AND turn \
                                 = (SELECT turn FROM gae_tasks_lane WHERE id = ?2) AND lane = ?2 \
                                 AND due <> ?3";

pub(super) const REMOVE: &str = "DELETE FROM gae_tasks_ready WHERE standing = ?1 AND turn = \
                                 (SELECT turn FROM gae_tasks_lane WHERE id = ?2) AND lane = ?2";

/// Records what is left of a lane from which tasks were taken.
pub(super) fn refresh(connection: &Connection, lane: i64, standing: Standing) -> Result<(), Fault> {
    let first = connection
        .prepare_cached(FIRST)?
        .query_row(params![lane, standing as i64], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match first.map(|(is_timed, due): (bool, i64)| if is_timed { due } else { AT_ONCE }) {
        Some(due) => {
            connection.prepare_cached(CHANGE)?.execute(params![standing as i64, lane, due])?
        }
        None => connection.prepare_cached(REMOVE)?.execute(params![standing as i64, lane])?,
    };
    Ok(())
}

/// Returns lanes and standings that have waiting tasks and no row; this crate never leaves a row
/// out.
pub(super) fn missing(connection: &Connection) -> Result<Vec<(i64, Standing)>, Fault> {
    const NEXT: &str = "SELECT lane, standing FROM gae_tasks_waiting WHERE (lane, standing) > (?1, \
                        ?2) AND typeof(lane) = 'integer' AND typeof(standing) = 'integer' ORDER BY \
                        lane, standing LIMIT 1";
    let mut next = connection.prepare_cached(NEXT)?;
    let mut is_there = connection.prepare_cached(IS_THERE)?;
    let (mut last, mut missing) = ((i64::MIN, i64::MIN), Vec::new());
    while let Some((lane, standing)) =
        next.query_row(params![last.0, last.1], |row| Ok((row.get(0)?, row.get(1)?))).optional()?
    {
        last = (lane, standing);
        if let Some(known) = Standing::ALL.into_iter().find(|known| *known as i64 == standing)
            && !is_there.exists(params![standing, lane])?
        {
            missing.push((lane, known));
        }
    }
    Ok(missing)
}

/// Adds the missing rows.
pub(super) fn mend(connection: &Connection) -> Result<(), Fault> {
    missing(connection)?.into_iter().try_for_each(|(lane, standing)| {
        add(connection, lane, standing as i64, AT_ONCE)?;
        refresh(connection, lane, standing)
    })
}

/// Whether a task of `standing` is due in a lane for which the callback is true.
pub(super) fn is_due(
    connection: &Connection,
    runnable: &Runnable,
    standing: Standing,
    now: Timestamp,
    may_give: impl Fn(usize) -> bool,
) -> Result<bool, Fault> {
    let mut found = false;
    each_due(connection, runnable, standing, now, |place| {
        found |= may_give(place);
        !found
    })?;
    Ok(found)
}

/// Returns the indexes in `runnable` of the lanes that have a task of `standing` due, in order.
pub(super) fn due_lanes(
    connection: &Connection,
    runnable: &Runnable,
    standing: Standing,
    now: Timestamp,
) -> Result<Vec<usize>, Fault> {
    let mut due = Vec::new();
    each_due(connection, runnable, standing, now, |place| {
        due.push(place);
        true
    })?;
    due.sort_unstable();
    Ok(due)
}

/// Calls `see` with each lane that has a task of `standing` due, until `see` returns `false`.
pub(super) fn each_due(
    connection: &Connection,
    runnable: &Runnable,
    standing: Standing,
    now: Timestamp,
    mut see: impl FnMut(usize) -> bool,
) -> Result<(), Fault> {
    if runnable.lanes().is_empty() || is_rare(standing) && !has_watched(connection)? {
        return Ok(());
    }
    if runnable.lanes().len() <= FEW {
        let mut of_lane = connection.prepare_cached(OF_LANE)?;
        for (place, lane) in runnable.lanes().iter().enumerate() {
            let due = of_lane
                .query_row(params![standing as i64, lane.turn, lane.id], |row| Ok(moment(row, 0)));
            let is_due = |due| lane.is_open || due <= now.as_micros();
            if due.optional()?.is_some_and(is_due) && !see(place) {
                break;
            }
        }
        return Ok(());
    }
    let values = params![standing as i64, now.as_micros()];
    let mut statement = connection.prepare_cached(DUE)?;
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        if place_of(runnable, row).is_some_and(|place| !see(place)) {
            return Ok(());
        }
    }
    if !runnable.has_open() {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(REFUSED)?;
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        let is_open = |place: &usize| runnable.lanes()[*place].is_open;
        if place_of(runnable, row).filter(is_open).is_some_and(|place| !see(place)) {
            break;
        }
    }
    Ok(())
}

/// Returns the place of the lane whose number is in the first column.
fn place_of(runnable: &Runnable, row: &Row<'_>) -> Option<usize> {
    runnable.place(row.get(0).ok()?)
}

/// The queues that have clear tasks due, one after the other, starting after a turn and going round
/// once. A queue whose turn has passed is not looked at again.
pub(super) struct Turns<'a> {
    connection: &'a Connection,
    runnable: &'a Runnable,
    now: Timestamp,
    /// The rest of the round: lanes after a turn and lane, up to a turn.
    rest: Vec<((i64, i64), i64)>,
    /// The next queues, by turn, with their lanes that have tasks due.
    read: VecDeque<(i64, Vec<&'a RunnableLane>)>,
}

impl<'a> Turns<'a> {
    pub(super) fn after(
        connection: &'a Connection,
        runnable: &'a Runnable,
        last: Option<i64>,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let mut turns = Self { connection, runnable, now, rest: Vec::new(), read: VecDeque::new() };
        let mut due = Vec::new();
        each_due(connection, runnable, Standing::Clear, now, |place| {
            due.push(place);
            due.len() <= MANY
        })?;
        if due.len() > MANY {
            let first = last.unwrap_or(i64::MIN);
            turns.rest = vec![((i64::MIN, i64::MIN), first), ((first, i64::MAX), i64::MAX)];
            return Ok(turns);
        }
        due.sort_unstable();
        due.into_iter().for_each(|place| turns.add(&runnable.lanes()[place]));
        let passed = turns
            .read
            .iter()
            .take_while(|(turn, _)| last.is_some_and(|last| *turn <= last))
            .count();
        turns.read.rotate_left(passed);
        Ok(turns)
    }

    /// Returns the lanes of the next queue that have a task due.
    pub(super) fn next(&mut self) -> Result<Option<Vec<&'a RunnableLane>>, Fault> {
        // The last queue that was read may have more lanes.
        while self.read.len() < 2 && self.read_more()? {}
        Ok(self.read.pop_front().map(|(_, lanes)| lanes))
    }

    fn add(&mut self, lane: &'a RunnableLane) {
        match self.read.back_mut() {
            Some((turn, lanes)) if *turn == lane.turn => lanes.push(lane),
            _ => self.read.push_back((lane.turn, vec![lane])),
        }
    }

    fn read_more(&mut self) -> Result<bool, Fault> {
        let Some(((turn, lane), until)) = self.rest.pop() else { return Ok(false) };
        let mut statement = self.connection.prepare_cached(TURNS)?;
        let mut rows =
            statement.query(params![turn, lane, until, self.now.as_micros(), MANY as i64])?;
        let (mut count, mut last) = (0, None);
        while let Some(row) = rows.next()? {
            count += 1;
            let Some(place) = row.get(0).ok().zip(row.get(1).ok()) else { continue };
            last = Some(place);
            let lane = self.runnable.place(place.1).map(|place| &self.runnable.lanes()[place]);
            // For the readers that refused, the lane may not be due.
            let is_due = moment(row, 2) <= self.now.as_micros();
            lane.filter(|lane| lane.is_open || is_due).into_iter().for_each(|lane| self.add(lane));
        }
        if let Some(last) = last.filter(|_| count >= MANY) {
            self.rest.push((last, until));
        }
        Ok(true)
    }
}

/// Returns when the first task becomes due after `now`, among the lanes and standings without due
/// tasks.
pub(super) fn later(
    connection: &Connection,
    runnable: &Runnable,
    now: Timestamp,
) -> Result<Option<Timestamp>, Fault> {
    from(connection, runnable, now.as_micros().saturating_add(1), &|_, due| Some(due))
}

/// Returns when a lane gives a task that is due at a time; `None` if no time is known.
pub(super) type GivenAt<'a> = &'a dyn Fn(&RunnableLane, i64) -> Option<i64>;

/// Returns when the first of all waiting tasks is given, whether that time has passed or not.
pub(super) fn first(
    connection: &Connection,
    runnable: &Runnable,
    given_at: GivenAt<'_>,
) -> Result<Option<Timestamp>, Fault> {
    from(connection, runnable, AT_ONCE, given_at)
}

/// Returns when the first task is due, among the lanes and standings without tasks due before
/// `least`.
fn from(
    connection: &Connection,
    runnable: &Runnable,
    least: i64,
    given_at: GivenAt<'_>,
) -> Result<Option<Timestamp>, Fault> {
    let has_watched = has_watched(connection)?;
    let mut soonest = None;
    for standing in Standing::ALL.into_iter().filter(|standing| has_watched || !is_rare(*standing))
    {
        let first = first_of(connection, runnable, standing, least, given_at)?;
        soonest = soonest.into_iter().chain(first).min();
    }
    Ok(soonest.map(Timestamp::from_micros))
}

fn first_of(
    connection: &Connection,
    runnable: &Runnable,
    standing: Standing,
    least: i64,
    given_at: GivenAt<'_>,
) -> Result<Option<i64>, Fault> {
    if runnable.lanes().len() <= FEW {
        let mut of_lane = connection.prepare_cached(OF_LANE)?;
        let mut first: Option<i64> = None;
        for lane in runnable.lanes() {
            let due = of_lane
                .query_row(params![standing as i64, lane.turn, lane.id], |row| Ok(moment(row, 0)));
            let due = due.optional()?.map(|due| if lane.is_open { AT_ONCE } else { due });
            let due = due.and_then(|due| given_at(lane, due));
            first = first.into_iter().chain(due.filter(|due| *due >= least)).min();
        }
        return Ok(first);
    }
    if least == AT_ONCE && has_due_open(connection, runnable, standing, given_at)? {
        return Ok(Some(AT_ONCE));
    }
    let mut statement = connection.prepare_cached(LATER)?;
    let mut rows = statement.query(params![standing as i64, least])?;
    let mut first: Option<i64> = None;
    while let Some(row) = rows.next()? {
        let (Some(place), Ok(due)) = (place_of(runnable, row), row.get::<_, i64>(1)) else {
            continue;
        };
        let lane = &runnable.lanes()[place];
        if !lane.is_open {
            first = first.into_iter().chain(given_at(lane, due)).min();
        }
        // The rows are in the order of due times, and no lane gives a task before it is due.
        if first.is_some_and(|first| first <= due) {
            break;
        }
    }
    Ok(first)
}

/// Whether an open lane has tasks, which are due at once.
fn has_due_open(
    connection: &Connection,
    runnable: &Runnable,
    standing: Standing,
    given_at: GivenAt<'_>,
) -> Result<bool, Fault> {
    let mut found = false;
    if runnable.has_open() {
        each_due(connection, runnable, standing, Timestamp::from_micros(AT_ONCE), |place| {
            let lane = &runnable.lanes()[place];
            found |= lane.is_open && given_at(lane, AT_ONCE) == Some(AT_ONCE);
            !found
        })?;
    }
    Ok(found)
}

/// Reads a time from a row; one that cannot be read counts as due at once, so that a lease looks at
/// the lane.
fn moment(row: &Row<'_>, column: usize) -> i64 {
    row.get(column).unwrap_or(AT_ONCE)
}

/// Whether few tasks have this standing: only tasks that have lost leases.
const fn is_rare(standing: Standing) -> bool {
    !matches!(standing, Standing::Clear)
}

fn has_watched(connection: &Connection) -> Result<bool, Fault> {
    Ok(connection.prepare_cached(WATCHED)?.exists([])?)
}
