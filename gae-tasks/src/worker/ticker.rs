//! Looks for schedules that are due, and makes the tasks of their ticks.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::declare::{Declaration, Declarer};
use crate::backend::definition::Definition;
use crate::backend::{Due, DueSchedules, Pull, ScheduleKey, StoredSchedule, Tick, TickMove};
use crate::clock::Clock;
use crate::cron::{Cron, LATE};
use crate::error::Error;
use crate::outcome::chain;
use crate::time::Timestamp;
use crate::version::Unread;
use crate::{log, unwind};

/// The longest time between two looks while there are schedules: a schedule of another process, and
/// a clock that is set forward, are noticed by then.
pub(super) const POLL: Duration = Duration::from_secs(1);

/// How many schedules are read at once.
const PAGE: usize = 200;

/// How many tasks are stored by one transaction, and how many bytes of payloads, if they are not of
/// one schedule.
const MOST: (usize, usize) = (200, 4 * 1024 * 1024);

/// How long a schedule waits whose tasks the storage refuses.
const REST: Duration = Duration::from_secs(10);

/// How many requests may fail in a look that makes moves one by one.
const FAILURES: u32 = 20;

/// Looks for schedules that are due, and makes their tasks.
#[derive(Debug)]
pub(crate) struct Ticker {
    pull: Arc<dyn Pull>,
    clock: Arc<dyn Clock>,
    declarer: Declarer,
    /// The schedules that cannot be ticked as they are.
    aside: HashMap<ScheduleKey, Aside>,
    /// Whether there are schedules, as far as the last look has shown.
    has_any: bool,
    /// Whether moves are made one by one, since several have failed together.
    is_careful: bool,
}

/// A schedule that cannot be ticked as it is.
#[derive(Debug)]
struct Aside {
    /// That of the schedule: it may have been changed since.
    mark: i64,
    /// When it is tried again, by the monotonic clock; `None` if it is not before it is changed.
    until: Option<Duration>,
}

/// What a look has found.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// How many tasks it has stored.
    pub(crate) stored: u64,
    /// Why the schedules of the program could not be declared, which keeps none from being ticked.
    pub(crate) undeclared: Option<Error>,
    /// When the next look is worth it; `None` if no schedule waits for its time.
    pub(super) next: Option<Duration>,
}

/// What the pages of a look have shown so far.
#[derive(Debug, Default)]
struct Found {
    stored: u64,
    /// When the first schedule is due again.
    soonest: Option<Timestamp>,
    is_any_due: bool,
    /// Whether a schedule that was moved has more ticks that are due.
    is_behind: bool,
    /// How many requests have failed.
    failures: u32,
}

impl Ticker {
    /// Creates a ticker that declares these schedules beside.
    pub(crate) fn new(
        pull: Arc<dyn Pull>,
        clock: Arc<dyn Clock>,
        declaration: Declaration,
    ) -> Self {
        let declarer = Declarer::new(declaration);
        let (has_any, aside) = (declarer.has_any(), HashMap::new());
        Self { pull, clock, declarer, aside, has_any, is_careful: false }
    }

    /// Whether there are schedules, as far as is known.
    pub(super) fn has_any(&self) -> bool {
        self.has_any
    }

    /// Declares schedules if it is time, and makes the tasks of all that are due.
    pub(crate) async fn look(&mut self) -> Result<Looked, Error> {
        let undeclared = self.declarer.declare(&*self.pull, &*self.clock).await.err();
        let (mut after, mut found) = (None, Found::default());
        loop {
            let asked = self.clock.monotonic();
            let request = DueSchedules { after, ..DueSchedules::new(self.clock.now(), PAGE) };
            let due = self.pull.due_schedules(request).await?;
            found.soonest = earlier(found.soonest, due.next);
            self.tick(&due, &mut found).await?;
            let last = due.schedules.last();
            found.is_any_due |= last.is_some();
            self.has_any = found.is_any_due || found.soonest.is_some();
            after = last.and_then(|last| Some((last.next?, last.key.clone())));
            if due.schedules.len() == PAGE && after.is_some() {
                continue;
            }
            after = None;
            if !mem::take(&mut found.is_behind) {
                self.is_careful = false;
                let passed = self.clock.monotonic().saturating_sub(asked);
                let wait = found.soonest.map(|at| at.since(due.now).saturating_sub(passed));
                // What is due and cannot be ticked here may be ticked later.
                let next = wait.or(self.has_any.then_some(POLL));
                return Ok(Looked { stored: found.stored, undeclared, next });
            }
        }
    }

    /// Makes the tasks of a page of schedules.
    async fn tick(&mut self, due: &Due, found: &mut Found) -> Result<(), Error> {
        let (mut moves, mut tasks, mut bytes) = (Vec::new(), 0, 0);
        for schedule in &due.schedules {
            let Some(made) = self.decide(schedule, due.now) else { continue };
            found.soonest = earlier(found.soonest, made.next);
            let payloads = made.tasks.iter().map(|task| task.payload.len());
            let (more, large) = (made.tasks.len(), payloads.sum::<usize>());
            let fits = tasks + more <= MOST.0 && bytes + large <= MOST.1 && !self.is_careful;
            if !fits && !moves.is_empty() {
                self.make(mem::take(&mut moves), due.now, found).await?;
                (tasks, bytes) = (0, 0);
            }
            (tasks, bytes) = (tasks + more, bytes + large);
            moves.push(made);
        }
        if moves.is_empty() { Ok(()) } else { self.make(moves, due.now, found).await }
    }

    async fn make(
        &mut self,
        moves: Vec<TickMove>,
        now: Timestamp,
        found: &mut Found,
    ) -> Result<(), Error> {
        let all: Vec<_> = moves.iter().map(Move::of).collect();
        let answers = match self.pull.tick(Tick::new(self.clock.now(), moves)).await {
            Ok(answers) => answers,
            Err(error) => return self.isolate(all, error, found).await,
        };
        for (of, answer) in all.into_iter().zip(answers) {
            match answer {
                Ok(true) => {
                    found.stored += of.tasks;
                    found.is_behind |= of.next.is_some_and(|next| next <= now);
                    of.say_if_missed(now);
                }
                // Another worker was first, or the schedule has changed.
                Ok(false) => {}
                Err(error) => self.put_aside(of.key, of.mark, Some(REST), &chain(&error)),
            }
        }
        Ok(())
    }

    /// Finds the schedule that a request has failed for, lest it holds up the others: the next look
    /// makes moves one by one, and puts aside the schedules whose moves fail alone.
    async fn isolate(
        &mut self,
        mut all: Vec<Move>,
        error: Error,
        found: &mut Found,
    ) -> Result<(), Error> {
        found.failures += 1;
        if !mem::replace(&mut self.is_careful, true) || found.failures > FAILURES {
            return Err(error);
        }
        // If the storage is gone, it is not for this schedule.
        self.pull.due_schedules(DueSchedules::new(self.clock.now(), 1)).await?;
        if let Some(of) = all.pop() {
            self.put_aside(of.key, of.mark, Some(REST), &chain(&error));
        }
        Ok(())
    }

    /// Decides about a schedule that is due; `None` if it cannot be ticked here now.
    fn decide(&mut self, schedule: &StoredSchedule, now: Timestamp) -> Option<TickMove> {
        if self.is_aside(schedule) {
            return None;
        }
        let decided = unwind::catch(|| decide(schedule, now));
        match decided.unwrap_or_else(|panic| Err(format!("its evaluation panicked: {panic}"))) {
            Ok(made) => Some(made),
            Err(problem) => {
                self.put_aside(schedule.key.clone(), schedule.mark, None, &problem);
                None
            }
        }
    }

    fn is_aside(&self, schedule: &StoredSchedule) -> bool {
        let aside = self.aside.get(&schedule.key).filter(|aside| aside.mark == schedule.mark);
        let now = self.clock.monotonic();
        aside.is_some_and(|aside| aside.until.is_none_or(|until| now < until))
    }

    /// Leaves a schedule alone for this time, or until it is changed, and reports it once.
    fn put_aside(&mut self, key: ScheduleKey, mark: i64, rest: Option<Duration>, problem: &str) {
        let until = rest.map(|rest| self.clock.monotonic().saturating_add(rest));
        let (program, schedule) = (key.program.clone(), key.name.clone());
        let before = self.aside.insert(key, Aside { mark, until });
        if before.is_none_or(|before| before.mark != mark) {
            log::say(|| {
                tracing::error!(program, schedule, problem, "the schedule cannot be ticked here");
            });
        }
    }
}

fn decide(schedule: &StoredSchedule, now: Timestamp) -> Result<TickMove, String> {
    let unread = |unread| match unread {
        Unread::Newer => "a newer version of gae-tasks stored it: update this program",
        Unread::Damaged => "its definition is damaged: make it again",
    };
    let definition = Definition::decode(&schedule.definition).map_err(unread)?;
    let cron = Cron::parse(&schedule.cron).map_err(|error| error.to_string())?;
    let decided = definition.missed.decide(&cron, schedule.since, now);
    // With those that do not fit into a transaction the schedule is due again at once.
    let fitting = (MOST.1 / definition.task.payload.len().max(1)).max(1);
    let (ticks, left) = decided.ticks.split_at(fitting.min(decided.ticks.len()));
    let (last, left) = (ticks.last().copied(), left.first().copied());
    let tasks = ticks.iter().map(|tick| definition.task_of(&schedule.key, *tick));
    Ok(TickMove {
        since: left.and(last).unwrap_or(decided.since),
        last_tick: last,
        tasks: tasks.collect(),
        ..TickMove::new(schedule, left.or(decided.next))
    })
}

/// What is remembered of a move while the storage makes it.
#[derive(Debug)]
struct Move {
    key: ScheduleKey,
    mark: i64,
    tick: Option<Timestamp>,
    tasks: u64,
    next: Option<Timestamp>,
}

impl Move {
    fn of(made: &TickMove) -> Self {
        let TickMove { mark, last_tick: tick, next, .. } = *made;
        Self { key: made.key.clone(), mark, tick, tasks: made.tasks.len() as u64, next }
    }

    fn say_if_missed(&self, now: Timestamp) {
        let Some(tick) = self.tick.filter(|tick| now.since(*tick) > LATE) else { return };
        let (ScheduleKey { program, name }, tasks) = (&self.key, self.tasks);
        log::say(|| {
            tracing::warn!(
                program,
                schedule = name,
                %tick,
                tasks,
                "ticks of the schedule were missed and are made up for"
            );
        });
    }
}

/// The earlier of two moments.
fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}
