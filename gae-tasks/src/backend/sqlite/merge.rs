//! The order of waiting tasks: several lanes are merged by due time and priority, open lanes before
//! the others, a single lane is read in one go.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::error::Fault;
use super::lane::{Lane, RunnableLane};
use super::limits::room_in;
use super::members::Waited;
use super::ready;
use super::row::task_id;
use super::task_rows::{Rank, TaskRows, task};
use super::unreadable;
use super::waiting;
use crate::backend::haul::Haul;
use crate::backend::lifecycle::Wait;
use crate::backend::{LeasedTask, Standing};
use crate::queue;
use crate::task::TaskId;
use crate::time::Timestamp;

/// Reads waiting tasks in order; the rows of the tasks, with their payloads, are read only for
/// tasks that are taken.
pub(super) const READ: &str = "SELECT due, task, since FROM gae_tasks_waiting WHERE lane = ?1 AND \
                               standing = ?2 AND timed = ?3 AND due <= ?4 AND (due, task) > (?5, \
                               ?6) AND typeof(due) = 'integer' AND typeof(task) = 'blob' AND \
                               length(task) = 16 ORDER BY due, task LIMIT ?7";

/// Reads waiting tasks in order together with their rows; for lanes from which every read task is
/// taken.
pub(super) const WITH_TASKS: &str = "SELECT w.due, w.task, w.since, t.name, t.schedule_time, \
                                     t.attempts, t.deadline, t.attributes, t.payload, t.retry, \
                                     t.max_attempts, t.first_attempt, t.lost_leases FROM \
                                     gae_tasks_waiting w LEFT JOIN gae_tasks_task t ON t.id = \
                                     w.task WHERE w.lane = ?1 AND w.standing = ?2 AND w.timed = ?3 \
                                     AND w.due <= ?4 AND (w.due, w.task) > (?5, ?6) AND \
                                     typeof(w.due) = 'integer' AND typeof(w.task) = 'blob' AND \
                                     length(w.task) = 16 ORDER BY w.due, w.task";

/// The tasks that a lease has taken so far, and how each of them waited.
pub(super) struct Catch<'a> {
    pub(super) haul: Haul,
    pub(super) waited: Vec<Waited>,
    pub(super) reader: TaskRows<'a>,
}

/// Takes up to `limit` due tasks out of the order, those of open lanes first, then those that have
/// been due longest by time and priority; returns whether there may be more.
pub(super) fn take(
    merge: &mut Merge<'_>,
    limit: usize,
    catch: &mut Catch<'_>,
) -> Result<bool, Fault> {
    if let Some(source) = merge.only_source() {
        return merge.take_all(source, limit, catch);
    }
    let Catch { haul, waited, reader } = catch;
    let most = haul.tasks().len().saturating_add(limit);
    while haul.tasks().len() < most && haul.room(merge.rank.standing) > 0 {
        match merge.next(reader, |lane| room_in(haul, lane) > 0)? {
            Some((task, how)) => {
                haul.add(task);
                waited.push(how);
            }
            None => return Ok(false),
        }
    }
    Ok(limit > 0)
}

/// The pause of a task that cannot be read; afterwards the task may have been repaired, or this
/// program updated.
const PUT_OFF: Duration = Duration::from_secs(60 * 60);

/// Lets a task that cannot be read wait, so that not every lease meets it: in the lane for ordinary
/// tasks of its priority, where its pause is for every reader. A task whose row is gone is removed
/// from the order.
fn put_off(
    connection: &Connection,
    lane: i64,
    standing: Standing,
    id: TaskId,
    now: Timestamp,
) -> Result<(), Fault> {
    const UNREFUSED: &str = "SELECT coalesce((SELECT other.id FROM gae_tasks_lane own CROSS JOIN \
                             gae_tasks_lane other ON other.queue = own.queue AND other.kind = \
                             own.kind AND other.shape = own.shape AND other.version = own.version \
                             AND other.refusers = x'' AND other.priority = own.priority AND \
                             other.forced = 0 WHERE own.id = ?1), ?1)";
    const PUT_OFF_UNTIL: &str =
        "UPDATE gae_tasks_task SET schedule_time = ?2, lane = ?3 WHERE id = ?1";
    let later = now.plus(PUT_OFF);
    let lane: i64 =
        connection.prepare_cached(UNREFUSED)?.query_row(params![lane], |row| row.get(0))?;
    let mut statement = connection.prepare_cached(PUT_OFF_UNTIL)?;
    if statement.execute(params![id.as_bytes(), later.as_micros(), lane])? > 0 {
        unreadable::task(connection, id);
        waiting::put(connection, id, lane, standing, Wait::Pause { until: later, since: now })?;
    }
    Ok(())
}

/// The place of a task in its lane.
type Key = (i64, TaskId);

/// The place of a lane's first task among those of other lanes: whether the lane is not open, the
/// task's [place](queue::place) by time and priority, and its id. The tasks of an open lane come
/// first: they had their turn, and others refused them, or they were made due by hand. Their times
/// do not concern the worker.
type Head = (bool, i128, TaskId);

/// Before any other.
const FIRST: Key = (i64::MIN, TaskId::from_bytes([0; 16]));

/// The due tasks of one lane, either timed or not timed, read a few at a time.
struct LaneCursor<'a> {
    lane: &'a RunnableLane,
    timed: bool,
    /// The places of tasks that were read, and since when each is in a pause.
    ready: VecDeque<(Key, Option<Timestamp>)>,
    /// How many places are read next; zero if there are no more.
    step: usize,
    read: Key,
    taken: Option<Key>,
}

impl<'a> LaneCursor<'a> {
    /// Creates a cursor. With many lanes the steps are short, because each lane is likely to give
    /// few tasks.
    fn new(lane: &'a RunnableLane, timed: bool, limit: usize, lanes: usize) -> Self {
        // One more than may be taken, so that the rest of the lane need not be queried afterwards.
        let limit = limit.saturating_add(1);
        let step = if lanes == 1 { limit } else { limit.saturating_mul(2) / lanes };
        let step = step.clamp(1, limit.min(MOST_READ));
        Self { lane, timed, ready: VecDeque::new(), step, read: FIRST, taken: None }
    }
}

/// The most places of a lane that are read at first: payloads may fill a lease long before its
/// limit.
const MOST_READ: usize = 1_024;

/// Merges lanes by due time and priority, open lanes first.
pub(super) struct Merge<'a> {
    connection: &'a Connection,
    rank: Rank,
    now: Timestamp,
    sources: Vec<LaneCursor<'a>>,
    /// The first task of each lane that has one, with the lane's index among the sources.
    heads: BinaryHeap<Reverse<(Head, usize)>>,
    /// Tasks that were met and cannot be read.
    bad: Vec<(i64, TaskId)>,
}

impl<'a> Merge<'a> {
    pub(super) fn start(
        connection: &'a Connection,
        lanes: Vec<&'a RunnableLane>,
        rank: Rank,
        now: Timestamp,
        limit: usize,
    ) -> Result<Self, Fault> {
        let many = lanes.len();
        let both = |lane: &'a RunnableLane| {
            [false, true].map(|timed| LaneCursor::new(lane, timed, limit, many))
        };
        let sources =
            if limit == 0 { Vec::new() } else { lanes.into_iter().flat_map(both).collect() };
        let (heads, bad) = Default::default();
        let mut merge = Self { connection, rank, now, sources, heads, bad };
        for (index, source) in merge.sources.iter_mut().enumerate() {
            source.read(connection, rank.standing, now, 1)?;
            merge.heads.extend(source.head().map(|head| Reverse((head, index))));
        }
        Ok(merge)
    }

    /// Returns how many tasks are taken in a turn of this length, if all lanes are of one queue.
    pub(super) fn turn(&self, length: usize, haul: &Haul) -> usize {
        let most = |source: &LaneCursor<'_>| haul.room_of_turn(&source.lane.queue);
        length.min(self.sources.first().map_or(0, most))
    }

    /// Returns the only source that has tasks due, if there is exactly one.
    fn only_source(&self) -> Option<usize> {
        let mut with_tasks =
            self.sources.iter().enumerate().filter(|(_, source)| !source.ready.is_empty());
        with_tasks.next().map(|(place, _)| place).filter(|_| with_tasks.next().is_none())
    }

    /// Like [`take`], if no other source has tasks due: waiting tasks and their rows are read
    /// together.
    fn take_all(
        &mut self,
        place: usize,
        limit: usize,
        catch: &mut Catch<'_>,
    ) -> Result<bool, Fault> {
        let Self { connection, rank, now, sources, heads, bad } = self;
        let Catch { haul, waited, reader } = catch;
        let Some(source) = sources.get_mut(place) else { return Ok(false) };
        let mut statement = connection.prepare_cached(WITH_TASKS)?;
        let (due, id) = source.taken.unwrap_or(FIRST);
        let until = source.until(*now);
        let mut rows = statement.query(params![
            source.lane.id,
            rank.standing as i64,
            source.timed,
            until,
            due,
            id.as_bytes()
        ])?;
        let most = haul.tasks().len().saturating_add(limit);
        heads.clear();
        source.ready.clear();
        while let Some(row) = rows.next()? {
            let Some((key, since)) = place_of(row) else { continue };
            if haul.tasks().len() >= most
                || haul.room(rank.standing) == 0
                || room_in(haul, source.lane) == 0
            {
                source.read = key;
                source.ready.push_back((key, since));
                heads.extend(source.head().map(|head| Reverse((head, place))));
                // A bounded queue gives no more tasks, even if it has more.
                return Ok(room_in(haul, source.lane) > 0);
            }
            source.taken = Some(key);
            let lease = reader.lease(source.lane, key.1, *rank);
            match task(connection, row, 3, source.lane, lease, *rank) {
                Ok(task) => {
                    haul.add(task);
                    waited.push((source.timed, since));
                }
                Err(_) => bad.push((source.lane.id, key.1)),
            }
        }
        source.step = 0;
        Ok(false)
    }

    /// Returns the first task among those not yet given, of lanes for which `may_give` is true.
    fn next(
        &mut self,
        reader: &mut TaskRows<'_>,
        may_give: impl Fn(&Lane) -> bool,
    ) -> Result<Option<(LeasedTask, Waited)>, Fault> {
        while let Some(Reverse((_, index))) = self.heads.pop() {
            let Some(source) = self.sources.get_mut(index).filter(|source| may_give(source.lane))
            else {
                continue;
            };
            let Some((key, since)) = source.ready.pop_front() else { continue };
            source.taken = Some(key);
            let (lane, waited) = (source.lane, (source.timed, since));
            self.offer(index)?;
            match reader.read(lane, key.1, self.rank)? {
                Some(task) => return Ok(Some((task, waited))),
                None => self.bad.push((lane.id, key.1)),
            }
        }
        Ok(None)
    }

    /// Adds the next task of a lane to the heads.
    fn offer(&mut self, index: usize) -> Result<(), Fault> {
        let Some(source) = self.sources.get_mut(index) else { return Ok(()) };
        if source.ready.is_empty() && source.step > 0 {
            source.read(self.connection, self.rank.standing, self.now, source.step)?;
            source.step = source.step.saturating_mul(2);
        }
        self.heads.extend(source.head().map(|head| Reverse((head, index))));
        Ok(())
    }

    /// Removes the given tasks from the order: they are the first of each lane. Tasks that cannot
    /// be read are put off.
    pub(super) fn finish(self, now: Timestamp) -> Result<(), Fault> {
        let Self { connection, rank: Rank { standing, .. }, .. } = self;
        for source in &self.sources {
            if let Some(last) = source.taken {
                waiting::take_up_to(connection, source.lane.id, standing, source.timed, last)?;
            }
        }
        self.bad
            .into_iter()
            .try_for_each(|(lane, id)| put_off(connection, lane, standing, id, now))?;
        let touched = self
            .sources
            .iter()
            .filter(|source| source.taken.is_some())
            .map(|source| source.lane.id);
        let mut touched: BTreeSet<_> = touched.collect();
        // A task that is not timed and keeps waiting is due at once, as before.
        let as_before =
            self.sources.iter().filter(|source| !source.timed && !source.ready.is_empty());
        as_before.for_each(|source| _ = touched.remove(&source.lane.id));
        touched.into_iter().try_for_each(|lane| ready::refresh(connection, lane, standing))
    }
}

impl LaneCursor<'_> {
    /// Returns the place of the next task among those of other lanes.
    fn head(&self) -> Option<Head> {
        let ((due, id), _) = self.ready.front()?;
        let place = queue::place(Timestamp::from_micros(*due), self.lane.advance);
        Some((!self.lane.is_open, place, *id))
    }

    /// Returns the latest due time to read, in its stored form.
    fn until(&self, now: Timestamp) -> i64 {
        if self.timed && !self.lane.is_open { now } else { Timestamp::MAX }.as_micros()
    }

    /// Reads the next places, up to `most`.
    fn read(
        &mut self,
        connection: &Connection,
        standing: Standing,
        now: Timestamp,
        most: usize,
    ) -> Result<(), Fault> {
        let mut statement = connection.prepare_cached(READ)?;
        let (due, id) = self.read;
        let (limit, until) = (i64::try_from(most).unwrap_or(i64::MAX), self.until(now));
        let mut rows = statement.query(params![
            self.lane.id,
            standing as i64,
            self.timed,
            until,
            due,
            id.as_bytes(),
            limit
        ])?;
        let mut read = 0;
        while let Some(row) = rows.next()? {
            read += 1;
            let Some((key, since)) = place_of(row) else { continue };
            self.read = key;
            self.ready.push_back((key, since));
        }
        if read < most {
            self.step = 0;
        }
        Ok(())
    }
}

/// Reads a place in the order, and since when its task is in a pause.
fn place_of(row: &Row<'_>) -> Option<(Key, Option<Timestamp>)> {
    let since: Option<i64> = row.get(2).unwrap_or_default();
    Some(((row.get(0).ok()?, task_id(row, 1).ok()?), since.map(Timestamp::from_micros)))
}
