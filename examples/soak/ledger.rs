//! The tasks that are open. Each is struck off when it has run, so the ledger stays small.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::latency::Latency;

/// How many ended tasks are remembered, to explain repetitions: many times what one worker holds.
const REMEMBERED: usize = 10_000;

/// How many problems are kept in words.
const TOLD: usize = 20;

/// How early a task may begin: the machine's clock may be corrected a little.
const EARLY: Duration = Duration::from_millis(10);

/// How a task is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It succeeds in the end.
    Ends,
    /// It becomes a dead letter, after at least one attempt.
    Dies,
}

/// The open tasks, and what was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Pages>);

#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// The open tasks, and whether each has begun.
    open: BTreeMap<u64, (Fate, bool)>,
    /// The last tasks that ended, with their workers.
    ended: HashMap<u64, u32>,
    order: VecDeque<u64>,
    /// Workers that live.
    alive: BTreeSet<u32>,
    pub(crate) counts: Counts,
    pub(crate) problems: Vec<String>,
    /// From the call of `defer` to its answer, and from the time a task was due to its handler.
    pub(crate) answers: Latency,
    pub(crate) starts: Latency,
}

/// How often something was seen since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) deferred: u64,
    pub(crate) ended: u64,
    pub(crate) died: u64,
    /// Attempts after the first.
    pub(crate) retries: u64,
    /// Tasks that ended a second time, and those of them for which no worker was killed meanwhile.
    pub(crate) repeated: u64,
    pub(crate) without_need: u64,
    pub(crate) problems: u64,
}

impl Ledger {
    /// Records a new task, and returns its number.
    pub(crate) fn open(&self, fate: Fate) -> u64 {
        let mut pages = self.pages();
        pages.counts.deferred += 1;
        let number = pages.counts.deferred;
        pages.open.insert(number, (fate, false));
        number
    }

    /// Takes back a task that could not be deferred.
    pub(crate) fn forget(&self, number: u64) {
        self.pages().open.remove(&number);
    }

    /// The number of open tasks.
    pub(crate) fn len(&self) -> usize {
        self.pages().open.len()
    }

    pub(crate) fn problem(&self, what: impl Into<String>) {
        self.pages().problem(what.into());
    }

    pub(crate) fn worker_lives(&self, worker: u32) {
        self.pages().alive.insert(worker);
    }

    pub(crate) fn worker_is_gone(&self, worker: u32) {
        self.pages().alive.remove(&worker);
    }

    /// Records how long a caller waited for its answer.
    pub(crate) fn answered(&self, took: Duration) {
        self.pages().answers.record(took);
    }

    /// Records a line that a worker wrote.
    pub(crate) fn line(&self, worker: u32, line: &str) {
        let mut words = line.split(' ');
        let (what, number) =
            (words.next().unwrap_or_default(), words.next().and_then(|word| word.parse().ok()));
        let micros = words.next().and_then(|word| word.parse().ok()).map(Duration::from_micros);
        let mut pages = self.pages();
        match (what, number, micros) {
            ("late", Some(number), Some(late)) => pages.began(number, Some(late)),
            ("early", Some(number), Some(early)) => {
                if early > EARLY {
                    pages.problem(format!("task {number} ran {early:?} before its time"));
                }
                pages.began(number, Some(Duration::ZERO));
            }
            ("again", Some(number), None) => pages.began(number, None),
            ("ended", Some(number), None) => pages.ended(number, worker),
            ("wrong", Some(number), None) => {
                pages.problem(format!("the payload of task {number} arrived changed"))
            }
            _ => pages.problem(format!("worker {worker} wrote `{line}`")),
        }
    }

    /// Records that a task is a dead letter.
    pub(crate) fn died(&self, number: u64, error: &str) {
        let mut pages = self.pages();
        match pages.open.remove(&number) {
            Some((Fate::Dies, true)) => pages.counts.died += 1,
            Some((Fate::Dies, false)) => {
                pages.problem(format!("task {number} died without an attempt: {error}"))
            }
            Some((Fate::Ends, _)) => {
                pages.problem(format!("task {number} died, and was to work: {error}"))
            }
            None => pages.problem(format!("task {number} died a second time: {error}")),
        }
    }

    /// The numbers of some open tasks.
    pub(crate) fn some_open(&self) -> Vec<u64> {
        self.pages().open.keys().take(TOLD).copied().collect()
    }

    /// How often something was seen so far.
    pub(crate) fn counts(&self) -> Counts {
        self.pages().counts
    }

    pub(crate) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn began(&mut self, number: u64, late: Option<Duration>) {
        if let Some((_, begun)) = self.open.get_mut(&number) {
            *begun = true;
        }
        match late {
            Some(late) => self.starts.record(late),
            None => self.counts.retries += 1,
        }
    }

    fn ended(&mut self, number: u64, worker: u32) {
        if self.open.remove(&number).is_some() {
            self.counts.ended += 1;
        } else {
            self.counts.repeated += 1;
            // The lines of two workers may come in either order.
            let both_live = self.ended.get(&number).is_some_and(|first| self.alive.contains(first))
                && self.alive.contains(&worker);
            self.counts.without_need += u64::from(both_live);
        }
        self.remember(number, worker);
    }

    fn remember(&mut self, number: u64, worker: u32) {
        if self.ended.insert(number, worker).is_none() {
            self.order.push_back(number);
        }
        if self.order.len() > REMEMBERED {
            let oldest = self.order.pop_front();
            self.ended.remove(&oldest.unwrap_or_default());
        }
    }

    fn problem(&mut self, what: String) {
        self.counts.problems += 1;
        if self.problems.len() < TOLD {
            eprintln!("PROBLEM: {what}");
            self.problems.push(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many tasks ran to their end a second time, and how many of them without a killed worker.
    fn repeated(ledger: &Ledger) -> (u64, u64) {
        let counts = ledger.counts();
        (counts.repeated, counts.without_need)
    }

    #[test]
    fn a_task_that_never_ran_stays_open() {
        let ledger = Ledger::default();
        let (ran, lost) = (ledger.open(Fate::Ends), ledger.open(Fate::Ends));
        ledger.line(1, &format!("late {ran} 250"));
        ledger.line(1, &format!("ended {ran}"));
        ledger.line(1, &format!("late {lost} 250"));
        assert_eq!(ledger.some_open(), [lost]);
    }

    #[test]
    fn a_repetition_is_explained_by_a_worker_that_is_gone() {
        let ledger = Ledger::default();
        let number = ledger.open(Fate::Ends);
        (1..=3).for_each(|worker| ledger.worker_lives(worker));
        ledger.line(1, &format!("ended {number}"));
        ledger.worker_is_gone(1);
        ledger.line(2, &format!("ended {number}"));
        assert_eq!(repeated(&ledger), (1, 0));
        ledger.line(3, &format!("ended {number}"));
        assert_eq!(repeated(&ledger), (2, 1));
    }

    #[test]
    fn only_planned_deaths_are_no_problem() {
        let ledger = Ledger::default();
        let numbers = [Fate::Dies, Fate::Dies, Fate::Ends].map(|fate| ledger.open(fate));
        ledger.line(1, &format!("late {} 1", numbers[0]));
        ledger.died(numbers[0], "planned");
        assert_eq!(ledger.counts().problems, 0);
        ledger.died(numbers[1], "never begun");
        ledger.died(numbers[2], "was to work");
        ledger.died(numbers[0], "twice");
        assert_eq!((ledger.counts().problems, ledger.counts().died), (3, 1));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let ledger = Ledger::default();
        for _ in 0..REMEMBERED + 100 {
            let number = ledger.open(Fate::Ends);
            ledger.line(1, &format!("ended {number}"));
        }
        let pages = ledger.pages();
        assert_eq!(
            (pages.open.len(), pages.ended.len(), pages.order.len()),
            (0, REMEMBERED, REMEMBERED)
        );
    }
}
