//! Decides what becomes of stored schedules when a program puts its own, and when somebody changes
//! one by hand: pure functions of what is stored, the request, and the time.
//!
//! A schedule belongs to the program that put it. A declared one carries the revision that declares
//! it so; the newest revision wins, whoever declares it when, so two versions of a program that run
//! side by side never replace each other's schedules in turn. Nor do two builds that have one
//! revision: the first one wins, until nobody was seen for a while who declares the same.

use std::collections::BTreeMap;
use std::time::Duration;

use super::schedule::{
    ChangeSchedule, NewSchedule, PutSchedules, ScheduleChange, ScheduleChanged, ScheduleKey,
    SchedulePut, SchedulesPut, StoredSchedule, TickMove,
};
use crate::time::Timestamp;

/// How long a declared schedule outlives the last worker that declared it.
pub(crate) const UNSEEN: Duration = Duration::from_secs(10 * 60);

/// By how much a clock may be set back at most for the ticks that it shows again not to count.
const SET_BACK: Duration = Duration::from_secs(60);

/// The least time between two notes that a worker declares a schedule: all workers of a program
/// declare all of its schedules every two minutes.
const NOTED: Duration = Duration::from_secs(60);

/// What a backend has to do.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The schedules to be written.
    pub(crate) written: Vec<StoredSchedule>,
    /// The answer; what it says was stopped is to be deleted.
    pub(crate) answer: SchedulesPut,
}

impl Plan {
    /// Decides about a request. `stored` are the program's schedules of the names of the request
    /// and, if it is of a revision, all that older ones declare.
    pub(crate) fn of(
        request: &PutSchedules,
        stored: impl IntoIterator<Item = StoredSchedule>,
        now: Timestamp,
    ) -> Self {
        let mut stored: BTreeMap<_, _> =
            stored.into_iter().map(|schedule| (schedule.key.name.clone(), schedule)).collect();
        let mut plan = Self::default();
        for new in &*request.schedules {
            let before = stored.remove(&new.name);
            let (put, written) = put(before, request, new, now);
            plan.answer.schedules.push(put);
            plan.written.extend(written);
        }
        let stopped = stored.into_values().filter(|left| is_stopped(left, request.revision, now));
        plan.answer.stopped = stopped.map(|left| left.key.name).collect();
        plan
    }

    /// Whether everything is stored already.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn is_nothing(&self) -> bool {
        self.written.is_empty() && self.answer.stopped.is_empty()
    }
}

/// Decides about one schedule; returns what is to be written, if anything.
fn put(
    stored: Option<StoredSchedule>,
    request: &PutSchedules,
    new: &NewSchedule,
    now: Timestamp,
) -> (SchedulePut, Option<StoredSchedule>) {
    let Some(stored) = stored else {
        let key = ScheduleKey::new(&request.program, &new.name);
        let made = StoredSchedule::new(key, new.cron.clone(), new.definition.clone(), now);
        let (revision, mark) = (request.revision, now.as_micros());
        return (SchedulePut::Created, Some(StoredSchedule { revision, mark, ..made }));
    };
    let is_same = stored.cron == new.cron && stored.definition == new.definition;
    match (stored.revision, request.revision) {
        (None, None) if is_same => (SchedulePut::Kept, None),
        (None, None) => (SchedulePut::Changed, Some(replaced(stored, request, new, now))),
        (None, Some(_)) | (Some(_), None) => (SchedulePut::Taken, None),
        (Some(before), Some(revision)) if before > revision => {
            (SchedulePut::Newer(before), noted(stored, now))
        }
        (Some(before), Some(revision)) if is_same => {
            let written = match before < revision {
                true => Some(StoredSchedule { revision: Some(revision), seen: now, ..stored }),
                false => noted(stored, now),
            };
            (SchedulePut::Kept, written)
        }
        // Not noted: only those were seen who declare it as it is stored.
        (Some(before), Some(revision)) if before == revision && now.since(stored.seen) < UNSEEN => {
            (SchedulePut::Differs, None)
        }
        (Some(_), Some(_)) => (SchedulePut::Changed, Some(replaced(stored, request, new, now))),
    }
}

/// The schedule with another content. If it ticks at other times, these count from now on.
fn replaced(
    stored: StoredSchedule,
    request: &PutSchedules,
    new: &NewSchedule,
    now: Timestamp,
) -> StoredSchedule {
    let restarts = stored.cron != new.cron;
    StoredSchedule {
        revision: request.revision,
        cron: new.cron.clone(),
        definition: new.definition.clone(),
        declared: now,
        seen: now,
        since: if restarts { anew(&stored, now) } else { stored.since },
        // Looked at in any case: an older program may have been unable to read it.
        next: Some(now),
        mark: stored.mark.wrapping_add(1),
        ..stored
    }
}

/// From when on ticks count that count from `now` on. Ticks that are decided stay so if the clock
/// was set back a little; if it was far ahead before, waiting for that time would take long.
fn anew(stored: &StoredSchedule, now: Timestamp) -> Timestamp {
    if stored.since.since(now) <= SET_BACK { stored.since.max(now) } else { now }
}

/// The schedule with a note that a worker declares it, unless there is one of this minute.
fn noted(stored: StoredSchedule, now: Timestamp) -> Option<StoredSchedule> {
    (now.since(stored.seen) >= NOTED).then_some(StoredSchedule { seen: now, ..stored })
}

/// Whether a schedule ends that a worker of `revision` does not declare.
fn is_stopped(left: &StoredSchedule, revision: Option<i64>, now: Timestamp) -> bool {
    let is_older = |revision| left.revision.is_some_and(|of| of < revision);
    revision.is_some_and(is_older) && now.since(left.seen) >= UNSEEN
}

/// What a change by hand makes of a stored schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is as it should be, or must stay as it is.
    None(ScheduleChanged),
    Written(StoredSchedule),
    Deleted,
}

/// Decides about a change by hand.
pub(crate) fn change(
    stored: Option<StoredSchedule>,
    request: &ChangeSchedule,
    now: Timestamp,
) -> Change {
    let Some(stored) = stored else { return Change::None(ScheduleChanged::Missing) };
    let mark = stored.mark.wrapping_add(1);
    match request.change {
        ScheduleChange::Pause if !stored.paused => {
            Change::Written(StoredSchedule { paused: true, mark, ..stored })
        }
        ScheduleChange::Resume if stored.paused => {
            let (since, next) = (anew(&stored, now), Some(now));
            Change::Written(StoredSchedule { paused: false, since, next, mark, ..stored })
        }
        ScheduleChange::Pause | ScheduleChange::Resume => Change::None(ScheduleChanged::Done),
        ScheduleChange::Remove if stored.revision.is_some() && now.since(stored.seen) < UNSEEN => {
            Change::None(ScheduleChanged::Declared)
        }
        ScheduleChange::Remove => Change::Deleted,
    }
}

/// The schedule after a move; `None` if it has changed since it was read.
pub(crate) fn moved(stored: &StoredSchedule, made: &TickMove) -> Option<StoredSchedule> {
    let holds = stored.mark == made.mark && !stored.paused;
    holds.then(|| StoredSchedule {
        since: made.since,
        last_tick: made.last_tick.or(stored.last_tick),
        next: made.next,
        mark: stored.mark.wrapping_add(1),
        ..stored.clone()
    })
}

#[cfg(test)]
mod tests;
