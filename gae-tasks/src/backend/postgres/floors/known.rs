//! The floors that a process knows, and when it uses them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::backend::postgres::epoch::Epoch;
use crate::backend::postgres::scan::{Head, Scan, Start, Survey};
use crate::time::Timestamp;

/// For how long before a look tasks may have got their places that commit after it. Whoever takes
/// longer to commit says so.
const SLACK: Duration = Duration::from_millis(100);

/// So many entries of tasks that are gone cost nothing worth to be saved.
const FEW: i64 = 2_000;

/// How many such entries are passed in the time in which a scan from the floors looks at a lane.
const A_LANE: i64 = 24;

/// For how long floors are used after a survey. Whoever makes no surveys looks at everything.
const TRUST: Duration = Duration::from_secs(60);

/// A task with an older place has everything looked at.
const OLD: Duration = Duration::from_secs(60 * 60);

/// How many late tasks are remembered one by one, for scans that were under way.
const MOST: usize = 32;

/// The floors that a process knows.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The epoch in which they are known.
    epoch: Epoch,
    /// When a survey ended that passed many entries, if that was the last one.
    surveyed: Option<Instant>,
    shown: Option<Shown>,
    /// How often that was replaced.
    version: u64,
    late: Late,
}

/// What the last scan has shown.
#[derive(Debug)]
struct Shown {
    /// The floors: where the next scan begins.
    start: Start,
    /// The time of the scan by the clock of the database, and when its answer was here.
    now: Timestamp,
    answered: Instant,
}

/// A scan that has begun.
#[derive(Debug)]
pub(super) struct Begun {
    /// Where it may begin; without a start it has to look at everything.
    pub(super) start: Option<Start>,
    epoch: Epoch,
    version: u64,
    late: u64,
}

impl Known {
    /// Begins a scan at `at`.
    pub(super) fn begin(&mut self, epoch: Epoch, at: Instant) -> Begun {
        if self.epoch != epoch {
            *self = Self { epoch, ..Self::default() };
        }
        let shown = self.shown.as_ref().filter(|_| self.are_used(at));
        let start = shown.map(|shown| shown.start.clone());
        Begun { start, epoch, version: self.version, late: self.late.count }
    }

    /// Whether floors are used at `at`.
    pub(super) fn are_used(&self, at: Instant) -> bool {
        self.surveyed.is_some_and(|last| at.saturating_duration_since(last) < TRUST)
    }

    /// Adds what a scan from the floors on has found. Returns whether that can be relied on: if the
    /// clock of the database was set back, new tasks may be before the floors.
    pub(super) fn found(&mut self, begun: &Begun, scan: &Scan, at: Instant) -> bool {
        // What another scan has found since may be before the floors of this one.
        if begun.epoch != self.epoch || begun.version != self.version {
            return true;
        }
        if self.shown.as_ref().is_some_and(|shown| scan.now < shown.now) {
            self.forget();
            return false;
        }
        self.replace(begun, scan, at);
        true
    }

    /// Adds what a scan of everything has found.
    pub(super) fn found_all(&mut self, begun: &Begun, scan: &Scan, at: Instant) {
        if begun.epoch == self.epoch && self.are_used(at) {
            self.replace(begun, scan, at);
        }
    }

    /// Adds a survey. Returns whether it has found tasks that wait before the floors.
    pub(super) fn surveyed(&mut self, begun: &Begun, survey: &Survey, at: Instant) -> bool {
        if begun.epoch != self.epoch {
            return false;
        }
        let Survey { scan, passed, lanes } = survey;
        let is_costly = *passed > FEW && *passed > lanes.saturating_mul(A_LANE);
        self.surveyed = is_costly.then_some(at);
        if !is_costly {
            self.forget();
            return false;
        }
        let is_late = |head: &Head| {
            let is_before = |floor| head.place() < floor;
            self.shown.as_ref().is_some_and(|shown| shown.start.floor(head).is_none_or(is_before))
        };
        let has_late = scan.heads.iter().any(is_late);
        self.replace(begun, scan, at);
        has_late
    }

    /// Lowers the floors for a task that has had its place for `age` at `at`.
    pub(super) fn late(&mut self, age: Duration, at: Instant) {
        self.late.add(age, at);
        let Some(shown) = &mut self.shown else { return };
        match since(age, at, shown.now, shown.answered) {
            Some(since) => shown.start.lower(since),
            None => self.forget(),
        }
    }

    /// Returns the later of a place and the floor of its lane and standing.
    pub(super) fn raise(&self, epoch: Epoch, head: Head, at: Instant) -> Head {
        let shown = self.shown.as_ref().filter(|_| epoch == self.epoch && self.are_used(at));
        match shown.and_then(|shown| shown.start.floor(&head)) {
            Some((due, task)) if (due, task) > head.place() => Head { due, task, ..head },
            _ => head,
        }
    }

    fn forget(&mut self) {
        self.shown = None;
        self.version += 1;
    }

    fn replace(&mut self, begun: &Begun, scan: &Scan, at: Instant) {
        let mut start = Start::behind(scan);
        self.forget();
        for late in self.late.after(begun.late) {
            match since(late.age, late.at, scan.now, at) {
                Some(since) => start.lower(since),
                None => return,
            }
        }
        self.shown = Some(Shown { start, now: scan.now, answered: at });
    }
}

/// Returns the time by the clock of the database at which a task got its place that it has had for
/// `age` at `at`, or an earlier one; `None` if that is long ago. The clock showed `now` before
/// `answered`.
fn since(age: Duration, at: Instant, now: Timestamp, answered: Instant) -> Option<Timestamp> {
    if age > OLD {
        return None;
    }
    let since = match at.checked_duration_since(answered) {
        Some(after) => now.plus(after),
        None => now.minus(answered.saturating_duration_since(at)),
    };
    Some(since.minus(age).minus(SLACK))
}

impl Start {
    /// Returns where the scan after this one begins.
    fn behind(scan: &Scan) -> Self {
        let since = scan.now.minus(SLACK);
        let is_named = |head: &&Head| head.rank != 0 || head.due < since;
        let floor = |head: &Head| match head.due < since {
            true => *head,
            false => Head { due: since, task: Uuid::nil(), ..*head },
        };
        Self { since, heads: scan.heads.iter().filter(is_named).map(floor).collect() }
    }

    fn lower(&mut self, to: Timestamp) {
        self.since = self.since.min(to);
        for head in &mut self.heads {
            if head.due > to {
                (head.due, head.task) = (to, Uuid::nil());
            }
        }
    }

    /// Returns the floor of the lane and standing of `head`; `None` if the scan does not look
    /// there.
    fn floor(&self, head: &Head) -> Option<(Timestamp, Uuid)> {
        match self.heads.binary_search_by_key(&head.group(), Head::group) {
            Ok(place) => Some(self.heads[place].place()),
            Err(_) => (head.rank == 0).then_some((self.since, Uuid::nil())),
        }
    }
}

/// The late tasks that this process was told of.
#[derive(Debug, Default)]
struct Late {
    count: u64,
    last: VecDeque<One>,
}

/// A late task, or several.
#[derive(Debug, Clone, Copy)]
struct One {
    number: u64,
    age: Duration,
    at: Instant,
}

impl Late {
    fn add(&mut self, age: Duration, at: Instant) {
        self.count += 1;
        self.last.push_back(One { number: self.count, age, at });
        // The two oldest become one that is at least as late as both.
        if self.last.len() > MOST
            && let (Some(first), Some(second)) = (self.last.pop_front(), self.last.front_mut())
        {
            let passed = second.at.saturating_duration_since(first.at);
            second.age = second.age.max(first.age.saturating_add(passed));
        }
    }

    /// Returns those that were added after this many.
    fn after(&self, count: u64) -> impl Iterator<Item = &One> {
        self.last.iter().filter(move |one| one.number > count)
    }
}

#[cfg(test)]
mod tests;
