//! The role that ticks: makes the tasks of schedules at their times. There is no leader: every
//! worker looks, and the storage lets one of them make each tick.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::crew::{Crew, pause};
use super::declare::{Declaration, Declarer};
use crate::backend::definition::Definition;
use crate::backend::{Due, DueSchedules, Pull, ScheduleKey, StoredSchedule, Tick, TickMove};
use crate::clock::Clock;
use crate::cron::Cron;
use crate::error::Error;
use crate::time::Timestamp;
use crate::version::Unread;
use crate::{log, unwind};

/// The longest time between two looks while there are schedules: a schedule of another process, and
/// a clock that is set forward, are noticed by then.
const POLL: Duration = Duration::from_secs(1);

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(1);

/// How many schedules are read at once.
const PAGE: usize = 200;

/// About how many tasks are stored by one transaction.
const MOST: usize = 200;

/// A task that is made later than this after its tick is one of a tick that was missed.
const LATE: Duration = Duration::from_secs(60);

/// Ticks in the background. Dropping the returned set ends that.
pub(super) fn start(crew: Arc<Crew>) -> JoinSet<()> {
    let mut background = JoinSet::new();
    background.spawn(async move {
        let (pull, clock) = (Arc::clone(&crew.pull), Arc::clone(&crew.clock));
        let mut ticker = Ticker::new(pull, clock, crew.declaration.clone());
        let (mut changes, mut failures) = (crew.pull.schedule_changes(), 0);
        let poll = crew.poll_interval.max(POLL);
        loop {
            changes.mark_unchanged();
            let wait = match ticker.look().await {
                Ok(looked) => {
                    failures = 0;
                    looked.next.map(|next| next.clamp(SHORTEST, poll))
                }
                Err(error) => {
                    failures += 1;
                    ticker.has_any.then(|| {
                        tell_of(&error, failures);
                        pause(failures)
                    })
                }
            };
            rest(&crew, &mut changes, wait, poll).await;
        }
    });
    background
}

/// Waits for the next look, `wait` from now. Where no schedule is known, a look follows a sweep in
/// place of a time, at most once in `poll`.
async fn rest(
    crew: &Crew,
    changes: &mut watch::Receiver<u64>,
    wait: Option<Duration>,
    poll: Duration,
) {
    let begun = crew.clock.monotonic();
    let mut slept = pin!(async {
        match wait {
            Some(wait) => crew.clock.sleep(wait).await,
            None => std::future::pending().await,
        }
    });
    loop {
        tokio::select! {
            // Not if the backend is gone with its sender.
            Ok(()) = changes.changed() => return,
            () = &mut slept => return,
            () = crew.swept.notified() => {
                let passed = crew.clock.monotonic().saturating_sub(begun);
                if wait.is_none() && passed >= poll {
                    return;
                }
            }
        }
    }
}

/// Logs a failed look, at a falling rate, as looks repeat soon.
fn tell_of(error: &Error, failures: u32) {
    if failures.is_power_of_two() {
        let error = crate::outcome::chain(error);
        log::say(|| tracing::error!(error, "cannot look for due schedules, trying again"));
    }
}

/// Looks for schedules that are due, and makes their tasks.
#[derive(Debug)]
pub(crate) struct Ticker {
    pull: Arc<dyn Pull>,
    clock: Arc<dyn Clock>,
    declarer: Declarer,
    /// The schedules that cannot be ticked, with their marks: each is reported once.
    told: HashSet<(ScheduleKey, i64)>,
    /// Whether there are schedules, as far as the last look has shown.
    has_any: bool,
}

/// What a look has found.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// How many tasks it has stored.
    pub(crate) stored: u64,
    /// When the next look is worth it; `None` if no schedule waits for its time.
    next: Option<Duration>,
}

impl Ticker {
    /// Creates a ticker that declares these schedules beside.
    pub(crate) fn new(
        pull: Arc<dyn Pull>,
        clock: Arc<dyn Clock>,
        declaration: Declaration,
    ) -> Self {
        let declarer = Declarer::new(declaration);
        Self { pull, clock, has_any: declarer.has_any(), declarer, told: HashSet::new() }
    }

    /// Declares schedules if it is time, and makes the tasks of all that are due.
    pub(crate) async fn look(&mut self) -> Result<Looked, Error> {
        self.declarer.declare(&*self.pull, &*self.clock).await?;
        let (mut after, mut stored, mut soonest, mut is_any_due) = (None, 0, None, false);
        loop {
            let asked = self.clock.monotonic();
            let request = DueSchedules { after, ..DueSchedules::new(self.clock.now(), PAGE) };
            let due = self.pull.due_schedules(request).await?;
            soonest = earlier(soonest, due.next);
            stored += self.tick(&due, &mut soonest).await?;
            let last = due.schedules.last();
            is_any_due |= last.is_some();
            self.has_any = is_any_due || soonest.is_some();
            after = last.and_then(|last| Some((last.next?, last.key.clone())));
            if due.schedules.len() < PAGE || after.is_none() {
                let passed = self.clock.monotonic().saturating_sub(asked);
                let wait = soonest.map(|soonest| soonest.since(due.now).saturating_sub(passed));
                // What is due and cannot be ticked here may be ticked later.
                let next = wait.or(self.has_any.then_some(POLL));
                return Ok(Looked { stored, next });
            }
        }
    }

    /// Makes the tasks of a page of schedules; returns how many were stored. `soonest` becomes the
    /// time of the next tick, if that is sooner.
    async fn tick(&mut self, due: &Due, soonest: &mut Option<Timestamp>) -> Result<u64, Error> {
        let (mut moves, mut tasks, mut stored) = (Vec::new(), 0, 0);
        for schedule in &due.schedules {
            let Some(made) = self.decide(schedule, due.now) else { continue };
            *soonest = earlier(*soonest, made.next);
            tasks += made.tasks.len();
            moves.push(made);
            if tasks >= MOST {
                stored += self.make(std::mem::take(&mut moves), due.now).await?;
                tasks = 0;
            }
        }
        if !moves.is_empty() {
            stored += self.make(moves, due.now).await?;
        }
        Ok(stored)
    }

    async fn make(&mut self, moves: Vec<TickMove>, now: Timestamp) -> Result<u64, Error> {
        let made: Vec<_> = moves
            .iter()
            .map(|made| (made.key.clone(), made.mark, made.last_tick, made.tasks.len()))
            .collect();
        let answers = self.pull.tick(Tick::new(self.clock.now(), moves)).await?;
        let mut stored = 0;
        for ((key, mark, tick, tasks), answer) in made.into_iter().zip(answers) {
            match answer {
                Ok(true) => {
                    stored += tasks as u64;
                    say_if_missed(&key, tick, tasks, now);
                }
                // Another worker was first, or the schedule has changed.
                Ok(false) => {}
                Err(error) => self.tell(key, mark, &crate::outcome::chain(&error)),
            }
        }
        Ok(stored)
    }

    /// Decides about a schedule that is due; `None` if it cannot be read here.
    fn decide(&mut self, schedule: &StoredSchedule, now: Timestamp) -> Option<TickMove> {
        let decided = unwind::catch(|| decide(schedule, now));
        match decided.unwrap_or_else(|panic| Err(format!("its evaluation panicked: {panic}"))) {
            Ok(made) => Some(made),
            Err(problem) => {
                self.tell(schedule.key.clone(), schedule.mark, &problem);
                None
            }
        }
    }

    fn tell(&mut self, key: ScheduleKey, mark: i64, problem: &str) {
        let (program, schedule) = (key.program.clone(), key.name.clone());
        if self.told.insert((key, mark)) {
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
    let tasks = decided.ticks.iter().map(|tick| definition.task_of(&schedule.key, *tick));
    Ok(TickMove {
        since: decided.since,
        last_tick: decided.ticks.last().copied(),
        tasks: tasks.collect(),
        ..TickMove::new(schedule, decided.next)
    })
}

fn say_if_missed(key: &ScheduleKey, tick: Option<Timestamp>, tasks: usize, now: Timestamp) {
    let Some(tick) = tick.filter(|tick| now.since(*tick) > LATE) else { return };
    let ScheduleKey { program, name } = key;
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

/// The earlier of two moments.
fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}
