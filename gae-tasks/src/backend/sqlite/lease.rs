//! Leasing: the tasks that are due first, of all lanes a worker can run.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;

use rusqlite::{CachedStatement, Connection, Row, params};

use super::call::Request;
use super::connection::Durability;
use super::error::Fault;
use super::held::{self, Members, Terms, Waited};
use super::lane::{Lane, Runnable};
use super::ready::{self, Turns};
use super::row::{deadline, retry, task_id, task_name};
use super::store::{Store, moment};
use super::unreadable;
use super::waiting;
use crate::backend::haul::{Haul, many_queues, turn_length};
use crate::backend::lifecycle::Wait;
use crate::backend::{Lease, LeaseRef, LeaseToken, Leased, LeasedTask, Standing};
use crate::task::{TaskId, TaskSpec};
use crate::time::Timestamp;

/// The order of what waits; the rows of tasks, with their payloads, are read only for those that are taken.
pub(super) const READ: &str = "SELECT due, task, since FROM gae_tasks_waiting WHERE lane = ?1 AND standing = ?2 AND timed = ?3 \
                               AND due <= ?4 AND (due, task) > (?5, ?6) AND typeof(due) = 'integer' AND typeof(task) = 'blob' AND length(task) = 16 \
                               ORDER BY due, task LIMIT ?7";

/// The same with the rows of the tasks, for where all that is read is taken.
pub(super) const WITH_TASKS: &str = "SELECT w.due, w.task, w.since, t.name, t.schedule_time, t.attempts, t.deadline, \
                                     t.attributes, t.payload, t.retry, t.max_attempts \
                                     FROM gae_tasks_waiting w LEFT JOIN gae_tasks_task t ON t.id = w.task \
                                     WHERE w.lane = ?1 AND w.standing = ?2 AND w.timed = ?3 AND w.due <= ?4 \
                                     AND (w.due, w.task) > (?5, ?6) AND typeof(w.due) = 'integer' AND typeof(w.task) = 'blob' \
                                     AND length(w.task) = 16 ORDER BY w.due, w.task";

pub(super) const TASK: &str = "SELECT name, schedule_time, attempts, deadline, attributes, payload, retry, max_attempts FROM gae_tasks_task WHERE id = ?1";

impl Request for Lease {
    type Answer = Leased;
    const DURABILITY: Durability = Durability::Normal;
    const MAY_REST: bool = true;

    fn look(&self, store: &mut Store) -> Result<Option<Leased>, Fault> {
        let now = moment(self.now);
        let runnable = store.catalogue.runnable(&self.queues, &self.routes);
        let (connection, haul) = (&store.connection, Haul::new(self));
        for standing in Standing::ALL.into_iter().filter(|standing| haul.room(*standing) > 0) {
            let may_give = |place: usize| haul.room_of(&runnable.lanes()[place].queue) > 0;
            if ready::is_due(connection, &runnable, standing, now, may_give)? {
                return Ok(None);
            }
        }
        store.news.note(&self.queues, ready::first(connection, &runnable)?);
        let isolated = self.leaves_isolated(connection, &runnable, now)?;
        Ok(Some(Leased { isolated, ..Leased::new(Vec::new(), next(connection, &runnable, now)?) }))
    }

    fn perform(&mut self, store: &mut Store) -> Result<Leased, Fault> {
        let now = moment(self.now);
        let runnable = store.catalogue.runnable(&self.queues, &self.routes);
        let Store { connection, session, catalogue, news, .. } = store;
        let mut catch = Catch { haul: Haul::new(self), waited: Vec::new(), reader: Reader::prepare(connection)? };
        for standing in [Standing::Isolated, Standing::Suspect, Standing::Marked] {
            let due = ready::due_lanes(connection, &runnable, standing, now)?;
            let lanes: Vec<_> = due.into_iter().map(|place| &*runnable.lanes()[place]).collect();
            let rank = Rank { standing, alone: self.room.isolates(standing) };
            let mut merge = Merge::start(connection, lanes, rank, now, catch.haul.room(standing))?;
            take(&mut merge, usize::MAX, &mut catch)?;
            merge.finish(now)?;
        }
        let last = self.last_turn.as_ref().and_then(|last| catalogue.turn_of(last));
        self.take_turns(Turns::after(connection, &runnable, last, now)?, &mut catch, now)?;
        if !catch.waited.is_empty() {
            let session = session.begin(connection, now)?;
            self.write(connection, &catch, now, session)?;
        }
        news.note(&self.queues, ready::first(connection, &runnable)?);
        let isolated = self.leaves_isolated(connection, &runnable, now)?;
        Ok(Leased { isolated, ..catch.haul.leased(next(connection, &runnable, now)?) })
    }
}

/// The tasks that a lease has taken so far, and how each of them waited.
struct Catch<'a> {
    haul: Haul,
    waited: Vec<Waited>,
    reader: Reader<'a>,
}

/// How long until a further task of these lanes becomes due.
fn next(connection: &Connection, runnable: &Runnable, now: Timestamp) -> Result<Option<Duration>, Fault> {
    Ok(ready::later(connection, runnable, now)?.map(|at| at.since(now)))
}

/// The parts of a lease.
impl Lease {
    fn write(&self, connection: &Connection, catch: &Catch<'_>, now: Timestamp, session: i64) -> Result<(), Fault> {
        let (expires, duration) = (now.plus(self.duration), self.duration);
        let mut taken = catch.haul.tasks().iter().zip(&catch.waited).peekable();
        while let Some((LeasedTask { lease, alone, .. }, how)) = taken.next() {
            let mut tasks = Members::default();
            tasks.push(lease.id, *how);
            while let Some((next, how)) = taken.next_if(|(next, _)| next.lease.token == lease.token) {
                tasks.push(next.lease.id, *how);
            }
            held::give(connection, lease.token, Terms { expires, duration, session, alone: *alone }, &tasks)?;
        }
        Ok(())
    }

    /// Whether an isolated task is due that this lease leaves because there are other suspects.
    fn leaves_isolated(&self, connection: &Connection, runnable: &Runnable, now: Timestamp) -> Result<bool, Fault> {
        Ok(self.room.in_company && !ready::due_lanes(connection, runnable, Standing::Isolated, now)?.is_empty())
    }

    /// Takes clear tasks, of each queue as many as it may give in its turn, until there is no more room, or nothing due.
    fn take_turns(&self, mut turns: Turns<'_>, catch: &mut Catch<'_>, now: Timestamp) -> Result<(), Fault> {
        let room = catch.haul.room(Standing::Clear);
        let mut first_round = VecDeque::new();
        while first_round.len() < many_queues(room)
            && let Some(lanes) = self.next_queue(&mut turns, catch)?
        {
            first_round.push_back(lanes);
        }
        let length = turn_length(room, first_round.len());
        let mut again: VecDeque<Merge<'_>> = VecDeque::new();
        let rank = Rank { standing: Standing::Clear, alone: false };
        while catch.haul.room(Standing::Clear) > 0 {
            let next = match first_round.pop_front() {
                Some(lanes) => Some(lanes),
                None => self.next_queue(&mut turns, catch)?,
            };
            let mut merge = match next {
                Some(lanes) => Merge::start(catch.reader.connection, lanes, rank, now, length.min(room))?,
                None => match again.pop_front() {
                    Some(merge) => merge,
                    None => break,
                },
            };
            if take(&mut merge, length, catch)? { again.push_back(merge) } else { merge.finish(now)? }
        }
        again.into_iter().try_for_each(|merge| merge.finish(now))
    }

    /// The next queue that may give a task.
    fn next_queue<'a>(&self, turns: &mut Turns<'a>, catch: &Catch<'_>) -> Result<Option<Vec<&'a Lane>>, Fault> {
        while let Some(lanes) = turns.next()? {
            if lanes.first().is_some_and(|lane| catch.haul.room_of(&lane.queue) > 0) {
                return Ok(Some(lanes));
            }
        }
        Ok(None)
    }
}

/// What the tasks have in common that are taken together.
#[derive(Debug, Clone, Copy)]
struct Rank {
    standing: Standing,
    alone: bool,
}

/// Takes up to `limit` due tasks out of the order, those first that have been due longest; answers whether there may be
/// more.
fn take(merge: &mut Merge<'_>, limit: usize, catch: &mut Catch<'_>) -> Result<bool, Fault> {
    if let Some(source) = merge.only_source() {
        return merge.take_all(source, limit, catch);
    }
    let Catch { haul, waited, reader } = catch;
    let most = haul.tasks().len().saturating_add(limit);
    while haul.tasks().len() < most && haul.room(merge.rank.standing) > 0 {
        match merge.next(reader, |lane| haul.room_of(&lane.queue) > 0)? {
            Some((task, how)) => {
                haul.add(task);
                waited.push(how);
            }
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// When a task that cannot be read is tried again: by then it may have been mended, or this program been updated.
const PUT_OFF: Duration = Duration::from_secs(60 * 60);

/// Lets a task that cannot be read wait, so that it is not met with every lease. One whose row is gone is gone.
fn put_off(connection: &Connection, lane: i64, standing: Standing, id: TaskId, now: Timestamp) -> Result<(), Fault> {
    let later = now.plus(PUT_OFF);
    let mut statement = connection.prepare_cached("UPDATE gae_tasks_task SET schedule_time = ?2 WHERE id = ?1")?;
    if statement.execute(params![id.as_bytes(), later.as_micros()])? > 0 {
        unreadable::task(connection, id);
        waiting::put(connection, id, lane, standing, Wait::Pause { until: later, since: now })?;
    }
    Ok(())
}

/// The place of a task in its lane.
type Key = (i64, TaskId);

/// Before any other.
const FIRST: Key = (i64::MIN, TaskId::from_bytes([0; 16]));

/// The due tasks of one lane, those that are timed or those that are not, read a few at a time.
struct Source<'a> {
    lane: &'a Lane,
    timed: bool,
    /// Their places, and since when they pause.
    ready: VecDeque<(Key, Option<Timestamp>)>,
    /// How many are read next; zero when there are no more.
    step: usize,
    read: Key,
    taken: Option<Key>,
}

impl<'a> Source<'a> {
    /// Of many lanes each is likely to give few, and what is read is not always taken.
    fn new(lane: &'a Lane, timed: bool, limit: usize, lanes: usize) -> Self {
        // One more than may be taken: what is left of the lane need not be asked for then.
        let limit = limit.saturating_add(1);
        let step = if lanes == 1 { limit } else { limit.saturating_mul(2) / lanes };
        let step = step.clamp(1, limit.min(MOST_READ));
        Self { lane, timed, ready: VecDeque::new(), step, read: FIRST, taken: None }
    }
}

/// Most places that are read of a lane at first: payloads may fill a lease much sooner than its limit.
const MOST_READ: usize = 1_024;

/// The merging of lanes by due time.
struct Merge<'a> {
    connection: &'a Connection,
    rank: Rank,
    now: Timestamp,
    sources: Vec<Source<'a>>,
    /// The first task of each lane that has one, with the lane's place among the sources.
    heads: BinaryHeap<Reverse<(Key, usize)>>,
    /// Tasks that were met and cannot be read.
    bad: Vec<(i64, TaskId)>,
}

impl<'a> Merge<'a> {
    fn start(
        connection: &'a Connection,
        lanes: Vec<&'a Lane>,
        rank: Rank,
        now: Timestamp,
        limit: usize,
    ) -> Result<Self, Fault> {
        let many = lanes.len();
        let both = |lane: &'a Lane| [false, true].map(|timed| Source::new(lane, timed, limit, many));
        let sources = if limit == 0 { Vec::new() } else { lanes.into_iter().flat_map(both).collect() };
        let (heads, bad) = Default::default();
        let mut merge = Self { connection, rank, now, sources, heads, bad };
        for (index, source) in merge.sources.iter_mut().enumerate() {
            source.read(connection, rank.standing, now, 1)?;
            merge.heads.extend(source.ready.front().map(|(key, _)| Reverse((*key, index))));
        }
        Ok(merge)
    }

    /// The only source that has tasks due, if there is one.
    fn only_source(&self) -> Option<usize> {
        let mut with_tasks = self.sources.iter().enumerate().filter(|(_, source)| !source.ready.is_empty());
        with_tasks.next().map(|(place, _)| place).filter(|_| with_tasks.next().is_none())
    }

    /// As [`take`], where no other source has tasks due: what waits and its tasks are read together.
    fn take_all(&mut self, place: usize, limit: usize, catch: &mut Catch<'_>) -> Result<bool, Fault> {
        let Self { connection, rank, now, sources, heads, bad } = self;
        let Catch { haul, waited, reader } = catch;
        let Some(source) = sources.get_mut(place) else { return Ok(false) };
        let mut statement = connection.prepare_cached(WITH_TASKS)?;
        let (due, id) = source.taken.unwrap_or(FIRST);
        let until = source.until(*now);
        let mut rows =
            statement.query(params![source.lane.id, rank.standing as i64, source.timed, until, due, id.as_bytes()])?;
        let most = haul.tasks().len().saturating_add(limit);
        heads.clear();
        source.ready.clear();
        while let Some(row) = rows.next()? {
            let Some((key, since)) = place_of(row) else { continue };
            if haul.tasks().len() >= most || haul.room(rank.standing) == 0 || haul.room_of(&source.lane.queue) == 0 {
                source.read = key;
                source.ready.push_back((key, since));
                heads.push(Reverse((key, place)));
                // A bounded queue gives no more, though it has more.
                return Ok(haul.room_of(&source.lane.queue) > 0);
            }
            source.taken = Some(key);
            let lease = reader.lease(key.1, *rank);
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

    /// The task that has been due longest of those not yet given, of lanes that may give one.
    fn next(
        &mut self,
        reader: &mut Reader<'_>,
        may_give: impl Fn(&Lane) -> bool,
    ) -> Result<Option<(LeasedTask, Waited)>, Fault> {
        while let Some(Reverse((key, index))) = self.heads.pop() {
            let Some(source) = self.sources.get_mut(index).filter(|source| may_give(source.lane)) else { continue };
            let since = source.ready.pop_front().and_then(|(_, since)| since);
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

    /// Enters the next task of a lane into the contest.
    fn offer(&mut self, index: usize) -> Result<(), Fault> {
        let Some(source) = self.sources.get_mut(index) else { return Ok(()) };
        if source.ready.is_empty() && source.step > 0 {
            source.read(self.connection, self.rank.standing, self.now, source.step)?;
        }
        if let Some((key, _)) = source.ready.front() {
            self.heads.push(Reverse((*key, index)));
        }
        Ok(())
    }

    /// Takes the tasks that were given out of the order: of each lane they are the first ones. Those that cannot be read
    /// wait.
    fn finish(self, now: Timestamp) -> Result<(), Fault> {
        let Self { connection, rank: Rank { standing, .. }, .. } = self;
        for source in &self.sources {
            if let Some(last) = source.taken {
                waiting::take_up_to(connection, source.lane.id, standing, source.timed, last)?;
            }
        }
        self.bad.into_iter().try_for_each(|(lane, id)| put_off(connection, lane, standing, id, now))?;
        let touched = self.sources.iter().filter(|source| source.taken.is_some()).map(|source| source.lane.id);
        let mut touched: BTreeSet<_> = touched.collect();
        // What is not timed and waits on is due at once, as before.
        let as_before = self.sources.iter().filter(|source| !source.timed && !source.ready.is_empty());
        as_before.for_each(|source| _ = touched.remove(&source.lane.id));
        touched.into_iter().try_for_each(|lane| ready::refresh(connection, lane, standing))
    }
}

impl Source<'_> {
    /// The places that are due up to this moment, as it is stored.
    fn until(&self, now: Timestamp) -> i64 {
        if self.timed { now } else { Timestamp::MAX }.as_micros()
    }

    /// Reads the next places, up to `most`.
    fn read(&mut self, connection: &Connection, standing: Standing, now: Timestamp, most: usize) -> Result<(), Fault> {
        let mut statement = connection.prepare_cached(READ)?;
        let (due, id) = self.read;
        let (limit, until) = (i64::try_from(most).unwrap_or(i64::MAX), self.until(now));
        let mut rows =
            statement.query(params![self.lane.id, standing as i64, self.timed, until, due, id.as_bytes(), limit])?;
        let mut read = 0;
        while let Some(row) = rows.next()? {
            read += 1;
            let Some((key, since)) = place_of(row) else { continue };
            self.read = key;
            self.ready.push_back((key, since));
        }
        match read {
            less if less < most => self.step = 0,
            1 => {}
            _ => self.step = self.step.saturating_mul(2),
        }
        Ok(())
    }
}

/// A place in the order, and since when its task pauses.
fn place_of(row: &Row<'_>) -> Option<(Key, Option<Timestamp>)> {
    let since: Option<i64> = row.get(2).unwrap_or_default();
    Some(((row.get(0).ok()?, task_id(row, 1).ok()?), since.map(Timestamp::from_micros)))
}

/// Reads the rows of tasks that are taken.
struct Reader<'a> {
    connection: &'a Connection,
    statement: CachedStatement<'a>,
    /// The token of clear tasks, and for how many more it is.
    token: (LeaseToken, usize),
}

impl<'a> Reader<'a> {
    fn prepare(connection: &'a Connection) -> Result<Self, Fault> {
        Ok(Self { connection, statement: connection.prepare_cached(TASK)?, token: (held::token(), held::MOST) })
    }

    /// A lease of a task that is taken. Those that have lost leases have a token each.
    fn lease(&mut self, id: TaskId, rank: Rank) -> LeaseRef {
        if rank.standing != Standing::Clear {
            return LeaseRef { id, token: held::token() };
        }
        if self.token.1 == 0 {
            self.token = (held::token(), held::MOST);
        }
        self.token.1 -= 1;
        LeaseRef { id, token: self.token.0 }
    }

    /// The task; `None` if its row cannot be read, or is gone.
    fn read(&mut self, lane: &Lane, id: TaskId, rank: Rank) -> Result<Option<LeasedTask>, Fault> {
        let lease = self.lease(id, rank);
        let mut rows = self.statement.query(params![id.as_bytes()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(task(self.connection, row, 0, lane, lease, rank).ok())
    }
}

fn task(
    connection: &Connection,
    row: &Row<'_>,
    first: usize,
    lane: &Lane,
    lease: LeaseRef,
    rank: Rank,
) -> rusqlite::Result<LeasedTask> {
    // No bytes are no settings that can be read.
    let own_retry: Option<Vec<u8>> = row.get(first + 6).unwrap_or(Some(Vec::new()));
    let (kind, shape, queue) = (lane.route.kind().clone(), lane.route.shape(), lane.queue.clone());
    let spec = TaskSpec {
        name: task_name(connection, lease.id, row, first),
        max_attempts: row.get(first + 7).unwrap_or_default(),
        retry: retry(connection, lease.id, own_retry.as_deref()),
        deadline: deadline(row.get(first + 3)?),
        attributes: row.get(first + 4)?,
        ..TaskSpec::new(lease.id, kind, shape, queue)
    };
    Ok(LeasedTask {
        lease,
        spec,
        payload: row.get(first + 5)?,
        schedule_time: Timestamp::from_micros(row.get(first + 1)?),
        attempts: row.get(first + 2)?,
        standing: rank.standing,
        alone: rank.alone,
    })
}
