//! Leasing: takes the tasks that are due first, from all lanes that a worker can run.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::call::Request;
use super::catalogue::Catalogue;
use super::connection::Durability;
use super::database::{Database, moment};
use super::error::Fault;
use super::held::{self, Terms};
use super::lane::{Runnable, RunnableLane};
use super::limits::{self, given_at, room_in};
use super::members::Members;
use super::merge::{Catch, Merge, take};
use super::ready::{self, Turns};
use super::task_rows::{Rank, TaskRows};
use crate::backend::gate::Gate;
use crate::backend::haul::{Haul, many_queues, turn_length};
use crate::backend::readers::{Answer, Question};
use crate::backend::{Lease, Leased, LeasedTask, Standing};
use crate::queue::{QueueName, RetryConfig};
use crate::time::Timestamp;

/// A lease, with what its worker has been asked about stored routes.
pub(super) struct Leasing {
    pub(super) lease: Lease,
    pub(super) answers: Vec<Answer>,
}

impl Request for Leasing {
    /// The lease, or what the worker must be asked first: it decides while others use the file.
    type Output = Result<Leased, Vec<Question>>;
    const DURABILITY: Durability = Durability::Normal;
    const MAY_REST: bool = true;

    fn look(&self, database: &mut Database) -> Result<Option<Self::Output>, Fault> {
        Ok(match self.runnable(database)? {
            Ok(runnable) => self.lease.look(database, &runnable)?.map(Ok),
            Err(questions) => Some(Err(questions)),
        })
    }

    fn perform(&mut self, database: &mut Database) -> Result<Self::Output, Fault> {
        Ok(match self.runnable(database)? {
            Ok(runnable) => Ok(self.lease.perform(database, &runnable)?),
            Err(questions) => Err(questions),
        })
    }
}

impl Leasing {
    fn runnable(
        &self,
        database: &mut Database,
    ) -> Result<Result<Arc<Runnable>, Vec<Question>>, Fault> {
        let (Lease { queues, routes, .. }, Database { connection, catalogue, .. }) =
            (&self.lease, database);
        catalogue.learn(routes, &self.answers);
        catalogue.runnable(connection, queues, routes)
    }
}

impl Lease {
    /// Returns the answer if nothing has to be written.
    fn look(&self, database: &mut Database, runnable: &Runnable) -> Result<Option<Leased>, Fault> {
        let (now, until) = (moment(self.now), self.until());
        let (connection, mut haul) = (&database.connection, Haul::new(self));
        limits::apply(connection, runnable, &mut haul, until, now)?;
        if haul.gates().any(|(_, gate)| gate.changed_bucket().is_some()) {
            return Ok(None);
        }
        for standing in Standing::ALL.into_iter().filter(|standing| haul.room(*standing) > 0) {
            let may_give = |place: usize| room_in(&haul, &runnable.lanes()[place]) > 0;
            if ready::is_due(connection, runnable, standing, until, may_give)? {
                return Ok(None);
            }
        }
        let first = first(connection, runnable, &haul, now)?;
        database.news.note(&self.queues, first, haul.obeys_limits());
        self.answer(connection, runnable, haul, until, |_| None).map(Some)
    }

    /// Leases within a transaction.
    fn perform(&self, database: &mut Database, runnable: &Runnable) -> Result<Leased, Fault> {
        let (now, until) = (moment(self.now), self.until());
        let Database { connection, session, catalogue, news, .. } = database;
        let mut catch = Catch {
            haul: Haul::new(self),
            waited: Vec::new(),
            reader: TaskRows::prepare(connection)?,
        };
        limits::apply(connection, runnable, &mut catch.haul, until, now)?;
        for standing in [Standing::Isolated, Standing::Suspect, Standing::Marked] {
            let due = ready::due_lanes(connection, runnable, standing, until)?;
            let lanes: Vec<_> = due.into_iter().map(|place| &runnable.lanes()[place]).collect();
            let rank = Rank { standing, alone: self.room.isolates(standing) };
            let mut merge =
                Merge::start(connection, lanes, rank, until, catch.haul.room(standing))?;
            take(&mut merge, usize::MAX, &mut catch)?;
            merge.finish(now)?;
        }
        let last = self.last_turn.as_ref().and_then(|last| catalogue.turn_of(last));
        self.take_turns(Turns::after(connection, runnable, last, until)?, &mut catch, now)?;
        if !catch.waited.is_empty() {
            let session = session.begin(connection, now)?;
            self.write(connection, catalogue, &catch, now, session)?;
        }
        limits::keep_buckets(connection, catalogue, &catch.haul)?;
        let first = first(connection, runnable, &catch.haul, now)?;
        news.note(&self.queues, first, catch.haul.obeys_limits());
        self.answer(connection, runnable, catch.haul, until, |queue| catalogue.retry_of(queue))
    }

    /// Returns the answer with what was taken.
    fn answer(
        &self,
        connection: &Connection,
        runnable: &Runnable,
        haul: Haul,
        until: Timestamp,
        retry_of: impl Fn(&QueueName) -> Option<RetryConfig>,
    ) -> Result<Leased, Fault> {
        let isolated = self.leaves_isolated(connection, runnable, until)?;
        let held_back = holds_back(connection, runnable, &haul, until)?;
        let next = next(connection, runnable, until)?;
        Ok(Leased { isolated, held_back, ..haul.leased(next, retry_of) })
    }
}

/// Returns when the first of the remaining tasks may be leased, whether that time has passed or
/// not.
fn first(
    connection: &Connection,
    runnable: &Runnable,
    haul: &Haul,
    now: Timestamp,
) -> Result<Option<Timestamp>, Fault> {
    let opens = |queue: &QueueName| haul.opens_of(queue);
    ready::first(connection, runnable, &|lane, due| given_at(lane, opens(&lane.queue), due, now))
}

/// Whether due tasks of queues with limits wait only for a free runner.
fn holds_back(
    connection: &Connection,
    runnable: &Runnable,
    haul: &Haul,
    until: Timestamp,
) -> Result<bool, Fault> {
    let holds_back = |place: usize| limits::holds_back(haul, &runnable.lanes()[place]);
    let mut found = false;
    if haul.gates().next().is_some() {
        for standing in Standing::ALL {
            found |= ready::is_due(connection, runnable, standing, until, holds_back)?;
        }
    }
    Ok(found)
}

/// Returns how long until a further task of these lanes becomes due, if those until `until` are.
fn next(
    connection: &Connection,
    runnable: &Runnable,
    until: Timestamp,
) -> Result<Option<Duration>, Fault> {
    Ok(ready::later(connection, runnable, until)?.map(|at| at.since(until)))
}

/// The steps of a lease.
impl Lease {
    /// The latest schedule time of tasks that count as due.
    fn until(&self) -> Timestamp {
        moment(self.now).plus(self.ahead)
    }

    fn write(
        &self,
        connection: &Connection,
        catalogue: &Catalogue,
        catch: &Catch<'_>,
        now: Timestamp,
        session: i64,
    ) -> Result<(), Fault> {
        let (expires, duration) = (now.plus(self.duration), self.duration);
        let mut taken = catch.haul.tasks().iter().zip(&catch.waited).peekable();
        while let Some((LeasedTask { lease, spec, alone, paid, .. }, how)) = taken.next() {
            let mut tasks = vec![(lease.id, *how)];
            while let Some((next, how)) = taken.next_if(|(next, _)| next.lease.token == lease.token)
            {
                tasks.push((next.lease.id, *how));
            }
            let is_bounded = catch.haul.gate(&spec.queue).is_some_and(Gate::is_bounded);
            let queue = if is_bounded { catalogue.turn_of(&spec.queue) } else { None };
            let (alone, paid, cancelled) = (*alone, *paid, false);
            let terms = Terms { expires, duration, session, alone, cancelled, queue, paid };
            held::give(connection, lease.token, terms, &Members::new(tasks))?;
        }
        Ok(())
    }

    /// Whether this lease leaves a due isolated task because there are other suspects.
    fn leaves_isolated(
        &self,
        connection: &Connection,
        runnable: &Runnable,
        until: Timestamp,
    ) -> Result<bool, Fault> {
        Ok(self.room.in_company
            && !ready::due_lanes(connection, runnable, Standing::Isolated, until)?.is_empty())
    }

    /// Leases clear tasks by the turns of their queues, until there is no more room or no task is
    /// due.
    fn take_turns(
        &self,
        mut turns: Turns<'_>,
        catch: &mut Catch<'_>,
        now: Timestamp,
    ) -> Result<(), Fault> {
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
                Some(lanes) => Merge::start(
                    catch.reader.connection,
                    lanes,
                    rank,
                    self.until(),
                    length.min(room),
                )?,
                None => match again.pop_front() {
                    Some(merge) => merge,
                    None => break,
                },
            };
            let turn = merge.turn(length, &catch.haul);
            if take(&mut merge, turn, catch)? {
                again.push_back(merge)
            } else {
                merge.finish(now)?
            }
        }
        again.into_iter().try_for_each(|merge| merge.finish(now))
    }

    /// Returns the next queue that may give a task.
    fn next_queue<'a>(
        &self,
        turns: &mut Turns<'a>,
        catch: &Catch<'_>,
    ) -> Result<Option<Vec<&'a RunnableLane>>, Fault> {
        while let Some(lanes) = turns.next()? {
            if lanes.iter().any(|lane| room_in(&catch.haul, lane) > 0) {
                return Ok(Some(lanes));
            }
        }
        Ok(None)
    }
}
