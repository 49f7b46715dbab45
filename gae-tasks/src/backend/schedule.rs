//! The contract about schedules: stored calls of which a task is made at each tick.
//!
//! A backend compares and stores; when a schedule ticks, and what a tick stores, is decided by
//! whoever looks: the expression and the call are opaque to backends.

use std::fmt;
use std::sync::Arc;

use super::request::NewTask;
use crate::task::Redacted;
use crate::time::{Now, Timestamp};
use crate::version;

/// Identifies a schedule: its name, which is one of a program's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ScheduleKey {
    /// The program that the schedule belongs to.
    pub program: String,
    /// The name of the schedule.
    pub name: String,
}

impl ScheduleKey {
    /// Creates the key of the schedule `name` of `program`.
    pub fn new(program: impl Into<String>, name: impl Into<String>) -> Self {
        Self { program: program.into(), name: name.into() }
    }
}

impl fmt::Display for ScheduleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of `{}`", self.name, self.program)
    }
}

/// A schedule to be stored.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewSchedule {
    /// The name, which no other schedule of the program has.
    pub name: String,
    /// The expression, with its time zone: a text that backends compare and do not read.
    pub cron: String,
    /// What a tick stores, and what becomes of ticks that were missed: opaque bytes. The first one
    /// is the version of this crate's formats that a program must know to read them.
    pub definition: Vec<u8>,
}

impl NewSchedule {
    /// Creates a schedule.
    pub fn new(name: impl Into<String>, cron: impl Into<String>, definition: Vec<u8>) -> Self {
        Self { name: name.into(), cron: cron.into(), definition }
    }
}

impl fmt::Debug for NewSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, cron, definition } = self;
        f.debug_struct("NewSchedule")
            .field("name", name)
            .field("cron", cron)
            .field("definition", &Redacted(definition))
            .finish()
    }
}

/// A request to store schedules of a program.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PutSchedules {
    /// The time of the request.
    pub now: Now,
    /// The program.
    pub program: String,
    /// The revision of the program, if it declares these schedules and no others. `None` for
    /// schedules that are made at run time.
    pub revision: Option<i64>,
    /// The schedules.
    pub schedules: Arc<[NewSchedule]>,
}

impl PutSchedules {
    /// Creates a request to store schedules that are made at run time.
    pub fn new(now: Now, program: impl Into<String>, schedules: Vec<NewSchedule>) -> Self {
        Self { now, program: program.into(), revision: None, schedules: schedules.into() }
    }

    /// Creates a request of a worker: this revision of its program declares these schedules, and no
    /// others.
    pub fn declared(
        now: Now,
        program: impl Into<String>,
        revision: i64,
        schedules: Arc<[NewSchedule]>,
    ) -> Self {
        Self { now, program: program.into(), revision: Some(revision), schedules }
    }
}

/// What became of a schedule that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchedulePut {
    /// It is stored, and was not before.
    Created,
    /// It replaces what was stored.
    Changed,
    /// It was stored like this already.
    Kept,
    /// It stays as this newer revision of the program declares it.
    Newer(i64),
    /// It stays as another worker of the same revision has declared it, who was seen within the
    /// last 10 minutes.
    Differs,
    /// The name belongs to a schedule of the other sort: one that was made at run time, or one that
    /// is declared.
    Taken,
}

/// The answer to [`PutSchedules`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchedulesPut {
    /// What became of each schedule, in their order.
    pub schedules: Vec<SchedulePut>,
    /// The names of the program's schedules that were removed, because this newer revision does not
    /// declare them and no worker that does was seen for 10 minutes.
    pub stopped: Vec<String>,
}

/// A stored schedule.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredSchedule {
    /// Program and name.
    pub key: ScheduleKey,
    /// The revision of the program that declares the schedule so; `None` if it was made at run
    /// time.
    pub revision: Option<i64>,
    /// The expression, with its time zone.
    pub cron: String,
    /// What a tick stores, as [`NewSchedule::definition`].
    pub definition: Vec<u8>,
    /// Whether the schedule does not tick until it is resumed.
    pub paused: bool,
    /// When it was stored like this.
    pub declared: Timestamp,
    /// When a worker last declared a schedule of this name; written at most once a minute.
    pub seen: Timestamp,
    /// The ticks up to this moment are decided, and only later ones count.
    pub since: Timestamp,
    /// The last tick of which a task was made.
    pub last_tick: Option<Timestamp>,
    /// When a worker looks at the schedule next; at once if that has passed. `None`: it never ticks
    /// again.
    pub next: Option<Timestamp>,
    /// A number that every change makes another one: who ticks proves by it what was read.
    pub mark: i64,
}

impl StoredSchedule {
    /// Creates a schedule as it is stored at `now`: to be looked at, with no tick before.
    pub fn new(key: ScheduleKey, cron: String, definition: Vec<u8>, now: Timestamp) -> Self {
        Self {
            key,
            revision: None,
            cron,
            definition,
            paused: false,
            declared: now,
            seen: now,
            since: now,
            last_tick: None,
            next: Some(now),
            mark: 0,
        }
    }

    /// The version of this crate's formats that a program must know to tick the schedule.
    pub(crate) fn version(&self) -> u8 {
        version::of(Some(&self.definition))
    }
}

impl fmt::Debug for StoredSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Destructured, so that a new field cannot be forgotten here.
        let Self { key, revision, cron, definition, paused, .. } = self;
        let Self { declared, seen, since, last_tick, next, mark, .. } = self;
        f.debug_struct("StoredSchedule")
            .field("key", key)
            .field("revision", revision)
            .field("cron", cron)
            .field("definition", &Redacted(definition))
            .field("paused", paused)
            .field("declared", declared)
            .field("seen", seen)
            .field("since", since)
            .field("last_tick", last_tick)
            .field("next", next)
            .field("mark", mark)
            .finish()
    }
}

/// A change of a schedule by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScheduleChange {
    /// It does not tick any more.
    Pause,
    /// It ticks again. Ticks of the pause are not made up for.
    Resume,
    /// It is deleted.
    Remove,
}

/// A request to change a schedule by hand.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChangeSchedule {
    /// The time of the request.
    pub now: Now,
    /// The schedule.
    pub key: ScheduleKey,
    /// What is to become of it.
    pub change: ScheduleChange,
}

impl ChangeSchedule {
    /// Creates a request to change the schedule `key` at `now`.
    pub const fn new(now: Now, key: ScheduleKey, change: ScheduleChange) -> Self {
        Self { now, key, change }
    }
}

/// The answer to [`ChangeSchedule`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScheduleChanged {
    /// The schedule is as the request wants it.
    Done,
    /// There is no such schedule.
    Missing,
    /// It is not removed, because a worker that declares it was seen lately and would declare it
    /// again.
    Declared,
}

/// A request of a worker for the schedules that it must look at.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DueSchedules {
    /// The time of the request.
    pub now: Now,
    /// Only schedules after this place in the order: that of the last one of the page before.
    pub after: Option<(Timestamp, ScheduleKey)>,
    /// The maximum number of schedules.
    pub limit: usize,
}

impl DueSchedules {
    /// Creates a request for the first page of the schedules that are due at `now`.
    pub const fn new(now: Now, limit: usize) -> Self {
        Self { now, after: None, limit }
    }
}

/// The schedules that a worker must look at.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Due {
    /// The storage's time.
    pub now: Timestamp,
    /// The schedules, in the order of their times and keys; without those that are paused, and
    /// those that a newer version of this crate stored.
    pub schedules: Vec<StoredSchedule>,
    /// When the first schedule is due that is not due yet.
    pub next: Option<Timestamp>,
}

impl Due {
    /// Creates the answer at the storage's time `now`.
    pub const fn new(
        now: Timestamp,
        schedules: Vec<StoredSchedule>,
        next: Option<Timestamp>,
    ) -> Self {
        Self { now, schedules, next }
    }
}

/// What a worker has decided about a schedule that was due.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TickMove {
    /// The schedule.
    pub key: ScheduleKey,
    /// Its mark, as it was read. Nothing happens if it is another one now.
    pub mark: i64,
    /// The ticks up to this moment are decided.
    pub since: Timestamp,
    /// The last tick of which a task is made, if there is one.
    pub last_tick: Option<Timestamp>,
    /// When the schedule is to be looked at next.
    pub next: Option<Timestamp>,
    /// The tasks of the ticks, named after them. A task whose name is in use is stored already.
    pub tasks: Vec<NewTask>,
}

impl TickMove {
    /// Creates the decision that no task is made of `schedule`, and that it is looked at again at
    /// `next`.
    pub fn new(schedule: &StoredSchedule, next: Option<Timestamp>) -> Self {
        let StoredSchedule { key, mark, since, .. } = schedule;
        Self {
            key: key.clone(),
            mark: *mark,
            since: *since,
            last_tick: None,
            next,
            tasks: Vec::new(),
        }
    }
}

/// A request to tick: each move is made whole, with its tasks, or not at all.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Tick {
    /// The time of the request.
    pub now: Now,
    /// The moves, of a schedule each.
    pub moves: Vec<TickMove>,
}

impl Tick {
    /// Creates a request to make these moves at `now`.
    pub const fn new(now: Now, moves: Vec<TickMove>) -> Self {
        Self { now, moves }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_of_a_definition_only_how_long_it_is() {
        let new = NewSchedule::new("nightly", "0 3 * * *", vec![201; 67]);
        let key = ScheduleKey::new("shop", "nightly");
        let at = Timestamp::from_micros(0);
        let stored = StoredSchedule::new(key, new.cron.clone(), new.definition.clone(), at);
        for text in [format!("{new:?}"), format!("{stored:?}")] {
            assert!(text.contains("67 bytes") && !text.contains("201"), "{text}");
        }
    }
}
