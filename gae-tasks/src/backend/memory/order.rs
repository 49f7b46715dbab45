//! The order in which tasks are leased: waiting tasks by queue, lane and standing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::backend::lifecycle::Facts;
use crate::backend::refusers::Refusers;
use crate::backend::{Lease, Standing};
use crate::queue::{self, QueueName};
use crate::task::{Route, TaskId};
use crate::time::Timestamp;

/// The place of a waiting task in its lane: its standing, whether it is timed, and when it is due.
type OrderKey = (Standing, bool, Timestamp, TaskId);

const FIRST: TaskId = TaskId::from_bytes([0; 16]);
const LAST: TaskId = TaskId::from_bytes([u8::MAX; 16]);

/// The place of a due task among those of several lanes: whether its lane is not open, its
/// [place](queue::place) by time and priority, and its id. Tasks that other readers refused come
/// first, as they had their turn; so do those that were made due by hand.
pub(super) type Place = (bool, i128, TaskId);

/// What the tasks of a lane have in common.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    /// What a program must be able to run.
    pub(super) route: Route,
    /// The version that a program must know.
    pub(super) version: u8,
    pub(super) priority: i8,
    /// The readers that refused the tasks.
    pub(super) refusers: Refusers,
    /// Whether the tasks were made due by hand.
    pub(super) forced: bool,
}

/// A queue with those of its lanes that a worker can run.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) queue: QueueName,
    /// The lanes, and for each whether the worker may have its tasks at once, whatever they wait
    /// for: other readers refused them, or they were made due by hand.
    pub(super) lanes: Vec<(Lane, bool)>,
    /// What a step of priority is worth.
    pub(super) step: Duration,
}

impl Source {
    /// The queue with those of its lanes whose tasks were made due by hand.
    pub(super) fn forced(&self) -> Self {
        let lanes = self.lanes.iter().filter(|(lane, _)| lane.forced).cloned().collect();
        Self { queue: self.queue.clone(), lanes, step: self.step }
    }
}

/// All waiting tasks. Queues and lanes without waiting tasks have no entry.
#[derive(Default)]
pub(super) struct Order(BTreeMap<QueueName, BTreeMap<Lane, BTreeSet<OrderKey>>>);

impl Order {
    /// Adds a waiting task.
    pub(super) fn add(&mut self, queue: &QueueName, lane: Lane, facts: &Facts, id: TaskId) {
        self.0.entry(queue.clone()).or_default().entry(lane).or_default().insert(place(facts, id));
    }

    /// Removes a task, if it waits.
    pub(super) fn remove(&mut self, queue: &QueueName, lane: &Lane, facts: &Facts, id: TaskId) {
        let Some(lanes) = self.0.get_mut(queue) else { return };
        if let Some(places) = lanes.get_mut(lane) {
            places.remove(&place(facts, id));
            if places.is_empty() {
                lanes.remove(lane);
            }
        }
        if lanes.is_empty() {
            self.0.remove(queue);
        }
    }

    /// Returns the queues of `lease` that have waiting tasks.
    pub(super) fn queues<'a>(&'a self, lease: &'a Lease) -> impl Iterator<Item = &'a QueueName> {
        self.0.keys().filter(|queue| lease.queues.contains(*queue))
    }

    /// Returns the lanes of a queue that have waiting tasks.
    pub(super) fn lanes(&self, queue: &QueueName) -> impl Iterator<Item = &Lane> {
        self.0.get(queue).into_iter().flat_map(BTreeMap::keys)
    }

    /// Returns the first due tasks of a queue: those that the worker may have at once, then the
    /// others, both by schedule time and priority, then by id.
    pub(super) fn due(
        &self,
        source: &Source,
        standing: Standing,
        now: Timestamp,
        limit: usize,
    ) -> Vec<Place> {
        let mut due = Vec::new();
        for (places, is_open, advance) in self.places(source) {
            // A task that is not timed is due whatever the clock says.
            let of_timed = if is_open { Timestamp::MAX } else { now };
            for (is_timed, until) in [(false, Timestamp::MAX), (true, of_timed)] {
                let first = (standing, is_timed, Timestamp::from_micros(i64::MIN), FIRST);
                let last = (standing, is_timed, until, LAST);
                let place =
                    |(_, _, due, id): &OrderKey| (!is_open, queue::place(*due, advance), *id);
                due.extend(places.range(first..=last).take(limit).map(place));
            }
        }
        due.sort_unstable();
        due.truncate(limit);
        due
    }

    /// Returns when the first task of a queue becomes due, among the lanes and standings without
    /// due tasks.
    pub(super) fn next(&self, source: &Source, now: Timestamp) -> Option<Timestamp> {
        let first = |(places, standing): (&BTreeSet<OrderKey>, _)| {
            let first = (standing, false, Timestamp::from_micros(i64::MIN), FIRST);
            let last = (standing, true, Timestamp::MAX, LAST);
            places
                .range(first..=last)
                .next()
                .filter(|(_, is_timed, due, _)| *is_timed && *due > now)
                .map(|place| place.2)
        };
        // Whatever waits in an open lane is due.
        let closed = self.places(source).filter(|(_, is_open, _)| !is_open);
        let closed = closed.map(|(places, ..)| places);
        let of_each = |places| Standing::ALL.into_iter().map(move |standing| (places, standing));
        closed.flat_map(of_each).filter_map(first).min()
    }

    /// Returns the waiting tasks of each lane, whether the worker may have them at once, and how
    /// much their priority [advances](queue::advance) them.
    fn places<'a>(
        &'a self,
        source: &'a Source,
    ) -> impl Iterator<Item = (&'a BTreeSet<OrderKey>, bool, i64)> {
        let of_queue = self.0.get(&source.queue);
        source.lanes.iter().filter_map(move |(lane, is_open)| {
            let advance = queue::advance(lane.priority, source.step);
            Some((of_queue?.get(lane)?, *is_open, advance))
        })
    }
}

fn place(facts: &Facts, id: TaskId) -> OrderKey {
    (facts.standing(), facts.wait.is_timed(), facts.wait.due(), id)
}
